"""What was collected as text: the books in a few lines, without the libraries that colour takes time to load."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.cli.safe import safe
from polkit.model import Denials, InputSummary

_SHOWN = 20


def collection_lines(denials: Denials, output: str, verbose: bool) -> Iterator[str]:
    """The lines of the summary; ``verbose``: with every unparsed record that is listed, and with its text."""
    books = denials.summary
    yield f"{_count(len(books.sources), 'source')}, {books.bytes:,} bytes, {books.lines:,} lines"
    yield f"{_count(books.denials, 'denial')}, {books.distinct:,} distinct; {books.parsed:,} parsed" + _rest(books)
    for one in books.unparsed[: None if verbose else _SHOWN]:
        yield f"  {safe(one.source)}:{one.line}: {safe(one.reason)}"
        if verbose:
            yield f"    {safe(one.text)}"
    hidden = books.unreadable - (len(books.unparsed) if verbose else min(_SHOWN, len(books.unparsed)))
    if hidden:
        yield f"  and {hidden:,} more"
    yield from (f"note: {safe(note)}" for note in books.notes)
    yield f"written to {'standard output' if output == '-' else safe(output)}"


def _rest(books: InputSummary) -> str:
    numbers = (
        (books.unreadable, "not readable"),
        (books.granted, "granted, which are no denials"),
        (books.filtered, "left out as asked"),
        (books.undated, "without a full date"),
    )
    return "".join(f", {number:,} {what}" for number, what in numbers if number)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
