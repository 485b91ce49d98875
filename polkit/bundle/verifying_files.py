"""Whether a bundle's files are those that it lists, and its scripts and statements those that belong to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Optional

from polkit import __version__
from polkit.bundle.exporters import PLACE as EXPORT
from polkit.bundle.job import MANIFEST, SCRIPTS, SUMS
from polkit.bundle.lists import FACTS, facts_text
from polkit.bundle.provenance import PROVENANCE, subjects
from polkit.bundle.sbom import SBOM, listed
from polkit.bundle.signing import SIGNATURE
from polkit.bundle.unpacking import bad_path
from polkit.bundle.verifying_shape import Findings, read_json

_LINE = re.compile(r"([0-9a-f]{64})  (\S+)\Z")
_SCRIPTS = Path(__file__).with_name("scripts")


def check_sums(files: Mapping[str, bytes], findings: Findings) -> None:
    """SHA256SUMS names every file but itself and its signature, each with what it holds."""
    if SUMS not in files:
        findings.refuse("missing", SUMS, "is not there, so nothing says what the bundle's files hold")
        return
    sums: dict[str, str] = {}
    # By newlines alone, as sha256sum reads it: what looks like one line there may be none here.
    lines = files[SUMS].decode("utf-8", "replace").split("\n")
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        found = _LINE.match(line)
        if found is None or bad_path(found[2]) or found[2] in sums:
            findings.refuse("sums", SUMS, f"line {number} is no sum of a file, or of one that had a line already")
        else:
            sums[found[2]] = found[1]
    _compare(sums, files, {SUMS, SIGNATURE}, SUMS, findings)


def check_manifest_files(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    """The manifest lists the same files with the same sums."""
    _compare(manifest["files"], files, {SUMS, SIGNATURE, MANIFEST}, MANIFEST, findings)


def _compare(
    named: Mapping[str, str], files: Mapping[str, bytes], aside: set[str], where: str, findings: Findings
) -> None:
    for path in sorted({*named, *files} - aside):
        if path not in files:
            findings.refuse("missing", path, f"is not there, and {where} names it")
        elif path not in named:
            findings.refuse("additional", path, f"is there, and {where} does not name it")
        elif hashlib.sha256(files[path]).hexdigest() != named[path]:
            findings.refuse("changed", path, f"is not what {where} says: its SHA-256 is another")
    for path in sorted(aside & set(named)):
        findings.refuse("sums", where, f"names {path}, which can't be in it")


def check_scripts(files: Mapping[str, bytes], manifest: Mapping[str, Any], findings: Findings) -> None:
    """The scripts run as root: they are the toolkit's, byte for byte, and the values they source are the manifest's."""
    with_module = [name for name, target in manifest["targets"].items() if target["module"] is not None]
    facts = facts_text(manifest["name"], manifest["version"], with_module).encode("ascii")
    if files.get(FACTS) != facts:
        findings.refuse("scripts", FACTS, "is sourced by the scripts, and not what the manifest's values make it")
    others = [path for path in files if path.endswith(".sh") and not path.startswith(f"{EXPORT}/")]
    for path in sorted(set(others) - {*SCRIPTS, FACTS}):
        findings.refuse("scripts", path, "is a script that no bundle has")
    if manifest["toolkit"]["version"] != __version__:
        theirs = manifest["toolkit"]["version"][:40]
        findings.warnings.append(f"its scripts are those of toolkit {theirs}; this is {__version__}: not compared")
        return
    for name in SCRIPTS:
        if files.get(name) != (_SCRIPTS / name).read_bytes():
            findings.refuse("scripts", name, f"is not the script of toolkit {__version__}, which the manifest names")


def check_statements(files: Mapping[str, bytes], findings: Findings) -> None:
    """Provenance and bill of materials speak of these very files."""
    whole = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    without = {SUMS, SIGNATURE, MANIFEST, PROVENANCE}
    statements: tuple[tuple[str, Callable[[Any], Optional[dict[str, str]]], set[str]], ...] = (
        (PROVENANCE, subjects, without),
        (SBOM, listed, {*without, SBOM}),
    )
    for path, read, aside in statements:
        if path not in files:
            findings.refuse("missing", path, "is not there, and every bundle has it")
            continue
        try:
            found = read(read_json(files[path]))
        except ValueError:
            found = None
        if found is None:
            findings.refuse("statement", path, "can't be read as what it is")
            continue
        wanted = {name: digest for name, digest in whole.items() if name not in aside}
        for name in sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))[:20]:
            findings.refuse("statement", path, f"speaks of another {name[:200]} than the bundle's")
