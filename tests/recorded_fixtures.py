"""The logs of ``fixtures/avc/kernel`` and how each was recorded; ``script/record-fixtures`` runs this.

A recording differs from the last one in times, process numbers and inodes; what it says is its set of denials. A log
whose set is the same is left alone, so that recording on an unchanged tree changes nothing. No record is ever edited.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
KERNEL_LOGS = REPOSITORY / "fixtures" / "avc" / "kernel"
CLOCK = "1767225600"
"""Where every machine's clock starts: the 1st of January 2026, so that two recordings differ in less."""
AUSEARCH_KNOWN = "3.0.9"
_SCENARIOS = "fixtures/scenarios"
_STRICT = ("--module", f"{_SCENARIOS}/vllm_strict.cil", "--as", "vllm_strict_t")


@dataclass(frozen=True)
class Recording:
    """One log: the scenario it is of, how ``polkit rehearse`` runs it, and whether its expectations hold in that."""

    name: str
    scenario: str
    options: tuple[str, ...]
    expected: bool = True

    @property
    def command(self) -> str:
        """As the README of the fixtures names it."""
        return " ".join(("polkit rehearse", *self.arguments))

    @property
    def arguments(self) -> tuple[str, ...]:
        return (f"{_SCENARIOS}/{self.scenario}.toml", *self.options)

    @property
    def file(self) -> str:
        """Which of the files that ``rehearse -o`` writes is the log."""
        return "dmesg" if "kernel" in self.options else "audit.log"


SERVING = "vllm-serving.audit.log"
INTERPRETED = "vllm-serving.ausearch-i.log"
RECORDINGS = (
    Recording(SERVING, "recording-serving", ("--learn",)),
    Recording("vllm-permissive.audit.log", "recording", ("--permissive",)),
    Recording("vllm-enforcing.enriched.log", "recording", ("--log", "enriched")),
    Recording("vllm-enforcing.dmesg.log", "recording", ("--log", "kernel")),
    Recording("vllm-strict.audit.log", "recording", ("--permissive", *_STRICT)),
    # Whoever may do nothing gets nothing of what the scenario expects for container_t.
    Recording("vllm-strict-enforcing.audit.log", "recording", _STRICT, expected=False),
)
NAMES = (*(one.name for one in RECORDINGS), INTERPRETED)

_DENIED = re.compile(r"avc:  denied|(?:type=(?:SELINUX_ERR|1401) )")
_VARIES = re.compile(
    r"audit\([^)]*\): |\b(?:pid|ino|opid)=\d+|(?<=[a-z]:\[)\d+(?=\])|\b[lf]port=(?:32[7-9]|3[3-9]\d|[4-6]\d\d)\d\d\b"
)
"""The last: ports that the kernel chooses (``ip_local_port_range``)."""
_HEAD = re.compile(r"^\[ *\d+\.\d+\] audit: |\btype=(?:AVC|SELINUX_ERR|1400|1401) (?:msg=)?")


def denials(log: str) -> frozenset[str]:
    """Every denial but for what differs from boot to boot: times, serials, process and inode numbers."""
    lines = (line.partition("\x1d")[0] for line in log.split("\n") if _DENIED.search(line))
    return frozenset(_VARIES.sub("", _HEAD.sub("", line)) for line in lines)


def record(recording: Recording, place: Path, policy_root: str) -> str:
    """Boot the machine; the log. SystemExit where it is not whole, or a step got neither permission nor refusal."""
    command = [sys.executable, "-m", "polkit", "rehearse", *recording.arguments]
    command += ["--policy-root", policy_root, "-o", str(place), "--force", "--format", "json", "--timeout", "1200"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": CLOCK, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment)
    if done.returncode not in (0, 1):
        sys.exit(f"{recording.name}: {done.stderr.strip() or done.stdout.strip()}")
    told = json.loads(done.stdout)
    wrong = [
        f"{step['name']}: {step['got']} {step['detail']}"
        for step in told["steps"]
        if step["got"] == "error" or (recording.expected and not step["ok"])
    ]
    wrong += [f"{told[what]} denials {what}" for what in ("lost", "elsewhere") if told[what]]
    if wrong:
        sys.exit(f"{recording.name}: not as the scenario says:\n  " + "\n  ".join(wrong))
    # As bytes: what a machine wrote may hold any.
    return (place / recording.file).read_bytes().decode("utf-8", "surrogateescape")


def interpreted(log: Path) -> str:
    """The log as ``ausearch -i`` shows it; SystemExit without one."""
    ausearch = os.environ.get("AUSEARCH", "ausearch")
    environment = {"TZ": "UTC", "LC_ALL": "C", "PATH": os.environ["PATH"]}
    if os.environ.get("AUSEARCH_LIBRARIES"):
        environment["LD_LIBRARY_PATH"] = os.environ["AUSEARCH_LIBRARIES"]
    try:
        done = subprocess.run([ausearch, "-i", "-if", str(log)], capture_output=True, check=False, env=environment)
    except OSError as error:
        sys.exit(f"{INTERPRETED}: no ausearch ({error.strerror}): install auditd, or run script/record-fixtures")
    if done.returncode != 0:
        sys.exit(f"{INTERPRETED}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode("utf-8", "surrogateescape")


def difference(before: frozenset[str], after: frozenset[str]) -> list[str]:
    """What is gone and what is new, a line each."""
    return [f"  - {line}" for line in sorted(before - after)] + [f"  + {line}" for line in sorted(after - before)]


def _committed(name: str) -> str:
    path = KERNEL_LOGS / name
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


def _write(name: str, text: str) -> None:
    unfinished = KERNEL_LOGS / f".{name}.tmp"
    unfinished.write_bytes(text.encode("utf-8", "surrogateescape"))
    unfinished.replace(KERNEL_LOGS / name)


def _recorded(recording: Recording, asked: argparse.Namespace) -> bool:
    """Record one log and say what changed in it; whether something did."""
    with tempfile.TemporaryDirectory() as place:
        new = record(recording, Path(place), os.environ["POLKIT_POLICY_ROOT"])
    old = _committed(recording.name)
    changed = difference(denials(old), denials(new))
    print(f"{recording.name}: {len(denials(new))} distinct denials, {len(changed)} lines changed", flush=True)
    for line in changed:
        print(line)
    if not asked.check and (changed or asked.force):
        _write(recording.name, new)
    return bool(changed)


def _interpreted(asked: argparse.Namespace) -> bool:
    new = interpreted(KERNEL_LOGS / SERVING)
    changed = new != _committed(INTERPRETED)
    print(f"{INTERPRETED}: {'differs' if changed else 'the same'}", flush=True)
    if changed and not asked.check:
        _write(INTERPRETED, new)
    return changed


def main() -> int:
    """0, or 1 where ``--check`` finds another set of denials than the committed one."""
    parser = argparse.ArgumentParser(prog="script/record-fixtures", description="Record fixtures/avc/kernel anew.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all of them, or some of: {', '.join(NAMES)}")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a set of denials differs")
    parser.add_argument("--force", action="store_true", help="write also what says the same")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no {unknown[0]}")
    wanted = asked.names or NAMES
    changed = [_recorded(one, asked) for one in RECORDINGS if one.name in wanted]
    changed += [_interpreted(asked)] if INTERPRETED in wanted else []
    return int(asked.check and any(changed))


if __name__ == "__main__":
    sys.exit(main())
