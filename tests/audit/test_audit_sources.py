"""Where records come from: files, directories, globs, standard input, compressed or encoded."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from polkit.audit import dump, read_logs, totals
from polkit.errors import SourceError, UsageError
from tests.audit.reading import avc, read_bytes

CONTENT = "".join(f"{avc(f'name={chr(34)}f{n}{chr(34)}', serial=n)}\n" for n in range(400)).encode()

COMPRESSED = {
    "plain": CONTENT,
    "gzip": gzip.compress(CONTENT),
    "gzip of two members": gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
    "bzip2": bz2.compress(CONTENT),
    "xz": lzma.compress(CONTENT),
    "zstd": zstandard.compress(CONTENT),
    "zstd of two frames": zstandard.compress(CONTENT[:1000]) + zstandard.compress(CONTENT[1000:]),
}


@pytest.mark.parametrize("form", COMPRESSED)
def test_compression_is_known_by_its_first_bytes(form, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(COMPRESSED[form])
    ledger = read_logs([str(path)])
    summary = totals(ledger).summary
    assert (summary.parsed, summary.bytes, summary.lines, summary.notes) == (400, len(CONTENT), 400, ())
    # The same content is the same source, however it is compressed.
    assert list(ledger.partials) == list(read_logs(["-"], stdin=BytesIO(CONTENT)).partials)


BIG = os.urandom(300_000).hex().encode() + b"\n" + CONTENT


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
@pytest.mark.parametrize("damage", ["cut", "garbled"])
def test_damaged_compression_gives_what_could_be_read_and_says_so(compress, damage):
    data = compress(CONTENT + BIG)
    half = len(data) // 2
    data = data[:half] if damage == "cut" else data[:half] + bytes(200) + data[half + 200 :]
    summary = read_bytes(data).summary
    assert len(summary.notes) == 1
    assert summary.notes[0].startswith("-: the compressed data")
    if damage == "cut" and compress is not bz2.compress:  # whose blocks are 900 kB
        assert summary.parsed == 400


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_encodings_known_by_their_mark(encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    denials = read_bytes(mark + (avc('comm="käse"') + "\n").encode(encoding))
    (counted,) = denials.counted
    assert (counted.evidence.comms, denials.summary.lines) == (("käse",), 1)


def test_a_lone_half_of_utf16_costs_only_its_record():
    first, second = (avc() + "\n").encode("utf-16-le"), (avc('comm="x"') + "\n").encode("utf-16-le")
    broken = first.replace("u:r".encode("utf-16-le"), b"\x00\xd8:\x00r\x00", 1)
    summary = read_bytes(b"\xff\xfe" + broken + second + b"\x00").summary
    assert (summary.parsed, len(summary.unparsed)) == (1, 1)


def write(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        content = (avc(f"name=n{number}", serial=number) + "\n").encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def test_a_directory_is_its_files_the_oldest_first(tmp_path):
    write(
        tmp_path, "audit.log", "audit.log.1", "audit.log.10.gz", "audit.log.2", "audit.log-20240101", ".hidden", "b.log"
    )
    (tmp_path / "folder").mkdir()
    seen: list[int] = []
    ledger = read_logs([str(tmp_path)], progress=seen.append)
    assert [Path(partial.name).name for partial in ledger.partials.values()] == [
        "audit.log-20240101",
        "audit.log.10.gz",
        "audit.log.2",
        "audit.log.1",
        "audit.log",
        "b.log",
    ]
    assert seen == sorted(seen)
    assert seen[-1] == totals(ledger).summary.bytes


def test_globs_and_repeated_names(tmp_path):
    write(tmp_path, "a.log", "b.log", "c.txt")
    pattern = str(tmp_path / "*.log")
    ledger = read_logs([pattern, str(tmp_path / "a.log"), pattern])
    assert [Path(partial.name).name for partial in ledger.partials.values()] == ["a.log", "b.log"]
    assert totals(ledger).summary.parsed == 2


def test_a_glob_over_a_dangling_link_reads_the_rest_and_says_so(tmp_path):
    write(tmp_path, "audit.log")
    (tmp_path / "audit.log.1").symlink_to(tmp_path / "gone")
    summary = totals(read_logs([str(tmp_path / "audit*")])).summary
    assert summary.parsed > 0
    assert any("audit.log.1: not read" in note for note in summary.notes)


def test_a_name_with_the_signs_of_a_glob_is_itself(tmp_path):
    write(tmp_path, "log[1].log")
    assert totals(read_logs([str(tmp_path / "log[1].log")])).summary.parsed == 1


def test_content_read_twice_counts_once(tmp_path):
    write(tmp_path, "a.log")
    (tmp_path / "copy.log").write_bytes((tmp_path / "a.log").read_bytes())
    assert totals(read_logs([str(tmp_path)])).summary.parsed == 1


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for argument, said in (
        (str(tmp_path / "missing.log"), "no such file"),
        (str(tmp_path / "*.log"), "no file matches"),
        (str(tmp_path / "empty"), "holds no file"),
        ("a\0b", "NUL"),
        ("x" * 5000, "File name too long"),
    ):
        with pytest.raises(SourceError, match=said) as caught:
            read_logs([argument])
        assert caught.value.exit_code == 3
    with pytest.raises(UsageError):
        read_logs([])


def test_a_file_without_rights_is_an_error_where_it_is_named_and_a_note_in_a_directory(tmp_path, monkeypatch):
    write(tmp_path, "a.log", "b.log")
    allowed = Path.open

    def refusing(path, *how):  # root, as whom tests may run, is refused nothing
        if path.name == "b.log":
            raise PermissionError(13, "Permission denied")
        return allowed(path, *how)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(SourceError, match=r"b\.log: Permission denied"):
        read_logs([str(tmp_path / "b.log")])
    summary = totals(read_logs([str(tmp_path)])).summary
    assert summary.parsed == 1
    assert "not read" in summary.notes[0]
    (tmp_path / "a.log").unlink()
    with pytest.raises(SourceError):
        read_logs([str(tmp_path)])


def test_a_source_that_fails_while_it_is_read():
    class Failing(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match="-: Input/output error"):
        read_logs(["-"], stdin=Failing())


def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    if os.fork() == 0:
        pipe.write_bytes(CONTENT)
        os._exit(0)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert totals(read_logs([str(pipe)])).summary.parsed == 400
    os.wait()


def test_a_ledger_is_read_where_a_log_is_expected(tmp_path):
    write(tmp_path, "a.log", "b.log")
    (tmp_path / "saved").write_text("\n".join(dump(read_logs([str(tmp_path / "a.log")]))) + "\n")
    (tmp_path / "saved.gz").write_bytes(gzip.compress((tmp_path / "saved").read_bytes()))
    both = totals(read_logs([str(tmp_path / "saved"), str(tmp_path / "saved.gz"), str(tmp_path / "b.log")]))
    assert both.summary == totals(read_logs([str(tmp_path / "[ab].log")])).summary


def test_reading_needs_no_lark_until_there_is_a_record(tmp_path):
    import subprocess
    import sys

    (tmp_path / "log").write_text("nothing here\n")
    code = "import sys; from polkit.audit import read_logs; read_logs([sys.argv[1]]); print('lark' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "False\n"
