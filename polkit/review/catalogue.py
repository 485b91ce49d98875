"""Every kind of finding: its id, its short name, how grave it is unless the facts say otherwise, and what it says.

A page ``docs/findings/ID.md`` explains each; ids are never reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of finding. ``severity`` is the usual one."""

    id: str
    slug: str
    severity: str
    summary: str


_ALL = (
    Kind("PK001", "does-not-compile", "high", "The compiler refuses the source."),
    Kind("PK002", "missing-require", "high", "A class, permission or name is used and not required."),
    Kind("PK003", "unknown-name", "high", "A type, attribute, role or boolean does not exist in the policy."),
    Kind("PK004", "needs-headers", "high", "Macros or policy_module need the policy's development files."),
    Kind("PK005", "does-not-link", "high", "The policy does not take the module."),
    Kind("PK006", "source-reaches-out", "high", "The source makes m4 run, read or redefine something."),
    Kind("PK007", "unused-require", "low", "A required name is used nowhere."),
    Kind("PK008", "unused-declaration", "low", "A declared name is used nowhere."),
    Kind("PK009", "wildcard", "medium", "A wildcard, a complement or a very large attribute stands in a rule."),
    Kind("PK010", "already-allowed", "low", "The policy allows it without the module."),
    Kind("PK011", "shared-domain", "medium", "The rule is for every workload in a shared domain."),
    Kind("PK012", "boolean-would-do", "medium", "A boolean of the policy gives the same."),
    Kind("PK013", "label-would-do", "medium", "The object has the wrong label; a rule on it is the wrong remedy."),
    Kind("PK014", "level-would-do", "medium", "A constraint refuses; the rule changes nothing."),
    Kind("PK015", "neverallow-broken", "high", "The policy's authors forbid the access by a neverallow."),
    Kind("PK016", "neverallow-exempted", "high", "A type joins an attribute that a neverallow leaves out."),
    Kind("PK017", "dangerous-access", "high", "The access is in the catalogue of risks."),
    Kind("PK018", "bounds-broken", "high", "A bounded type is allowed more than the type that bounds it."),
    Kind("PK019", "constraint-exempted", "high", "A type comes past a constraint that refused it."),
    Kind("PK020", "stronger-domain", "high", "A process changes into a domain that may do more."),
    Kind("PK021", "writable-entrypoint", "high", "Who may write the program decides what runs in the domain."),
    Kind("PK022", "writable-execmod", "high", "Modified code of a writable file may run."),
    Kind("PK023", "write-and-execute", "medium", "A domain may write and execute one type."),
    Kind("PK024", "path-to-privileged", "high", "A new chain of domain transitions ends in a privileged domain."),
    Kind("PK025", "information-flow", "high", "Information can newly flow to a less confidential zone."),
    Kind("PK026", "permissive-domain", "high", "Nothing that the domain does is refused."),
    Kind("PK027", "powerful-attribute", "high", "A type joins an attribute that brings great power."),
    Kind("PK028", "role-statement", "medium", "A role gets a domain or another role."),
    Kind("PK029", "commands-taken-away", "medium", "A list of commands takes away what was allowed."),
    Kind("PK030", "relabels-distribution", "high", "An entry gives paths of the distribution another label."),
    Kind("PK031", "label-too-broad", "high", "An entry matches far more than one application's files."),
    Kind("PK032", "label-matches-nothing", "low", "An entry can match no path."),
    Kind("PK033", "label-shadowed", "low", "A later entry of the module decides for all paths of this one."),
    Kind("PK034", "label-unknown-type", "high", "An entry names a type that nobody declares."),
    Kind("PK035", "label-never-in-force", "medium", "An entry of the policy decides over the module's."),
    Kind("PK036", "label-pattern", "low", "The pattern is no regular expression, or not the one that was meant."),
    Kind("PK041", "selint", "low", "SELint, where it is installed, has this to say."),
    Kind("PK042", "idle-ignore", "low", "An ignore comment silences nothing, or gives no reason."),
    Kind("PK043", "module-name", "medium", "The module's name differs from its file, or hides another module."),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.id: kind for kind in _ALL})
"""From each id to its kind, in the order of the ids."""
