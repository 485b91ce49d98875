"""What a module's README states as facts, made of its plan, its proof, its scenarios and what the kernel said of them.

``python modules/facts.py modules/NAME BUILT`` prints the README with what stands between its marks made anew. BUILT is
the directory that ``generate`` and ``prove`` wrote. ``script/modules`` calls it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from polkit.rehearse import Scenario, read_scenario

BEGIN = "<!-- facts: begin; made by script/modules, do not edit -->"
END = "<!-- facts: end -->"
_WORDS = (
    ("look at", {"getattr", "search"}),
    ("read", {"read"}),
    ("map", {"map"}),
    ("run code from", {"execute", "execute_no_trans", "entrypoint"}),
    ("write", {"write", "append", "setattr"}),
    ("create", {"create", "add_name"}),
    ("rename", {"rename"}),
    ("remove", {"unlink", "rmdir", "remove_name"}),
    ("send commands to", {"ioctl"}),
    ("connect to", {"connectto"}),
)
"""A permission in plain words, in the order in which they are said."""
_UNSAID = {"lock", "open"}
_CLASSES = {"chr_file": "device nodes", "dir": "directories", "file": "files", "sock_file": "sockets' files"}
_AVC = re.compile(
    r"\{ (?P<perms>[^}]*) \}.* scontext=\S+?:\S+?:(?P<source>[^:\s]+)\S* tcontext=\S+?:\S+?:(?P<target>[^:\s]+)\S* "
    r"tclass=(?P<tclass>\S+)"
)


def facts(module: Path, built: Path) -> str:
    """The facts as Markdown."""
    plan, proof = _json(built / "plan.json"), _json(built / "proof.json")
    serving = read_scenario(module / "scenario.toml")
    parts = (
        _grants(plan),
        _labels(plan),
        _left(plan),
        _inherited(plan, proof),
        _unmeasured(plan, serving),
        _served(serving, _json(module / "evidence/serving.json")),
        _refused(_json(module / "evidence/attacks.json")),
        _proof(plan, proof),
    )
    told = (tuple(part) for part in parts)
    return "\n".join(line for part in told if part for line in (*part, ""))


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _remedies(plan: Any) -> Iterator[Any]:
    for decision in plan["decisions"]:
        yield from _all_of(decision)


def _all_of(decision: Any) -> tuple[Any, ...]:
    return (decision["remedy"], *decision["also_remedies"])


def _grants(plan: Any) -> Iterator[str]:
    domain, labels = plan["domain"]["name"], _places(plan)
    found: dict[tuple[str, str], set[str]] = {}
    for remedy in _remedies(plan):
        for rule in remedy.get("rules", ()):
            if rule["kind"] == "allow":
                found.setdefault((rule["target"], rule["class"]), set()).update(rule["perms"])
    yield "### What it grants"
    yield ""
    yield f"To `{domain}`, beyond what it inherits, and to nobody else:"
    yield ""
    yield "| on | may | as SELinux says it |"
    yield "|---|---|---|"
    for (target, tclass), perms in sorted(found.items()):
        where = f" ({labels[target]})" if target in labels else ""
        rule = f"{tclass} {{ {' '.join(sorted(perms))} }}"
        yield f"| `{target}` {_CLASSES.get(tclass, tclass)}{where} | {_in_words(perms)} | `{rule}` |"


def _in_words(perms: set[str]) -> str:
    known = set().union(*(words for _, words in _WORDS))
    said = [word for word, words in _WORDS if words & perms and not (word == "look at" and "read" in perms)]
    return ", ".join((*said, *sorted(perms - known - _UNSAID)))


def _places(plan: Any) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for remedy in _remedies(plan):
        for context in remedy.get("contexts", ()):
            path = f"`{context['pattern'].removesuffix('(/.*)?')}`"
            if path not in found.setdefault(context["type"], []):
                found[context["type"]].append(path)
    return {type_: ", ".join(sorted(paths)) for type_, paths in found.items()}


def _labels(plan: Any) -> Iterator[str]:
    labels = _places(plan)
    if labels:
        yield "### Labels it defines"
        yield ""
        yield "| path on the host, with what lies below | type |"
        yield "|---|---|"
        yield from (f"| {path} | `{type_}` |" for type_, path in sorted(labels.items(), key=lambda one: one[1]))


def _left(plan: Any) -> Iterator[str]:
    left = [one for one in plan["decisions"] if not any(remedy.get("rules") for remedy in _all_of(one))]
    if left:
        yield "### What it leaves to you"
        yield ""
        for one in left:
            access = f"`{one['target']}:{one['class']} {{ {' '.join(one['perms'])} }}`"
            yield f"- {access} ({one['cause']}): {one['why']} {one['remedy']['text']}"


def _inherited(plan: Any, proof: Any) -> Iterator[str]:
    module = plan["module"]
    yield "### What it inherits"
    yield ""
    yield (
        f"`{module['domain']}` may do what `{module['base']}` may do on the policy it was built for, as any container "
        f"there: {proof['inherited']['accesses']} accesses, copied for that policy into the `.te`."
    )
    if proof["structural"]:
        yield (
            f"The types it defines take part in {proof['structural']} accesses that the policy gives on every type of "
            "their kind (to administrators, to backup)."
        )


def _unmeasured(plan: Any, serving: Scenario) -> Iterator[str]:
    commands = [one for decision in plan["decisions"] for one in decision["device_commands"] if not one["measured"]]
    nodes = [f"`{thing.path}`" for thing in serving.things if thing.stand_in]
    yield "### What was not measured"
    yield ""
    if not nodes:
        yield "No node in the scenario stands in for another driver's, and the rules hold no command to a device."
        return
    yield (
        f"These nodes stood on `/dev/zero`: {', '.join(nodes)}. SELinux asked for what it would ask for with a driver; "
        "no driver answered. So of these commands it is known that the kernel let them through with the module, and "
        "not that your driver's libraries send these and no others:"
    )
    yield ""
    by_driver: dict[str, list[str]] = {}
    for one in commands:
        by_driver.setdefault("/".join(one["drivers"]), []).append(
            f"`{one['xperm']}` {' or '.join(one['names'])}".rstrip()
        )
    yield "| driver | commands |"
    yield "|---|---|"
    yield from (f"| {driver} | {', '.join(named)} |" for driver, named in sorted(by_driver.items()))


def _served(serving: Scenario, result: Any) -> Iterator[str]:
    pairs = {(step["operation"], step["object"]) for step in result["steps"]}
    allowed = sum(step["got"] == "allowed" for step in result["steps"])
    yield "### What worked with it, enforced"
    yield ""
    yield (
        f"{allowed} of {len(result['steps'])} steps ({len(pairs)} distinct operations on objects) were allowed, with "
        f"{result['denials']} denials in the log. Commands to devices left out:"
    )
    yield ""
    yield "| step | what | why |"
    yield "|---|---|---|"
    for step in result["steps"]:
        if step["operation"] != "ioctl":
            yield f"| {step['name']} | {step['operation']} `{step['object']}` | {step['why']} |"
    root = serving.workload.root
    if root is not None:
        binds = ", ".join(f"`{host}` as `{inside}`" for host, inside, _ in serving.workload.binds)
        yield ""
        yield f"It ran in a root of its own, with {binds}."


def _refused(result: Any) -> Iterator[str]:
    refused = sum(step["got"] == "denied" for step in result["steps"])
    yield "### What was refused with it, enforced"
    yield ""
    yield (
        f"{refused} of {len(result['steps'])} attacks, by root with every capability and outside every namespace; with "
        "SELinux permissive all of them succeeded. What refused them is the first denial that the kernel logged:"
    )
    yield ""
    yield "| attack | what | why | refused by |"
    yield "|---|---|---|---|"
    for step in result["steps"]:
        yield f"| {step['name']} | {step['operation']} `{step['object']}` | {step['why']} | {_denial(step['avc'])} |"


def _denial(records: Iterable[str]) -> str:
    for record in records:
        found = _AVC.search(record)
        if found is not None:
            same = found["target"] == found["source"]
            return f"`{'self' if same else found['target']}:{found['tclass']} {{ {found['perms']} }}`"
    return ""


def _proof(plan: Any, proof: Any) -> Iterator[str]:
    yield "### What is proven"
    yield ""
    yield (
        f"Against the policy with SHA-256 `{proof['policy']['sha256']}`, built from its module store with and without "
        f"the module ([proof.json](proof.json)); evidence: {proof['input']['denials']} denials, "
        f"{proof['input']['distinct']} distinct, in {len(plan['decisions'])} decisions."
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    words = {True: "yes", False: "no", None: "unknown"}
    for name, meaning in (
        ("covered", "everything that the evidence needs is allowed"),
        ("minimal", "no permission could be left out"),
        ("contained", "nothing else changed in the policy, and nothing was lost"),
        ("safe", "no neverallow rule, type bounds or gate of `polkit.toml` is broken"),
    ):
        yield f"| {name}: {meaning} | {words[proof[name]]} |"
    yield f"| completeness | {_percent(proof['completeness'])} of {proof['needed']} accesses |"
    yield f"| over-permission | {proof['over_permission']} of {proof['granted']} accesses newly allowed |"
    yield f"| taken along with a label, since the old label kept them out of the log | {proof['dontaudited']} |"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def main(module: Path, built: Path) -> str:
    """The README with its facts made anew. SystemExit where it has no marks."""
    text = (module / "README.md").read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{module}/README.md: the marks of the facts are missing: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{facts(module, built)}\n{END}{after}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python modules/facts.py modules/NAME BUILT")
    sys.stdout.write(main(Path(sys.argv[1]), Path(sys.argv[2])))
