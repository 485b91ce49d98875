"""Types that only mean "nobody labelled this": an allow rule on them opens far more than what was meant.

Sources: reference policy's files.te (``default_t``: nothing in file_contexts matches; ``unlabeled_t``: the object's
label is invalid or absent) and the answers that volume denials get in the threads of ``fixtures/avc``.
"""

from __future__ import annotations

from polkit.policy import TargetPolicy, assess

_NOBODY = {
    "default_t": "nothing in file_contexts matches the path",
    "unlabeled_t": "the file has no label, or one that the policy does not know",
    "file_t": "the file has no label",
}
_NOT_FOR_CONTAINERS = {
    "root_t": "the label of the root directory",
    "home_root_t": "the label of /home",
    "user_home_dir_t": "the label of a home directory",
    "user_home_t": "the label of whatever lies in a home directory",
    "admin_home_t": "the label of whatever lies in root's home",
    "mnt_t": "the label of a mount point",
    "var_t": "the label of whatever lies in /var or /srv",
    "var_lib_t": "the label of whatever lies in /var/lib",
    "var_run_t": "the label of whatever lies in /run",
    "tmp_t": "the label of the host's /tmp",
    "user_tmp_t": "the label of a user's temporary files",
}
_HOME_ATTRIBUTES = ("user_home_content_type", "user_home_type")
_DAEMON_ATTRIBUTES = ("daemon", "initrc_transition_domain")
_HOME_TYPES = frozenset({"user_home_t", "user_home_dir_t", "home_root_t", "admin_home_t"})


def why_generic(policy: TargetPolicy, source: str, target: str, tclass: str) -> str:
    """What the target type means where it only means "nobody labelled this" to this source; else the empty text."""
    if target in _NOBODY:
        return _NOBODY[target]
    if target == "device_t" and tclass in ("chr_file", "blk_file"):
        return "the label of a device node that no rule of file_contexts was applied to"
    if policy.is_container_domain(source):
        if target in _NOT_FOR_CONTAINERS:
            return _NOT_FOR_CONTAINERS[target]
        if _has_any(policy, target, _HOME_ATTRIBUTES) and not _has_a_meaning(policy, source, target, tclass):
            return "the label of whatever lies in a home directory"
    elif target in _HOME_TYPES and _has_any(policy, source, _DAEMON_ATTRIBUTES):
        return "the label of a home directory; a file moved (not copied) from there keeps it"
    return ""


def _has_a_meaning(policy: TargetPolicy, source: str, target: str, tclass: str) -> bool:
    """Types in home directories that say what the file is: an engine's own, or keys that the catalogue refuses."""
    risk = assess(source, target, tclass, "read", policy)
    return target.startswith("container_") or (risk is not None and risk.refuse)


def _has_any(policy: TargetPolicy, type_: str, attributes: tuple[str, ...]) -> bool:
    return not policy.attributes(type_).isdisjoint(attributes)
