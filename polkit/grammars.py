"""Where the grammars are: one function for a checkout and an installed wheel alike."""

from __future__ import annotations


def grammar_text(name: str) -> str:
    """The text of the Lark grammar ``name`` (``avc``, ``te``, ``fc``, ``cil``); LookupError for any other name."""
    from importlib.resources import files  # here: most commands never parse

    grammar = files("polkit") / "grammar" / f"{name}.lark"
    if not name.isidentifier() or not grammar.is_file():
        raise LookupError(f"no grammar is named {name!r}")
    return grammar.read_text(encoding="utf-8")
