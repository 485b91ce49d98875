"""One run of ``verify``: whether a bundle of a stranger may be taken for what it says it is.

First its form, its sums and its signature: where one of them is wrong, it ends there. Then, with files that are what
they are said to be, manifest, scripts and statements, and the modules, which go to the distribution's compilers.
Nothing of a bundle is run, and nothing is written but to temporary directories.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from polkit.bundle.archive import SUFFIXES
from polkit.bundle.exporters import PLACE as EXPORT
from polkit.bundle.job import MANIFEST, SUMS
from polkit.bundle.signing import DETACHED, SIGNATURE
from polkit.bundle.unpacking import Contents, Refusal, read_bundle
from polkit.bundle.verifying_files import check_manifest_files, check_scripts, check_statements, check_sums
from polkit.bundle.verifying_fit import Fit, fits
from polkit.bundle.verifying_modules import TargetCheck, check_modules
from polkit.bundle.verifying_shape import Findings, read_manifest
from polkit.bundle.verifying_signatures import (
    BAD,
    GOOD,
    UNKNOWN,
    Checked,
    Key,
    check_signature,
    kind_of,
    read_key,
)
from polkit.errors import SourceError, UsageError

SCHEMA = "polkit.verification/1"
_LARGEST_SIGNATURE = 1 << 20
_MOST_WARNINGS = 50


@dataclass(frozen=True)
class Asked:
    """What a customer wants to know of a bundle. ``key``: a file with the vendor's public key; ``identity`` and
    ``issuer``: who signs with Sigstore, or whose line of allowed_signers counts; ``signatures``: files with detached
    ones, besides those beside the bundle; ``policy`` and ``store``: what it has to fit; ``target``: as which target."""

    key: Optional[Path] = None
    identity: Optional[str] = None
    issuer: Optional[str] = None
    signatures: tuple[Path, ...] = ()
    require_signature: bool = False
    policy: Optional[str] = None
    store: Optional[str] = None
    target: Optional[str] = None


@dataclass(frozen=True)
class Verification:
    """What was found out. ``files`` are the bundle's, by path, as they were read; only of a bundle without
    ``refusals`` they are what the vendor shipped."""

    bundle: Path
    form: str
    sha256: Optional[str]
    name: Optional[str] = None
    version: Optional[str] = None
    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()
    signatures: tuple[Checked, ...] = ()
    targets: tuple[TargetCheck, ...] = ()
    fits: Optional[tuple[Fit, ...]] = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Nothing speaks against it."""
        return not self.refusals

    @property
    def exit_code(self) -> int:
        """0, or 1 when it is refused."""
        return 0 if self.ok else 1


def verify(bundle: Path, asked: Optional[Asked] = None) -> Verification:
    """Check the archive or directory ``bundle``.

    Raises UsageError for a key that is none and a target that the bundle does not have, SourceError for what can't be
    read, MissingDependency where a tool is missing that the key or policy needs. All that is wrong with the bundle
    itself is in ``refusals``.
    """
    asked = asked or Asked()
    key = read_key(asked.key, asked.identity, asked.issuer)
    contents = read_bundle(bundle)
    findings = Findings(refusals=contents.refusals)
    found = Verification(bundle, contents.form, contents.sha256, files=contents.files)
    if not findings.refusals:
        check_sums(contents.files, findings)
        found = replace(found, signatures=_check_signatures(bundle, contents, key, asked, findings))
    manifest = None if findings.refusals else _read_manifest(contents, findings)
    if manifest is not None:
        found = replace(found, name=manifest["name"], version=manifest["version"])
        found = replace(found, targets=check_modules(contents.files, manifest, findings))
        if asked.policy is not None and not findings.refusals:
            found = replace(found, fits=_fits(manifest, asked.policy, asked, findings))
    return replace(found, refusals=tuple(findings.refusals), warnings=tuple(findings.warnings))


def verification_text(found: Verification) -> str:
    """As JSON: docs/schemas/polkit.verification-1.schema.json."""
    told = {
        "schema": SCHEMA,
        "bundle": str(found.bundle),
        "form": found.form,
        "sha256": found.sha256,
        "name": found.name,
        "version": found.version,
        "ok": found.ok,
        "refusals": [{"check": one.check, "path": one.path or None, "reason": one.reason} for one in found.refusals],
        "warnings": list(found.warnings),
        "signatures": [
            {**one._asdict(), "signer": one.signer or None, "why": one.why or None} for one in found.signatures
        ],
        "targets": [one._asdict() for one in found.targets],
        "fits": None
        if found.fits is None
        else [
            {
                "target": one.target,
                "missing": list(one.missing),
                "falls_away": list(one.falls_away),
                "not_inherited": list(one.not_inherited),
                "same": one.same,
            }
            for one in found.fits
        ],
    }
    return json.dumps(told, indent=2) + "\n"


def _check_signatures(
    bundle: Path, contents: Contents, key: Optional[Key], asked: Asked, findings: Findings
) -> tuple[Checked, ...]:
    """Every signature there is over SHA256SUMS, and whether they are what was asked for."""
    sums = contents.files.get(SUMS)
    if sums is None:
        return ()
    checked = []
    for file, content in _signatures(bundle, contents, asked.signatures):
        kind = kind_of(content)
        if kind is None or len(content) > _LARGEST_SIGNATURE or (file == SIGNATURE and kind in DETACHED):
            findings.refuse("signature", file, "holds no signature of a known kind")
            continue
        one = check_signature(kind, file, content, sums, key)
        checked.append(one)
        if one.state == BAD:
            findings.refuse("signature", file, f"is wrong: {one.why}")
        elif one.state != GOOD and (key is None or key.kind != kind):
            by = f"signed by {one.signer}: {one.why}" if one.state == UNKNOWN else f"not checked: {one.why}"
            findings.warnings.append(f"{file}: {by}")
    _demand_signature(checked, key, asked, findings)
    return tuple(checked)


def _demand_signature(checked: list[Checked], key: Optional[Key], asked: Asked, findings: Findings) -> None:
    if key is not None:
        mine = [one for one in checked if one.kind == key.kind]
        if not mine:
            findings.refuse("signature", "", f"it has no {_CALLED[key.kind]} signature, which the key asks for")
        elif all(one.state == UNKNOWN for one in mine):
            for one in mine:
                findings.refuse("signature", one.file, f"is not the vendor's: {one.why}")
    elif asked.require_signature and not any(one.state in (GOOD, UNKNOWN) for one in checked):
        findings.refuse("signature", "", "it is not signed" if not checked else "no signature of it could be checked")
    elif not checked and not any(one.check == "signature" for one in findings.refusals):
        findings.warnings.append("it is not signed: nothing says who made it")


_CALLED = {"openssh": "OpenSSH", "gpg": "GPG", "sigstore": "Sigstore"}


def _signatures(bundle: Path, contents: Contents, named: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """The signature in a bundle, those beside it, and those that were named. Raises SourceError."""
    if SIGNATURE in contents.files:
        yield SIGNATURE, contents.files[SIGNATURE]
    whole = bundle.absolute()
    top = next((whole.name[: -len(end)] for end in SUFFIXES.values() if whole.name.endswith(end)), whole.name)
    beside = [whole.with_name(f"{top}{end}") for end in DETACHED.values()]
    for path in (*(path for path in beside if path.is_file()), *named):
        try:
            with path.open("rb") as file:
                yield path.name, file.read(_LARGEST_SIGNATURE + 1)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error


def _read_manifest(contents: Contents, findings: Findings) -> Optional[Mapping[str, Any]]:
    """The manifest, with what it and everything around the modules says compared; None where there is none."""
    files = contents.files
    if MANIFEST not in files:
        findings.refuse("missing", MANIFEST, "is not there: this is no bundle")
        return None
    manifest = read_manifest(files[MANIFEST], findings)
    if manifest is None:
        return None
    top = f"{manifest['name']}-{manifest['version']}"
    if contents.top not in (None, top):
        findings.refuse("manifest", "", f"the archive calls its directory {contents.top}, the manifest {top}")
    check_manifest_files(files, manifest, findings)
    check_scripts(files, manifest, findings)
    check_statements(files, findings)
    for name, target in manifest["targets"].items():
        findings.warnings.extend(f"{name}: its own manifest says: {reason}" for reason in target["failed"])
    if any(path.startswith(f"{EXPORT}/") for path in files):
        findings.warnings.append(f"{EXPORT}/: of these files only the sums were checked, not what they do")
    return manifest


def _fits(manifest: Mapping[str, Any], policy: str, asked: Asked, findings: Findings) -> tuple[Fit, ...]:
    """Refuses what fits as no target, or not as the one that is named."""
    found = fits(manifest, policy, asked.store)
    for one in found:
        for rule in one.not_inherited:
            _say_of_rule(one, rule, findings)
    wanted = [one for one in found if asked.target in (None, one.target)]
    if not wanted and asked.target is not None:
        raise UsageError(f"--target {asked.target}: the bundle has no module for it", f"it has: {_listed(found)}")
    if wanted and all(one.missing for one in wanted):
        for one in wanted:
            findings.refuse("policy", "", f"as {one.target} it does not fit: the policy lacks {', '.join(one.missing)}")
    return found


def _say_of_rule(fit: Fit, rule: str, findings: Findings) -> None:
    """On the policy that the module was made on, what the base does not have was not inherited from it."""
    said = f"{fit.target}: {rule} is said to be inherited, and"
    if fit.same:
        findings.refuse("claims", MANIFEST, f"{said} the policy that the module was made on does not give it the base")
    elif len(findings.warnings) < _MOST_WARNINGS:
        findings.warnings.append(f"{said} this policy does not give it the base")


def _listed(found: Iterable[Fit]) -> str:
    return " ".join(one.target for one in found) or "none"
