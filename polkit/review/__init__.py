"""The reviewer's side: what differs between two modules, bundles or policies, and which of the two allows more."""

from __future__ import annotations

from polkit.review.diff import GROUPS, Difference, Entry, Group, Witness, diff, grouped
from polkit.review.diff_json import diff_object, diff_text
from polkit.review.inputs import Compared
from polkit.review.materials import HostSide, Materials, SourceText, read_materials
from polkit.review.meaning import Relation

__all__ = [
    "GROUPS",
    "Compared",
    "Difference",
    "Entry",
    "Group",
    "HostSide",
    "Materials",
    "Relation",
    "SourceText",
    "Witness",
    "diff",
    "diff_object",
    "diff_text",
    "grouped",
    "read_materials",
]
