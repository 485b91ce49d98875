"""What ``polkit package`` prints for people."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.bundle import Packaged
from polkit.cli.safe import safe

_MOST_CHANGES = 5
_WORDS = ("covered", "minimal", "contained", "safe")


def package_lines(packaged: Packaged, quiet: bool) -> Iterator[str]:
    """Where the bundle is, what each target gets, and what failed."""
    if not quiet:
        yield f"{packaged.name} {packaged.version}"
        yield f"  {safe(str(packaged.directory))}"
        yield f"  {safe(str(packaged.archive))}"
        yield from (f"  {safe(str(path))}" for path in (*packaged.beside, *packaged.packages))
        yield from _release(packaged)
        for name, target in packaged.manifest["targets"].items():
            if target["module"] is not None:
                proof = target["proof"]
                yield f"{name}: {target['module']}, format {target['policydb']}; {_proof(proof)}"
    yield from (f"{safe(note)}" for note in packaged.notes if not quiet)
    yield from (f"Failed: {safe(reason)}" for reason in packaged.failed)


def _release(packaged: Packaged) -> Iterator[str]:
    """How it stands to the version before, with the gravest changes."""
    found = packaged.standing
    if found.released is None:
        return
    if found.demand is None:
        yield f"  as released: nothing differs from version {found.released.version}"
        return
    reasons = found.demand.reasons
    yield f"  after {found.released.version}: {found.demand.step.word}" + (
        "" if reasons else ", nothing granted changed"
    )
    yield from (f"    {one.step.word}, {one.target}: {safe(one.text)}" for one in reasons[:_MOST_CHANGES])
    if len(reasons) > _MOST_CHANGES:
        yield f"    and {len(reasons) - _MOST_CHANGES} more (--format json)"


def _proof(proof: object) -> str:
    if not isinstance(proof, dict):
        return "not proven"
    answers = {True: "yes", False: "no", None: "not known"}
    return ", ".join(f"{word} {answers[proof[word]]}" for word in _WORDS)
