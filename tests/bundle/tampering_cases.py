"""What is done to bundles: by class of what is changed, each with why it has to be refused."""

from __future__ import annotations

import bz2
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from polkit.module import build_package
from tests.bundle.tampering import (
    OUTSIDE,
    TOP,
    Case,
    Files,
    bytes_changed,
    changed,
    edited,
    flipped,
    member,
    nth,
    packed,
    tar_changed,
    tarred,
    with_member,
    zeros,
)

TARGET = "targets/host"
MODULE = f"{TARGET}/vllm.pp"
_PARTS = [max(number / 24, 0.03) for number in range(24)]
"""gzip's own header holds a time and a system, which say nothing of the bundle."""


def cases() -> Iterator[tuple[str, Case]]:
    """Cases that form and sums tell, by their names."""
    for found in (_bytes(), _files(), _forms(), _bombs(), _members()):
        yield from found


def sealed_cases() -> Iterator[tuple[str, Case]]:
    """Cases with every sum made anew: what is compiled, read and compared tells them."""
    yield from _sealed()
    yield from _claims()


def _bytes() -> Iterator[tuple[str, Case]]:
    """Bytes of the archive, of the tar in it."""
    for kind in ("zst", "gz"):
        for part in _PARTS:
            damage = {"archive", "bomb", "changed", "missing", "additional", "path", "link"}
            yield f"{kind}-flipped-{part:.2f}", bytes_changed(lambda data, part=part: flipped(data, part), damage, kind)
            yield (
                f"{kind}-cut-{part:.2f}",
                bytes_changed(lambda data, p=part: data[: int(len(data) * p)], {"archive"}, kind),
            )
        for what in (b"\0", b"PK\3\4", bytes(1024)):
            yield f"{kind}-more-{len(what)}", bytes_changed(lambda data, what=what: data + what, {"archive"}, kind)
        yield f"{kind}-twice", bytes_changed(lambda data: data + data, {"archive"}, kind)
        yield f"{kind}-no-magic", bytes_changed(lambda data: b"\0" + data[1:], {"archive"}, kind)
    for part in _PARTS:
        damage = {"archive", "changed", "missing", "additional", "path"}
        yield f"tar-flipped-{part:.2f}", tar_changed(lambda tar, part=part: flipped(tar, part * 0.9, 3), damage)
        yield (
            f"tar-cut-{part:.2f}",
            tar_changed(lambda tar, p=part: tar[: int(len(tar) * p * 0.9)], {"archive", "missing"}),
        )
    yield "tar-more", tar_changed(lambda tar: tar + b"x" * 512, {"archive"})
    yield "tar-twice", tar_changed(lambda tar: tar + tar, {"archive"})
    yield "nothing", Case(lambda _: b"", {"archive"})
    yield "no-tar", Case(lambda _: packed(b"#!/bin/sh\nid\n" * 100), {"archive"})


def _files() -> Iterator[tuple[str, Case]]:
    """Files of the bundle, under their old sums."""
    for number in range(20):

        def flip(files: Files, number: int = number) -> None:
            path = nth(files, number)
            files[path] = flipped(files[path], number / 20, number % 8)

        def cut(files: Files, number: int = number) -> None:
            path = nth(files, number)
            files[path] = files[path][: len(files[path]) // 2]

        def swap(files: Files, number: int = number) -> None:
            one, other = nth(files, number), nth(files, number + 1)
            files[one], files[other] = files[other], files[one]

        def rename(files: Files, number: int = number) -> None:
            path = nth(files, number)
            files[f"{path}.old"] = files.pop(path)

        def remove(files: Files, number: int = number) -> None:
            del files[nth(files, number)]

        yield f"flipped-{number}", changed(flip, {"changed"})
        yield f"cut-{number}", changed(cut, {"changed"})
        yield f"swapped-{number}", changed(swap, {"changed"})
        yield f"renamed-{number}", changed(rename, {"missing", "additional"})
        yield f"removed-{number}", changed(remove, {"missing"})
    for path in (
        "x",
        "install.sh.bak",
        f"{TARGET}/x",
        "SHA256SUMS.asc",
        ".hidden",
        "export/x.yml",
        "source/vllm.te.orig",
    ):
        yield f"added-{path}", changed(lambda files, path=path: files.update({path: b"x"}), {"additional"})
    yield "no-sums", changed(lambda files: files.pop("SHA256SUMS") and None, {"missing"})
    for name, line in (
        ("path", f"{'0' * 64}  ../x"),
        ("short", "abc  x"),
        ("binary", "\x00\xff"),
        ("star", "0" * 64 + " *x"),
    ):
        text = f"{line}\n".encode("latin-1")
        yield f"sums-{name}", changed(lambda files, t=text: files.update(SHA256SUMS=files["SHA256SUMS"] + t), {"sums"})
    yield "sums-of-itself", changed(lambda files: _more(files, f"{'0' * 64}  SHA256SUMS\n"), {"sums"})
    yield "sums-twice", changed(lambda files: _more(files, files["SHA256SUMS"].decode()), {"sums"})


def _more(files: Files, text: str) -> None:
    files["SHA256SUMS"] += text.encode()


def _forms() -> Iterator[tuple[str, Case]]:
    """Members that lead out of the bundle, and links, devices and modes that none has."""
    for number, path in enumerate(
        (
            OUTSIDE,
            f"{TOP}/../{OUTSIDE[5:]}",
            f"{TOP}/../../../../../../..{OUTSIDE}",
            f"../{OUTSIDE[5:]}",
            f"{TOP}/a/../../x",
            f"{TOP}//x",
            f"{TOP}/./x",
            f"{TOP}/x\\..\\y",
            f"{TOP}/x\ny",
            f"{TOP}/\x1b[2J",
            f"{TOP}/-rf *",
            f"{TOP}/\u202egnp.sh",
            "/",
            "..",
        )
    ):
        header = member(path, size=1)
        yield f"path-{number}", with_member(header, {"path"}, b"x", tarfile.GNU_FORMAT)
    for name, target in (("out", OUTSIDE), ("root", "/"), ("up", "../../etc/passwd"), ("in", "README.md")):
        for word, kind in (("sym", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            yield f"{word}link-{name}", with_member(member(f"{TOP}/x", kind, linkname=target), {"link"})
    for word, kind in (("char", tarfile.CHRTYPE), ("block", tarfile.BLKTYPE), ("fifo", tarfile.FIFOTYPE)):
        yield f"node-{word}", with_member(member(f"{TOP}/x", kind, devmajor=1, devminor=1), {"device"})
    yield "contiguous", with_member(member(f"{TOP}/x", tarfile.CONTTYPE), {"archive"})
    yield "sparse", with_member(member(f"{TOP}/x", tarfile.GNUTYPE_SPARSE), {"archive"}, format_=tarfile.GNU_FORMAT)
    for mode in (0o4755, 0o2755, 0o1755):
        yield f"mode-{mode:o}", with_member(member(f"{TOP}/x", mode=mode), {"archive"})
    yield "twice", with_member(member(f"{TOP}/README.md", size=1), {"archive"}, b"x")
    yield "two-tops", with_member(member("other/x", size=1), {"archive"}, b"x")
    yield "no-top", with_member(member("x", size=1), {"path"}, b"x")
    yield "empty-directory", with_member(member(f"{TOP}/empty", tarfile.DIRTYPE), {"additional"})
    yield "file-and-directory", with_member(member(f"{TOP}/README.md/x", size=1), {"archive"}, b"x")
    yield "top-renamed", Case(lambda files: packed(tarred(files, top="vllm-9.9.9")), {"manifest"})
    yield "root-directory", with_member(member("/", tarfile.DIRTYPE), {"path"})
    yield "top-none", Case(lambda files: packed(tarred(files, top=".")), {"path"})
    yield "top-up", Case(lambda files: packed(tarred(files, top="..")), {"path"})


def _members() -> Iterator[tuple[str, Case]]:
    """Extended headers that make a reader see another member than the plain header says."""
    for name, records in (
        ("path", {"path": OUTSIDE}),
        ("linkpath", {"linkpath": OUTSIDE}),
        ("size", {"size": "0"}),
        ("sparse", {"GNU.sparse.major": "1", "GNU.sparse.name": OUTSIDE}),
        ("charset", {"hdrcharset": "BINARY"}),
    ):
        header = member(f"{TOP}/x", size=1, pax_headers=records)
        yield f"record-{name}", with_member(header, {"archive", "path"}, b"x", tarfile.PAX_FORMAT)
    yield "global-records", with_member(member("x", tarfile.XGLTYPE), {"archive"}, b"")
    long = member(f"{TOP}/{'y' * 180}", size=1)
    yield "long-name", with_member(long, {"archive"}, b"x", tarfile.GNU_FORMAT)
    yield "bad-records", with_member(member("x", tarfile.XHDTYPE, size=9), {"archive"}, b"99999 a=b")
    yield "huge-size", tar_changed(lambda tar: _size(tar, b"77777777777\0"), {"archive"})
    yield "binary-size", tar_changed(lambda tar: _size(tar, b"\x80" + b"\xff" * 11), {"archive"})
    yield "no-size", tar_changed(lambda tar: _size(tar, b"12 ab 34 x\0\0"), {"archive"})


def _size(tar: bytes, field: bytes) -> bytes:
    """The first header with another size, and a checksum that is right."""
    header = tar[:124] + field + tar[136:148] + b" " * 8 + tar[156:512]
    return header[:148] + b"%06o\0 " % sum(header) + header[156:] + tar[512:]


def _bombs() -> Iterator[tuple[str, Case]]:
    for kind in ("zst", "gz"):
        yield f"bomb-{kind}", Case(lambda _, kind=kind: zeros(80 << 20, kind), {"bomb"})
    yield "bomb-of-files", Case(lambda _: packed(tarred({f"d/{n}": b"" for n in range(5000)})), {"bomb"})
    yield "bomb-deep", Case(lambda _: packed(tarred({"d/" * 40 + "x": b""})), {"path"})
    bomb = bz2.compress(bytes(64 << 20))
    yield "bomb-packed-module", changed(lambda files: files.update({f"{MODULE}.bz2": bomb}), {"source", "claims"}, True)


def _sealed() -> Iterator[tuple[str, Case]]:
    """Everything that is refused although every sum was made anew."""
    for number in range(8):

        def flip(files: Files, number: int = number) -> None:
            files[MODULE] = flipped(files[MODULE], 0.05 + number / 10)
            files[f"{MODULE}.bz2"] = bz2.compress(files[MODULE])

        # Where the bit says nothing once it is CIL, the module still is not the one that was proven.
        yield f"module-flipped-{number}", changed(flip, {"source", "claims", "proof"}, True)
    yield "module-swapped", changed(lambda files: _compiled(files, "allow vllm_t domain:file write;"), {"source"}, True)
    yield "module-called-otherwise", changed(lambda files: _called(files, "container"), {"claims"}, True)
    yield "module-of-another-version", changed(lambda files: _called(files, "vllm", "9.9"), {"claims"}, True)
    yield (
        "module-no-module",
        changed(lambda files: files.update({MODULE: b"\x8f\xff\x7c\xf9" + bytes(40)}), {"source"}, True),
    )
    yield "module-packed-another", changed(lambda f: f.update({f"{MODULE}.bz2": bz2.compress(b"x")}), {"source"}, True)
    huge = bytes(17 << 20)
    yield "module-huge", changed(lambda files: files.update({MODULE: huge}), {"claims"}, True)
    yield "manifest-huge", changed(lambda files: files.update({"manifest.json": huge * 2}), {"manifest"}, True)
    yield "module-more", changed(lambda files: files.update({"export/x.pp": files[MODULE] + b"x"}), {"claims"}, True)
    yield "source-more", changed(lambda files: _text(files, f"{TARGET}/vllm.te", "type evil_t;\n"), {"source"}, True)
    yield "source-broken", changed(lambda files: _text(files, f"{TARGET}/vllm.te", "syscmd(`id')\n"), {"source"}, True)
    contexts = "/etc/shadow system_u:object_r:vllm_model_t:s0\n"
    yield (
        "contexts-more",
        changed(lambda files: _text(files, f"{TARGET}/vllm.fc", contexts), {"source", "claims"}, True),
    )
    yield (
        "source-cil",
        changed(lambda files: _text(files, "source/vllm.cil", "(allow a b (c (d)))\n"), {"source"}, True),
    )
    for path in (
        "manifest.json",
        "provenance.json",
        "sbom.cdx.json",
        f"{MODULE}.bz2",
        f"{TARGET}/vllm.te",
        "source/vllm.te",
    ):
        yield f"gone-{path}", changed(lambda files, path=path: files.pop(path) and None, {"missing", "source"}, True)
    more = b"(allow domain file_type (file (write)))\n"
    yield "optional-unnamed", changed(lambda files: files.update({"optional/x.cil": more}), {"claims"}, True)
    for path in ("install.sh", "common.sh", "verify.sh", "uninstall.sh", "rollback.sh"):
        yield f"script-{path}", changed(lambda files, path=path: _text(files, path, "id\n"), {"scripts"}, True)
    yield "script-more", changed(lambda files: files.update({"x.sh": b"id\n"}), {"scripts"}, True)
    yield "values-run", changed(lambda files: _text(files, "facts.sh", f"touch {OUTSIDE}\n"), {"scripts"}, True)
    for name in ("types", "places", "ports", "booleans", "needs"):
        line = "tcp 22 vllm_t\n" if name == "ports" else "secure_mode 1\n"
        yield f"list-{name}", changed(lambda f, n=name, line=line: _text(f, f"{TARGET}/{n}", line), {"claims"}, True)


def _text(files: Files, path: str, more: str) -> None:
    files[path] = files[path] + more.encode()


def _compiled(files: Files, more: str) -> None:
    """A module that grants more, compiled, without its source."""
    te = files[f"{TARGET}/vllm.te"].decode() + "require { attribute domain; class file write; }\n" + more
    files[MODULE] = build_package("vllm", te, files[f"{TARGET}/vllm.fc"].decode(), True, 19)
    files[f"{MODULE}.bz2"] = bz2.compress(files[MODULE])


def _called(files: Files, name: str, version: str = "0.1.0") -> None:
    """The module under another name, source and all."""
    te = files[f"{TARGET}/vllm.te"].decode().replace("module vllm 0.1.0;", f"module {name} {version};")
    files[f"{TARGET}/vllm.te"] = te.encode()
    files[MODULE] = build_package(name, te, files[f"{TARGET}/vllm.fc"].decode(), True, 19)
    files[f"{MODULE}.bz2"] = bz2.compress(files[MODULE])


def _claims() -> Iterator[tuple[str, Case]]:
    """A manifest that says another thing than the files, with every sum made anew."""
    target: dict[str, Any] = {
        "types": lambda found: found["types"].pop(),
        "joins": lambda found: found["joins"].pop(),
        "statements": lambda found: found["statements"].pop(),
        "contexts": lambda found: found["contexts"].pop(),
        "ports": lambda found: found["ports"].append({"protocol": "tcp", "port": 22, "type": "vllm_t"}),
        "booleans": lambda found: found["booleans"].update(secure_mode=True),
        "requires-types": lambda found: found["requires"]["types"].clear(),
        "requires-roles": lambda found: found["requires"]["roles"].clear(),
        "requires-permissions": lambda found: found["requires"]["permissions"].clear(),
        "requires-optional": lambda found: found["requires"]["optional"].clear(),
        "format": lambda found: found.update(policydb=21),
        "proof": lambda found: found["proof"].update(safe=None),
        "module": lambda found: found.update(module="install.sh"),
        "no-module": lambda found: found.update(module=None),
    }
    for name, edit in target.items():

        def change(files: Files, edit: Any = edit) -> None:
            edited(files, "manifest.json", lambda found: edit(found["targets"]["host"]))

        yield f"claims-{name}", changed(change, {"claims", "proof", "manifest", "scripts"}, True)
    whole: dict[str, Any] = {
        "grant": lambda found: found["grants"].pop(),
        "no-grants": lambda found: found["grants"].clear(),
        "permission": lambda found: found["grants"][0]["perms"].pop(),
        "condition": lambda found: found["grants"][0].update(condition="(never)"),
        "optional": lambda found: found["grants"][0].update(optional=not found["grants"][0]["optional"]),
        "origin": lambda found: found["grants"][0].update(origin="inherited", source="a_t", target="b_t"),
        "targets": lambda found: found["grants"][0]["targets"].clear(),
        "requires": lambda found: found["requires"]["types"].clear(),
        "name": lambda found: found.update(name="other"),
        "version": lambda found: found.update(version="9.9.9"),
        "hostile-name": lambda found: found.update(name="$(id)"),
        "schema": lambda found: found.update(schema="polkit.bundle/2"),
        "shape": lambda found: found.update(grants={}),
        "target-name": lambda found: found["targets"].update({"../x": found["targets"]["host"]}),
    }
    for name, edit in whole.items():
        found = changed(
            lambda files, edit=edit: edited(files, "manifest.json", edit), {"claims", "manifest", "scripts"}, True
        )
        yield f"claims-{name}", found
    for name, text in (("no-json", b"{"), ("no-object", b"[]"), ("deep", b"[" * 100_000), ("nan", b'{"schema": NaN}')):
        yield f"manifest-{name}", changed(lambda files, t=text: files.update({"manifest.json": t}), {"manifest"}, True)
    yield "manifest-twice", Case(_says_twice, {"manifest"})
    for path, key in (("provenance.json", "subject"), ("sbom.cdx.json", "components")):
        yield f"statement-{key}", Case(lambda files, p=path, k=key: _without(files, p, k), {"statement"})
    yield (
        "proof-of-another",
        changed(
            lambda files: edited(files, f"{TARGET}/proof.json", lambda found: found["module"].update(sha256="0" * 64)),
            {"proof"},
            True,
        ),
    )
    yield (
        "proof-says-otherwise",
        changed(
            lambda files: edited(files, f"{TARGET}/proof.json", lambda found: found.update(safe=False)), {"proof"}, True
        ),
    )


def _says_twice(files: Files) -> bytes:
    """What reads the first ``name`` and what reads the last see two bundles."""
    from tests.bundle.tampering import resealed, sha256

    copy = resealed(dict(files))
    copy["manifest.json"] = copy["manifest.json"].replace(b'"name":', b'"name": "other",\n  "name":', 1)
    lines = copy["SHA256SUMS"].decode().splitlines()
    kept = [line for line in lines if not line.endswith("  manifest.json")]
    lines = sorted([*kept, f"{sha256(copy['manifest.json'])}  manifest.json"], key=lambda line: line.split("  ")[1])
    copy["SHA256SUMS"] = "".join(f"{line}\n" for line in lines).encode()
    return packed(tarred(copy))


def _without(files: Files, path: str, key: str) -> bytes:
    from tests.bundle.tampering import resealed

    copy = dict(files)
    found = json.loads(copy[path])
    found[key].pop()
    copy[path] = json.dumps(found).encode()
    return packed(tarred(resealed(copy, statements=False)))
