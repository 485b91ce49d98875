"""Which shared libraries a program needs, read from the file itself: nothing is run, as ldd(1) would.

elf(5): the program headers, the dynamic section with its DT_NEEDED, the interpreter.
"""

from __future__ import annotations

import struct
from pathlib import Path

from polkit.errors import SourceError

_DIRECTORIES = (
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
    "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib",
)  # fmt: skip
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRINGS = 1, 5
_MOST = 200


def with_libraries(program: Path) -> dict[str, Path]:
    """``program``'s interpreter and libraries, and theirs: from the path they are looked for at to the file.

    Empty for a static program or what is no 64-bit ELF file. Raises SourceError for a library that is nowhere.
    """
    found: dict[str, Path] = {}
    waiting = [program]
    while waiting:
        interpreter, needed = _needs(waiting.pop())
        if interpreter and interpreter not in found:
            found[interpreter] = Path(interpreter)
        for name in needed:
            path = _library(name, program)
            if str(path) not in found:
                found[str(path)] = path
                waiting.append(path)
        if len(found) > _MOST:
            raise SourceError(f"{program} needs more than {_MOST} libraries")
    return found


def _library(name: str, program: Path) -> Path:
    for directory in _DIRECTORIES:
        path = Path(directory) / name
        if "/" not in name and path.is_file():
            return path
    raise SourceError(f"{program} needs the library {name[:80]}, which is in none of {', '.join(_DIRECTORIES)}")


def _needs(path: Path) -> tuple[str, list[str]]:
    """The interpreter and the names of the libraries."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror}") from error
    if content[:6] != b"\x7fELF\x02\x01":
        return "", []
    try:
        return _dynamic(content)
    except (struct.error, ValueError, IndexError) as error:
        raise SourceError(f"{path} is a damaged ELF file") from error


def _dynamic(content: bytes) -> tuple[str, list[str]]:
    (offset,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQ", content, offset + size * number) for number in range(count)]
    interpreter, entries = "", []
    for kind, _, start, _, _, length in headers:
        if kind == _INTERPRETER:
            interpreter = content[start : start + length].rstrip(b"\0").decode("ascii")
        elif kind == _DYNAMIC:
            entries = [struct.unpack_from("<QQ", content, at) for at in range(start, start + length - 15, 16)]
    strings = [value for tag, value in entries if tag == _STRINGS]
    if not strings:
        return interpreter, []
    table = _file_offset(headers, strings[0])
    return interpreter, [_text(content, table + value) for tag, value in entries if tag == _NEEDED]


def _file_offset(headers: list[tuple[int, ...]], address: int) -> int:
    for kind, _, start, virtual, _, length in headers:
        if kind == _LOAD and virtual <= address < virtual + length:
            return start + address - virtual
    raise ValueError(f"no segment holds {address:#x}")


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode("ascii")
