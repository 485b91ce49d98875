"""``generate --interactive`` in a real terminal: what a person sees, presses and gets."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.conftest import Polkit
from tests.records import avc

NFS = avc("read", "nfs_t")
HEAP = avc("execheap", "container_t", "process", levels=("s0:c1,c2", "s0:c1,c2"), serial=2)
MODELS = avc("read open", "default_t", fields='comm="loader" path="/models/a.bin"', serial=3)
MOUNT = ("--mount", "/srv/models:/models")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
WAITING = r"\r\n> $"
DONE = r"\r\n[0-9]+ decisions?: [0-9]+ chosen by you, [0-9]+ by the tool\. "


class Terminal:
    """The command at a terminal of its own; ``press`` waits until it waits for a key."""

    def __init__(self, child: Any) -> None:
        self.child = child
        self.shown = ""
        self._echoed = False

    def press(self, keys: str) -> str:
        """Press keys one after the other; what was shown before the last one."""
        for key in keys:
            self.question()
            self.child.send(key)
        return self.shown

    def question(self) -> str:
        """What is shown until it waits."""
        self.child.expect(WAITING)
        self.shown = STYLE.sub("", self.child.before)
        return self.shown

    def end(self) -> tuple[int, str]:
        """The exit code and what was shown last."""
        self.child.expect(pexpect.EOF)
        self._echoed = self.echoes
        self.child.close()
        code = self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus
        return code, STYLE.sub("", self.child.before)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell expects it."""
        if self.child.closed:
            return self._echoed
        return bool(termios.tcgetattr(self.child.child_fd)[3] & termios.ECHO)


Start = Callable[..., Terminal]


@pytest.fixture
def start(policy_root: Path, tmp_path: Path) -> Iterator[Start]:
    """``start(log, *arguments, size=(50, 80))``: ``generate --interactive`` in ``tmp_path`` on the text of a log."""
    children = []

    def run(
        log: str, *arguments: object, size: tuple[int, int] = (50, 80), env: dict[str, str] | None = None
    ) -> Terminal:
        (tmp_path / "log").write_bytes(log.encode("utf-8", "surrogateescape"))
        words = ["generate", "log", "-n", "vllm", "--policy", policy_root, "--interactive", *arguments]
        unset = ("COLUMNS", "LINES", "NO_COLOR")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "polkit", *map(str, words)],
            cwd=str(tmp_path),
            dimensions=size,
            encoding="utf-8",
            timeout=60,
            env={**environment, "TERM": "xterm-256color", **(env or {})},
        )
        children.append(child)
        return Terminal(child)

    yield run
    for child in children:
        child.close(force=True)


def plan_in(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "plan.json").read_text())


def chosen(directory: Path) -> dict[str, tuple[str, str]]:
    """By class and first permission: what was chosen and by whom."""
    decisions = plan_in(directory)["decisions"]
    return {f"{one['class']} {one['perms'][0]}": (one["chosen"], one["chosen_by"]) for one in decisions}


def test_choose_go_back_skip_stop_go_on_and_finish(start: Start, tmp_path: Path) -> None:
    terminal = start(NFS + HEAP + MODELS, *MOUNT)
    first = terminal.question()
    assert "Decision 1 of 3 (D1)" in first
    for told in ("container_t -> default_t:file { open read }", "comm loader", "path /models/a.bin", "2023-11-14"):
        assert told in first
    assert re.search(r"1  Label /srv/models as vllm_model_t.*\(the\s+tool's choice\)", first, re.DOTALL)
    assert re.search(r"Newly allows [0-9]+ accesses\s+to 1 domain", first)
    assert "2  Label /srv/models as container_ro_file_t" in first
    terminal.child.send("2")
    assert "Decision 2 of 3" in terminal.question()
    terminal.child.send("b")
    back = terminal.question()
    assert "Decision 1 of 3" in back
    assert "* 2  Label /srv/models as container_ro_file_t" in back
    terminal.child.send("s")  # it stays as chosen
    terminal.press("s")
    terminal.question()
    terminal.child.send("q")
    code, last = terminal.end()
    assert code == 1
    assert "vllm.choices.json" in last
    assert terminal.echoes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "vllm.choices.json"]

    terminal = start(NFS + HEAP + MODELS, *MOUNT)
    again = terminal.question()
    assert "Going on where you stopped: 2 of 3" in again
    assert "Decision 3 of 3" in again
    number = next(line.split()[0] for line in again.splitlines() if "container_use_nfs on; in the whole" in line)
    terminal.child.send(number)
    end = terminal.question()
    assert "3 decisions: 2 chosen by you, 1 by the tool" in end
    terminal.child.send("\r")
    code, last = terminal.end()
    assert code == 0, last
    assert chosen(tmp_path / "vllm") == {
        "file open": ("fcontext:container_ro_file_t", "person"),
        "process execheap": ("rule:vllm_t", "tool"),
        "file read": ("boolean:container_use_nfs=on", "person"),
    }
    assert "container_ro_file_t" in (tmp_path / "vllm" / "vllm.fc").read_text()
    te = (tmp_path / "vllm" / "vllm.te").read_text()
    assert "allow vllm_t self:process { execheap };" in te or "allow vllm_t self:process execheap;" in te
    assert "setsebool -P container_use_nfs=on" in last


def test_done_leaves_the_rest_to_the_tool(start: Start, tmp_path: Path) -> None:
    terminal = start(NFS + HEAP, "--extend", "-o", "out/deep")
    terminal.press("\r")
    terminal.question()
    terminal.child.send("d")
    code, last = terminal.end()
    assert code == 0, last
    assert "2 decisions: 1 chosen by you, 1 by the tool" in " ".join(last.split())
    assert sorted(who for _, who in chosen(tmp_path / "out" / "deep").values()) == ["person", "tool"]
    assert (tmp_path / "out" / "deep.choices.json").exists()


def test_the_same_choices_are_made_again_without_a_terminal(
    start: Start, polkit: Polkit, tmp_path: Path, policy_root: Path
) -> None:
    terminal = start(NFS + HEAP, "--choices", "mine.json")
    shown = [terminal.question()]
    keys = []
    for _ in range(2):
        keys.append(next(line.split()[0] for line in shown[-1].splitlines() if "Leave it refused" in line))
        terminal.child.send(keys[-1])
        shown.append(terminal.question())
    terminal.child.send("\r")
    assert terminal.end()[0] == 0
    done = polkit("generate", "log", "-n", "vllm", "-o", "again", "--choices", "mine.json")
    assert (done.returncode, done.stderr) == (0, "")
    for decision in plan_in(tmp_path / "again")["decisions"]:
        assert (decision["chosen"], decision["chosen_by"], decision["remedy"]["kind"]) == ("leave", "person", "none")
    assert not (tmp_path / "again" / "vllm.te").exists()
    assert "chosen by a person" in done.stdout


def test_choices_that_fit_no_more_are_said_and_count(start: Start, polkit: Polkit, tmp_path: Path) -> None:
    terminal = start(NFS)
    terminal.press("\r")
    terminal.question()
    terminal.child.send("q")
    terminal.end()
    path = tmp_path / "vllm.choices.json"
    found = json.loads(path.read_text())
    found["choices"][0]["cost"]["accesses"] = 7
    path.write_text(json.dumps(found))
    done = polkit("generate", "log", "-n", "vllm", "-o", "out", "--choices", path.name)
    assert done.returncode == 1
    assert "7 accesses" in " ".join(done.stdout.split())
    assert "1 choice out of date" in done.stdout
    assert chosen(tmp_path / "out") == {"file read": ("rule:vllm_t", "tool")}
    terminal = start(NFS)
    shown = " ".join(terminal.question().split())
    assert "Asked again: container_t -> nfs_t:file { read }" in shown
    assert "Decision 1 of 1" in shown
    assert json.loads((tmp_path / "vllm.choices.json.old").read_text()) == found


def test_beginning_anew_keeps_the_old_choices_aside(start: Start, tmp_path: Path) -> None:
    (tmp_path / "vllm.choices.json").write_text("not even JSON")
    terminal = start(NFS)
    code, last = terminal.end()
    assert code == 2
    assert "--restart" in last
    terminal = start(NFS, "--restart")
    assert "Going on" not in terminal.question()
    assert (tmp_path / "vllm.choices.json.old").read_text() == "not even JSON"


def test_ctrl_c_finishes_later(start: Start, tmp_path: Path) -> None:
    terminal = start(NFS + HEAP)
    terminal.press("1")
    terminal.question()
    terminal.child.sendintr()
    code, last = terminal.end()
    assert code == 130
    assert "Traceback" not in last
    assert "vllm.choices.json" in last
    assert terminal.echoes
    found = json.loads((tmp_path / "vllm.choices.json").read_text())
    assert [one["chosen_by"] for one in found["choices"]] == ["person"]
    assert not (tmp_path / "vllm").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_is_left_as_it_was(number: signal.Signals, start: Start) -> None:
    terminal = start(NFS)
    terminal.question()
    assert not terminal.echoes
    terminal.child.kill(number)
    code, _ = terminal.end()
    assert code == -number
    assert terminal.echoes


def test_suspended_and_gone_on_with(start: Start) -> None:
    """A shell sets the terminal as it likes it while the command is stopped."""
    terminal = start(NFS + HEAP)
    terminal.question()
    terminal.child.kill(signal.SIGSTOP)
    modes = termios.tcgetattr(terminal.child.child_fd)
    modes[3] |= termios.ECHO | termios.ICANON
    termios.tcsetattr(terminal.child.child_fd, termios.TCSANOW, modes)
    terminal.child.kill(signal.SIGCONT)
    assert "Decision 1 of 2" in terminal.question()
    assert not terminal.echoes
    terminal.child.send("1")
    assert "Decision 2 of 2" in terminal.question()


def test_other_keys_do_nothing_and_help_explains(start: Start) -> None:
    terminal = start(NFS + HEAP)
    terminal.question()
    for keys in ("x", "9", "\x1b[A", "\x1bOC", "\u00e9", "\x00", "\t"):
        terminal.child.send(keys)
        shown = terminal.question()
        assert "That key means nothing here." in shown, keys
        assert "Decision 1 of 2" in shown
    terminal.child.send("?")
    assert "finish later: nothing is written but your choices" in " ".join(terminal.question().split())
    terminal.child.send("v")
    more = " ".join(terminal.question().split())
    assert "asked: " in more
    assert "levels s0:c" in more
    terminal.child.send("V")
    assert "asked: " not in terminal.question()
    terminal.child.send("\x04")
    assert terminal.end()[0] == 1


@pytest.mark.parametrize("width", [20, 33, 60])
def test_a_narrow_terminal(width: int, start: Start) -> None:
    terminal = start(NFS + HEAP + MODELS, *MOUNT, size=(24, width))
    for _ in range(3):
        lines = terminal.question().splitlines()
        too_long = [line for line in lines if len(line) > width and "# " not in line and "loading" not in line]
        assert too_long == []
        terminal.child.send("s")


def test_another_size_is_another_screen(start: Start) -> None:
    terminal = start(NFS)
    terminal.question()
    terminal.child.setwinsize(24, 40)
    shown = terminal.question()
    assert "Decision 1 of 1" in shown
    assert max(len(line) for line in shown.splitlines() if "# " not in line) <= 40


HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "c1": "\x9b2J",
    "bidi": "\u202eevil",
    "carriage return": "safe\r> 1 done",
    "new line": "a\n> ",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_log_says_does_nothing_to_the_terminal(text: str, start: Start) -> None:
    encoded = text.encode().hex().upper()
    path = ("/models/" + text).encode().hex().upper()
    terminal = start(avc("read", "default_t", fields=f"comm={encoded} path={path}"), *MOUNT)
    terminal.child.expect(WAITING)
    terminal.child.send("v")
    terminal.child.expect(WAITING)
    shown = STYLE.sub("", terminal.child.before)
    assert "path /models/" in shown
    assert not [char for char in shown if ord(char) < 32 and char not in "\r\n"]
    assert not set(shown) & set("\x7f\x9b\u202e")
    assert "\r" not in shown.replace("\r\n", "")
    assert text not in shown


def test_colours_are_for_terminals_that_want_them(start: Start) -> None:
    terminal = start(NFS)
    terminal.child.expect(WAITING)
    assert "\x1b[36m" in terminal.child.before
    terminal = start(NFS, "--restart", env={"NO_COLOR": "1"})
    terminal.child.expect(WAITING)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", terminal.child.before)


def test_without_a_terminal_nobody_can_be_asked(polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(NFS)
    done = polkit("generate", "log", "--interactive")
    assert done.returncode == 2
    assert "terminal" in done.stderr
    assert "--choices" in done.stderr
    done = polkit("generate", "-", "--interactive", stdin=NFS.encode())
    assert done.returncode == 2
    assert "standard input" in done.stderr
    assert polkit("generate", "log", "--restart").returncode == 2
    assert polkit("generate", "log", "--choices", "nowhere.json").returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_no_denials_ask_nothing(start: Start, tmp_path: Path) -> None:
    code, last = start("nothing to see\n").end()
    assert code == 0
    assert "0 denials" in last
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_file_that_cannot_be_written_is_named_before_the_next_question(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    terminal = start(NFS, "--choices", "file/choices.json")
    terminal.press("1")
    code, last = terminal.end()
    assert code == 3
    assert "file/choices.json" in last
    assert terminal.echoes


def test_json_goes_to_a_pipe_while_a_person_is_asked(policy_root: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(NFS)
    words = f"generate log -n vllm --policy {policy_root} --extend --interactive --format json"
    line = f"{sys.executable} -m polkit {words} > plan"
    child = pexpect.spawn("sh", ["-c", line], cwd=str(tmp_path), encoding="utf-8", timeout=60)
    child.expect(WAITING)
    child.send("d")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert json.loads((tmp_path / "plan").read_text())["decisions"][0]["chosen_by"] == "tool"
