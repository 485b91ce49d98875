"""What is in a bundle as a bill of materials: CycloneDX 1.5 in JSON (https://cyclonedx.org/docs/1.5/json/)."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Optional

from polkit import __version__
from polkit.bundle.project import Project
from polkit.bundle.targets import TargetBuild

SBOM = "sbom.cdx.json"
_FILE = "file"


def sbom_text(
    project: Project,
    builds: Iterable[TargetBuild],
    digests: Mapping[str, str],
    compilers: Mapping[str, str],
    epoch: int,
) -> str:
    """The bill as indented JSON in ASCII. ``digests``: SHA-256 of the bundle's files by path; ``epoch``: its time."""
    builds = tuple(builds)
    reference = f"pkg:generic/{project.name}@{project.version}"
    policies = {build.info.sha256: build.name for build in reversed(builds) if build.info is not None}
    needs = {_module(project, build): build.info.sha256 for build in builds if build.package and build.info}
    found = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": _serial(reference, digests),
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tools": {"components": _tools(compilers)},
            "component": _itself(project, reference),
        },
        "components": [
            *({"type": _FILE, "bom-ref": path, "name": path, **_hashes(digests[path])} for path in sorted(digests)),
            *(
                {"type": "platform", "bom-ref": f"policy:{sha256}", "name": f"policy of {name}", **_hashes(sha256)}
                for sha256, name in sorted(policies.items())
            ),
        ],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(needs)},
            *({"ref": path, "dependsOn": [f"policy:{sha256}"]} for path, sha256 in sorted(needs.items())),
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def listed(bill: Any) -> Optional[dict[str, str]]:
    """The files that a bill of ours lists, SHA-256 by path; None for what is no such bill."""
    try:
        files = [one for one in bill["components"] if one["type"] == _FILE]
        found = {
            str(one["name"]): next(str(hash_["content"]) for hash_ in one["hashes"] if hash_["alg"] == "SHA-256")
            for one in files
        }
        return found if len(found) == len(files) and bill["bomFormat"] == "CycloneDX" else None
    except (KeyError, TypeError, StopIteration):
        return None


def _itself(project: Project, reference: str) -> dict[str, Any]:
    module = project.config.module
    found: dict[str, Any] = {
        "type": "application",
        "bom-ref": reference,
        "name": project.name,
        "version": project.version,
        "purl": reference,
    }
    if module.summary:
        found["description"] = module.summary
    if module.vendor:
        found["supplier"] = {"name": module.vendor}
    if module.license:
        found["licenses"] = [{"license": {"name": module.license}}]
    return found


def _tools(compilers: Mapping[str, str]) -> list[dict[str, str]]:
    ours = {"type": "application", "name": "selinux-polkit", "version": __version__}
    return [ours, *({"type": "application", "name": name, "version": compilers[name]} for name in sorted(compilers))]


def _hashes(sha256: str) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": sha256}]}


def _module(project: Project, build: TargetBuild) -> str:
    return f"targets/{build.name}/{project.name}{build.suffix}"


def _serial(reference: str, digests: Mapping[str, str]) -> str:
    """A UUID (RFC 9562, version 5) of what is listed, so that the same bundle has the same."""
    text = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests))
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{reference} {hashlib.sha256(text.encode()).hexdigest()}").urn
