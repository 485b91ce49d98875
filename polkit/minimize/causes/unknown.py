"""unknown-type, unknown-class, unknown-permission: a name the target policy does not have."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import FILE_CLASSES, Finding, Question
from polkit.model import Remedy


def examine_type(question: Question) -> Optional[Finding]:
    """A source or target type that the policy lacks; for a path, what file_contexts would call it."""
    names = (question.key.source.type, question.key.target.type)
    unknown = tuple(dict.fromkeys(name for name in names if question.policy.type_name(name) is None))
    if not unknown:
        return None
    parts = [_nearest_text(question, "type", name) for name in unknown]
    asked = [f"is {name} a type? no" for name in unknown]
    labels = _expected_labels(question) if question.key.target.type in unknown else ()
    commands: list[str] = []
    for path, label in labels:
        parts.append(f"the policy's file contexts put {path} at {label}")
        asked.append(f"file_contexts {path}? {label}")
    if labels:
        parts.append("relabel it on the host where the log is from, if that host's policy is this one")
    nearest = tuple(near for name in unknown for near in question.policy.nearest("type", name))
    nearest = tuple(dict.fromkeys((*(label for _, label in labels), *nearest)))
    text = f"No rule can name {' or '.join(unknown)}: " + "; ".join(parts) + "."
    why = (
        f"The target policy has no type {' nor '.join(unknown)}, so the log comes from a host with another policy, "
        "or the type was made by a module that is not installed here."
    )
    remedy = Remedy("none", text, commands=tuple(commands), nearest=nearest, type=labels[0][1] if labels else None)
    return Finding("unknown-type", remedy, why, reason="final", asked=tuple(asked))


def examine_class(question: Question) -> Optional[Finding]:
    """An object class that the policy lacks."""
    tclass = question.key.tclass
    if question.policy.has_class(tclass):
        return None
    text = f"No rule can name the class {tclass}: {_nearest_text(question, 'class', tclass)}."
    why = f"The target policy does not define the class {tclass}{_unknown_handling(question)}."
    remedy = Remedy("none", text, nearest=question.policy.nearest("class", tclass))
    return Finding("unknown-class", remedy, why, reason="final", asked=(f"is {tclass} a class? no",))


def examine_permission(question: Question) -> Optional[Finding]:
    """A permission that the policy's class lacks."""
    tclass, perm = question.key.tclass, question.access.perm
    if not question.policy.has_class(tclass) or perm in question.policy.permissions(tclass):
        return None
    nearest = question.policy.nearest("permission", perm, tclass)
    known = ", ".join(nearest) or "none is like it"
    text = f"No rule can name {tclass} {perm}: the nearest permissions of {tclass} are {known}."
    why = f"The target policy's class {tclass} has no permission {perm}{_unknown_handling(question)}."
    remedy = Remedy("none", text, nearest=nearest)
    return Finding("unknown-permission", remedy, why, reason="final", asked=(f"has {tclass} a permission {perm}? no",))


def _nearest_text(question: Question, kind: str, name: str) -> str:
    nearest = question.policy.nearest(kind, name)
    return f"nearest to {name}: {', '.join(nearest)}" if nearest else f"nothing in the policy is like {name}"


def _unknown_handling(question: Question) -> str:
    info = question.policy.info
    if info is not None and info.handle_unknown == "allow":
        return "; a kernel with this policy allows what the policy does not know, so it would not refuse this"
    return ""


def _expected_labels(question: Question) -> tuple[tuple[str, str], ...]:
    """What file_contexts says of the observed paths that are known on the host: (path, type) pairs, at most eight."""
    if question.key.tclass not in FILE_CLASSES:
        return ()
    found = []
    for place in question.host_paths():
        label = question.policy.file_label(place.path, question.key.tclass)
        if label is not None:
            found.append((place.path, label.type))
    return tuple(dict.fromkeys(found))[:8]
