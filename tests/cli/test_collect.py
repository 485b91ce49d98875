"""``polkit collect``: a ledger is a file that stands for its logs, whatever it is written to and merged from."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path

import jsonschema
import pytest
import zstandard

from polkit.audit import read_logs
from polkit.errors import SourceError
from tests.audit.reading import avc
from tests.cli.conftest import Polkit

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "avc"
SERVING = FIXTURES / "crafted" / "01_baseline_te.log"
MIXED = FIXTURES / "crafted" / "12_truncated_no_tclass.log"


def plan(polkit: Polkit, *logs: object) -> dict[str, object]:
    """The plan, but for what it says of its sources."""
    done = polkit("explain", *logs, "--format", "json")
    found: dict[str, object] = json.loads(done.stdout)
    assert isinstance(found["input"], dict)
    assert found["input"].pop("sources")
    return found


def test_every_form_of_a_ledger_gives_the_plan_of_its_logs(polkit: Polkit, tmp_path: Path) -> None:
    wanted = plan(polkit, SERVING, MIXED)
    for name in ("both.ledger", "both.ledger.gz", "both.ledger.zst"):
        assert polkit("collect", SERVING, MIXED, "-o", name, policy=False).returncode == 0
        assert plan(polkit, name) == wanted
    polkit("collect", SERVING, "-o", "one", policy=False)
    polkit("collect", MIXED, "-o", "two.gz", policy=False)
    assert plan(polkit, "one", "two.gz") == plan(polkit, "one", MIXED) == wanted
    assert plan(polkit, "one", SERVING, MIXED, "two.gz") == wanted, "what is read twice counts once"
    polkit("collect", "two.gz", "one", SERVING, "-o", "merged", policy=False)
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "both.ledger").read_bytes()


def test_a_module_is_generated_and_proven_from_a_ledger(polkit: Polkit, tmp_path: Path) -> None:
    log = FIXTURES / "crafted" / "03_ioctl_xperm_nvidia.log"
    polkit("collect", log, "-o", "saved.zst", policy=False)
    made = [polkit("generate", source, "-n", name) for source, name in ((log, "a"), ("saved.zst", "b"))]
    assert made[0].returncode == made[1].returncode == 0, made[1].stderr
    te = [(tmp_path / name / f"{name}.te").read_text() for name in "ab"]
    assert te[0].replace("module a ", "module b ").replace("a_t", "b_t").splitlines()[-5:] == te[1].splitlines()[-5:]


def test_the_same_logs_give_the_same_bytes_wherever_they_lie(polkit: Polkit, tmp_path: Path) -> None:
    def written(folder: str, *logs: str) -> list[bytes]:
        files = [tmp_path / folder / f"out{suffix}" for suffix in ("", ".gz", ".zst")]
        for file in files:
            polkit("collect", *logs, "-o", file.name, policy=False, folder=folder)
        return [file.read_bytes() for file in files]

    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "audit.log").write_bytes(SERVING.read_bytes())
        (tmp_path / folder / "audit.log.1").write_bytes(MIXED.read_bytes())
    here = written("here", "audit.log", "audit.log.1")
    assert here == written("there", "audit.log.1", "audit.log")
    assert here[0] == gzip.decompress(here[1]) == zstandard.ZstdDecompressor().decompressobj().decompress(here[2])


def test_a_ledger_goes_to_standard_output_and_its_summary_beside_it(polkit: Polkit, tmp_path: Path) -> None:
    done = polkit("collect", MIXED, policy=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (lines[0], lines[-1]) == ({"schema": "polkit.ledger/1"}, {"end": len(lines) - 1})
    assert f"{MIXED}:" in done.stderr
    assert "not readable" in done.stderr
    assert polkit("collect", "-", "-q", stdin=done.stdout.encode(), policy=False).stdout == done.stdout
    assert polkit("collect", MIXED, "-q", policy=False).stderr == ""


def test_json_summary_holds_to_its_schema(polkit: Polkit, tmp_path: Path, repository: Path) -> None:
    schema = json.loads((repository / "docs" / "schemas" / "polkit.collection-1.schema.json").read_text())
    done = polkit("collect", MIXED, SERVING, "-o", "x", "--format", "json", policy=False)
    found = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema).validate(found)
    books = found["input"]
    assert books["denials"] == books["parsed"] + len(books["unparsed"]) + books["unlisted"] > 0
    aside = polkit("collect", MIXED, SERVING, "--format", "json", policy=False)
    assert json.loads(aside.stderr)["input"] == books


def test_what_exists_is_kept_unless_it_is_forced(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    done = polkit("collect", SERVING, "-o", "kept", policy=False)
    assert (done.returncode, (tmp_path / "kept").read_text()) == (2, "mine")
    assert "--force" in done.stderr
    assert polkit("collect", SERVING, "-o", "kept", "--force", policy=False).returncode == 0
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o666 & ~_mask()
    assert polkit("collect", SERVING, "-o", ".", "--force", policy=False).returncode == 2
    assert polkit("collect", SERVING, "-o", "/dev/null", "--force", policy=False).returncode == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["kept"]


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_directory_that_takes_no_file_is_an_error(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = polkit("collect", SERVING, "-o", "file/x", policy=False)
    assert done.returncode == 3
    assert "file/x: " in done.stderr


def test_times_are_for_logs_not_for_ledgers(polkit: Polkit, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"{avc()}\n{avc(serial=2).replace('1700000000', '1800000000')}\n")
    polkit("collect", log, "--since", "2024-01-01", "-o", "late", policy=False)
    assert plan(polkit, "late") == plan(polkit, log, "--since", "2024-01-01")
    assert plan(polkit, "late")["input"]["filtered"] == 1  # type: ignore[index]
    done = polkit("collect", "late", "--since", "2024-01-01", policy=False)
    assert done.returncode == 3
    assert "counts, not single times" in done.stderr


def test_a_damaged_ledger_is_named_with_its_line(polkit: Polkit, tmp_path: Path) -> None:
    polkit("collect", SERVING, "-o", "x", policy=False)
    whole = (tmp_path / "x").read_text().splitlines()
    (tmp_path / "x").write_text("\n".join(whole[:-1]))
    done = polkit("collect", "x", policy=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"x, line {len(whole) - 1}: the file ends early" in done.stderr
    with pytest.raises(SourceError):
        read_logs([str(tmp_path / "x")])


def test_a_file_name_that_is_no_text_survives(polkit: Polkit, tmp_path: Path) -> None:
    name = os.fsdecode(b"audit-\xff.log")
    (tmp_path / name).write_bytes(SERVING.read_bytes())
    assert polkit("collect", name, "-o", "x", policy=False).returncode == 0
    (source,) = read_logs([str(tmp_path / "x")]).partials.values()
    assert source.name == name
    assert polkit("collect", "x", "-o", "y", policy=False).returncode == 0
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_collecting_loads_no_policy_library(polkit: Polkit, tmp_path: Path) -> None:
    done = polkit("collect", SERVING, "-o", "x", policy=False, env={"PYTHONPROFILEIMPORTTIME": "1"})
    imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"setools", "selinux", "rich", "jinja2", "zstandard"}
