"""wrong-domain: the process runs where it should not, so what it is refused says nothing about what it needs.

Its executable carries the wrong label, or the program that starts it does; a rule would only make the mistake last.
"""

from __future__ import annotations

import shlex
from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import Remedy

_STARTERS = frozenset({"init_t", "initrc_t"})
_CATCH_ALL = frozenset({"init_t", "initrc_t", "kernel_t", "unconfined_service_t", "unlabeled_t"})
_STARTING = frozenset({"execute", "execute_no_trans", "entrypoint"})
_FEW = 8
"""A file type that is the entry point of more domains than this (``bin_t``, ``shell_exec_t``) says nothing."""

_SERVERS = {"kubelet.sock": "kubelet", "crio.sock": "cri-o", "podman.sock": "podman", "docker.sock": "docker"}


def examine(question: Question) -> Optional[Finding]:
    """A source without a domain of its own, an entry point into the wrong domain, a server in a catch-all domain."""
    if question.verdict is None:
        return None
    return _no_domain(question) or _entry(question) or _server(question)


def _no_domain(question: Question) -> Optional[Finding]:
    source = question.source
    program = _program(question)
    if source in ("kernel_t", "unlabeled_t"):
        text = (
            f"Relabel the executable of {program} and of what starts it (restorecon), then restart it; "
            "a program started before the policy was loaded needs a reboot."
        )
        why = f"{program} runs in {source}, where only kernel threads belong; it was never moved to its own domain."
        return _finding(question, text, why)
    known = question.policy.info is not None and question.policy.types("domain")
    if known and not question.policy.is_domain(source):
        text = f"Read the log against the policy of the host it comes from: here {source} is no domain."
        why = f"{program} runs in {source}, which the target policy has as a type of objects, not of processes."
        return _finding(question, text, why, (f"is {source} a domain? no",))
    return None


def _entry(question: Question) -> Optional[Finding]:
    if question.key.tclass != "file" or question.access.perm not in _STARTING:
        return None
    target = question.target
    domains = question.policy.entrypoint_domains(target)
    if question.access.perm == "entrypoint" and 0 < len(domains) <= _FEW and not question.from_container:
        listed = ", ".join(sorted(domains)[:4])
        text = (
            f"Relabel what starts it: {target} is the entry point of {listed}, so the caller's own executable "
            f"(the one that leads to {question.source}) carries the wrong label."
        )
        why = f"A file labelled {target} was to start a process in {question.source}, which it is no entry point of."
        return _finding(question, text, why, (f"entry point domains of {target}? {listed}",))
    if question.source in _STARTERS and question.access.perm != "entrypoint" and not domains:
        text = (
            "Relabel the executable: put it where file_contexts knows it and run restorecon, or give it an fcontext "
            "entry with the service's own *_exec_t type."
        )
        why = f"{question.source} was to start a program labelled {target}, which is no executable of any service."
        return _finding(question, text, why, (f"entry point domains of {target}? none",))
    return None


def _server(question: Question) -> Optional[Finding]:
    """The process at the other end of a socket runs in a domain that is not its own."""
    if question.access.perm != "connectto" or question.key.tclass != "unix_stream_socket":
        return None
    names = [path.rsplit("/", 1)[-1] for path in question.evidence.paths]
    server = next((_SERVERS[name] for name in names if name in _SERVERS), None)
    runtime = question.policy.shared_because(question.target) is not None or "container" in question.target
    if question.target in _CATCH_ALL or (server == "kubelet" and runtime):
        who = server or "the server"
        text = f"Fix the server first: relabel the executable of {who} (restorecon) and restart it."
        why = f"The server at the other end, {who}, runs in {question.target}, which is not a domain of its own."
        return _finding(question, text, why)
    return None


def _program(question: Question) -> str:
    names = question.evidence.exes or question.evidence.comms
    return names[0] if names else "the process"


def _finding(question: Question, text: str, why: str, asked: tuple[str, ...] = ()) -> Finding:
    places = [place.path for place in question.host_paths()] if question.access.perm in _STARTING else []
    executables = places or [exe for exe in question.evidence.exes if exe.startswith("/")]
    if question.from_container or question.access.perm == "connectto":
        executables = places
    commands = tuple(f"restorecon -v {shlex.quote(path)}" for path in executables[:8])
    return Finding("wrong-domain", Remedy("domain", text, commands, hint=text), why, "final", asked=asked)
