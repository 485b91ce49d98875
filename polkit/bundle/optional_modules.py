"""Further modules that lie beside a project's own: shipped with it, installed by whoever wants them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polkit.bundle.claims import Claims, read_claims
from polkit.bundle.words import code, plain
from polkit.config import check_module_name
from polkit.errors import CompileError, PolkitError, SourceError
from polkit.module import PRIORITY
from polkit.policy import TargetPolicy

PLACE = "optional"
_LARGEST = 1 << 20
_COMPARED = re.compile(r"\((?:eq|neq) t[123] ([^\s()]+)\)")
_NOT_READ = re.compile(r"\((?:block|blockinherit|call|macro|in|tunableif) ")


@dataclass(frozen=True, eq=False)
class OptionalModule:
    """A module written in CIL: its text, what it says of itself in the comment it begins with, and what it does."""

    name: str
    text: str
    about: str
    claims: Claims

    @property
    def path(self) -> str:
        """Where it lies in a bundle."""
        return f"{PLACE}/{self.name}.cil"

    @property
    def names(self) -> frozenset[str]:
        """The types and attributes of others that it names, as far as rules and constraints tell."""
        found = {name for grant in self.claims.grants for name in (grant.source, grant.target)}
        found.update(name for text in self.claims.others for name in _COMPARED.findall(text))
        found.update(attribute for attribute, _ in self.claims.joins)
        return frozenset((found | self.claims.required) - self.claims.types - {"self"})

    def lacking(self, policy: TargetPolicy, own: Iterable[str]) -> tuple[str, ...]:
        """What a policy that holds the project's module (``own`` are its types) lacks for this one."""
        unknown = self.names.difference(own)
        return tuple(sorted(one for one in unknown if policy.type_name(one) is None and not policy.has_attribute(one)))


def read_optional(directory: Path, name: str) -> tuple[OptionalModule, ...]:
    """The ``.cil`` files beside the module ``name`` of a project, by name. Raises SourceError for one that can't be
    read, UsageError for a name that no module can have, CompileError for what is no CIL that tells what it does."""
    try:
        found = sorted(path for path in directory.glob("*.cil") if path.is_file() and path.stem != name)
    except OSError as error:
        raise SourceError(f"{directory}: {error.strerror}") from error
    return tuple(_read(path) for path in found)


def _read(path: Path) -> OptionalModule:
    check_module_name(path.stem, path.name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise SourceError(f"{path}: larger than {_LARGEST >> 20} MiB")
    return as_optional(path.stem, content, str(path))


def as_optional(name: str, content: bytes, path: str) -> OptionalModule:
    """A module in CIL, by its bytes. Raises CompileError for what is no CIL that tells what it does."""
    try:
        text = content.decode("ascii")
        claims = read_claims(text)
    except (UnicodeDecodeError, PolkitError) as error:
        raise CompileError(f"{path}: no CIL in ASCII: {error}") from error
    made = next((one for one in claims.others if _NOT_READ.match(one)), None)
    if made is not None:
        raise CompileError(
            f"{path}: what {made[:60]!r} does can't be told without its compiler", hint="write the rules out"
        )
    return OptionalModule(name, text, _about(text), claims)


def _about(text: str) -> str:
    """The first paragraph of the comment that a module begins with, without the module's own name."""
    lines = []
    for line in text.splitlines():
        said = line[1:].strip() if line.startswith(";") else ""
        if not said:
            break
        lines.append(said)
    return " ".join(lines)[:1000]


def optional_object(module: OptionalModule, lacking: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Its entry in the manifest. ``lacking``: by target, what that target's policy lacks for it."""
    claims = module.claims
    return {
        "name": module.name,
        "path": module.path,
        "about": module.about,
        "types": sorted(claims.types),
        "joins": [{"attribute": attribute, "type": type_} for attribute, type_ in sorted(claims.joins)],
        "grants": sorted(f"{one.kind} {one.source} {one.target}:{one.tclass} {one.perm}" for one in claims.grants),
        "statements": sorted(claims.others),
        "lacking": {target: list(names) for target, names in sorted(lacking.items())},
    }


def optional_lines(name: str, modules: Mapping[OptionalModule, Mapping[str, tuple[str, ...]]]) -> Iterator[str]:
    """What the README says of them, each with what the targets lack for it; ``name`` is the project's module."""
    yield "## Modules to add"
    yield ""
    yield "These are not installed by `install.sh`. Whoever runs the host decides, when the bundle is installed."
    for module, lacking in modules.items():
        yield ""
        yield f"- {code(module.path)}: {plain(module.about or 'says nothing of itself')}"
        entry = optional_object(module, lacking)
        yield from (f"  - {code(text)}" for text in (*entry["grants"], *entry["statements"]))
        for target, names in entry["lacking"].items():
            yield f"  - not for {plain(target)}: its policy has no {', '.join(map(code, names))}"
        yield f"  - to add it: {code(f'semodule -X {PRIORITY} -i {module.path}')}; to remove it, before {code(name)}:"
        yield f"    {code(f'semodule -X {PRIORITY} -r {module.name}')}"
