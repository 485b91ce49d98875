"""A module store as one flat CIL text: the same policy in less than half the time.

``semodule`` resolves thousands of optional blocks each time it builds a store. They are resolved once here, by
``secil2tree``, and what is left is kept in the cache: without the blocks, without statements that stand there twice,
without file contexts. It is believed only where ``secilc`` makes of it, byte for byte, the policy that ``semodule``
made of the store.

With a module of its own beside it the text gives what the store with that module would, unless the module declares
something that a block which fell away was waiting for, or takes part in one of CIL's blocks and macros: then
``fits`` is false, and the store itself has to be built.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from polkit.errors import PolkitError
from polkit.model import PolicyInfo
from polkit.module import fast_place, run_tool
from polkit.policy.baseline import policy_digest
from polkit.policy.cache import FLAT, entry_key, fetch, keep
from polkit.policy.locate import PolicyFiles
from polkit.policy.store import modules_digest, read_packed, unpack_modules
from polkit.policy.whatif import binary_commands

_SECONDS = 120
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.@$-]*")
_STRING = re.compile(rb'"[^"]*"')
_DECLARED = re.compile(r"\(\s*(?:type|typeattribute|typealias|role|roleattribute|boolean|tunable|user)\s+([^\s()]+)")
_INVOLVED = re.compile(
    r"\(\s*(?:block\w*|call|in|macro|class\w*|common|sensitivity\w*|category\w*|sid\w*|level\w*|policycap)\s"
)
"""What may reach into the rest of the policy, or set up the kernel's own."""
_OPTIMIZED = b"; optimized\n"
_REQUIRED = b"cil_gen_require"


@dataclass(frozen=True)
class Flat:
    """The text, whether the store's policies are optimized (``optimize-policy``, semanage.conf(5)), and the names that
    only parts of the store speak of which fell away."""

    text: bytes
    optimized: bool
    missing: frozenset[bytes]

    def fits(self, module_cil: str) -> bool:
        """Whether a policy with this module can be made of the text."""
        declared = {name.encode("utf-8", "replace") for name in _DECLARED.findall(module_cil)}
        return not _INVOLVED.search(module_cil) and declared.isdisjoint(self.missing)


def kept_flat(files: PolicyFiles, info: PolicyInfo) -> Optional[Flat]:
    """The store of a policy as flat text, where the cache has it and the policy comes of it."""
    key, _ = _key_of(files, info)
    kept = None if key is None else fetch(key, FLAT)
    return _unpacked(kept) if kept else None


def keep_flat(files: PolicyFiles, info: PolicyInfo) -> None:
    """Make the flat text of a policy's store for the next time; some seconds. Nothing is kept twice, nor where
    there is no cache, where an administrator changed booleans or ports, so that the policy is not what its modules
    come to, or without the tools."""
    key, packed = _key_of(files, info)
    if key is not None and fetch(key, FLAT) is None:
        with suppress(PolkitError):  # whoever builds the store itself is told what is wrong with it
            keep(key, _made(b"\n".join(unpack_modules(packed)), info), FLAT)


def _key_of(files: PolicyFiles, info: PolicyInfo) -> tuple[Optional[str], list[tuple[Path, bytes]]]:
    if files.store is None:
        return None, []
    digests = {policy_digest(files.store / "active" / name) for name in ("policy.kern", "policy.linked")}
    if digests != {info.sha256}:
        return None, []
    try:
        packed = list(read_packed(files.store))
    except PolkitError:
        return None, []
    return entry_key("flat", info.sha256, modules_digest(packed)), packed


def flat_command(info: PolicyInfo, optimized: bool, output: str, contexts: str, *texts: str) -> list[str]:
    """secilc for policies of such text; ``contexts`` gets the file contexts of what stands beside it. A name that is
    declared twice is refused, as by ``semodule``."""
    common = [word for word in binary_commands(info)[1] if word != "-m"]
    common[common.index("-f") + 1] = contexts
    return [*common, *(["-O"] if optimized else []), "-o", output, *texts]


def _made(whole: bytes, info: PolicyInfo) -> bytes:
    """What is kept of a store: empty where its policy does not come of it."""
    with tempfile.TemporaryDirectory(prefix="polkit-flat-", dir=fast_place()) as scratch:
        place = Path(scratch)
        (place / "whole.cil").write_bytes(whole)
        if run_tool(["secil2tree", "-A", "resolve", "-o", "resolved.cil", "whole.cil"], place, _SECONDS).status != 0:
            return b""
        text = b"\n".join(_flattened((place / "resolved.cil").read_bytes().split(b"\n"))) + b"\n"
        (place / "flat.cil").write_bytes(text)
        for optimized in (False, True):
            run = run_tool(flat_command(info, optimized, "policy", "/dev/null", "flat.cil"), place, _SECONDS)
            if run.status == 0 and policy_digest(place / "policy") == info.sha256:
                missing = sorted(set(_NAME.findall(_STRING.sub(b"", whole))) - set(_NAME.findall(text)))
                head = b"; missing " + b" ".join(missing) + b"\n"
                return (_OPTIMIZED if optimized else b"") + head + text
    return b""


def _flattened(lines: list[bytes]) -> Iterator[bytes]:
    """The lines that secil2tree writes (``cil_write_ast.c``), one statement each or a block's first or last, without
    those of optional blocks, which all hold by now."""
    inside: list[bool] = []
    """For each block that is open whether it stays."""
    seen: set[bytes] = set()
    for line in map(bytes.strip, lines):
        if not line or line.startswith(b";"):
            continue
        opening = line.count(b"(") > line.count(b")")
        if opening:
            inside.append(not line.startswith(b"(optional "))
        elif line == b")":
            if not inside.pop():
                continue
        elif line.startswith(b"(optional ") or (not any(inside) and (line in seen or _is_idle(line))):
            continue
        if opening and not inside[-1]:
            continue
        if not any(inside):
            seen.add(line)
        yield line


def _is_idle(line: bytes) -> bool:
    """Statements that make nothing of a kernel's policy: file contexts, and what hll/pp writes for ``require``."""
    required = _REQUIRED in line and not line.startswith((b"(typeattribute ", b"(roleattribute "))
    return required or line.startswith(b"(filecon ")


def _unpacked(kept: bytes) -> Flat:
    optimized = kept.startswith(_OPTIMIZED)
    head, _, _ = kept[len(_OPTIMIZED) if optimized else 0 :].partition(b"\n")
    return Flat(kept, optimized, frozenset(head.split(b" ")[2:]))
