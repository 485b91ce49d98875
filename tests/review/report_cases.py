"""Reviews to make reports of: small ones of modules on the small host, a large one, and one full of hostile names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from polkit.review import Finding, Fix, GateResult, Ignored, Place, Review, ReviewRequest, review
from tests.minimize.proof_worlds import te

RISKY = te("allow container_t shadow_t:file read;\nallow container_t data_t:file { read write };", file="read write")
LABELS = "/srv/models(/.*)?\tsystem_u:object_r:data_t:s0\n"
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "'\"><svg/onload=alert(1)>",
    "]]><!--",
    "</code></pre></script><h1>x</h1>",
    "{{ 7 * 7 }}{% raw %}",
    "`` ` ``` <b>x</b>",
    "[click](https://evil.example) https://evil.example www.evil.example @everyone #1 GH-2 deadbeef1",
    "| a \\| b |\n| --- |",
    "\x1b[31mred\x1b[0m \u202egnp.exe\u202c \u200binvisible",
    "</details> **bold** ![x](y) ~~gone~~ :tada: - 1. # title",
    "javascript:alert(1) data:text/html,x &lt;script&gt; &amp;",
)


def reviewed(place: Path, host: Path, text: str = RISKY, name: str = "mine.te", labels: str = "") -> Review:
    """The review of a module of this text, in the directory ``place``, on a host."""
    place.mkdir(exist_ok=True, parents=True)
    module = place / name
    module.write_text(text)
    if labels:
        module.with_suffix(".fc").write_text(labels)
    return review(ReviewRequest(str(module), str(host)))


def beside_older(place: Path, host: Path) -> Review:
    """Of a module that reads what its older form did not, and no longer writes what that did."""
    older = reviewed(place / "old", host, te("allow container_t data_t:file { read write };", file="read write"))
    reviewed(place / "new", host, te("allow container_t shadow_t:file read;", file="read"))
    return review(ReviewRequest(str(place / "new/mine.te"), str(host), against=older.materials.shown))


def with_rules(place: Path, host: Path, number: int) -> Review:
    """Of a module with a domain of its own that reaches so many new types, and some of the policy's."""
    types = "".join(
        f"(type thing_{one:03}_t)(typeattributeset file_type thing_{one:03}_t)"
        f"(allow mine_t thing_{one:03}_t ({'chr_file' if one % 5 == 0 else 'file'} (read write)))\n"
        for one in range(number - 1)
    )
    text = f"(type mine_t)(typeattributeset domain mine_t)(roletype system_r mine_t)\n{types}"
    return reviewed(place, host, f"{text}(allow mine_t shadow_t (file (read)))\n", "mine.cil")


def finding(text: str, **fields: object) -> Finding:
    """A finding in which every text is ``text``."""
    fix = Fix(text, (text,))
    one = Finding("PK017", "high", "medium", Place(text, 3, 1), text, text, fix, (text,))
    return replace(one, **fields)  # type: ignore[arg-type]


def hostile(found: Review, texts: tuple[str, ...] = HOSTILE) -> Review:
    """The review with every text of others replaced."""
    return replace(
        found,
        name=texts[0],
        materials=replace(found.materials, shown=texts[-1]),
        findings=tuple(map(finding, texts)),
        ignored=tuple(Ignored(finding(text), text) for text in texts),
        gates=tuple(GateResult(text, "forbid", False, text, Place(text, 1), (text,)) for text in texts),
        unknown=texts,
    )
