"""The module as each target gets it: made from the evidence on its policy, around what was written by hand."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from polkit.bundle.claims import Claims, as_file_contexts, read_claims
from polkit.bundle.paths import by_prefix, entries, rewritten
from polkit.bundle.project import Project
from polkit.config import Target
from polkit.errors import CompileError, SourceError, UsageError
from polkit.minimize import Draft, Progress, Proof, Request, ascii_only, breaches, described, draft, prove
from polkit.model import ModuleSource, Plan, PolicyInfo
from polkit.module import (
    OLDEST,
    build_package,
    empty_module,
    hand_written,
    link_check,
    needs_cil,
    parts,
    render_cil,
    render_fc,
    render_te,
    run_tool,
    says_something,
    splice,
)
from polkit.policy import TargetPolicy, load_policy, locate

_VERSION = re.compile(r"^\s*module\s+(\S+)\s+([\d.]+)\s*;", re.MULTILINE)


@dataclass(frozen=True)
class TargetBuild:
    """What one target gets. ``package`` is its ``.pp`` (or CIL, then ``suffix`` says so), None where it gets no module:
    ``reason`` says why. ``te`` and ``fc`` are the texts it was compiled from, ``cil`` what it says. ``failed``:
    one sentence for each gate and statement of the proof that does not hold. ``lacking``: what the target's policy
    lacks for the optional modules, by their names."""

    name: str
    policydb: int
    info: Optional[PolicyInfo] = None
    plan: Optional[Plan] = None
    proof: Optional[Proof] = None
    source: Optional[ModuleSource] = None
    te: str = ""
    fc: str = ""
    package: Optional[bytes] = None
    cil: str = ""
    suffix: str = ".pp"
    claims: Claims = field(default_factory=Claims)
    attributes: frozenset[str] = frozenset()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reason: str = ""
    failed: tuple[str, ...] = ()


def build_targets(
    project: Project,
    with_proof: bool = True,
    progress: Optional[Progress] = None,
    proofs: Optional[dict[str, Proof]] = None,
) -> tuple[TargetBuild, ...]:
    """Every target of a project, by name. ``proofs``: made before, and filled with those that are made. Raises what
    ``draft``, ``prove`` and the compilers raise, with the target's name."""
    drafts: dict[tuple[str, Optional[str]], Draft] = {}
    proofs = {} if proofs is None else proofs
    return tuple(
        _Builder(project, name, target, with_proof, progress, drafts, proofs).build()
        for name, target in project.config.targets.items()
    )


def policy_of(project: Project, target: Target) -> Optional[tuple[str, Optional[str]]]:
    """The ``--policy`` and ``--store`` of a target, None for one that names neither. Raises SourceError."""
    policy = None if target.policy is None else str(project.config.beside(target.policy))
    if target.store is None:
        return None if policy is None else (policy, None)
    root = project.config.beside(target.store)
    stores = [root] if (root / "active/modules").is_dir() else sorted((root / "var/lib/selinux").glob("*"))
    stores = [store for store in stores if (store / "active/modules").is_dir()]
    if policy is None:
        return str(root), None
    if len(stores) != 1:
        raise SourceError(f"{root} holds {len(stores) or 'no'} module stores", "name one with store")
    return policy, str(stores[0])


def cil_of(package: bytes, name: str) -> str:
    """A module package as CIL. Raises CompileError for what is none, MissingDependency without the converter."""
    with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
        (Path(scratch) / f"{name}.pp").write_bytes(package)
        run = run_tool(["pp", f"{name}.pp"], Path(scratch), apart=True)
    if run.status != 0:
        raise CompileError(f"{name}.pp can't be written as CIL: {run.complaints.strip()[:200]}")
    return run.output


@dataclass
class _Builder:
    project: Project
    name: str
    target: Target
    with_proof: bool
    progress: Optional[Progress]
    drafts: dict[tuple[str, Optional[str]], Draft]
    """By policy and store: targets that share them share the work."""
    proofs: dict[str, Proof]

    def build(self) -> TargetBuild:
        named = policy_of(self.project, self.target)
        policydb = self.target.policydb or OLDEST
        if named is None:
            reason = "no policy or store is configured for this target, so there is nothing to expand its base from"
            return TargetBuild(self.name, policydb, reason=reason)
        if not self.project.evidence:
            return self._from_source(named, policydb)
        return self._from_evidence(named, policydb)

    def _from_source(self, named: tuple[str, Optional[str]], policydb: int) -> TargetBuild:
        """Without evidence the source is what is shipped, to every target the same."""
        policy = load_policy(*named)
        te, fc = self.project.sources["te"], self._rewritten(self.project.sources["fc"], policy)
        check_version(te, self.project)
        found = self._compiled(TargetBuild(self.name, policydb, policy.info, te=te, fc=fc), policy)
        files = locate(*named)
        if files.store is not None and files.root is not None and found.package is not None:
            with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
                module = Path(scratch) / f"{self.project.name}.pp"
                module.write_bytes(found.package)
                link_check(module, files.root, files.store.name)
        return found

    def _from_evidence(self, named: tuple[str, Optional[str]], policydb: int) -> TargetBuild:
        project = self.project
        request = replace(project.request, policy=named[0], store=named[1])
        if named not in self.drafts:
            self.drafts[named] = draft(request, progress=self.progress)
        found = self.drafts[named]
        source = None if found.source is None else replace(found.source, optionals=True)
        found = replace(found, source=source)
        te, fc = self._texts(source, found.policy)
        suffix = ".pp" if te else ".cil"
        plan = described(found, project.config, (f"{project.name}{suffix}", "plan.json"))
        failed = tuple(breaches(plan, source, project.config, found.policy))
        build = TargetBuild(self.name, policydb, plan.policy, plan, source=source, te=te, fc=fc, failed=failed)
        if source is None and not self._has_hand_written():
            return replace(build, te="", fc="", reason="its policy allows all that the evidence asks for")
        build = self._compiled(build, found.policy)
        if not self.with_proof or build.package is None:
            return build
        return self._proven(build, request, build.package)

    def _proven(self, build: TargetBuild, request: Request, package: bytes) -> TargetBuild:
        assert build.info is not None
        # The version is no part of the CIL, and the policy knows none.
        key = f"{build.info.sha256} {request.policy} {request.store} {build.cil}"
        if key not in self.proofs:
            with tempfile.TemporaryDirectory(prefix="polkit-") as scratch:
                module = Path(scratch) / f"{self.project.name}{build.suffix}"
                module.write_bytes(package)
                self.proofs[key] = prove(module, request, progress=self.progress, choices=request.choices)
        proof = replace(self.proofs[key], sha256=hashlib.sha256(package).hexdigest())
        words = (("covered", proof.covered), ("contained", proof.contained), ("safe", proof.safe))
        failed = tuple(f"the proof fails: it is not {word}" for word, holds in words if holds is False)
        return replace(build, proof=proof, failed=(*build.failed, *failed))

    def _texts(self, source: Optional[ModuleSource], policy: TargetPolicy) -> tuple[str, str]:
        """``.te`` and ``.fc`` of this target; no ``.te`` where the module has to go out as CIL."""
        project = self.project
        generated, contexts = empty_module(project.name, project.version), ""
        if source is not None:
            if needs_cil(source) is not None:
                check_version(project.sources["te"], project)
                return "", ""
            generated, contexts = render_te(source), render_fc(source)
        te = _around(project.sources["te"], generated, f"{project.name}.te", source is not None)
        fc = _around(project.sources["fc"], contexts, f"{project.name}.fc", bool(entries(contexts)))
        check_version(te, project)
        return te, self._rewritten(fc, policy)

    def _has_hand_written(self) -> bool:
        name, sources = self.project.name, self.project.sources
        return any(says_something(hand_written(sources[one], f"{name}.{one}")) for one in ("te", "fc"))

    def _by_hand(self, policy: TargetPolicy, levels: bool) -> str:
        """What was written by hand as CIL, for a module that goes out as that; compiled by itself, under another name:
        blocks are called after their module. It requires what it needs of the generated part."""
        name, sources = self.project.name, self.project.sources
        if not self._has_hand_written():
            return ""
        te, fc = (hand_written(sources[one], f"{name}.{one}") for one in ("te", "fc"))
        head = f"module {name}_by_hand {self.project.version};"
        te, count = _VERSION.subn(head, te, count=1)
        if not says_something(te):
            te = empty_module(f"{name}_by_hand", self.project.version)
        elif not count:
            te = f"{head}\n{te}"
        fc = self._rewritten(fc, policy)
        package = build_package(f"{name}_by_hand", ascii_only(te), ascii_only(fc), levels, OLDEST)
        return cil_of(package, f"{name}_by_hand")

    def _spoken(self, source: ModuleSource, policy: TargetPolicy) -> ModuleSource:
        """A module whose contexts begin where the target looks."""
        contexts = (replace(one, pattern=self._rewritten(one.pattern, policy)) for one in source.access.contexts)
        return replace(source, access=replace(source.access, contexts=tuple(sorted(contexts))))

    def _rewritten(self, fc: str, policy: TargetPolicy) -> str:
        configured = by_prefix(self.target.rewrite)
        return rewritten(fc, lambda path: policy.spoken_of(configured(path)))

    def _compiled(self, build: TargetBuild, policy: TargetPolicy) -> TargetBuild:
        name = self.project.name
        levels = policy.info.mls if policy.info is not None else True
        try:
            if build.te:
                package = build_package(name, ascii_only(build.te), ascii_only(build.fc), levels, build.policydb)
                cil = cil_of(package, name)
            else:
                assert build.source is not None
                cil = render_cil(self._spoken(build.source, policy)) + self._by_hand(policy, levels)
                package = cil.encode("ascii")
        except CompileError as error:
            raise CompileError(f"target {self.name}: {error}", error.output, error.hint) from error
        claims = read_claims(cil)
        fc = build.fc if build.te else as_file_contexts(claims.contexts)
        names = {*claims.required, *claims.optional, *(attribute for attribute, _ in claims.joins)}
        # All of these were there when it was linked: what is no type is an attribute, one without members included.
        attributes = frozenset(one for one in names if policy.type_name(one) is None)
        suffix = ".pp" if build.te else ".cil"
        unmet = {one.name: one.lacking(policy, claims.types) for one in self.project.optional}
        lacking = {one: names for one, names in unmet.items() if names}
        return replace(
            build,
            fc=fc,
            package=package,
            cil=cil,
            suffix=suffix,
            claims=claims,
            attributes=attributes,
            lacking=lacking,
        )


def _around(old: str, generated: str, name: str, needed: bool) -> str:
    """What was written by hand around what was generated; a file that is all by hand stays where nothing is needed."""
    if not needed and parts(old, name).generated is None and says_something(hand_written(old, name)):
        return old
    return splice(old, generated, name)


def check_version(te: str, project: Project) -> None:
    """Raise UsageError where a ``.te`` calls itself otherwise than ``polkit.toml`` does."""
    said = _VERSION.search(te)
    if said is None:
        raise UsageError(f"{project.name}.te has no `module NAME VERSION;` statement")
    if (said[1], said[2]) != (project.name, project.version):
        raise UsageError(
            f"{project.name}.te says {said[1]} {said[2]}, polkit.toml says {project.name} {project.version}",
            "write the same in both",
        )
