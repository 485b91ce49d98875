"""Writes ``.fc`` in the plain form that ``semodule_package`` takes, and quotes literal paths for it.

A pattern is read by four parties, and each has its traps: libselinux (fields end at white space, nothing but ASCII,
PCRE anchored at both ends, the first component compared as plain text), hll/pp and CIL (a string can't hold a double
quote, and nothing escapes one), libsemanage (a line with ``USER`` or ``ROLE`` anywhere in it is taken for a template of
home directories and vanishes), and m4 when somebody builds the module with the distribution's Makefile
(``include(/.*)?`` is a macro call).
"""

from __future__ import annotations

import re

from polkit.errors import CompileError
from polkit.model import FileContext, ModuleSource
from polkit.model.levels import parse_range
from polkit.module.comments import comment
from polkit.module.names import check_source

_META = frozenset(".^$?*+|[](){}")
_PLAIN = re.compile(r"[A-Za-z0-9/_,:;=@%~!&<>-]\Z")
# libsemanage/src/semanage_store.c, semanage_split_fc; HOME_DIR and HOME_ROOT count at the start only, where "/" stands.
_TEMPLATE_WORDS = re.compile(r"USER|ROLE")
# GNU m4 1.4's builtins (dumpdef without arguments), and the two of refpolicy's Makefile that paths do have.
_M4_WORDS = re.compile(
    r"\b(?:builtin|changecom|changequote|debugfile|debugmode|decr|define|defn|divert|divnum|dnl|dumpdef|errprint|esyscmd"
    r"|eval|format|ifdef|ifelse|include|incr|index|indir|len|m4exit|m4wrap|maketemp|mkstemp|patsubst|popdef|pushdef"
    r"|regexp|shift|sinclude|substr|syscmd|sysval|traceoff|traceon|translit|undefine|undivert|__file__|__line__"
    r"|__gnu__|__unix__|__program__|policy_module|gen_context)\b"
)
_PATTERN = re.compile(r"[!#-~]+\Z")  # printable ASCII without space and double quote
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_SPECIAL = re.compile(r"[.^$?*+|\[({]")
KINDS = {
    "": "",
    "file": "--",
    "dir": "-d",
    "chr_file": "-c",
    "blk_file": "-b",
    "sock_file": "-s",
    "fifo_file": "-p",
    "lnk_file": "-l",
}
"""From an object class to its word in file_contexts(5), in the order of libsepol's ``enum cil_filecon_types``."""
_KIND_ORDER = {word: place for place, word in enumerate(KINDS.values())}


def quote_path(path: str) -> str:
    """A pattern for file_contexts(5) that matches exactly the absolute host path ``path``, for any bytes in it.

    Undecodable bytes of a path are expected as Python's ``surrogateescape`` gives them. Trailing and doubled slashes
    are dropped. Raises CompileError for a relative path, a ``.`` or ``..`` component, or a character no path can hold.
    """
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/") or "\0" in path or "." in parts or ".." in parts:
        raise CompileError(f"{path[:80]!r} is no absolute path that a file context can name")
    try:
        raw = ("/" + "/".join(parts)).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise CompileError(f"{path[:80]!r} holds a character that no path can hold") from None
    quoted = _escapes_seen("".join(_quoted(chr(byte)) for byte in raw))
    for words in (_TEMPLATE_WORDS, _M4_WORDS):
        # The last letter as a class of one: the same matches, and no longer the word.
        quoted = words.sub(lambda found: f"{found[0][:-1]}[{found[0][-1]}]", quoted)
    return quoted


def tree_pattern(path: str) -> str:
    """A pattern for the directory ``path`` and everything below it: ``/srv/models(/.*)?``.

    Raises CompileError as ``quote_path`` does, and for the root directory.
    """
    quoted = quote_path(path)
    if quoted == "/":
        raise CompileError("a file context for the whole root directory is no part of a module")
    return f"{quoted}(/.*)?"


def render_fc(source: ModuleSource) -> str:
    """The text of ``NAME.fc``: ``PATTERN [KIND] system_u:object_r:TYPE[:LEVEL]``, aligned, under their evidence.

    Raises CompileError for a pattern or level that can't be written.
    """
    check_source(source)
    contexts = sorted_contexts(source)
    width = max((len(context.pattern) for context in contexts), default=0)
    lines = [comment(f"{source.name} {source.version}: file contexts", "#")]
    if not contexts:
        lines.append("# None: the module labels no files.")
    for context in contexts:
        check_context(context)
        level = f":{context.level}" if source.mls else ""
        lines += [comment(line, "#") for line in source.comments.get(context, ())]
        lines.append(f"{context.pattern:<{width}}  {context.kind:<2}  system_u:object_r:{context.type}{level}")
    return "\n".join(lines) + "\n"


def sorted_contexts(source: ModuleSource) -> list[FileContext]:
    """The file contexts of a module in the order they are written: the one that decides comes after the others."""
    return sorted(set(source.access.contexts), key=lambda one: (precedence(one.pattern, one.kind), one))


def precedence(pattern: str, kind: str) -> tuple[bool, int, int, int, str]:
    """The key by which a module store sorts file contexts: of those that match a path the last decides.

    An entry without special characters comes after those with any, then the one with the longer text before its first
    special character, then the longer one, then by kind (libsepol/cil/src/cil_post.c, cil_post_filecon_compare).
    """
    plain = _ESCAPED.sub("x", pattern)
    special = _SPECIAL.search(plain)
    stem = len(plain) if special is None else special.start()
    return (special is None, stem, len(plain), _KIND_ORDER.get(kind, 0), pattern)


def check_context(context: FileContext) -> None:
    """Raise CompileError unless the pattern and level of ``context`` can stand in both .fc and CIL."""
    if not context.pattern.startswith("/") or not _PATTERN.match(context.pattern):
        raise CompileError(
            f"the pattern {context.pattern[:80]!r} can't be written: it must start with / and hold printable ASCII"
            " without space or double quote",
            hint="quote_path() and tree_pattern() make such patterns",
        )
    if parse_range(context.level) is None:
        raise CompileError(f"{context.level[:80]!r} is no level for {context.pattern}")


def _escapes_seen(quoted: str) -> str:
    """The same pattern with the first escape of its first component as a class of one, where nothing else is special.

    libselinux takes the first component for a literal "stem" and compares its text, backslashes and all, unless one of
    a few characters stands in it (libselinux/src/label_file.h, get_stem_from_spec).
    """
    _, first, *rest = quoted.split("/")
    if not set(".^$?*+|[({") & set(first):
        first = re.sub(r"\\(?:x..|.)", r"[\g<0>]", first, count=1)
    return "/".join(("", first, *rest))


def _quoted(character: str) -> str:
    if character in _META or character == "\\":
        return f"\\{character}"
    return character if _PLAIN.match(character) else f"\\x{ord(character):02x}"
