"""A new version number, written where a project has one: polkit.toml, the module's source, the changelog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from polkit.bundle.project import Project
from polkit.bundle.steps import Demand, Step
from polkit.bundle.words import code
from polkit.config import DEFAULT_FILE, read_toml
from polkit.errors import SourceError, UsageError
from polkit.files import write_whole

_SECTION = re.compile(r"^[ \t]*\[[ \t]*module[ \t]*\][^\n]*\n?", re.MULTILINE)
_NEXT_SECTION = re.compile(r"^[ \t]*\[", re.MULTILINE)
_KEY = re.compile(r"""^(?P<key>[ \t]*version[ \t]*=[ \t]*)(?:"[^"\n]*"|'[^'\n]*')""", re.MULTILINE)
_MODULE = re.compile(r"^(?P<start>[ \t]*module[ \t]+\S+[ \t]+)[\d.]+(?P<end>[ \t]*;)", re.MULTILINE)
_HEADING = re.compile(r"^## .*$", re.MULTILINE)
_UNRELEASED = re.compile(r"^## \[?Unreleased\]?[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_MOST_WITNESSES = 3


def write_version(project: Project, version: str, demand: Demand) -> tuple[str, ...]:
    """Give a project another version; returns the names of the files that were changed.

    What stands around the number stays as it is. Raises UsageError where polkit.toml or the source has no place for a
    number that could be told, before anything is written; SourceError for what can't be written.
    """
    directory = project.directory
    changed = {DEFAULT_FILE: _configured(directory / DEFAULT_FILE, version)}
    source = project.sources["te"]
    if source.strip():
        changed[f"{project.name}.te"] = _sourced(source, project, version)
    changelog = directory / "CHANGELOG.md"
    if changelog.is_file():
        changed[changelog.name] = _logged(_read(changelog), version, demand)
    for name, text in changed.items():
        write_whole(directory / name, (text.encode("utf-8"),))
    return tuple(changed)


def _configured(path: Path, version: str) -> str:
    """polkit.toml with another [module] version and nothing else changed."""
    text = _read(path)
    head = _SECTION.search(text)
    if head is None:
        raise UsageError(f"{path}: no line [module], where the version stands", "write the version there by hand")
    after = _NEXT_SECTION.search(text, head.end())
    end = len(text) if after is None else after.start()
    section = text[head.end() : end]
    if _KEY.search(section) is not None:
        section = _one(_KEY, rf'\g<key>"{version}"', section, str(path))
    else:
        section = f'version = "{version}"\n{section}'
    new = text[: head.end()] + section + text[end:]
    _check_configured(path, new, version)
    return new


def _check_configured(path: Path, new: str, version: str) -> None:
    """Another reader than the one that wrote says that the version is there and everything else as it was."""
    wanted = read_toml(path, "configuration")
    wanted["module"] = {**wanted["module"], "version": version}
    probe = path.with_name(f".{path.name}.{version}")
    try:
        write_whole(probe, (new.encode("utf-8"),))
        if read_toml(probe, "configuration") != wanted:
            raise UsageError(
                f"{path}: its version can't be told", f'write version = "{version}" under [module] by hand'
            )
    finally:
        probe.unlink(missing_ok=True)


def _sourced(source: str, project: Project, version: str) -> str:
    """A ``.te`` with another version in its statement, and in the head that generate writes."""
    name = project.name
    source = source.replace(f"# {name} {project.version}: SELinux policy", f"# {name} {version}: SELinux policy", 1)
    return _one(_MODULE, rf"\g<start>{version}\g<end>", source, f"{name}.te")


def _one(pattern: re.Pattern[str], instead: str, text: str, name: str) -> str:
    new, count = pattern.subn(instead, text)
    if count != 1:
        raise UsageError(f"{name}: {count} places that could hold the version", "write the new version by hand")
    return new


def _logged(text: str, version: str, demand: Demand) -> str:
    """A changelog with a heading for the version: above what was not released yet, else above the last release."""
    headings = _HEADING.findall(text)
    if any(re.match(rf"## \[?{re.escape(version)}\]?(?:\s|$)", heading) for heading in headings):
        return text
    name = f"[{version}]" if not headings or any(heading.startswith("## [") for heading in headings) else version
    entry = "\n".join((f"## {name}", "", *_lines(demand), ""))
    unreleased = _UNRELEASED.search(text)
    if unreleased is not None:
        return f"{text[: unreleased.end()]}\n\n{entry}\n{text[unreleased.end() :].lstrip()}"
    first = _HEADING.search(text)
    if first is not None:
        return f"{text[: first.start()]}{entry}\n{text[first.start() :]}"
    return f"{text.rstrip()}\n\n{entry}" if text.strip() else entry


def _lines(demand: Demand) -> Iterator[str]:
    """What the step rests on, for a changelog."""
    if demand.step is Step.PATCH:
        yield f"- Nothing is more permissive than in {demand.since}."
        return
    yield f"- A {demand.step.word} step after {demand.since}:"
    for one in demand.witnesses[:_MOST_WITNESSES]:
        yield f"  - on {one.target}: {code(one.text)}"
    more = len(demand.witnesses) - _MOST_WITNESSES
    if more > 0:
        yield f"  - and {more} more"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # line ends as they are
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
