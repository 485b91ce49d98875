"""What counts as denied: a refusal with a record of its own, and nothing else."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from polkit.rehearse import Judged, Step, judge, read_log

AVC = (
    'type=AVC msg=audit(1.000:{serial}): avc:  {said}  {{ read }} for  pid={pid} comm="one" name="x" '
    "scontext=system_u:system_r:container_t:s0 tcontext=system_u:object_r:shadow_t:s0 tclass=file "
    "permissive={permissive}"
)
CALL = "type=SYSCALL msg=audit(1.000:{serial}): syscall=257 success=no exit=-13 ppid=1 pid={pid} auid={user}"
BEGUN, DONE, FAILED, EXECUTING = 1, 2, 3, 4


def record(serial: int, user: Optional[int] = None, pid: int = 80, permissive: int = 0, said: str = "denied") -> str:
    text = AVC.format(serial=serial, pid=pid, permissive=permissive, said=said)
    return text if user is None else text + "\n" + CALL.format(serial=serial, pid=pid, user=user)


def result(state: int, errno: str = "", status: int = 0, **more: Any) -> dict[str, Any]:
    told = {"name": "one", "pid": 80, "user": 100000, "state": state, "errno": errno, "status": status, "late": False}
    return {**told, "detail": "", "output": "", "seconds": 0.1, **more}


def judged(got: dict[str, Any], log: str, operation: str = "read", expect: str = "denied") -> Judged:
    step = Step("one", operation, {"path": "/etc/shadow", "command": 1}, expect, "why")
    (found,) = judge([(step, "container_t")], [got], read_log(log))
    return found


def test_a_refusal_with_its_own_record_is_denied() -> None:
    found = judged(result(FAILED, "EACCES"), record(5, 100000))
    assert (found.got, found.ok) == ("denied", True)
    assert found.avc == (record(5),)


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("", "no record at all: the mode of the file"),
        (record(5, 100001, pid=81), "another step's"),
        (record(5, 4294967295, pid=81), "nobody's"),
        (record(5, 100000, permissive=1), "logged, not refused"),
        (record(5, 100000, said="granted"), "an auditallow rule's"),
    ],
)
def test_a_refusal_without_a_record_of_its_own_is_an_error(log: str, why: str) -> None:
    assert judged(result(FAILED, "EACCES"), log).got == "error", why


def test_a_missing_file_is_an_error_whatever_the_log_says() -> None:
    assert judged(result(FAILED, "ENOENT"), record(5, 100000)).got == "error"


def test_a_record_without_a_system_call_is_its_process() -> None:
    assert judged(result(FAILED, "EPERM"), record(5, pid=80)).got == "denied"
    assert judged(result(FAILED, "EPERM"), record(5, pid=81)).got == "error"


def test_a_childs_record_is_the_steps() -> None:
    assert judged(result(EXECUTING, status=1), record(5, 100000, pid=99), "program").got == "denied"


def test_what_a_missing_driver_answers_was_let_through() -> None:
    assert judged(result(FAILED, "ENOTTY"), "", "ioctl", "allowed").ok
    assert judged(result(FAILED, "ENOTTY"), "", "read", "allowed").got == "error"


def test_a_program_must_end_well_and_an_execution_must_begin() -> None:
    assert judged(result(EXECUTING, status=3), "", "program").got == "error"
    assert judged(result(EXECUTING, status=3), "", "exec").got == "allowed"
    assert judged(result(EXECUTING, status=0), record(5, 100000), "program").got == "allowed"
    assert judged(result(EXECUTING, status=-9), record(5, 100000), "exec").got == "denied"


def test_what_never_ends_is_killed_by_the_machine_and_not_by_selinux() -> None:
    late = judged(result(EXECUTING, status=-9, late=True), "", "program")
    assert (late.got, late.detail) == ("error", "it did not end in time: ")
    assert judged(result(EXECUTING, status=-9, late=True), "", "exec").got == "allowed", "how it ends does not matter"
    waiting = judged(result(BEGUN, status=-9, late=True), "", "connect")
    assert (waiting.got, waiting.detail) == ("error", "it did not end in time while it did this")


def test_steps_that_were_never_reached_are_errors() -> None:
    steps = [(Step(name, "read", {"path": "/x"}, "allowed", ""), "t") for name in ("one", "two")]
    first, second = judge(steps, [result(FAILED, "EACCES")], read_log(record(1, 100000)))
    assert (first.got, second.got, second.detail) == ("denied", "error", "not reached: it stopped at one")


def test_a_selinux_err_is_a_denial() -> None:
    line = (
        "type=SELINUX_ERR msg=audit(1.000:7): op=security_compute_sid invalid_context=a:b:c "
        "scontext=a:b:c tcontext=a:b:d tclass=process"
    )
    log = line + "\n" + CALL.format(serial=7, pid=80, user=100000)
    assert judged(result(FAILED, "EACCES"), log).got == "denied"


def test_a_serial_that_is_missing_is_a_gap() -> None:
    assert read_log("\n".join([record(5, 100000), record(6, 100000), record(7, 100000)])).gaps == 0
    assert read_log("\n".join([record(5, 100000), record(7, 100000), record(9, 100000)])).gaps == 2
    assert read_log("").gaps == 0
