"""What goes with a bundle for those who check it: bill of materials, provenance, signatures; in it and beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from polkit.bundle.project import Project
from polkit.bundle.provenance import PROVENANCE, STATEMENT_SUFFIX, predicate, statement_text
from polkit.bundle.sbom import SBOM, sbom_text
from polkit.bundle.signing import DETACHED, SIGNATURE, Signature, Signer
from polkit.bundle.targets import TargetBuild
from polkit.errors import SourceError, UsageError
from polkit.files import write_whole


def origin_files(
    project: Project,
    builds: Iterable[TargetBuild],
    files: Mapping[str, bytes],
    compilers: Mapping[str, str],
    epoch: int,
    builder: str,
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Bill and provenance of a bundle's ``files``, by path, and the provenance's predicate. Raises SourceError."""
    builds = tuple(builds)
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    bill = sbom_text(project, builds, digests, compilers, epoch).encode("ascii")
    digests[SBOM] = hashlib.sha256(bill).hexdigest()
    found = predicate(project, builds, compilers, builder)
    return {SBOM: bill, PROVENANCE: statement_text(digests, found).encode("ascii")}, found


def check_beside(place: Path, top: str, signers: Iterable[Signer], force: bool) -> None:
    """Refuse files beside the archive that are there already, before any work is done. Raises UsageError."""
    names = [STATEMENT_SUFFIX, *(DETACHED[signer.kind] for signer in signers if signer.kind in DETACHED)]
    for path in (place / f"{top}{name}" for name in names):
        if path.exists() and not force:
            raise UsageError(f"{path} exists", "name another place with -o, or overwrite with --force")


def embedded(signatures: Iterable[Signature]) -> dict[str, bytes]:
    """The signature that lies in the bundle itself, by its name there."""
    inside = [one.content for one in signatures if one.kind not in DETACHED]
    return dict(zip((SIGNATURE,), inside))


def write_beside(
    place: Path, top: str, archive: Path, found: Mapping[str, Any], signatures: Iterable[Signature]
) -> tuple[Path, ...]:
    """Write the statement about the archive, and the signatures that lie beside it; earlier ones that would speak of
    another bundle go. Returns what was written. Raises SourceError."""
    contents: dict[str, Optional[bytes]] = dict.fromkeys(DETACHED.values())
    contents.update({DETACHED[one.kind]: one.content for one in signatures if one.kind in DETACHED})
    try:
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        for name in (name for name, content in contents.items() if content is None):
            (place / f"{top}{name}").unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(f"{error.filename}: {error.strerror}") from error
    contents[STATEMENT_SUFFIX] = statement_text({archive.name: digest}, found).encode("ascii")
    written = []
    for name, content in sorted(contents.items()):
        if content is not None:
            written.append(place / f"{top}{name}")
            write_whole(written[-1], (content,))
    return tuple(written)
