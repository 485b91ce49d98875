"""What ``polkit verify`` prints for people. Every word of a bundle is a stranger's."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.bundle import Installed, Verification
from polkit.cli.safe import safe

_KINDS = {"openssh": "OpenSSH", "gpg": "GPG", "sigstore": "Sigstore"}
_STATES = {
    "good": "good, by {}",
    "unknown": "by {}, whom nothing here vouches for",
    "bad": "wrong",
    "unchecked": "not checked",
}
_REBUILT = {
    "identical": "its source compiles to the same bytes",
    "equivalent": "its source compiles to the same, in other bytes",
    "different": "its source compiles to another module",
    None: "not compiled anew",
}
_CLAIMS = {True: "grants what the manifest claims", False: "is not what the manifest claims", None: "grants not read"}


def verification_lines(found: Verification, quiet: bool) -> Iterator[str]:
    """What was found out of a bundle, then each warning, then each reason to refuse it, one a line."""
    if not quiet:
        called = f"{found.name} {found.version}" if found.name is not None else str(found.bundle)
        yield f"{safe(called)}: {'nothing speaks against it' if found.ok else 'refused'}"
        for one in found.signatures:
            state = _STATES[one.state].format(one.signer)
            yield f"  {safe(one.file)}: {_KINDS[one.kind]} signature, {safe(state)}"
        for target in found.targets:
            if target.module is not None:
                how = "is its own source" if target.module.endswith(".cil") else _REBUILT[target.rebuilt]
                yield f"  {safe(target.module)}: {how}; {_CLAIMS[target.claims]}"
        for fit in found.fits or ():
            away = f"; without {safe(', '.join(fit.falls_away))}" if fit.falls_away else ""
            yield f"  as {safe(fit.target)}: {'does not fit' if fit.missing else 'fits'} this policy{away}"
        yield from (f"Warning: {safe(warning)}" for warning in found.warnings)
    for refusal in found.refusals:
        place = f"{refusal.path}: " if refusal.path else ""
        yield safe(f"Refused: {refusal.check}: {place}{refusal.reason}")


def installed_lines(found: Installed, quiet: bool) -> Iterator[str]:
    """What a host has of a bundle, and each thing that is not as shipped, one a line."""
    if not quiet:
        how = "is not installed" if not found.present else "is as it was installed"
        if found.present and found.differences:
            how = "is not as it was installed"
        yield safe(f"{found.name} {found.version} (target {found.target}) {how} in {found.root}")
    yield from (safe(f"Amiss: {one.kind}: {one.text}") for one in found.differences)
