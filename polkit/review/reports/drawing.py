"""Where the nodes and edges of a module's graph stand: domains on the left, types on the right, edges between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from polkit.review.reports.reach import Edge, Node, Reach

_WIDTH = 960
_LEFT, _RIGHT = (0, 280), (630, 330)
"""Where a column begins, and how wide it is."""
_LEAST = 42
_A_LINE = 14
"""Height of a box, and what each edge adds to it."""
_GAP = 10
_ROUNDS = 6
_LETTER = 7.9
"""Width of a letter of the boxes' font, with room to spare."""


class Box(NamedTuple):
    """A node: its corner, its size, what stands in it, and all of what it is for a reader who points at it."""

    x: float
    y: float
    width: float
    height: float
    label: str
    note: str
    title: str
    own: bool


class Curve(NamedTuple):
    """An edge: the path, the risk that it is drawn by, where its sign stands, and what it says."""

    path: str
    risk: str
    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Drawing:
    """A graph that is ready to be drawn in ``width`` by ``height``."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]


def draw(reach: Reach) -> Drawing:
    """Lay a graph out; the same graph always comes out the same."""
    left, right = _ordered(reach)
    tops = _stacked([_height(_count(reach.drawn, 1, node.name)) for node in right])
    spans_right = _spans(right, tops, [_height(_count(reach.drawn, 1, node.name)) for node in right])
    heights = [_height(_count(reach.drawn, 0, node.name)) for node in left]
    spans_left = _spans(left, _beside(left, heights, reach.drawn, spans_right), heights)
    height = max([end for _, end in (*spans_left.values(), *spans_right.values())], default=0)
    boxes = [_box(node, spans_left[node.name], _LEFT, reach.drawn, 0) for node in left]
    boxes += [_box(node, spans_right[node.name], _RIGHT, reach.drawn, 1) for node in right]
    return Drawing(_WIDTH, round(height) + 2, tuple(boxes), tuple(_curves(reach.drawn, spans_left, spans_right)))


_Span = tuple[float, float]


def _ordered(reach: Reach) -> tuple[list[Node], list[Node]]:
    """Both columns, each sorted by the middle of what its nodes are joined to, so that few edges cross."""
    columns = [list(reach.sources), list(reach.targets)]
    for turn in range(_ROUNDS):
        side, other = (turn + 1) % 2, turn % 2
        ranks = {node.name: rank for rank, node in enumerate(columns[other])}
        means = {}
        for node in columns[side]:
            joined = [ranks[_end(edge, other)] for edge in reach.drawn if _end(edge, side) == node.name]
            means[node.name] = sum(joined) / len(joined)
        columns[side].sort(key=lambda node: means[node.name])
    return columns[0], columns[1]


def _end(edge: Edge, side: int) -> str:
    return edge.target if side else edge.source


def _count(edges: Iterable[Edge], side: int, name: str) -> int:
    return sum(1 for edge in edges if _end(edge, side) == name)


def _height(edges: int) -> float:
    return max(_LEAST, _A_LINE * (edges + 1))


def _stacked(heights: Sequence[float]) -> list[float]:
    tops, top = [], 1.0
    for height in heights:
        tops.append(top)
        top += height + _GAP
    return tops


def _spans(nodes: Sequence[Node], tops: Sequence[float], heights: Sequence[float]) -> dict[str, _Span]:
    return {node.name: (top, top + height) for node, top, height in zip(nodes, tops, heights)}


def _beside(
    nodes: Sequence[Node], heights: Sequence[float], edges: Sequence[Edge], spans: dict[str, _Span]
) -> list[float]:
    """Tops that bring each node to the height of what it reaches, without one lying on another."""
    tops: list[float] = []
    for node, height in zip(nodes, heights):
        middles = [sum(spans[edge.target]) / 2 for edge in edges if edge.source == node.name]
        least = tops[-1] + heights[len(tops) - 1] + _GAP if tops else 1.0
        tops.append(max(least, sum(middles) / len(middles) - height / 2))
    bottom = max((end for _, end in spans.values()), default=0.0)
    for place in range(len(tops) - 1, -1, -1):  # what was pushed below the other column goes up where there is room
        tops[place] = max(min(tops[place], bottom - heights[place]), 1.0 + sum(heights[:place]) + _GAP * place)
        bottom = tops[place] - _GAP
    return tops


def _box(node: Node, span: _Span, column: tuple[int, int], edges: Sequence[Edge], side: int) -> Box:
    mine = [edge for edge in edges if _end(edge, side) == node.name]
    classes = sorted({one for edge in mine for one in edge.classes})
    letters = int((column[1] - 20) / _LETTER)
    note = _counted(sum(edge.accesses for edge in mine), "access", "accesses")
    types = max(edge.types for edge in mine)
    if side:
        several = f"{types:,} types \u00b7 " if types > 1 and not node.members else ""
        note, listed = several + note, " ".join(classes)
        fits = len(f"{note} \u00b7 {listed}") <= letters * 1.1
        note += f" \u00b7 {listed if fits else _counted(len(classes), 'class', 'classes')}"
    title = f"{node.name}: {', '.join(node.members)}" if node.members else node.name
    return Box(
        column[0],
        round(span[0], 1),
        column[1],
        round(span[1] - span[0], 1),
        _shortened(node.name, letters),
        note,
        f"{title} ({note}{f': {chr(32).join(classes)}' if side else ''})",
        node.own,
    )


def _shortened(text: str, most: int) -> str:
    """With the middle left out where it is too long: names differ at their ends."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}\u2026{text[-half:]}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _curves(edges: Sequence[Edge], left: dict[str, _Span], right: dict[str, _Span]) -> Iterable[Curve]:
    starts, ends = _ports(edges, 0, left, right), _ports(edges, 1, right, left)
    x1, x2 = _LEFT[0] + _LEFT[1], _RIGHT[0]
    bend = (x2 - x1) * 0.45
    for edge in edges:
        y1, y2 = starts[edge], ends[edge]
        path = f"M{x1} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2} {y2:g}"
        risk = f"{edge.risk} risk" if edge.risk else "no known risk"
        perms = _counted(edge.perms, "permission", "permissions")
        title = f"{edge.source} to {edge.target}: {' '.join(edge.classes)}, {perms}, {risk}"
        yield Curve(path, edge.risk, x2 - 14, y2, title)


def _ports(edges: Sequence[Edge], side: int, spans: dict[str, _Span], others: dict[str, _Span]) -> dict[Edge, float]:
    """Where on its box each edge begins or ends: those of one box spread evenly, in the order of where they lead."""
    found = {}
    for name, (top, bottom) in spans.items():
        mine = sorted(
            (edge for edge in edges if _end(edge, side) == name), key=lambda edge: others[_end(edge, 1 - side)]
        )
        for place, edge in enumerate(mine, 1):
            found[edge] = round(top + (bottom - top) * place / (len(mine) + 1), 1)
    return found
