"""``--policy none``: every name that a policy can have is taken as known, nothing as allowed, nothing else is known."""

# ruff: noqa: D102 (the interface documents the methods)
from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from polkit.errors import UsageError
from polkit.model import Context, FileContext, Grants, PolicyInfo, Port
from polkit.module import is_writable
from polkit.policy.interface import (
    Access,
    FailedConstraint,
    FileEntry,
    Forbidden,
    Inheritance,
    ListedLabel,
    PortLabel,
    Rectangle,
    TargetPolicy,
    Unlimited,
    Verdict,
    Weaker,
)

_CONTAINER_DOMAINS = ("container_t", "svirt_lxc_net_t", "container_init_t", "container_kvm_t", "spc_t")
_SHARED = {
    **dict.fromkeys(_CONTAINER_DOMAINS, "every container on the host may run in it"),
    "init_t": "services without a domain of their own run in it",
    "initrc_t": "init scripts without a domain of their own run in it",
    "kernel_t": "the kernel's threads run in it",
    "unconfined_t": "it is an unconfined domain",
    "unconfined_service_t": "it is an unconfined domain",
}
"""What holds in every policy that has these types, so it may be said without one."""


class _Anything(frozenset[str]):
    """The permissions of a class nobody knows: any name is one of them, none can be listed."""

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and is_writable(item)


class NoPolicy:
    """See TargetPolicy for what each question means."""

    def __init__(self, booleans: Optional[Mapping[str, bool]] = None) -> None:
        self._booleans = dict(booleans or {})

    @property
    def info(self) -> Optional[PolicyInfo]:
        return None

    @property
    def booleans(self) -> Mapping[str, bool]:
        return self._booleans

    def with_booleans(self, state: Mapping[str, bool]) -> TargetPolicy:
        return NoPolicy({**self._booleans, **state})

    def type_name(self, name: str) -> Optional[str]:
        return name if is_writable(name) else None

    def has_class(self, tclass: str) -> bool:
        return is_writable(tclass)

    def has_user(self, user: str) -> bool:
        return True

    def has_role(self, role: str) -> bool:
        return is_writable(role)

    def has_capability(self, name: str) -> bool:
        return True

    def permissions(self, tclass: str) -> frozenset[str]:
        return _Anything()

    def nearest(self, kind: str, name: str, tclass: str = "") -> tuple[str, ...]:
        return ()

    def attributes(self, type_: str) -> frozenset[str]:
        return frozenset()

    def has_attribute(self, attribute: str) -> bool:
        return is_writable(attribute)

    def types(self, attribute: str) -> frozenset[str]:
        return frozenset((attribute,))

    @property
    def every_type(self) -> frozenset[str]:
        return frozenset()

    def decide(self, access: Access) -> Verdict:
        return Verdict(False, (), (), None, None, False, False)

    def constraints_on(self, source: str, target: str, tclass: str, perm: str) -> tuple[FailedConstraint, ...]:
        return ()

    def let_through(self, base: frozenset[str], sides: frozenset[str]) -> tuple[Weaker, ...]:
        return ()

    def bounding(self, type_: str) -> Optional[str]:
        return None

    def validatetrans(self, tclass: str) -> tuple[str, ...]:
        return ()

    def allowed(self, source: str, target: str, tclass: str) -> frozenset[str]:
        return frozenset()

    def always_allowed(self, source: str, target: str, tclass: str) -> frozenset[str]:
        return frozenset()

    def dontaudited(self, source: str, target: str, tclass: str) -> frozenset[str]:
        return frozenset()

    def transition(self, source: str, target: str, tclass: str) -> Optional[str]:
        return None

    def has_xperm_rule(self, source: str, target: str, tclass: str) -> bool:
        return False

    def unlimited(
        self, source: str, target: str, tclass: str, operation: str, new: Mapping[str, tuple[str, ...]]
    ) -> Optional[Unlimited]:
        return None

    def grants_of(self, settings: tuple[tuple[str, bool], ...]) -> Grants:
        return Grants(0, 0, 0)

    def structural(self, attributes: tuple[str, ...]) -> Grants:
        return Grants(0, 0, 0)

    def role_has_type(self, role: str, type_: str) -> bool:
        return True

    def neverallowed(self, source: str, target: str, tclass: str, perm: str) -> Optional[str]:
        return None

    def forbidden(self, asked: Rectangle, new: Mapping[str, tuple[str, ...]]) -> tuple[Forbidden, ...]:
        return ()

    def exempted(self, type_: str, attribute: str, joined: frozenset[str]) -> tuple[str, ...]:
        return ()

    @property
    def knows_neverallows(self) -> bool:
        return False

    def module_priorities(self, name: str) -> tuple[int, ...]:
        return ()

    def port_label(self, port: Port) -> Optional[PortLabel]:
        return None

    def port_entries(self, type_: str) -> tuple[tuple[str, int, int], ...]:
        return ()

    def file_label(self, path: str, tclass: str) -> Optional[Context]:
        return None

    def file_entry(self, path: str, tclass: str) -> Optional[FileEntry]:
        return None

    def file_entries(self) -> tuple[ListedLabel, ...]:
        return ()

    def spoken_of(self, path: str) -> str:
        return path

    def with_contexts(self, contexts: tuple[FileContext, ...], local: tuple[FileContext, ...] = ()) -> TargetPolicy:
        return self

    @property
    def has_file_contexts(self) -> bool:
        return False

    def is_customizable(self, type_: str) -> bool:
        return False

    def entrypoint_domains(self, type_: str) -> frozenset[str]:
        return frozenset()

    def is_domain(self, type_: str) -> bool:
        return type_ in _SHARED

    def is_container_domain(self, type_: str) -> bool:
        return type_ in _CONTAINER_DOMAINS

    def container_file_type(self) -> Optional[str]:
        return "container_file_t"

    def shared_because(self, type_: str) -> Optional[str]:
        return _SHARED.get(type_)

    def refused_as_base(self, type_: str) -> Optional[str]:
        return "no policy was given, so it can't be known what it may do"

    def with_domain(self, name: str, like: Optional[str]) -> TargetPolicy:
        return self

    def own_domain(self, own: str, like: str, inherits: bool) -> Inheritance:
        raise UsageError(
            "a domain of the module's own needs the target policy",
            "Name it with --policy, or write onto the domain in the log: --extend",
        )
