"""The parts of setools and libselinux we use, as Protocols of our own (neither has stubs), and their lazy import.

Attribute and method names are those of setools 4.4.1 to 4.6 (``setools/policyrep/*.pxi``) and of libselinux' SWIG
bindings. Nothing outside this room sees them.
"""

# ruff: noqa: D102 (their libraries document them)
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, cast

from polkit.errors import MissingDependency

_HINT = (
    "install {package} from your distribution (Debian, Ubuntu, Fedora, RHEL: {package}) and run polkit with the "
    "system's Python, or in a virtual environment made with --system-site-packages"
)


class Named(Protocol):
    """A symbol of the policy: user, role, permission-bearing class, ..."""

    name: str


class SetoolsType(Named, Protocol):
    """``setools.policyrep.Type``."""

    def attributes(self) -> Iterable[Named]:
        """The attributes the type is in."""

    def aliases(self) -> Iterable[str]:
        """The type's other names."""


class SetoolsAttribute(Named, Protocol):
    """``setools.policyrep.TypeAttribute``."""

    def expand(self) -> Iterable[Named]:
        """The types of the attribute."""


class SetoolsRole(Named, Protocol):
    """``setools.policyrep.Role``."""

    dominated_roles: Iterable[Named]

    def types(self) -> Iterable[Named]:
        """The types the role may have."""


class SetoolsClass(Named, Protocol):
    """``setools.policyrep.ObjClass``; ``common`` raises NoCommon where there is none."""

    perms: frozenset[str]
    common: SetoolsCommon


class SetoolsCommon(Named, Protocol):
    """``setools.policyrep.Common``."""

    perms: frozenset[str]


class SetoolsBoolean(Named, Protocol):
    """``setools.policyrep.Boolean``."""

    state: bool


class SetoolsRule(Protocol):
    """An AV, xperm or role rule; ``conditional`` and ``conditional_block`` raise RuleNotConditional where none is.

    ``perms`` holds permission names, for xperm rules command numbers; ``xperm_type`` is set on xperm rules only.
    """

    ruletype: Any
    source: Named
    target: Named
    tclass: Named
    perms: frozenset[Any]
    xperm_type: str
    conditional: SetoolsConditional
    conditional_block: bool


class SetoolsConditional(Protocol):
    """``setools.policyrep.Conditional``; equal to another one of the same ``if`` block, and hashed alike."""

    def expression(self) -> Iterable[object]:
        """Postfix: booleans, and operators whose ``str`` is ``!`` ``&&`` ``||`` ``^`` ``==`` ``!=``."""

    def true_rules(self) -> Iterable[SetoolsRule]:
        """The rules of the true block."""

    def false_rules(self) -> Iterable[SetoolsRule]:
        """The rules of the else block."""


class SetoolsConstraint(Protocol):
    """``Constraint`` or ``Validatetrans``; the latter has no ``perms``.

    ``expression`` iterates in postfix over words and sets of named symbols.
    """

    ruletype: Any
    tclass: Named
    perms: frozenset[str]
    expression: Iterable[object]


class SetoolsBounds(Protocol):
    """A typebounds statement."""

    ruletype: Any
    parent: Named
    child: Named


class SetoolsContext(Protocol):
    """A context of the policy."""

    type_: Named


class SetoolsPortRange(Protocol):
    """Both ends are included."""

    low: int
    high: int


class SetoolsPort(Protocol):
    """A portcon statement."""

    protocol: Any
    ports: SetoolsPortRange
    context: SetoolsContext


class SetoolsInitialSid(Named, Protocol):
    """An initial SID; ``context`` may raise for one that has none."""

    context: SetoolsContext


class SetoolsPolicy(Protocol):
    """``setools.SELinuxPolicy``."""

    version: int
    mls: bool
    handle_unknown: Any
    role_allow_count: int

    def classes(self) -> Iterator[SetoolsClass]: ...
    def types(self) -> Iterator[SetoolsType]: ...
    def typeattributes(self) -> Iterator[SetoolsAttribute]: ...
    def bools(self) -> Iterator[SetoolsBoolean]: ...
    def users(self) -> Iterator[Named]: ...
    def roles(self) -> Iterator[SetoolsRole]: ...
    def terules(self) -> Iterator[SetoolsRule]: ...
    def rbacrules(self) -> Iterator[SetoolsRule]: ...
    def conditionals(self) -> Iterator[SetoolsConditional]: ...
    def constraints(self) -> Iterator[SetoolsConstraint]: ...
    def bounds(self) -> Iterator[SetoolsBounds]: ...
    def portcons(self) -> Iterator[SetoolsPort]: ...
    def initialsids(self) -> Iterator[SetoolsInitialSid]: ...


class SetoolsErrors(Protocol):
    """The module ``setools.exception``."""

    InvalidPolicy: type[Exception]
    LowLevelPolicyError: type[Exception]
    NoCommon: type[Exception]
    RuleNotConditional: type[Exception]
    TERuleNoFilename: type[Exception]


class SetoolsModule(Protocol):
    """The module ``setools``."""

    SELinuxPolicy: Any
    exception: SetoolsErrors


class SelinuxModule(Protocol):
    """The module ``selinux`` (libselinux' bindings)."""

    SELABEL_CTX_FILE: int
    SELABEL_OPT_PATH: int
    selinux_opt: Any

    def selabel_open(self, backend: int, options: Any, count: int) -> Any: ...
    def selabel_lookup_raw(self, handle: Any, key: str, kind: int) -> tuple[int, str]: ...
    def selabel_close(self, handle: Any) -> None: ...


class Audit2whyModule(Protocol):
    """The module ``selinux.audit2why`` (libsepol behind libselinux' bindings)."""

    def init(self, path: str) -> int: ...
    def finish(self) -> None: ...
    def analyze(self, scontext: str, tcontext: str, tclass: str, perms: list[str]) -> tuple[int, Any]: ...


def import_setools() -> SetoolsModule:
    """The module ``setools``, imported now (170 ms the first time). MissingDependency where it isn't installed or too
    old.
    """
    try:
        import setools
        import setools.exception
    except ImportError as error:
        raise MissingDependency(
            "setools is not installed, so no policy can be read",
            hint=_HINT.format(package="python3-setools") + " (PyPI's `setools` is another project)",
        ) from error
    if not hasattr(setools, "SELinuxPolicy"):
        raise MissingDependency(
            "the `setools` found is not SELinux' setools", hint=_HINT.format(package="python3-setools")
        )
    # Before 4.4.1 an ioctl rule of whole drivers (0x4600-0x47ff) shows only the first command of each (setools #74).
    version = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", setools.__version__)
    if version and tuple(int(number or 0) for number in version.groups()) < (4, 4, 1):
        raise MissingDependency(
            f"setools {setools.__version__} misreads the ioctl rules of a policy; 4.4.1 and newer read them",
            hint="update python3-setools, or run polkit on a newer release against a copy of the policy",
        )
    return cast(SetoolsModule, setools)


def import_selinux() -> SelinuxModule:
    """The module ``selinux``, imported now. MissingDependency where it isn't installed."""
    try:
        import selinux
    except ImportError as error:
        raise MissingDependency(
            "libselinux' Python bindings are not installed",
            hint=_HINT.format(package="python3-selinux or python3-libselinux"),
        ) from error
    if not hasattr(selinux, "selabel_open"):
        raise MissingDependency(
            "the `selinux` found is not libselinux' Python bindings",
            hint=_HINT.format(package="python3-selinux or python3-libselinux"),
        )
    return cast(SelinuxModule, selinux)


def import_audit2why() -> Audit2whyModule:
    """The module ``selinux.audit2why``, imported now. MissingDependency where it isn't installed."""
    try:
        from selinux import audit2why
    except ImportError as error:
        raise MissingDependency(
            "libselinux' audit2why is not installed", hint=_HINT.format(package="python3-selinux or python3-libselinux")
        ) from error
    return cast(Audit2whyModule, audit2why)
