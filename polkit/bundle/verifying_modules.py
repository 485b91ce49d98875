"""Whether the compiled modules of a bundle are what their source says, and the manifest claims all that they grant.

The source is a stranger's: it is compiled with checkmodule and semodule_package alone, never with make or m4, in an
empty directory under limits of time, memory and file size (``polkit.module``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from polkit.bundle.claims import Claims, as_file_contexts, read_claims
from polkit.bundle.lists import script_lists
from polkit.bundle.optional_modules import PLACE as OPTIONAL
from polkit.bundle.optional_modules import as_optional, optional_object
from polkit.bundle.paths import entries
from polkit.bundle.targets import cil_of
from polkit.bundle.unpacking import without_bomb
from polkit.bundle.verifying_shape import Findings, read_json
from polkit.errors import CompileError, MissingDependency, PolkitError
from polkit.minimize import ascii_only
from polkit.module import OLDEST, build_package

IDENTICAL, EQUIVALENT, DIFFERENT = "identical", "equivalent", "different"
"""The module compiled here has the same bytes; it has others (another compiler's) and says the same; it is another."""
_MOST_LINES = 20
_LARGEST = 16 << 20
"""Of a module: that of a whole distribution's policy has some MiB."""
_UNREAD = (PolkitError, ValueError, IndexError, TypeError, RecursionError, AssertionError)
"""What reading a stranger's CIL may end in: any statement may have any form."""
_MODULE = b"\x8f\xff\x7c\xf9"
_POLICY = b"\x8d\xff\x7c\xf9\x0f\0\0\0SE Linux Module\x02\0\0\0"
"""libsepol: SEPOL_MODULE_PACKAGE_MAGIC; POLICYDB_MOD_MAGIC, the length and text of POLICYDB_MOD_STRING, POLICY_MOD."""


class TargetCheck(NamedTuple):
    """What was found of one target. ``rebuilt``: how what was compiled here compares, None where nothing was;
    ``claims``: the manifest claims what the module grants, None where that could not be read."""

    name: str
    module: Optional[str]
    rebuilt: Optional[str]
    claims: Optional[bool]


class _Called(NamedTuple):
    name: str
    version: str
    policydb: int


def check_modules(
    files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings
) -> tuple[TargetCheck, ...]:
    """Every target's module, and the CIL of the source."""
    checked = [_Target(files, manifest, name, findings).check() for name in manifest["targets"]]
    _check_source(files, manifest, findings)
    _check_strays(files, manifest, findings)
    _check_joined(manifest, findings)
    _check_optional(files, manifest, findings)
    return tuple(checked)


@dataclass(frozen=True)
class _Target:
    """One target of a manifest, and what its files say."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]
    name: str
    findings: Findings

    @property
    def entry(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manifest["targets"][self.name]
        return found

    @property
    def place(self) -> str:
        return f"targets/{self.name}/"

    def check(self) -> TargetCheck:
        module = self.entry["module"]
        if module is None:
            return TargetCheck(self.name, None, None, None)
        stem = f"{self.place}{self.manifest['name']}"
        if module not in (f"{stem}.pp", f"{stem}.cil") or module not in self.files:
            self.findings.refuse("manifest", "manifest.json", f"{self.name}: its module is not {stem}.pp or .cil")
            return TargetCheck(self.name, None, None, None)
        if len(self.files[module]) > _LARGEST:
            self.findings.refuse("claims", module, f"is larger than {_LARGEST >> 20} MiB")
            return TargetCheck(self.name, module, None, False)
        fc, rebuilt = "", None
        if module.endswith(".pp"):
            fc, rebuilt = self._check_package(stem)
        else:
            fc = self._contexts_of(module)
        self._check_texts(fc)
        self._check_proof(module)
        return TargetCheck(self.name, module, rebuilt, self._check_claims(module))

    def _contexts_of(self, module: str) -> str:
        """The file contexts that a module in CIL holds; none where it is not read, which is refused further on."""
        try:
            return as_file_contexts(read_claims(self.files[module].decode("utf-8", "replace")).contexts)
        except _UNREAD:
            return ""

    def _check_package(self, stem: str) -> tuple[str, Optional[str]]:
        """A ``.pp``: its packed twin, what it is called, and what its source compiles to; its ``.fc`` as text."""
        package = self.files[f"{stem}.pp"]
        packed = self.files.get(f"{stem}.pp.bz2")
        if packed is None or without_bomb(packed, len(package)) != package:
            self.findings.refuse("source", f"{stem}.pp.bz2", "does not unpack to the .pp beside it")
        called = _called(package)
        wanted = _Called(self.manifest["name"], self.manifest["version"], self.entry["policydb"])
        if called != wanted:
            words = "is no module package"
            if called is not None:
                words = f"is {called.name} {called.version} in format {called.policydb}; the manifest says otherwise"
            self.findings.refuse("claims", f"{stem}.pp", words[:300])
        te, fc = (self.files.get(f"{stem}.{suffix}") for suffix in ("te", "fc"))
        if te is None or fc is None:
            self.findings.refuse("missing", f"{stem}.te", "or .fc is not there: the module can't be held against them")
            return "", None
        policy = self.entry["policy"]
        rebuilt = _rebuilt(self.manifest["name"], (te, fc), policy is None or policy["mls"], wanted.policydb)
        return fc.decode("utf-8", "replace"), _compared(f"{stem}.pp", package, rebuilt, self.findings)

    def _check_texts(self, fc: str) -> None:
        """What the scripts read, and the file contexts, are what the manifest says."""
        for name, content in script_lists(self.entry, fc).items():
            if self.files.get(f"{self.place}{name}") != content:
                reason = "is read by the scripts, and the manifest says otherwise"
                self.findings.refuse("claims", f"{self.place}{name}", reason)
        said = [(one["pattern"], one["kind"], one["context"]) for one in self.entry["contexts"]]
        if said != [tuple(one) for one in entries(fc)]:
            self.findings.refuse("claims", "manifest.json", f"{self.name}: contexts are not those of the module's .fc")

    def _check_proof(self, module: str) -> None:
        """The proof is of a module of this bundle, and the manifest says of it what it says."""
        path, said = f"{self.place}proof.json", self.entry["proof"]
        if path not in self.files:
            if said is not None:
                self.findings.refuse("proof", path, "is not there, and the manifest speaks of it")
            return
        try:
            proof = read_json(self.files[path])
            of, told = str(proof["module"]["sha256"]), {key: proof[key] for key in said or {}}
        except (ValueError, KeyError, TypeError):
            self.findings.refuse("proof", path, "can't be read as what it is")
            return
        modules = [one["module"] for one in self.manifest["targets"].values()]
        digests = {hashlib.sha256(self.files[one]).hexdigest() for one in modules if one in self.files}
        if of not in digests:
            self.findings.refuse("proof", path, "is the proof of another module")
        if told != said:
            self.findings.refuse("proof", path, "says otherwise than the manifest")

    def _check_claims(self, module: str) -> Optional[bool]:
        content = self.files[module]
        try:
            cil = cil_of(content, self.manifest["name"]) if module.endswith(".pp") else content.decode("utf-8")
            claims = read_claims(cil)
        except MissingDependency as error:
            self.findings.warnings.append(f"{module}: what it grants was not read: {error}")
            return None
        except _UNREAD as error:
            self.findings.refuse("claims", module, f"what it grants can't be read: {error}"[:300])
            return False
        before = len(self.findings.refusals)
        self._compare_rules(module, claims)
        self._compare_names(module, claims)
        return len(self.findings.refusals) == before

    def _compare_rules(self, module: str, claims: Claims) -> None:
        granted = {tuple(one) for one in claims.grants}
        claimed, misplaced = set[tuple[Any, ...]](), set[str]()
        for one in self.manifest["grants"]:
            if self.name not in one["targets"]:
                continue
            rule = (one["kind"], one["source"], one["target"], one["class"])
            claimed.update((*rule, perm, one["condition"] or "", one["optional"]) for perm in one["perms"])
            if one["origin"] == "inherited" and self.entry["domain"] not in (one["source"], one["target"]):
                misplaced.add(_rule_text(rule))
        self._list(module, _rules(granted - claimed), "grants {}, which the manifest does not claim")
        self._list(module, _rules(claimed - granted), "does not grant {}, which the manifest claims")
        self._list(
            "manifest.json", sorted(misplaced), f"{self.name}: says that {{}} is inherited by the module's domain"
        )

    def _compare_names(self, module: str, claims: Claims) -> None:
        requires = self.entry["requires"]
        needed = {*requires["types"], *requires["attributes"]}
        contexts = claims.contexts if module.endswith(".cil") else set()
        pairs: tuple[tuple[str, set[str], set[str]], ...] = (
            ("declares the type {}", claims.types, {*self.entry["types"]}),
            ("joins {}", {f"{type_} to {of}" for of, type_ in claims.joins}, self._joins()),
            ("holds {}", claims.others | contexts, {*self.entry["statements"]}),
            ("needs the role {}", claims.roles, {*requires["roles"]}),
            ("needs the permission {}", {" ".join(one) for one in claims.perms}, self._permissions()),
            ("needs {}", claims.required, needed - (claims.optional - claims.required)),
            ("names {} in an optional block", (claims.optional - needed) | claims.booleans, {*requires["optional"]}),
        )
        for words, found, said in pairs:
            self._list(module, sorted(found - said), f"{words}, which the manifest does not claim")
            self._list(module, sorted(said - found), f"is said to be one that {words}, and it is not")

    def _joins(self) -> set[str]:
        return {f"{one['type']} to {one['attribute']}" for one in self.entry["joins"]}

    def _permissions(self) -> set[str]:
        found = self.entry["requires"]["permissions"]
        return {f"{tclass} {perm}" for tclass, perms in found.items() for perm in perms}

    def _list(self, path: str, what: list[str], words: str) -> None:
        for one in what[:_MOST_LINES]:
            self.findings.refuse("claims", path, words.format(one[:300]))
        if len(what) > _MOST_LINES:
            self.findings.refuse("claims", path, words.format(f"{len(what) - _MOST_LINES} more"))


def _check_source(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    """``source/NAME.cil`` is what the source beside it compiles to."""
    name = manifest["name"]
    te, cil = (files.get(f"source/{name}.{suffix}") for suffix in ("te", "cil"))
    if te is None or cil is None:
        findings.refuse("missing", f"source/{name}.te", "or .cil is not there")
        return
    rebuilt = _rebuilt(name, (te, files.get(f"source/{name}.fc", b"")), True, OLDEST)
    if rebuilt.package is None:
        if rebuilt.problem:
            findings.refuse("source", f"source/{name}.te", rebuilt.problem)
        return
    try:
        same = cil_of(rebuilt.package, name).encode("utf-8") == cil
    except MissingDependency:
        return  # said of the targets' modules already
    if not same:
        findings.refuse("source", f"source/{name}.cil", "is not what the source beside it compiles to")


def _check_strays(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    """No compiled module that the manifest does not speak of."""
    modules = {files[one["module"]] for one in manifest["targets"].values() if one["module"] in files}
    most = max(map(len, modules), default=0)
    for path in sorted(files):
        if path.endswith(".pp") and files[path] not in modules:
            findings.refuse("claims", path, "is a module that is no target's")
        elif path.endswith(".pp.bz2") and without_bomb(files[path], most) not in modules:
            findings.refuse("claims", path, "holds a module that is no target's")


def _check_optional(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    """What the modules that come along do is what the manifest says of them; what the targets lack for them is not
    asked again."""
    entries_ = {one["path"]: one for one in manifest["optional"]}
    there = {path for path in files if path.startswith(f"{OPTIONAL}/")}
    for path in sorted(there | set(entries_)):
        name = path[len(OPTIONAL) + 1 : -len(".cil")]
        if path not in there or path not in entries_ or path != f"{OPTIONAL}/{name}.cil":
            findings.refuse("claims", path, "is not one of the modules that manifest and bundle both have")
        elif len(files[path]) > _LARGEST:
            findings.refuse("claims", path, f"is larger than {_LARGEST >> 20} MiB")
        else:
            _compare_optional(name, path, files[path], entries_[path], findings)


def _compare_optional(name: str, path: str, content: bytes, said: Mapping[str, Any], findings: Findings) -> None:
    try:
        found = optional_object(as_optional(name, content, path), {})
    except _UNREAD as error:
        findings.refuse("claims", path, f"what it does can't be read: {error}"[:300])
        return
    if found != {**said, "lacking": {}}:
        findings.refuse("claims", path, "does other things than the manifest says of it")


def _check_joined(manifest: Mapping[str, Any], findings: Findings) -> None:
    """What a bundle requires is what its targets do, together."""
    each = [target["requires"] for target in manifest["targets"].values()]
    for key, said in manifest["requires"].items():
        if key == "permissions":
            wanted = {(tclass, perm) for one in each for tclass, perms in one[key].items() for perm in perms}
            found = {(tclass, perm) for tclass, perms in said.items() for perm in perms}
        elif key in ("types", "attributes", "roles", "booleans"):
            wanted, found = {name for one in each for name in one[key]}, set(said)
        else:
            continue
        if wanted != found:
            findings.refuse("claims", "manifest.json", f"requires {key} that are not those of its targets")


class _Rebuilt(NamedTuple):
    """What a source compiles to. Without a package ``problem`` says why, empty where the tools are missing."""

    package: Optional[bytes]
    problem: str = ""


def _rebuilt(name: str, texts: tuple[bytes, bytes], mls: bool, policydb: int) -> _Rebuilt:
    """The package of a ``.te`` and ``.fc``."""
    try:
        te, fc = (ascii_only(text.decode("utf-8")) for text in texts)
        return _Rebuilt(build_package(name, te, fc, mls, policydb))
    except MissingDependency:
        return _Rebuilt(None)
    except UnicodeDecodeError:
        return _Rebuilt(None, "its source is not UTF-8")
    except CompileError as error:
        return _Rebuilt(None, f"its source does not compile: {error}"[:300])


def _compared(path: str, package: bytes, rebuilt: _Rebuilt, findings: Findings) -> Optional[str]:
    if rebuilt.package == package:
        return IDENTICAL
    if rebuilt.package is None:
        if rebuilt.problem:
            findings.refuse("source", path, rebuilt.problem)
            return DIFFERENT
        findings.warnings.append(f"{path}: not compiled anew: checkmodule or semodule_package is not installed")
        return None
    try:
        # Both under one name: what a package is called was compared already.
        same = cil_of(rebuilt.package, "module") == cil_of(package, "module")
    except MissingDependency as error:
        findings.warnings.append(f"{path}: compiled here it has other bytes; what they say was not compared: {error}")
        return None
    except CompileError as error:
        findings.refuse("source", path, f"can't be read as a module: {error}"[:300])
        return DIFFERENT
    if same:
        findings.warnings.append(f"{path}: compiled here it has other bytes and says the same (another compiler)")
    else:
        findings.refuse("source", path, "is not what its source compiles to")
    return EQUIVALENT if same else DIFFERENT


def _called(package: bytes) -> Optional[_Called]:
    """What a module package calls itself, and its format (libsepol: module.c, policydb.c); None for what is none."""
    number = [int.from_bytes(package[at : at + 4], "little") for at in range(0, 16, 4)]
    if package[:4] != _MODULE or number[1] != 1 or not package.startswith(_POLICY, number[3]):
        return None
    words, at = [], number[3] + len(_POLICY)
    policydb = int.from_bytes(package[at : at + 4], "little")
    at += 16  # the format, the configuration, how many tables of symbols and of contexts
    for _ in range(2):
        length = int.from_bytes(package[at : at + 4], "little")
        words.append(package[at + 4 : at + 4 + length][:128].decode("ascii", "backslashreplace"))
        at += 4 + length
    return _Called(words[0], words[1], policydb)


def _rules(vectors: Iterable[tuple[Any, ...]]) -> list[str]:
    """Rules as text, permissions joined."""
    joined: dict[tuple[Any, ...], set[str]] = {}
    for kind, source, target, tclass, perm, condition, optional in vectors:
        joined.setdefault((kind, source, target, tclass, condition, optional), set()).add(perm)
    return sorted(
        _rule_text(key[:4], perms) + (f" if {key[4]}" if key[4] else "") + (" (optional)" if key[5] else "")
        for key, perms in joined.items()
    )


def _rule_text(rule: tuple[Any, ...], perms: Iterable[str] = ()) -> str:
    kind, source, target, tclass = rule
    named = sorted(perms)
    return f"{kind} {source} {target}:{tclass}" + (f" {{ {' '.join(named)} }}" if named else "")
