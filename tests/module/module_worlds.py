"""A small declared world to draw modules from, and a reader of the simple CIL that a compiled module turns into."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from hypothesis import strategies as st

from polkit.model import (
    AccessSet,
    AvRule,
    FileContext,
    ModuleSource,
    RoleAllow,
    RoleTypes,
    TypeBounds,
    TypeDeclaration,
    XpermRule,
)
from polkit.module import tree_pattern

TYPES = ("a_t", "b_t", "dashed-c_t", "Upper9")
ATTRIBUTES = ("domain", "file_type")
ROLES = ("system_r", "unconfined_r")
OWN = ("own_file_t", "own_t")
CLASSES = {
    "chr_file": ("getattr", "ioctl", "map", "open", "read", "write"),
    "file": ("getattr", "ioctl", "open", "read"),
    "process": ("fork", "signal", "transition"),
}

Tree = Union[str, list["Tree"]]
Facts = frozenset[tuple[object, ...]]


def subsets(names: tuple[str, ...], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(names), min_size=least).map(lambda chosen: tuple(sorted(chosen)))


@st.composite
def access_sets(draw: st.DrawFn) -> AccessSet:
    own = draw(subsets(OWN, least=0))
    types = tuple(TypeDeclaration(name, draw(subsets(ATTRIBUTES, least=0))) for name in own)
    source = st.sampled_from(TYPES + ATTRIBUTES + own)
    target = st.sampled_from((*TYPES, *ATTRIBUTES, *own, "self"))
    tclass = st.sampled_from(sorted(CLASSES))

    def rule(name: str) -> st.SearchStrategy[AvRule]:
        kinds = st.sampled_from(("allow", "auditallow", "dontaudit"))
        return st.builds(AvRule, kinds, source, target, st.just(name), subsets(CLASSES[name]))

    numbers = st.sets(st.integers(0, 0xFFFF) | st.integers(0x4600, 0x4620), min_size=1, max_size=12)
    xperm = st.builds(
        XpermRule,
        st.sampled_from(("allowxperm", "auditallowxperm", "dontauditxperm")),
        source,
        target,
        st.sampled_from(("chr_file", "file")),
        st.just("ioctl"),
        numbers.map(lambda chosen: tuple(sorted(chosen))),
    )
    role = st.sampled_from(ROLES)
    found = AccessSet(
        types=types,
        rules=_unique(draw(st.lists(tclass.flatmap(rule), max_size=8))),
        xperms=_unique(draw(st.lists(xperm, max_size=3))),
        role_allows=_unique(draw(st.lists(st.builds(RoleAllow, role, role), max_size=2))),
        role_types=_unique(draw(st.lists(st.builds(RoleTypes, role, st.sampled_from(TYPES + own)), max_size=2))),
        bounds=tuple(TypeBounds(draw(st.sampled_from(TYPES)), name) for name in own if draw(st.booleans())),
        contexts=tuple(FileContext(tree_pattern(f"/srv/{name}"), "", name) for name in own),
    )
    return found if found else AccessSet(types=(TypeDeclaration("own_t"),))


def module(access: AccessSet, **more: object) -> ModuleSource:
    return ModuleSource("drawn", "1.0.0", access, **more)  # type: ignore[arg-type]


def facts(access: AccessSet) -> Facts:
    """What an AccessSet says, one fact a tuple, whatever statement said it."""
    found: set[tuple[object, ...]] = set()
    for one in access.types:
        found.add(("type", one.name))
        found.update(("attribute", one.name, attribute) for attribute in one.attributes)
    for rule in access.rules:
        found.update((rule.kind, rule.source, rule.target, rule.tclass, perm) for perm in rule.perms)
    for xperm in access.xperms:
        kind = xperm.kind.replace("xperm", "x")
        found.update((kind, xperm.source, xperm.target, xperm.tclass, xperm.operation, n) for n in xperm.numbers)
    found.update(("roleallow", one.source, one.target) for one in access.role_allows)
    found.update(("roletype", one.role, one.type) for one in access.role_types)
    found.update(("typebounds", one.parent, one.child) for one in access.bounds)
    found.update(("filecon", one.pattern, one.type) for one in access.contexts)
    return frozenset(found)


def cil_facts(text: str) -> Facts:
    """The facts of CIL text; a statement this reader doesn't know is an error."""
    return frozenset(fact for tree in _trees(text) for fact in _facts_of(tree))


def _facts_of(tree: Tree) -> Iterator[tuple[object, ...]]:
    word, *rest = tree
    if word in ("typeattributeset", "roleattributeset"):
        if rest[0] != "cil_gen_require":
            yield from (("attribute", name, rest[0]) for name in rest[1])
    elif word in ("allow", "auditallow", "dontaudit"):
        source, target, (tclass, perms) = rest
        yield from ((word, source, target, tclass, perm) for perm in perms)
    elif word in ("allowx", "auditallowx", "dontauditx"):
        source, target, (operation, tclass, numbers) = rest
        for number in _numbers(numbers):
            yield (word, source, target, tclass, operation, number)
    elif word == "roletype":
        if rest[0] != "object_r":
            yield (word, *rest)
    elif word == "filecon":
        yield (word, rest[0].strip('"'), rest[2][2])
    elif word in ("type", "roleallow", "typebounds"):
        yield (word, *rest)
    else:
        raise AssertionError(f"unexpected statement {tree}")


def _numbers(trees: list[Tree]) -> Iterator[int]:
    for tree in trees:
        if isinstance(tree, str):
            yield int(tree, 16)
        else:
            yield from range(int(tree[1], 16), int(tree[2], 16) + 1)


def _trees(text: str) -> list[Tree]:
    stack: list[list[Tree]] = [[]]
    code = re.sub(r"(?m)^;.*$", "", text)
    for token in re.findall(r'"[^"]*"|[()]|[^\s()"]+', code):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    assert len(stack) == 1, "unbalanced"
    return stack[0]


def package_as_cil(package: Path) -> str:
    """What the distribution's own converter makes of a ``.pp``."""
    converter = shutil.which("pp", path="/usr/libexec/selinux/hll:/usr/lib/selinux/hll")
    assert converter, "hll/pp belongs to policycoreutils"
    return subprocess.run([converter, package], stdout=subprocess.PIPE, text=True, check=True).stdout


def checkmodule(te: str, room: Path) -> subprocess.CompletedProcess[str]:
    """The compiler's own word on a text, run by hand; the module must be called ``drawn``."""
    (room / "drawn.te").write_text(te, encoding="ascii")
    argv = ["checkmodule", "-M", "-m", "-c", "19", "-o", "drawn.mod", "drawn.te"]
    return subprocess.run(argv, cwd=room, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def _unique(items: list[object]) -> tuple:
    return tuple(sorted(set(items)))
