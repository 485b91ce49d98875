"""Where a bundle comes from, as an in-toto statement with SLSA's provenance for a predicate.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.0/provenance. It
holds no time and no name of a machine: the same project gives the same bytes. Nothing but a signature makes it true:
the bundle's covers it, and ``cosign attest-blob --statement`` or Tekton Chains put one of their own around it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from polkit import __version__
from polkit.bundle.project import Project
from polkit.bundle.targets import TargetBuild
from polkit.config import DEFAULT_FILE
from polkit.errors import SourceError, UsageError

PROVENANCE = "provenance.json"
STATEMENT_SUFFIX = ".intoto.json"
"""Of the statement beside the archive, which speaks of the archive."""
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:selinux-polkit:package:1"
"""docs/signing.md says what its parameters mean."""
NO_BUILDER = "urn:selinux-polkit:unnamed-builder"
"""Somebody's own machine, which nothing vouches for."""
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,500}\Z")


def check_builder(builder: Optional[str]) -> str:
    """The URI of who builds. Raises UsageError for what is no URI."""
    if builder is not None and not _URI.match(builder):
        raise UsageError(f"--builder {builder[:80]!r} is no URI", "write the address of the pipeline that builds")
    return builder or NO_BUILDER


def predicate(
    project: Project, builds: Iterable[TargetBuild], compilers: Mapping[str, str], builder: str
) -> dict[str, Any]:
    """What a bundle was made of and by what. Raises SourceError for a file of the project that can't be read."""
    builds = tuple(builds)
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "name": project.name,
                "version": project.version,
                "targets": {build.name: {"policydb": build.policydb} for build in builds},
            },
            "internalParameters": {"compilers": dict(sorted(compilers.items()))},
            "resolvedDependencies": [*_sources(project), *_policies(builds)],
        },
        "runDetails": {"builder": {"id": builder, "version": {"selinux-polkit": __version__}}},
    }


def statement_text(digests: Mapping[str, str], found: Mapping[str, Any]) -> str:
    """A statement about files (SHA-256 by name), with a predicate, as indented JSON in ASCII."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digests[name]}} for name in sorted(digests)],
        "predicateType": PREDICATE_TYPE,
        "predicate": found,
    }
    return json.dumps(statement, indent=2) + "\n"


def subjects(statement: Any) -> Optional[dict[str, str]]:
    """The files that a statement of ours speaks of, by name; None for what is no such statement."""
    try:
        if (statement["_type"], statement["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
            return None
        found = {str(one["name"]): str(one["digest"]["sha256"]) for one in statement["subject"]}
        return found if len(found) == len(statement["subject"]) else None
    except (KeyError, TypeError):
        return None


def _sources(project: Project) -> list[dict[str, Any]]:
    """Every file of the project that goes into a bundle."""
    names = [project.directory / DEFAULT_FILE, *project.evidence]
    names += [project.directory / f"{project.name}.{suffix}" for suffix, text in project.sources.items() if text]
    names += [project.directory / f"{one.name}.cil" for one in project.optional]
    if project.request.choices is not None:
        names.append(project.request.choices)
    found = []
    for path in names:
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from error
        found.append({"name": project.relative(path), "digest": {"sha256": digest}})
    return sorted(found, key=lambda one: str(one["name"]))


def _policies(builds: Iterable[TargetBuild]) -> list[dict[str, Any]]:
    return [
        {"name": f"targets.{build.name}.policy", "digest": {"sha256": build.info.sha256}}
        for build in builds
        if build.info is not None
    ]
