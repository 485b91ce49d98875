"""One run of ``package``: from a module project to a bundle."""

from __future__ import annotations

import bz2
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from polkit.bundle.archive import SUFFIXES, check_output, source_date_epoch, write_bundle
from polkit.bundle.exporters import Exported, Shipment, check_exports, export, write_packages
from polkit.bundle.lists import FACTS, facts_text, script_lists
from polkit.bundle.manifest import manifest_text, target_entry
from polkit.bundle.project import Project, read_project, with_targets
from polkit.bundle.provenance import check_builder
from polkit.bundle.readme import readme_text
from polkit.bundle.redaction import evidence_names, ledger_bytes, read_ledger, redacted
from polkit.bundle.signing import read_signers, sign
from polkit.bundle.signing_files import check_beside, embedded, origin_files, write_beside
from polkit.bundle.targets import TargetBuild, build_targets, check_version, cil_of
from polkit.bundle.unmarked import left_behind
from polkit.bundle.versions_checked import Standing, refuse_low_version, standing, standing_object
from polkit.bundle.versions_written import write_version
from polkit.errors import MissingDependency, UsageError
from polkit.minimize import Progress, Proof, ascii_only, plan_text, proof_text
from polkit.model import InputSummary, Plan
from polkit.module import OLDEST, build_package, run_tool

SUMS = "SHA256SUMS"
MANIFEST = "manifest.json"
SCRIPTS = ("changes.sh", "common.sh", "host.sh", "install.sh", "rollback.sh", "uninstall.sh", "verify.sh")
_COMPILERS = {"checkmodule": ["checkmodule", "-V"], "checkpolicy": ["checkpolicy", "-V"]}
"""They know no version of their own, and say which formats they read and write."""


@dataclass(frozen=True)
class Packaged:
    """A bundle that was written: its directory, the archive beside it, its manifest, what keeps it from being fit to be
    shipped, by target, the packages that were built of it, the statement and signatures beside the archive, and how it
    stands to what was released before."""

    name: str
    version: str
    directory: Path
    archive: Path
    manifest: Mapping[str, Any]
    failed: tuple[str, ...]
    notes: tuple[str, ...]
    packages: tuple[Path, ...] = ()
    beside: tuple[Path, ...] = ()
    standing: Standing = field(default_factory=Standing)

    @property
    def exit_code(self) -> int:
        """0, or 1 when a gate or a proof failed."""
        return 1 if self.failed else 0


def package(
    directory: Path,
    output: Optional[Path] = None,
    targets: Optional[Mapping[str, str]] = None,
    compression: str = "zst",
    force: bool = False,
    with_proof: bool = True,
    progress: Optional[Progress] = None,
    exports: Sequence[str] = (),
    keys: Sequence[str] = (),
    builder: Optional[str] = None,
    against: Optional[Path] = None,
    bump: bool = False,
    redact: bool = False,
) -> Packaged:
    """Build the bundle of the project in ``directory``: ``output/NAME-VERSION/`` and the archive beside it.

    ``output``: ``dist`` in the project when None. ``targets``: policies for targets, besides those of ``polkit.toml``.
    ``exports``: other forms that go with it, the words of ``EXPORTERS``; packages built of them lie beside the archive.
    ``keys``: what to sign with, as ``--sign`` takes it; ``builder``: the URI of who builds, for the provenance.
    ``redact``: evidence goes out under other names, as with ``[evidence] redact`` in polkit.toml.
    ``against``: the bundle released before, else the last one in ``output`` or ``dist``. A version too low for what is
    granted is raised with ``bump``, else refused, as one is that was released with other content (unless ``force``).
    The same project and policies give the same bytes, and what lies there already stays. Raises PolkitError for a
    version that is refused, UsageError for what is no project; SourceError, CompileError, MissingDependency.
    """
    signers, builder = read_signers(keys), check_builder(builder)
    project = with_targets(read_project(directory), targets or {})
    place = output if output is not None else directory / "dist"
    forms = check_exports(exports, project)
    asked = _Asked(forms, compression, with_proof, source_date_epoch(), builder, progress, redact)
    made = _made(project, asked)
    found = standing(project, made.builds, made.files, (place, directory / "dist"), against, force, progress)
    if bump and found.demand is not None and not found.allows(project.version):
        write_version(project, found.demand.next_version, found.demand)
        project = with_targets(read_project(directory), targets or {})
        made = _made(project, asked)
    else:
        refuse_low_version(found, project, made.files)
    if found.lies_in(place) and found.released is not None and not force:
        if made.archive_in(place).exists() and not signers:
            notes, packages = write_packages(forms, made.shipment, made.exported, made.archive_in(place), force)
            return _packaged(project, made, found, place, notes, packages)
        made, force = replace(made, files=found.released.files), True
    check_output(place, made.top, compression, force)
    check_beside(place, made.top, signers, force)
    signatures = tuple(sign(signer, made.files[SUMS]) for signer in signers)
    files = {**made.files, **embedded(signatures)}
    archive = write_bundle(place, made.top, files, asked.epoch, compression, force)
    beside = write_beside(place, made.top, archive, made.origin, signatures)
    notes, packages = write_packages(forms, made.shipment, made.exported, archive, force)
    notes = (*notes, *(one.note for one in signatures if one.note))
    return _packaged(project, made, found, place, notes, packages, beside)


@dataclass(frozen=True)
class _Asked:
    """What was asked of a build, besides its project."""

    forms: tuple[str, ...]
    compression: str
    with_proof: bool
    epoch: int
    builder: str
    progress: Optional[Progress]
    redact: bool
    proofs: dict[str, Proof] = field(default_factory=dict)
    """Made so far: a module of which the version alone was raised is not proven again."""


@dataclass(frozen=True)
class _Made:
    """A bundle in memory: the name of its directory, its files, and what else they were made with; ``origin`` is the
    predicate of its provenance."""

    top: str
    builds: tuple[TargetBuild, ...]
    files: Mapping[str, bytes]
    shipment: Shipment
    exported: Exported
    origin: Mapping[str, Any]

    def archive_in(self, place: Path) -> Path:
        """The archive's path."""
        return place / self.shipment.archive


def _made(project: Project, asked: _Asked) -> _Made:
    """Everything that goes into the bundle."""
    if not (asked.redact or project.config.evidence.redact):
        return _made_of(project, asked)
    with redacted(project, asked.progress) as shown:
        return _made_of(shown, asked)


def _made_of(project: Project, asked: _Asked) -> _Made:
    top = f"{project.name}-{project.version}"
    built = build_targets(project, asked.with_proof, asked.progress, asked.proofs)
    builds = tuple(_relative(one, project) for one in built)
    files = {
        **_source_files(project),
        **{path: content for build in builds for path, content in _target_files(project, build).items()},
        **_evidence_files(project),
        **{one.path: one.text.encode("ascii") for one in project.optional},
        **_script_files(project, builds),
        "README.md": ascii_only(readme_text(project, builds)).encode("ascii"),
    }
    shipment = Shipment(project, builds, dict(files), asked.epoch, f"{top}{SUFFIXES[asked.compression]}")
    exported = export(asked.forms, shipment)
    files.update(exported.files)
    compilers = _compiler_versions()
    more, origin = origin_files(project, builds, files, compilers, asked.epoch, asked.builder)
    files.update(more)
    files[MANIFEST] = manifest_text(project, builds, files, compilers, asked.epoch).encode("ascii")
    files[SUMS] = _sums(files)
    return _Made(top, builds, files, shipment, exported, origin)


def _packaged(
    project: Project,
    made: _Made,
    found: Standing,
    place: Path,
    notes: tuple[str, ...] = (),
    packages: tuple[Path, ...] = (),
    beside: tuple[Path, ...] = (),
) -> Packaged:
    failed = tuple(f"{build.name}: {reason}" for build in made.builds for reason in build.failed)
    missing = tuple(f"{build.name}: no module: {build.reason}" for build in made.builds if build.package is None)
    if not made.builds:
        missing = ("polkit.toml names no target, so there is no compiled module: source only",)
    return Packaged(
        name=project.name,
        version=project.version,
        directory=place / made.top,
        archive=made.archive_in(place),
        manifest=json.loads(made.files[MANIFEST]),
        failed=failed,
        notes=(*missing, *left_behind(project, made.builds), *made.exported.notes, *notes),
        packages=packages,
        beside=beside,
        standing=found,
    )


def packaged_text(packaged: Packaged) -> str:
    """What was packaged as JSON: the manifest, with where it went and what failed."""
    found = {
        **packaged.manifest,
        "directory": str(packaged.directory),
        "archive": str(packaged.archive),
        "packages": [str(path) for path in packaged.packages],
        "beside": [str(path) for path in packaged.beside],
        "failed": list(packaged.failed),
        "notes": list(packaged.notes),
        "release": standing_object(packaged.standing),
    }
    return json.dumps(found, indent=2) + "\n"


def _source_files(project: Project) -> dict[str, bytes]:
    """The project's own texts, and its module as CIL."""
    name, sources = project.name, project.sources
    if not sources["te"].strip():
        raise UsageError(
            f"there is no {name}.te in {project.directory}",
            f"polkit generate {' '.join(map(project.relative, project.evidence))} -o {project.directory}",
        )
    check_version(sources["te"], project)
    files = {f"source/{name}.{suffix}": text.encode("utf-8") for suffix, text in sources.items() if text}
    module = build_package(name, ascii_only(sources["te"]), ascii_only(sources["fc"]), True, OLDEST)
    files[f"source/{name}.cil"] = cil_of(module, name).encode("utf-8")
    return files


def _target_files(project: Project, build: TargetBuild) -> dict[str, bytes]:
    """What one target gets: nothing where there is no module for it but the plan that says why."""
    place, name = f"targets/{build.name}", project.name
    files: dict[str, bytes] = {}
    if build.plan is not None:
        files[f"{place}/plan.json"] = plan_text(build.plan).encode("ascii")
    if build.package is None:
        return files
    if build.proof is not None:
        files[f"{place}/proof.json"] = proof_text(build.proof).encode("ascii")
    files[f"{place}/{name}{build.suffix}"] = build.package
    if build.suffix == ".pp":
        files[f"{place}/{name}.pp.bz2"] = bz2.compress(build.package, 9)
        files[f"{place}/{name}.te"] = build.te.encode("utf-8")
        files[f"{place}/{name}.fc"] = build.fc.encode("utf-8")
    lists = script_lists(target_entry(project, build), build.fc)
    files.update({f"{place}/{one}": content for one, content in lists.items()})
    return files


def _evidence_files(project: Project) -> dict[str, bytes]:
    """The evidence as one ledger, whatever it was read from, with its sources called as they are in the project."""
    if not project.evidence:
        return {}
    return {f"evidence/{project.name}.ledger": ledger_bytes(read_ledger(project))}


def _script_files(project: Project, builds: tuple[TargetBuild, ...]) -> dict[str, bytes]:
    """The scripts, the same in every bundle, and the one file of values that they read."""
    targets = [build.name for build in builds if build.package is not None]
    here = Path(__file__).with_name("scripts")
    files = {name: (here / name).read_bytes() for name in SCRIPTS}
    return {**files, FACTS: facts_text(project.name, project.version, targets).encode("ascii")}


def _relative(build: TargetBuild, project: Project) -> TargetBuild:
    """A build whose plan and proof call policies and evidence by their names in the project, wherever that lies."""
    plan, proof = build.plan, build.proof
    names = evidence_names(project)
    if plan is not None:
        plan = _plan_called(plan, f"targets.{build.name}", names)
    if proof is not None:
        proof = _proof_called(proof, f"targets.{build.name}", names)
    return replace(build, plan=plan, proof=proof)


def _plan_called(plan: Plan, policy: str, names: Mapping[str, str]) -> Plan:
    info = None if plan.policy is None else replace(plan.policy, path=policy)
    return replace(plan, policy=info, input=_input_called(plan.input, names))


def _proof_called(proof: Proof, policy: str, names: Mapping[str, str]) -> Proof:
    return replace(proof, policy=replace(proof.policy, path=policy), input=_input_called(proof.input, names))


def _input_called(summary: InputSummary, names: Mapping[str, str]) -> InputSummary:
    return replace(
        summary,
        sources=tuple(names.get(source, source) for source in summary.sources),
        unparsed=tuple(replace(one, source=names.get(one.source, one.source)) for one in summary.unparsed),
    )


def _compiler_versions() -> dict[str, str]:
    """Each compiler with what it says its version is, as far as it says one."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        for name, argv in _COMPILERS.items():
            try:
                said = run_tool(argv, Path(scratch)).output.strip()
            except MissingDependency:
                continue
            found[name] = ascii_only(said.split("\n", 1)[0][:200])
    return found


def _sums(files: Mapping[str, bytes]) -> bytes:
    """As sha256sum(1) writes and checks them."""
    return "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)).encode("ascii")
