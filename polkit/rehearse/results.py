"""A rehearsal as ``polkit.rehearsal/1``, and what is written of one to a directory."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from polkit.errors import SourceError, UsageError
from polkit.rehearse.assertions import Assertion
from polkit.rehearse.judge import Judged, StepCause
from polkit.rehearse.log_forms import KERNEL
from polkit.rehearse.rehearsal import Rehearsal

SCHEMA = "polkit.rehearsal/1"
FILES = ("audit.log", "dmesg", "results.json")


def rehearsal_object(rehearsal: Rehearsal) -> dict[str, Any]:
    """The object that ``--format json`` prints; docs/schemas/polkit.rehearsal-1.schema.json."""
    return {
        "schema": SCHEMA,
        "ok": rehearsal.ok,
        "seconds": round(rehearsal.seconds, 2),
        "boot_seconds": round(rehearsal.boot_seconds, 2),
        "scenario": rehearsal.scenario.name,
        "mode": rehearsal.mode,
        "log": rehearsal.log,
        "denials": rehearsal.denials,
        "elsewhere": rehearsal.elsewhere,
        "lost": rehearsal.lost,
        "remedies": [vars(carried).copy() for carried in rehearsal.remedies],
        "steps": [_step(judged) for judged in rehearsal.judged],
        "assertions": [_assertion(one) for one in rehearsal.assertions],
    }


def _assertion(one: Assertion) -> dict[str, Any]:
    return {
        "name": one.name,
        "source": list(one.gate.source),
        "target": list(one.target),
        "path": one.gate.path or None,
        "class": one.gate.tclass,
        "perms": list(one.gate.perms),
        "ok": one.ok,
        "why": one.why,
        "accesses": list(one.accesses),
        "tried": [{**vars(attempt), "avc": list(attempt.avc)} for attempt in one.tried],
    }


def rehearsal_text(rehearsal: Rehearsal) -> str:
    """The same as text."""
    return json.dumps(rehearsal_object(rehearsal), indent=2) + "\n"


def _step(judged: Judged) -> dict[str, Any]:
    return {
        "name": judged.step.name,
        "operation": judged.step.operation,
        "object": judged.step.object,
        "domain": judged.domain,
        "expect": judged.expect,
        "got": judged.got,
        "errno": judged.errno,
        "avc": list(judged.avc),
        "causes": [_cause(cause) for cause in judged.causes],
        "disagreement": judged.disagreement,
        "ok": judged.ok,
        "why": judged.step.why,
        "detail": judged.detail,
        "seconds": judged.seconds,
    }


def _cause(cause: StepCause) -> dict[str, Any]:
    return {
        "cause": cause.cause,
        "also": list(cause.also),
        "source": cause.source,
        "target": cause.target,
        "class": cause.tclass,
        "perms": list(cause.perms),
        "xperms": list(cause.xperms),
        "remedy": cause.remedy,
        "why": cause.why,
    }


def check_directory(directory: Path, force: bool, files: tuple[str, ...] = FILES) -> None:
    """Asked before the machine starts. Raises UsageError where results of an earlier run would be overwritten and for
    what is no directory, SourceError where nothing can be written."""
    try:
        existing = next(place for place in (directory, *directory.absolute().parents) if os.path.lexists(place))
        if not existing.is_dir():
            raise UsageError(f"{existing} is no directory", "name one for the results with -o DIR")
        with tempfile.TemporaryFile(dir=existing):
            pass  # a mode says little: root may write anywhere, and not on a disk that is read-only
    except OSError as error:
        reason = error.strerror or error
        raise SourceError(f"{directory} can't be written: {reason}", "name another with -o DIR") from error
    there = [name for name in files if (directory / name).exists()]
    if there and not force:
        raise UsageError(f"{directory} holds {', '.join(there)} already", "name another directory, or add --force")


def write_results(rehearsal: Rehearsal, directory: Path) -> None:
    """Write ``audit.log``, ``dmesg`` and ``results.json``, each in one step; no ``audit.log`` where ``dmesg`` is the
    log. Raises SourceError."""
    texts = (rehearsal.audit, rehearsal.dmesg, rehearsal_text(rehearsal))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in zip(FILES, texts):
            if name == "audit.log" and rehearsal.log == KERNEL:
                (directory / name).unlink(missing_ok=True)
                continue
            unfinished = directory / f".{name}.tmp"
            unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
            unfinished.replace(directory / name)
    except OSError as error:
        raise SourceError(f"{directory} can't be written: {error.strerror}") from error
