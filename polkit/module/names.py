"""Which names a policy language takes: the last check before a name is written into a policy file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polkit.config import check_module_name, check_module_version
from polkit.errors import CompileError, UsageError
from polkit.model import IDENTIFIER, SELF, AccessSet, ModuleSource
from polkit.module.inherited import check_inherited, inherited_names

AV_KINDS = frozenset({"allow", "auditallow", "dontaudit", "neverallow"})
XPERM_KINDS = frozenset({"allowxperm", "auditallowxperm", "dontauditxperm"})
OPERATIONS = frozenset({"ioctl", "nlmsg"})
FILE_KINDS = frozenset({"", "--", "-d", "-l", "-c", "-b", "-s", "-p"})

# What both languages take: checkpolicy/policy_scan.l (IDENTIFIER) and libsepol/cil/src/cil_verify.c (__cil_verify_name)
# want a letter first and know no "$"; a dot is a CIL namespace and can be referred to, never declared.
_REFERRED = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*\Z")

# Tokens of checkpolicy/policy_scan.l, each also reserved in capitals.
_LOWER_KEYWORDS = (
    "alias allow allowxperm and attribute attribute_role auditallow auditallowxperm auditdeny bool category "
    "class clone common constrain default_range default_role default_type default_user devicetreecon dom domby "
    "dominance dontaudit dontauditxperm else eq expandattribute false fs_use_task fs_use_trans fs_use_xattr "
    "fscon genfscon glblub h1 h2 high ibendportcon ibpkeycon if incomp inherits iomemcon ioportcon l1 l2 level "
    "low low-high mlsconstrain mlsvalidatetrans module netifcon neverallow neverallowxperm nodecon not "
    "optional or pcidevicecon permissive pirqcon policycap portcon r1 r2 r3 range range_transition require "
    "role role_transition roleattribute roles sameuser segregate_attributes sensitivity sid source t1 t2 t3 "
    "target true tunable type type_change type_member type_transition typealias typeattribute typebounds types "
    "u1 u2 u3 user validatetrans xor"
)
KEYWORDS = frozenset(_LOWER_KEYWORDS.split()) | frozenset(_LOWER_KEYWORDS.upper().split())
"""Words that ``checkmodule`` reads as its own syntax wherever they stand."""

# Words with a meaning where CIL expects a name or a list of names (libsepol/cil/src/cil.c, cil_build_ast.c).
_CIL_WORDS = frozenset({"all", "and", "any", "eq", "neq", "not", "notself", "or", "other", "range", "self", "xor"})


def check_source(source: ModuleSource) -> None:
    """Raise CompileError unless every name, number and word of ``source`` is fit to be written as policy text."""
    try:
        check_module_name(source.name)
        check_module_version(source.version)
    except UsageError as error:
        raise CompileError(str(error), hint=error.hint) from error
    access = source.access
    for declaration in access.types:
        _check(declaration.name, "type", declared=True)
    for rule in access.rules:
        _check_word(rule.kind, "rule kind", AV_KINDS)
        if not rule.perms:
            raise CompileError(f"the rule {rule.source} {rule.target}:{rule.tclass} has no permission")
    for xperm in access.xperms:
        _check_word(xperm.kind, "rule kind", XPERM_KINDS)
        _check_word(xperm.operation, "extended permission", OPERATIONS)
        if not xperm.numbers or not all(0 <= number <= 0xFFFF for number in xperm.numbers):
            raise CompileError(f"the rule {xperm.source} {xperm.target}:{xperm.tclass} needs commands of 16 bits")
    for context in access.contexts:
        _check_word(context.kind, "file kind", FILE_KINDS)
    for name in names(access):
        _check(name, "name")
    if source.inherited is not None:
        check_inherited(source.inherited)
        for name in inherited_names(source.inherited):
            _check(name, "name")


def names(access: AccessSet) -> Iterator[str]:
    """Every identifier that ``access`` mentions (``self`` aside), repeats included."""
    for declaration in access.types:
        yield from (declaration.name, *declaration.attributes)
    for rule in access.rules:
        yield from (rule.source, *_unless_self(rule.target), rule.tclass, *rule.perms)
    for xperm in access.xperms:
        yield from (xperm.source, *_unless_self(xperm.target), xperm.tclass)
    for change in access.role_allows:
        yield from (change.source, change.target)
    for entry in access.role_types:
        yield from (entry.role, entry.type)
    for bound in access.bounds:
        yield from (bound.parent, bound.child)
    for one in access.permissive:
        yield one.type
    for context in access.contexts:
        yield context.type


def _unless_self(target: str) -> tuple[str, ...]:
    return () if target == SELF else (target,)


def is_writable(name: str) -> bool:
    """Whether a policy language takes ``name`` as the name of a type, class, permission or role of the target's."""
    return bool(IDENTIFIER.match(name) and _REFERRED.match(name)) and name not in _CIL_WORDS


def _check(name: str, what: str, declared: bool = False) -> None:
    if not is_writable(name):
        raise CompileError(f"{name[:80]!r} can't be a {what} in a policy module")
    if declared and "." in name:
        raise CompileError(f"{name[:80]!r} can't be a {what} of the module's own: a dot is a namespace of CIL")


def _check_word(word: str, what: str, allowed: frozenset[str]) -> None:
    if word not in allowed:
        raise CompileError(f"{word[:80]!r} is no {what}")
