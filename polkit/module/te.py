"""Writes ``.te``: the plain module syntax that ``checkmodule`` takes, without any macro."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Optional

from polkit.errors import CompileError
from polkit.model import AvRule, ModuleSource, RoleAllow, RoleTypes, TypeBounds, TypeDeclaration, XpermRule
from polkit.module.comments import comment
from polkit.module.names import KEYWORDS, check_source, names
from polkit.module.requires import Requirements, requirements
from polkit.module.statements import Item, folded, in_order

if TYPE_CHECKING:
    import jinja2


class _Statement(NamedTuple):
    text: str
    comments: tuple[str, ...]
    apart: bool


def needs_cil(source: ModuleSource) -> Optional[str]:
    """Why ``checkmodule`` would refuse this module, in a few words; None when it can be written as ``.te``.

    Raises CompileError when no policy language takes it.
    """
    check_source(source)
    if source.name in KEYWORDS:
        raise CompileError(f"{source.name!r} is a keyword of the policy language", hint="choose another module name")
    for name in sorted(set(names(source.access))):
        if "." in name:
            return f"{name} is in a CIL namespace (checkmodule takes a dot for a type hierarchy)"
        if name in KEYWORDS:
            return f"{name} is a keyword of checkmodule"
    if any(rule.operation == "nlmsg" for rule in source.access.xperms):
        return "nlmsg extended permissions are unknown to checkmodule before 3.8"
    return None


def render_te(source: ModuleSource, attributes: frozenset[str] = frozenset()) -> str:
    """The text of ``NAME.te``. ``attributes``: which of the foreign names are type attributes of the target policy.

    Raises CompileError when a name is no identifier, or when the module needs CIL (see ``needs_cil``).
    """
    reason = needs_cil(source)
    if reason is not None:
        raise CompileError(f"module {source.name} can't be written as .te: {reason}")
    return _template().render(
        name=source.name,
        version=source.version,
        head=[comment(line, "#") for line in head(source)],
        requires=_require_lines(requirements(source.access, attributes)),
        statements=_statements(source),
    )


def head(source: ModuleSource) -> list[str]:
    """The raw lines at the top of a module's main file: what it is, and how it was made."""
    return [
        f"{source.name} {source.version}: SELinux policy module, written by polkit from recorded denials.",
        *source.summary,
    ]


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polkit.module"),
        autoescape=False,  # noqa: S701 - not HTML; every value comes escaped or checked
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("module.te.j2")


def _require_lines(needed: Requirements) -> list[str]:
    if not needed:
        # A module of nothing but own types still owes checkmodule a require block that is not empty.
        return ["role object_r;"]
    return [
        *(f"attribute {name};" for name in needed.attributes),
        *(f"type {name};" for name in needed.types),
        *(f"role {name};" for name in needed.roles),
        *(f"class {tclass} {_set(perms)};" for tclass, perms in needed.classes),
    ]


def _statements(source: ModuleSource) -> list[_Statement]:
    return [
        _Statement(statement(entry.item), tuple(comment(line, "#") for line in entry.comments), entry.apart)
        for entry in in_order(source)
    ]


def statement(item: Item) -> str:
    """One statement as checkmodule takes it."""
    if isinstance(item, AvRule):
        return f"{item.kind} {item.source} {item.target}:{item.tclass} {_set(item.perms)};"
    if isinstance(item, XpermRule):
        numbers = tuple(
            f"0x{first:04x}" if first == last else f"0x{first:04x}-0x{last:04x}" for first, last in folded(item.numbers)
        )
        return f"{item.kind} {item.source} {item.target}:{item.tclass} {item.operation} {{ {' '.join(numbers)} }};"
    if isinstance(item, TypeDeclaration):
        return f"type {', '.join((item.name, *sorted(set(item.attributes))))};"
    if isinstance(item, RoleTypes):
        return f"role {item.role} types {item.type};"
    if isinstance(item, TypeBounds):
        return f"typebounds {item.parent} {item.child};"
    if isinstance(item, RoleAllow):
        return f"allow {item.source} {item.target};"
    raise TypeError(f"{type(item).__name__} is no statement of a module")


def _set(names_: tuple[str, ...]) -> str:
    return f"{{ {' '.join(sorted(set(names_)))} }}"
