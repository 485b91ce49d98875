"""Whether a host still has what was shipped: what ``verify.sh`` finds there.

The script is this toolkit's own copy, never a bundle's. The bundle, or what ``install.sh`` wrote down on the host, only
says what to look for.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

from polkit.bundle.lists import FACTS, facts_text, script_lists
from polkit.errors import MissingDependency, PolkitError, SourceError, UsageError
from polkit.model import IDENTIFIER
from polkit.module import PRIORITY, run_tool

SCHEMA = "polkit.installed/1"
STATE = "var/lib/selinux-bundles"
"""Below a root: what the scripts write down, a directory for each module."""
_LISTS = ("types", "places", "needs", "ports", "booleans")
_SECONDS = 1200
_LARGEST = 64 << 20
_TOOLS = ("sh", "semodule", "setfiles", "matchpathcon", "sha256sum")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}\Z")
_LINES = {
    "types": re.compile(r"[A-Za-z_][\w.$-]*\Z", re.ASCII),
    "needs": re.compile(r"(type|role|class|boolean) [A-Za-z_][\w.$-]*\Z|perm \w+ \w+\Z", re.ASCII),
    "ports": re.compile(r"(tcp|udp|dccp|sctp) [0-9]{1,5} [A-Za-z_][\w.$-]*\Z", re.ASCII),
    "booleans": re.compile(r"[A-Za-z_][\w.$-]* [01]\Z", re.ASCII),
    "places": re.compile(r"(tree|file)\t/[^\t\n]*\t\Z|pattern\t/[^\t\n]*\t[^\t\n]+\Z"),
}
_CODES = {3: SourceError, 4: MissingDependency}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was shipped. ``kind`` is absent, changed, disabled, shadowed, unfinished, lacking (of
    the policy), refused (by it), port, boolean, label or context; ``what`` its name or path; ``text`` a sentence."""

    kind: str
    what: str
    text: str


@dataclass(frozen=True)
class Installed:
    """What a host has of a bundle. ``installed_sha256``: of the module in its store as it was put in, None where there
    is none; ``differences`` holds everything that is amiss, for a module that is not there also why it could not be
    installed."""

    name: str
    version: str
    target: str
    root: str
    shipped_sha256: str
    installed_sha256: Optional[str]
    differences: tuple[Difference, ...]

    @property
    def present(self) -> bool:
        """Whether a module of this name is installed where the bundle's scripts put it."""
        return self.installed_sha256 is not None

    @property
    def same(self) -> bool:
        """Whether the module in the store is the shipped one."""
        return self.installed_sha256 == self.shipped_sha256

    @property
    def fits(self) -> bool:
        """Whether the host's policy has what the module needs and takes it."""
        return not any(one.kind in ("lacking", "refused", "shadowed") for one in self.differences)

    @property
    def exit_code(self) -> int:
        """0, or 1 when anything differs."""
        return 1 if self.differences else 0


def check_installed(
    what: Union[str, Path, Mapping[str, bytes]],
    root: Optional[Path] = None,
    store: Optional[str] = None,
    target: Optional[str] = None,
) -> Installed:
    """Compare a host, or the system under ``root``, with what was shipped to it. Nothing there is changed.

    ``what``: a bundle's directory, its files by path, or the name of a module that a bundle's ``install.sh`` put in.
    ``store``: the policy's name where ``etc/selinux/config`` does not say it; ``target``: which of the bundle's targets
    the host is, where neither its record nor its os-release says it. Where the module is not installed, it is tried
    whether it could be: the host's policy with it is built in a copy.

    Raises SourceError for what can't be read (a store is its root's) and for a bundle or record that is none,
    UsageError for what does not fit together, MissingDependency without the distribution's tools.
    """
    for tool in _TOOLS:
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise MissingDependency(f"{tool} is not installed", "install policycoreutils, and selinux-utils on Debian")
    files = _recorded(what, root) if isinstance(what, str) else _shipped(what)
    with tempfile.TemporaryDirectory(prefix="polkit-installed-") as scratch:
        place = Path(scratch)
        for path, content in files.content.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        for script in Path(__file__).with_name("scripts").glob("*.sh"):
            shutil.copy(script, place / script.name)
        sums = "".join(f"{hashlib.sha256(files.content[path]).hexdigest()}  {path}\n" for path in sorted(files.content))
        (place / "SHA256SUMS").write_text(sums, encoding="ascii")
        words = [("--root", root and str(root.absolute())), ("--store", store), ("--target", target)]
        given = [word for option, value in words if value for word in (option, value)]
        run = run_tool(["sh", str(place / "verify.sh"), "--report", *given], place, seconds=_SECONDS, apart=True)
    if run.status not in (0, 1) or not run.output.startswith("is\t"):
        raise _failed(run.status, run.complaints)
    return _read(files, run.output, root)


def installed_text(found: Installed) -> str:
    """As JSON, ``polkit.installed/1``."""
    told = {
        "schema": SCHEMA,
        "name": found.name,
        "version": found.version,
        "target": found.target,
        "root": found.root,
        "priority": PRIORITY,
        "present": found.present,
        "same": found.same,
        "fits": found.fits,
        "shipped_sha256": found.shipped_sha256,
        "installed_sha256": found.installed_sha256,
        "differences": [{"kind": one.kind, "what": one.what, "text": one.text} for one in found.differences],
    }
    return json.dumps(told, indent=2) + "\n"


@dataclass(frozen=True)
class _Sought:
    name: str
    version: str
    content: Mapping[str, bytes]
    """Files as the scripts look for them in a bundle."""


def _shipped(what: Union[Path, Mapping[str, bytes]]) -> _Sought:
    """What to look for, from a bundle: lists made anew from the manifest, so that they say what it says."""
    read = _reader(what) if isinstance(what, Path) else what.get
    label = str(what) if isinstance(what, Path) else "the bundle"
    text = read("manifest.json")
    if text is None:
        raise SourceError(f"{label} is no bundle: it has no manifest.json", "polkit package builds one")
    content: dict[str, bytes] = {}
    try:
        manifest = json.loads(text)
        name, version = _checked(manifest["name"], IDENTIFIER), _checked(manifest["version"], _VERSION)
        targets = {
            _checked(key, _VERSION): value for key, value in manifest["targets"].items() if value["module"] is not None
        }
        for key, value in targets.items():
            suffix = ".cil" if value["module"].endswith(".cil") else ".pp"
            module = read(f"targets/{key}/{name}{suffix}")
            if module is None:
                raise SourceError(f"{label}: targets/{key}/{name}{suffix} is missing", "get the bundle anew")
            content[f"targets/{key}/{name}{suffix}"] = module
            contexts = "".join(f"{one['pattern']}\t{one['kind']}\t{one['context']}\n" for one in value["contexts"])
            lists = script_lists(value, contexts)
            content.update({f"targets/{key}/{one}": _lines(one, lists[one]) for one in _LISTS})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SourceError(f"{label}: manifest.json is no manifest of a bundle", "get the bundle anew") from error
    if not targets:
        raise UsageError(f"{label} holds no compiled module: nothing of it can be installed")
    content[FACTS] = facts_text(name, version, sorted(targets)).encode("ascii")
    return _Sought(name, version, content)


def _recorded(name: str, root: Optional[Path]) -> _Sought:
    """What to look for, from what ``install.sh`` wrote down."""
    if not IDENTIFIER.match(name):
        raise UsageError(f"{name[:80]!r} can't be the name of a module")
    record = (root or Path("/")) / STATE / name / "current"
    read = _reader(record)
    said = (read("version") or b"").decode("ascii", "replace").split()
    found = [(suffix, read(f"{name}{suffix}")) for suffix in (".pp", ".cil")]
    module = next(((suffix, content) for suffix, content in found if content is not None), None)
    if module is None or len(said) != 2:
        raise SourceError(
            f"no bundle of {name} was installed here: there is no record {record}",
            "name the bundle instead of a module",
        )
    try:
        version, target = _checked(said[0], _VERSION), _checked(said[1], _VERSION)
        lists = {one: read(f"wanted-{one}" if one in ("ports", "booleans") else one) for one in _LISTS}
        place = f"targets/{target}"
        content = {f"{place}/{one}": _lines(one, text or b"") for one, text in lists.items()}
    except ValueError as error:
        raise SourceError(f"{record} is damaged: {error}", "name the bundle instead of a module") from error
    content[f"{place}/{name}{module[0]}"] = module[1]
    content[FACTS] = facts_text(name, version, [target]).encode("ascii")
    return _Sought(name, version, content)


def _reader(place: Path) -> Any:
    """Reads files of a directory by name: None for one that is not there or no file."""

    def read(name: str) -> Optional[bytes]:
        path = place / name
        try:
            if path.is_symlink() or not path.is_file():
                return None
            if path.stat().st_size > _LARGEST:
                raise SourceError(f"{path}: larger than {_LARGEST >> 20} MiB, which nothing in a bundle is")
            return path.read_bytes()
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}", "run as root") from error

    return read


def _checked(text: Any, expected: re.Pattern[str]) -> str:
    if not isinstance(text, str) or not expected.match(text):
        raise ValueError(f"{str(text)[:80]!r} is out of place")
    return text


def _lines(kind: str, content: bytes) -> bytes:
    """A list for the scripts, each line of it of the form that it must have."""
    for line in content.decode("utf-8").split("\n")[:-1]:
        _checked(line, _LINES[kind])
        if kind == "places" and (not line.replace("\t", "").isprintable() or "/../" in f"{line}/".replace("\t", "/")):
            raise ValueError(f"{line[:80]!r} is no place")
    return content


def _failed(status: int, complaints: str) -> PolkitError:
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    told = [line[len("verify.sh: ") :] for line in lines if line.startswith("verify.sh: ")]
    text = _printable((told or lines or [f"verify.sh ended with {status}"])[0])
    at = next((number for number, line in enumerate(lines) if line.startswith("verify.sh: ")), len(lines))
    hint = _printable(" ".join(lines[at + 1 : at + 2]))
    return _CODES.get(status, UsageError)(text, hint)


def _read(sought: _Sought, output: str, root: Optional[Path]) -> Installed:
    """From the report of ``verify.sh``."""
    told: dict[str, str] = {}
    differences = []
    for kind, what, text in _fields(output.split("\n")):
        if kind == "is":
            told[what] = text
        else:
            differences.append(Difference(kind, what, text))
    return Installed(
        name=sought.name,
        version=sought.version,
        target=told["target"],
        root=str(root) if root is not None else "/",
        shipped_sha256=told["shipped"],
        installed_sha256=told.get("installed"),
        differences=tuple(differences),
    )


def _fields(lines: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    for line in lines:
        words = line.split("\t", 2)
        if len(words) == 3:
            yield words[0], _printable(words[1]), _printable(words[2])


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)[:500]
