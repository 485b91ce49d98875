"""The plan: every decision for one input against one policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from polkit.model.calls import InterfaceCall
from polkit.model.evidence import Evidence, InputSummary
from polkit.model.rules import AvRule, FileContext, RoleAllow, RoleTypes, TypeBounds, TypeDeclaration, XpermRule

CAUSES = (
    "unknown-type",
    "unknown-class",
    "unknown-permission",
    "already-allowed",
    "wrong-domain",
    "mislabeled",
    "constraint",
    "bounds",
    "role",
    "neverallow",
    "xperm",
    "boolean",
    "port-label",
    "dontaudited",
    "missing-rule",
)
"""Why an access was refused, in the order of the ladder."""

REMEDIES = (
    "boolean",
    "relabel",
    "fcontext",
    "equivalence",
    "mount",
    "port",
    "level",
    "domain",
    "none",
    "refuse",
    "allow",
)
"""What to change, in the order a person should read them: rules last."""

RISKS = ("none", "low", "medium", "high")

Rule = Union[AvRule, XpermRule, RoleAllow, RoleTypes, TypeBounds]


@dataclass(frozen=True)
class Grants:
    """What a change would newly allow in the whole policy, counted."""

    accesses: int
    """(source, target, class, permission) quadruples."""
    domains: int
    types: int
    sample: tuple[str, ...] = ()
    """The most sensitive target types, at most eight."""
    refused: tuple[str, ...] = ()
    """Ids of the risks among them that would be refused if a rule were to grant them, sorted."""


@dataclass(frozen=True)
class BooleanOption:
    """A set of booleans that would allow the access, with its price."""

    settings: tuple[tuple[str, bool], ...]
    grants: Grants


@dataclass(frozen=True)
class Remedy:
    """What to change. Only the fields of its kind are set; ``text`` is always one sentence for a person."""

    kind: str
    text: str
    commands: tuple[str, ...] = ()
    """Shell lines to run as root, in order; every value from a log is quoted for the shell."""
    path: Optional[str] = None
    pattern: Optional[str] = None
    type: Optional[str] = None
    protocol: Optional[str] = None
    port: Optional[int] = None
    hint: Optional[str] = None
    options: tuple[BooleanOption, ...] = ()
    """For ``boolean``: cheapest first; the first is the remedy."""
    rules: tuple[Rule, ...] = ()
    any_command: bool = False
    """No allowxperm may narrow the rules: the evidence does not tell the ioctl or nlmsg command, or a list of them
    would take commands away."""
    xperm_note: str = ""
    """Why the rules list commands or give them all, where a reader should know; for a person."""
    types: tuple[TypeDeclaration, ...] = ()
    contexts: tuple[FileContext, ...] = ()
    nearest: tuple[str, ...] = ()
    """For unknown names: the policy's nearest."""


@dataclass(frozen=True)
class OwnDomain:
    """The domain of the module's own that stands in for a shared one.

    ``base`` is the domain of the target policy that it inherits from, symbolically: what that means is worked out
    from each policy anew. None where it starts from nothing. ``sources`` are the shared domains whose rules go to it.
    """

    name: str
    base: Optional[str]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What an alternative opens: accesses (source, target, class, permission) that it newly allows, and how many
    domains it gives something to. ``text`` says it in a sentence, with what the numbers don't tell."""

    accesses: int
    domains: int
    text: str


@dataclass(frozen=True)
class Alternative:
    """One thing that could be done about a decision. ``id`` says what it is wherever it is offered."""

    id: str
    remedy: Remedy
    also_remedies: tuple[Remedy, ...]
    cost: Cost
    risk: str
    risk_id: str
    widens: bool = False
    """It goes beyond what the tool would do unasked: accepts a risk, widens a shared domain, hides denials."""


@dataclass(frozen=True)
class DeviceCommand:
    """An ioctl command on a device node of a GPU. ``names``: what the headers of its ``drivers`` call it, none where
    they don't list it. ``measured``: the log shows that a real driver was there; ``why`` says what shows it, or not."""

    xperm: str
    names: tuple[str, ...]
    drivers: tuple[str, ...]
    sources: tuple[str, ...]
    measured: bool
    why: str


@dataclass(frozen=True)
class Decision:
    """One cause with its remedy and its evidence. ``source`` and ``target`` are types."""

    id: str
    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    xperms: tuple[str, ...]
    cause: str
    also: tuple[str, ...]
    remedy: Remedy
    also_remedies: tuple[Remedy, ...]
    risk: str
    risk_id: str
    """The catalogue entry that set the risk, or empty."""
    why: str
    evidence: Evidence
    asked: tuple[str, ...] = ()
    """What was asked of the policy, one line each."""
    device_commands: tuple[DeviceCommand, ...] = ()
    """The commands of ``xperms`` on nodes of GPUs, in their order."""
    follows: tuple[str, ...] = ()
    """Of a predicted decision, the ids of those it follows from; no record shows it, so its evidence counts none."""
    key: str = ""
    """The same for the same question put again: by another run, on a longer log. Ids are counted anew each time."""
    alternatives: tuple[Alternative, ...] = ()
    """What could be done, the tool's own choice first; ``remedy`` is that of one of them. Empty where nobody asked."""
    chosen: str = ""
    """The id of the alternative that ``remedy`` is, where there are any."""
    chosen_by: str = "tool"
    """``tool`` or ``person``."""


@dataclass(frozen=True)
class PolicyInfo:
    """Which target policy a plan is for: ``version`` of its format; ``handle_unknown`` is allow, deny or reject."""

    path: str
    sha256: str
    version: int
    mls: bool
    handle_unknown: str


@dataclass(frozen=True)
class ModuleInfo:
    """What a plan's module is and grants. Counts are accesses (source, target, class, permission)."""

    name: str
    version: str
    domain: Optional[str]
    """The module's own domain, or None when it extends an existing one."""
    base: Optional[str]
    rules: int
    over_permission: int
    dontaudited: int
    """What a relabel takes along, since dontaudit rules or the old label kept it out of the log: no over-permission."""
    inherited: int
    structural: int
    blast_radius: int
    """How many domains the module gives something to."""
    widened: tuple[str, ...]
    """Shared domains that get rules."""
    files: tuple[str, ...]
    predicted: int = 0
    """What of ``over_permission`` was predicted."""
    boolean_grants: int = 0
    """What the booleans among the plan's remedies newly allow in the whole policy, besides the module."""


@dataclass(frozen=True)
class Plan:
    """All decisions for one input against one policy."""

    policy: Optional[PolicyInfo]
    input: InputSummary
    decisions: tuple[Decision, ...]
    module: Optional[ModuleInfo] = None
    predicted: tuple[Decision, ...] = ()
    """What the decisions imply but no record shows, where it was asked for: P1, P2, ..."""
    notes: tuple[str, ...] = ()
    domain: Optional[OwnDomain] = None
    """Set where rules of the plan go to a domain of the module's own."""
    interfaces: tuple[InterfaceCall, ...] = ()
    """Calls of installed interfaces for rules of the module, those to be used first; where they were asked for."""
