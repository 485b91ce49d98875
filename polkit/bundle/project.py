"""A module project: a directory with ``polkit.toml``, the module's source and the evidence it is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from polkit.bundle.optional_modules import OptionalModule, read_optional
from polkit.config import DEFAULT_FILE, Config, Target, check_target_name, load_config
from polkit.errors import SourceError, UsageError
from polkit.minimize import Request
from polkit.model import IDENTIFIER

EVIDENCE = "evidence"
_LEDGERS = (".ledger", ".ledger.gz", ".ledger.zst")
_LOGS = (".log", ".log.gz", ".log.xz", ".log.bz2", ".log.zst")
_LARGEST = 64 << 20
_CHOICES = "choices.json"


@dataclass(frozen=True)
class Project:
    """``sources`` holds the texts of ``NAME.te``, ``.fc`` and ``.if`` by suffix, empty where there is no such file;
    ``evidence`` the files that the module is made from; ``request`` what the last ``generate`` was asked, as far as its
    plan tells; ``optional`` the further modules beside it."""

    directory: Path
    config: Config
    name: str
    version: str
    sources: Mapping[str, str]
    evidence: tuple[Path, ...]
    request: Request
    optional: tuple[OptionalModule, ...] = ()

    def relative(self, path: Path) -> str:
        """A path in the project as it is called in a bundle; one elsewhere goes by its name."""
        inside = path.is_relative_to(self.directory)
        return path.relative_to(self.directory).as_posix() if inside else path.name


def read_project(directory: Path) -> Project:
    """The project in ``directory``. Raises UsageError for what is none, SourceError for what can't be read."""
    path = directory / DEFAULT_FILE
    if not path.is_file():
        raise UsageError(f"{directory} is no module project: it has no {DEFAULT_FILE}", "polkit new NAME makes one")
    config = load_config(path)
    name = config.module.name
    if name is None:
        raise UsageError(f"{path}: [module] name is missing", 'write name = "..." under [module]')
    sources = {suffix: _text(directory / f"{name}.{suffix}") for suffix in ("te", "fc", "if")}
    evidence = _evidence(directory / EVIDENCE)
    if not evidence and not sources["te"].strip():
        raise UsageError(
            f"{directory} has neither evidence nor a {name}.te: there is nothing to package",
            f"collect denials: polkit collect LOG -o {EVIDENCE}/{name}.ledger.zst",
        )
    request = Request(logs=tuple(map(str, evidence)), config=path, name=name)
    return Project(
        directory,
        config,
        name,
        config.module.version,
        sources,
        evidence,
        _as_generated(directory, request),
        read_optional(directory, name),
    )


def with_targets(project: Project, given: Mapping[str, str]) -> Project:
    """The project with policies for targets that were named at the command line. Raises UsageError for a name that
    no target can have."""
    targets = dict(project.config.targets)
    for name, policy in given.items():
        check_target_name(name, "--target")
        targets[name] = replace(targets.get(name, Target()), policy=str(Path(policy).absolute()), store=None)
    return replace(project, config=replace(project.config, targets=dict(sorted(targets.items()))))


def _evidence(directory: Path) -> tuple[Path, ...]:
    """The ledgers in a directory, else the logs."""
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file()) if directory.is_dir() else []
    except OSError as error:
        raise SourceError(f"{directory}: {error.strerror}") from error
    ledgers = [path for path in files if path.name.endswith(_LEDGERS)]
    return tuple(ledgers or [path for path in files if path.name.endswith(_LOGS)])


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise SourceError(f"{path}: larger than {_LARGEST >> 20} MiB, which no module is")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8") from error


def _as_generated(directory: Path, request: Request) -> Request:
    """What the plan of the last ``generate`` says it was asked: the base, rules onto shared domains, predictions."""
    choices = directory / _CHOICES
    if choices.is_file():
        request = replace(request, choices=choices)
    path = directory / "plan.json"
    if not path.is_file():
        return request
    try:
        plan = json.loads(_text(path))
        module, predicted = plan["module"], bool(plan["predicted"])
        base, domain = _base(module)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SourceError(f"{path}: not a plan of generate", "remove it, or run generate again") from error
    extend = module is not None and domain is None and bool(module["widened"])
    return replace(request, base=base, extend=extend, predict=predicted)


def _base(module: Any) -> tuple[Optional[str], Optional[str]]:
    """What the module's own domain inherits from as ``--base`` has it, and that domain."""
    if module is None or module["domain"] is None:
        return None, None
    base = module["base"] or "none"
    if not IDENTIFIER.match(base):
        raise ValueError("its base is no type")
    return base, str(module["domain"])
