"""Writes ``.if``: interfaces in the reference policy's form, by which other modules use this one's types.

An interface gives its caller what a type of this module is for, not what this module's own domain was seen to do: who
fills a model directory writes where the workload reads. Permissions are spelt out, as the sets of
``support/obj_perm_sets.spt`` differ between distributions. Source of the form: the reference policy's
``doc/policy.dtd`` (``summary``, ``param``) and ``support/loadable_module.spt`` (``interface``, ``gen_require``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polkit.model import AvRule, ModuleSource, TypeDeclaration
from polkit.module.names import check_source

_CHANGING = frozenset(
    ("add_name", "append", "create", "link", "remove_name", "rename", "reparent", "rmdir", "setattr", "unlink", "write")
)
_READ = (
    ("dir", "getattr ioctl lock open read search"),
    ("file", "getattr ioctl lock map open read"),
    ("lnk_file", "getattr read"),
)
_MANAGE = (
    (
        "dir",
        "add_name create getattr ioctl lock open read remove_name rename reparent rmdir search setattr write",
    ),
    ("file", "append create getattr ioctl link lock map open read rename setattr unlink write"),
    ("lnk_file", "create getattr link read rename setattr unlink write"),
    ("sock_file", "create getattr link read rename setattr unlink write"),
)
_RELABEL = (("dir", "getattr relabelfrom relabelto search"), ("file", "getattr relabelfrom relabelto"))
_DEVICE = (("chr_file", "append getattr ioctl lock map open read write"),)
_BAR = "#" * 40
_NOT_IN_A_WORD = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class _Interface:
    """``rules`` are (source, target, class, permissions); ``$1`` is the caller."""

    name: str
    summary: str
    types: tuple[str, ...]
    rules: tuple[tuple[str, str, str, str], ...]


def render_if(source: ModuleSource) -> str:
    """The text of ``NAME.if``; a summary alone where the module has no type of its own.

    Of its domain: to start it, to signal it, to connect to it by a unix socket; of its files: to read, manage and
    relabel them, what the module only reads being marked so; of its device nodes and ports: to use them. Raises
    CompileError when a name is no identifier.
    """
    check_source(source)
    prefix = _NOT_IN_A_WORD.sub("_", source.name)
    blocks = [f"## <summary>{source.name}: interfaces to the types of this module, written by polkit.</summary>"]
    blocks += [_written(one) for one in _interfaces(source, prefix)]
    return "\n\n".join(blocks) + "\n"


def _interfaces(source: ModuleSource, prefix: str) -> Iterator[_Interface]:
    domains = {entry.type for entry in source.access.role_types}
    for declared in sorted(set(source.access.types)):
        if declared.name in domains or "domain" in declared.attributes:
            yield from _of_domain(declared, prefix)
        elif "port_type" in declared.attributes:
            yield from _of_port(declared, prefix)
        elif "device_node" in declared.attributes:
            stem = _stem(declared, prefix)
            yield _files(f"{prefix}_rw_{stem}", f"Use the device nodes of type {declared.name}.", declared, _DEVICE)
        elif "file_type" in declared.attributes:
            yield from _of_files(declared, prefix, _is_changed(declared.name, source.access.rules))


def _of_domain(declared: TypeDeclaration, prefix: str) -> Iterator[_Interface]:
    domain, stem = declared.name, _stem(declared, prefix)
    prefix = prefix if stem == prefix else f"{prefix}_{stem}"
    yield _Interface(
        f"{prefix}_transition",
        f"Start processes in the domain {domain}, by setexeccon(3). The caller needs a role that has it.",
        (domain,),
        (("$1", domain, "process", "transition"), (domain, "$1", "fd", "use"), (domain, "$1", "process", "sigchld")),
    )
    yield _Interface(
        f"{prefix}_signal",
        f"Send signals to processes of {domain}, SIGKILL and SIGSTOP among them.",
        (domain,),
        (("$1", domain, "process", "getattr sigkill signal signull sigstop"),),
    )
    yield _Interface(
        f"{prefix}_stream_connect",
        f"Connect to unix stream sockets that {domain} listens on. The files of its sockets have types of their own.",
        (domain,),
        (("$1", domain, "unix_stream_socket", "connectto"),),
    )


def _of_port(declared: TypeDeclaration, prefix: str) -> Iterator[_Interface]:
    yield _Interface(
        f"{prefix}_tcp_connect_{_stem(declared, prefix)}",
        f"Connect to TCP ports of type {declared.name}.",
        (declared.name,),
        (("$1", declared.name, "tcp_socket", "name_connect"),),
    )


def _of_files(declared: TypeDeclaration, prefix: str, changed: bool) -> Iterator[_Interface]:
    stem, name = _stem(declared, prefix), declared.name
    how = "which the own domain changes" if changed else "which the own domain only reads"
    yield _files(f"{prefix}_read_{stem}_files", f"Read files of type {name}, {how}.", declared, _READ)
    yield _files(
        f"{prefix}_manage_{stem}_files", f"Create, change and remove files of type {name}, {how}.", declared, _MANAGE
    )
    yield _files(f"{prefix}_relabel_{stem}_files", f"Relabel files from and to the type {name}.", declared, _RELABEL)


def _files(name: str, summary: str, declared: TypeDeclaration, perms: Iterable[tuple[str, str]]) -> _Interface:
    rules = tuple(("$1", declared.name, tclass, wanted) for tclass, wanted in perms)
    return _Interface(name, summary, (declared.name,), rules)


def _is_changed(name: str, rules: Iterable[AvRule]) -> bool:
    return any(rule.target == name and rule.kind == "allow" and not _CHANGING.isdisjoint(rule.perms) for rule in rules)


def _stem(declared: TypeDeclaration, prefix: str) -> str:
    """``cache`` of ``NAME_cache_t``."""
    stem = declared.name[:-2] if declared.name.endswith("_t") else declared.name
    stem = stem[len(prefix) + 1 :] if stem.startswith(f"{prefix}_") else stem
    return _NOT_IN_A_WORD.sub("_", stem)


def _written(one: _Interface) -> str:
    classes: dict[str, set[str]] = {}
    for _, _, tclass, perms in one.rules:
        classes.setdefault(tclass, set()).update(perms.split())
    needed = [f"\t\ttype {', '.join(one.types)};"]
    needed += [f"\t\tclass {tclass} {{ {' '.join(sorted(perms))} }};" for tclass, perms in sorted(classes.items())]
    rules = [f"\tallow {source} {target}:{tclass} {{ {perms} }};" for source, target, tclass, perms in one.rules]
    return "\n".join(
        (
            _BAR,
            "## <summary>",
            f"##\t{one.summary}",
            "## </summary>",
            '## <param name="domain">',
            "##\t<summary>",
            "##\tDomain allowed access.",
            "##\t</summary>",
            "## </param>",
            "#",
            f"interface(`{one.name}',`",
            "\tgen_require(`",
            *needed,
            "\t')",
            "",
            *rules,
            "')",
        )
    )
