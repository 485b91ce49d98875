"""``polkit new``: a module project to begin with, which already reads, compiles and rehearses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from polkit.config import check_module_name
from polkit.errors import SourceError, UsageError
from polkit.files import file_mode_mask, scratch_beside
from polkit.module import empty_module, marked

FIRST_VERSION = "0.1.0"


@dataclass(frozen=True)
class Described:
    """What ``polkit.toml`` says of a new module, empty where nothing is known yet."""

    summary: str = ""
    vendor: str = ""
    license: str = ""


def new_project(name: str, directory: Path, described: Described, force: bool = False) -> tuple[str, ...]:
    """Write a project for the module ``name`` to ``directory``; returns the names of its files, sorted.

    ``force``: into a directory that exists; files of the same names are replaced, others left alone. Raises UsageError
    for a name that no module can have, a value that is no line of text, and a directory that exists; SourceError.
    """
    check_module_name(name, "NAME")
    for key, value in vars(described).items():
        if not value.isprintable() or len(value) > 1000:
            raise UsageError(f"--{key}: expected text on one line")
    _check_place(directory, force)
    files = _files(name, described)
    with scratch_beside(directory, "name a directory that you may write with --dir") as scratch:
        try:
            for path, text in files.items():
                (scratch / path).parent.mkdir(exist_ok=True)
                (scratch / path).write_text(text, encoding="utf-8")
            _put_in_place(scratch, directory, tuple(files))
        except OSError as error:
            raise SourceError(f"{directory}: {error.strerror}") from error
    return tuple(sorted(files))


def _check_place(directory: Path, force: bool) -> None:
    try:
        if directory.is_dir():
            if not force and any(directory.iterdir()):
                raise UsageError(f"{directory} exists", "name another directory with --dir, or give --force")
        elif directory.is_symlink() or directory.exists():
            raise UsageError(f"{directory} exists and is no directory", "name another with --dir")
    except OSError as error:
        raise SourceError(f"{directory}: {error.strerror}", "name another directory with --dir") from error


def _put_in_place(scratch: Path, directory: Path, files: tuple[str, ...]) -> None:
    """The whole directory where there is none, else file by file."""
    if not directory.exists():
        scratch.chmod(0o777 & ~file_mode_mask())
        scratch.rename(directory)
        return
    for path in files:
        (directory / path).parent.mkdir(exist_ok=True)
        (scratch / path).replace(directory / path)


def _files(name: str, described: Described) -> dict[str, str]:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polkit.bundle", "templates/project"),
        autoescape=False,  # noqa: S701 - not HTML; names are checked, and other values written as TOML or one line
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["toml"] = _toml
    values = {"name": name, "type": f"{name.replace('-', '_')}_t", "version": FIRST_VERSION, **vars(described)}
    texts = {
        path: environment.get_template(f"{path}.j2").render(values)
        for path in ("polkit.toml", "scenario.toml", "README.md", "CHANGELOG.md", "evidence/README.md")
    }
    module = empty_module(name, FIRST_VERSION)
    return {
        **texts,
        f"{name}.te": marked(f"# {name}: nothing is generated yet.\n{module}"),
        f"{name}.fc": marked(""),
        f"{name}.if": f"## <summary>{name}: interfaces to the types of this module.</summary>\n",
    }


def _toml(text: str) -> str:
    """A basic string of TOML (toml.io, "String"); the text is printable."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
