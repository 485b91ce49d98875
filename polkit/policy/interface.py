"""The questions the rest of the house asks of a target policy, and the shapes of the answers.

Everything above this room speaks to a TargetPolicy and never to setools or libselinux, so that another policy
back end can stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Optional, Protocol

from polkit.model import (
    Context,
    FileContext,
    Grants,
    Inherited,
    LevelRelations,
    Party,
    PolicyInfo,
    Port,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    Xperm,
)


@dataclass(frozen=True)
class Access:
    """One permission asked for, or ``xperm`` of it for ``ioctl`` and ``nlmsg``. ``Party.type`` may be an alias."""

    source: Party
    target: Party
    tclass: str
    perm: str
    levels: LevelRelations
    xperm: Optional[Xperm] = None


@dataclass(frozen=True)
class FailedConstraint:
    """A constrain or mlsconstrain statement that refuses.

    ``text`` is its expression as a policy author writes it; ``about`` holds those of ``level``, ``user``, ``role``
    and ``type`` that it compares. ``unknown`` is true when levels were needed that the record does not tell.
    """

    kind: str
    text: str
    about: frozenset[str]
    unknown: bool = False


@dataclass(frozen=True)
class BooleanSet:
    """Booleans to change, each to the given value, so that the access is allowed. Minimal."""

    settings: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Verdict:
    """Every reason for which the policy refuses one access; ``allowed`` when there is none."""

    rule: bool
    """An enabled allow rule gives the permission (extended permissions aside)."""
    booleans: tuple[BooleanSet, ...]
    """Where ``rule`` is false: all sets of one, else of two, booleans that would give it."""
    constraints: tuple[FailedConstraint, ...]
    bounds: Optional[str]
    """The bounding type that lacks the permission, where a rule of the bounded type gives it."""
    role: Optional[str]
    """For process transitions: why the role change is refused (``allow r1 r2`` is missing)."""
    xperm_refused: bool
    """The permission is allowed, but an allowxperm leaves this command out."""
    dontaudit: bool
    """A dontaudit rule covers it, whether or not the other reasons stand."""

    @property
    def allowed(self) -> bool:
        """No reason stands."""
        return self.rule and not (self.constraints or self.bounds or self.role or self.xperm_refused)


@dataclass(frozen=True)
class Unlimited:
    """Rules give every command of an operation somewhere. ``now``: in the state of the booleans that was asked about;
    ``condition`` says in which states (``a || !b``), and is empty where it is in all."""

    now: bool
    condition: str


@dataclass(frozen=True)
class PortLabel:
    """The port context that covers a port; ``low`` and ``high`` bound its range."""

    type: str
    low: int
    high: int


class Weaker(NamedTuple):
    """A constraint that refuses a base and may let another domain through; ``tclass`` is the class it stands for."""

    tclass: str
    text: str


class Rectangle(NamedTuple):
    """Accesses of a rule: from every source to every target, and with ``to_self`` from every source to itself."""

    sources: frozenset[str]
    targets: frozenset[str]
    to_self: bool
    tclass: str
    perms: frozenset[str]


class Forbidden(NamedTuple):
    """A neverallow rule that a rule would break, and an access that does."""

    text: str
    source: str
    target: str
    perms: tuple[str, ...]


@dataclass(frozen=True)
class Inheritance:
    """A domain of a module's own, for one target policy: its declaration, roles and bounds, and what it takes over.

    ``weaker``: constraints that refuse the base and not the new domain; empty for one that may be used.
    """

    declaration: TypeDeclaration
    roles: tuple[RoleTypes, ...]
    bounds: tuple[TypeBounds, ...]
    inherited: Inherited
    weaker: tuple[Weaker, ...]


@dataclass(frozen=True)
class FileEntry:
    """An entry of file contexts: the name of the file it stands in, and its pattern."""

    file: str
    pattern: str


class ListedLabel(NamedTuple):
    """An entry of file contexts: the file it stands in, pattern, kind (empty for any) and type, empty for
    ``<<none>>``."""

    file: str
    pattern: str
    kind: str
    type: str


class TargetPolicy(Protocol):
    """A policy the module is for. All names given back are canonical (aliases resolved)."""

    @property
    def info(self) -> Optional[PolicyInfo]:
        """Which policy this is; None for "no policy", where every name is taken as known and nothing as allowed."""

    @property
    def booleans(self) -> Mapping[str, bool]:
        """The state every answer is given for (the policy's defaults, or those of ``with_booleans``)."""

    def with_booleans(self, state: Mapping[str, bool]) -> TargetPolicy:
        """The same policy on a host with these booleans; names it doesn't have are passed over."""

    def type_name(self, name: str) -> Optional[str]:
        """The canonical name of a type or alias; None for what is no type of the policy."""

    def has_class(self, tclass: str) -> bool:
        """The policy defines the object class."""

    def has_user(self, user: str) -> bool:
        """The policy defines the SELinux user."""

    def has_role(self, role: str) -> bool:
        """The policy defines the role."""

    def has_capability(self, name: str) -> bool:
        """The policy has the policy capability, by the name that libsepol gives it."""

    def permissions(self, tclass: str) -> frozenset[str]:
        """All permissions of a class, those of its common included; empty for an unknown class."""

    def nearest(self, kind: str, name: str, tclass: str = "") -> tuple[str, ...]:
        """At most three names most like ``name``; ``kind`` is type, attribute, role, boolean, class or permission
        (then of ``tclass``)."""

    def attributes(self, type_: str) -> frozenset[str]:
        """The attributes of a type."""

    def has_attribute(self, attribute: str) -> bool:
        """The policy defines the type attribute. A binary policy has lost those that no type and no rule of it needs:
        they are looked for in the module store, where one that can be read stands beside it."""

    def types(self, attribute: str) -> frozenset[str]:
        """The types of an attribute; the type itself for a type; empty for an unknown name."""

    @property
    def every_type(self) -> frozenset[str]:
        """All types; empty for "no policy"."""

    def decide(self, access: Access) -> Verdict:
        """Every blocking reason for an access whose names the policy knows."""

    def constraints_on(self, source: str, target: str, tclass: str, perm: str) -> tuple[FailedConstraint, ...]:
        """The constraints that may refuse the permission for these types: ``unknown`` ones in some case of users, roles
        and levels, the others in every case, so that no rule helps."""

    def let_through(self, base: frozenset[str], sides: frozenset[str]) -> tuple[Weaker, ...]:
        """The constraints that refuse one type and in some case not another. Both are told by what rules may call them:
        the name and the attributes."""

    def bounding(self, type_: str) -> Optional[str]:
        """The type that bounds a type (``typebounds``)."""

    def validatetrans(self, tclass: str) -> tuple[str, ...]:
        """The expressions that a change of an object's context must satisfy (validatetrans, mlsvalidatetrans): old
        context 1, new context 2, process 3. Listed, not evaluated."""

    def allowed(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """The permissions that enabled allow rules give (constraints aside)."""

    def always_allowed(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """The permissions that allow rules give whatever the booleans (constraints aside)."""

    def dontaudited(self, source: str, target: str, tclass: str) -> frozenset[str]:
        """The permissions that dontaudit rules silence."""

    def transition(self, source: str, target: str, tclass: str) -> Optional[str]:
        """The type that a new object of the class gets when ``source`` makes it in ``target`` (a directory's type), or
        a process (class ``process``) that executes ``target``: an enabled type_transition's that names no file. None
        where there is none: then it is the target's, of a process the source's."""

    def has_xperm_rule(self, source: str, target: str, tclass: str) -> bool:
        """A rule on extended permissions narrows this (source, target, class) already: ioctl and nlmsg alike, whichever
        of the two it names."""

    def unlimited(
        self, source: str, target: str, tclass: str, operation: str, new: Mapping[str, tuple[str, ...]]
    ) -> Optional[Unlimited]:
        """When rules give ``source`` every command of ``operation`` (``ioctl``, ``nlmsg``) there, so that an allowxperm
        would take commands away; None for in no state of the booleans. ``new``: types that the policy lacks, with the
        attributes they will join."""

    def grants_of(self, settings: tuple[tuple[str, bool], ...]) -> Grants:
        """What changing these booleans would newly allow in the whole policy."""

    def role_has_type(self, role: str, type_: str) -> bool:
        """``role r types t`` holds."""

    def neverallowed(self, source: str, target: str, tclass: str, perm: str) -> Optional[str]:
        """The neverallow statement that an allow rule for this would break; None when there is none or it can't be
        known (a binary policy has lost them; ``knows_neverallows`` says which)."""

    def forbidden(self, asked: Rectangle, new: Mapping[str, tuple[str, ...]]) -> tuple[Forbidden, ...]:
        """The neverallow rules that an allow rule for these accesses would break, by what the policy does not allow
        already; an empty answer as of ``neverallowed``. ``new``: types that the policy lacks, with the attributes they
        will join."""

    def exempted(self, type_: str, attribute: str, joined: frozenset[str]) -> tuple[str, ...]:
        """The neverallow rules that cover a type and would not if it joined an attribute. ``joined``: the attributes of
        a type that the policy lacks. An empty answer as of ``neverallowed``."""

    @property
    def knows_neverallows(self) -> bool:
        """Whether ``neverallowed`` can answer: a module store stands beside the binary policy."""

    def module_priorities(self, name: str) -> tuple[int, ...]:
        """At which priorities the module store holds a module of this name, lowest first; empty for none, and where no
        store stands beside the binary policy."""

    def port_label(self, port: Port) -> Optional[PortLabel]:
        """The narrowest port context that covers the port; None for a policy without port contexts."""

    def port_entries(self, type_: str) -> tuple[tuple[str, int, int], ...]:
        """(protocol, low, high) of every port context with this type."""

    def file_label(self, path: str, tclass: str) -> Optional[Context]:
        """What file_contexts (substitutions included) says of a host path; None for ``<<none>>`` or no answer."""

    def file_entry(self, path: str, tclass: str) -> Optional[FileEntry]:
        """The entry of file contexts that decides the label of a host path; None where that can't be told."""

    def file_entries(self) -> tuple[ListedLabel, ...]:
        """Every entry of file contexts; of those that match a path the last decides. Empty for a policy without."""

    def spoken_of(self, path: str) -> str:
        """The path that an entry must name to mean this one: another where a substitution applies (selabel_file(5),
        ``file_contexts.subs``)."""

    def with_contexts(self, contexts: tuple[FileContext, ...], local: tuple[FileContext, ...] = ()) -> TargetPolicy:
        """The same policy with these entries among those of its modules, sorted in as the module store does, and
        ``local`` ones added by its administrator. They may name types that the policy lacks."""

    @property
    def has_file_contexts(self) -> bool:
        """Whether ``file_label`` can answer."""

    def is_customizable(self, type_: str) -> bool:
        """restorecon leaves files of this type alone without ``-F`` (customizable_types(5))."""

    def entrypoint_domains(self, type_: str) -> frozenset[str]:
        """The domains that a file of this type may be the entry point of."""

    def is_domain(self, type_: str) -> bool:
        """A type of processes (attribute ``domain``)."""

    def is_container_domain(self, type_: str) -> bool:
        """A domain that container engines start containers in."""

    def container_file_type(self) -> Optional[str]:
        """The type every container may write (``container_file_t``), when the policy has one."""

    def shared_because(self, type_: str) -> Optional[str]:
        """Why a domain counts as shared by unrelated workloads, in a few words; None when it doesn't."""

    def structural(self, attributes: tuple[str, ...]) -> Grants:
        """What every other domain gets on a new type for no more than joining these attributes (enabled rules)."""

    def refused_as_base(self, type_: str) -> Optional[str]:
        """Why no domain may inherit from this one (unconfined, the init system, the kernel, an engine), in a few words;
        None where it may."""

    def with_domain(self, name: str, like: Optional[str]) -> TargetPolicy:
        """The same policy with one more domain that no rule allows anything, or with the one it has; a container's
        where ``like`` is."""

    def own_domain(self, own: str, like: str, inherits: bool) -> Inheritance:
        """A domain ``own`` that is allowed what ``like`` is (``inherits``), or that starts from nothing and may be
        started, signalled and labelled for as ``like`` may. Some seconds the first time.

        Raises UsageError for what can't be a base, CompileError, SourceError, MissingDependency without the tools.
        """
