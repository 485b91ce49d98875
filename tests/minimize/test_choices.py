"""Choices in their file: what goes in comes out, what fits no more is said, and nothing in a file is believed."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.errors import SourceError, UsageError
from polkit.minimize import (
    Choices,
    Offers,
    Walk,
    begin,
    choices_object,
    choices_of,
    match,
    picks,
    press,
    read_choices,
    save_choices,
)
from polkit.policy import TargetPolicy
from tests.minimize.choosing import Picking, plan_by
from tests.records import avc

NFS = avc("read", "nfs_t")
HEAP = avc("execheap", "container_t", "process", levels=("s0:c1,c2", "s0:c1,c2"), serial=2)
MODELS = avc("read open", "default_t", fields='comm="x" path="/models/\u202ea"', serial=3)
MOUNTS = {"/srv/models": "/models"}


def offers_of(policy: TargetPolicy, text: str, **settings: object) -> Offers:
    chooser = Picking()
    plan_by(chooser, policy, text, MOUNTS, **settings)
    return chooser.offers


@pytest.fixture(scope="module")
def offers(policy: TargetPolicy) -> Offers:
    return offers_of(policy, NFS + HEAP + MODELS)


def start(offers: Offers) -> Walk:
    return begin([len(step.options) for step in offers.steps])


def pressed(walk: Walk, keys: str) -> Walk:
    for key in keys:
        walk = press(walk, key)
    return walk


@given(keys=st.text(alphabet="123456789sbv", max_size=12))
@settings(max_examples=50)
def test_a_walk_goes_on_as_it_stopped(keys: str, offers: Offers, tmp_path_factory: pytest.TempPathFactory) -> None:
    walk = pressed(start(offers), keys)
    path = tmp_path_factory.mktemp("walk") / "choices.json"
    save_choices(path, choices_of(walk, offers))
    found = match(read_choices(path), offers)
    assert (found.walk.choices, found.walk.seen) == (walk.choices, walk.seen)
    assert (found.unused, found.stale) == ((), ())
    assert picks(found.walk, offers) == picks(walk, offers)


def test_the_file_holds_to_its_schema_and_to_ascii(offers: Offers, tmp_path: Path, repository: Path) -> None:
    path = tmp_path / "new" / "choices.json"
    save_choices(path, choices_of(pressed(start(offers), "1s2"), offers))
    schema = json.loads((repository / "docs" / "schemas" / "polkit.choices-1.schema.json").read_text())
    checker = jsonschema.Draft202012Validator(schema)
    found = json.loads(path.read_bytes().decode("ascii"))
    checker.validate(found)
    assert [one["chosen_by"] for one in found["choices"]] == ["person", "tool", "person"]
    for wrong in ({**found, "schema": "polkit.plan/1"}, {**found, "choices": [{}]}):
        assert not checker.is_valid(wrong)


def test_a_file_is_replaced_whole(offers: Offers, tmp_path: Path) -> None:
    path = tmp_path / "choices.json"
    umask = os.umask(0o027)
    try:
        save_choices(path, choices_of(pressed(start(offers), "1"), offers))
        save_choices(path, choices_of(pressed(start(offers), "12"), offers))
    finally:
        os.umask(umask)
    assert len(read_choices(path).entries) == 2
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    blocked = tmp_path / "file" / "choices.json"
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="choices"):
        save_choices(blocked, Choices(None))


def kept(offers: Offers, keys: str) -> Choices:
    return choices_of(pressed(start(offers), keys), offers)


def test_another_policy_asks_everything_again(offers: Offers) -> None:
    found = match(kept(offers, "12s"), replace(offers, policy_sha256="0" * 64))
    assert (found.walk.choices, found.walk.index) == ((None, None, None), 0)
    assert len(found.stale) == 1
    assert "2 choices" in found.stale[0]
    assert "another policy" in found.stale[0]


def test_other_permissions_are_asked_again(policy: TargetPolicy, offers: Offers) -> None:
    choices = kept(offers_of(policy, NFS), "2")
    more = offers_of(policy, avc("read write", "nfs_t") + HEAP)
    found = match(choices, more)
    assert picks(found.walk, more) == {}
    assert found.stale == ("container_t -> nfs_t:file { read }: other permissions are asked for now: read write",)


def test_what_this_log_does_not_ask_for_is_kept_and_no_matter(policy: TargetPolicy, offers: Offers) -> None:
    choices = kept(offers, "222")
    fewer = offers_of(policy, NFS)
    found = match(choices, fewer)
    assert found.stale == ()
    assert len(picks(found.walk, fewer)) == 1
    assert len(found.unused) == len(choices.entries) - 1
    again = match(choices_of(found.walk, fewer, found.unused), offers)
    assert picks(again.walk, offers) == picks(match(choices, offers).walk, offers)


def test_another_price_is_asked_again(offers: Offers) -> None:
    choices = kept(offers, "11")
    dearer = tuple(replace(entry, accesses=entry.accesses + 1) for entry in choices.entries)
    found = match(replace(choices, entries=dearer), offers)
    assert found.walk.index == 0
    assert len(found.stale) == 2
    assert all("costs" in text for text in found.stale)


def test_what_is_not_offered_is_not_taken(offers: Offers) -> None:
    choices = kept(offers, "11")
    forged = tuple(replace(entry, chosen="accept:memory") for entry in choices.entries)
    found = match(replace(choices, entries=forged), offers)
    assert picks(found.walk, offers) == {}
    assert all("not offered" in text for text in found.stale)


def test_one_directory_has_one_label(policy: TargetPolicy) -> None:
    """A decision about the same directory that came later reopens the question."""
    first = offers_of(policy, MODELS)
    choices = kept(first, "2")
    more = offers_of(policy, MODELS + avc("read", "default_t", "dir", fields='comm="x" path="/models"', serial=9))
    assert len(more.steps) == 1
    found = match(choices, more)
    assert found.walk.index == 0
    assert "decided together" in found.stale[0]


NOT_CHOICES = {
    "empty": b"",
    "no JSON": b"hello",
    "no object": b"[]",
    "a plan": b'{"schema": "polkit.plan/1", "decisions": []}',
    "no list": b'{"schema": "polkit.choices/1", "policy_sha256": null, "choices": {"a": 1}}',
    "no entry": b'{"schema": "polkit.choices/1", "policy_sha256": null, "choices": [3]}',
    "wrong types": b'{"schema": "polkit.choices/1", "policy_sha256": null, "choices": [{"key": 1}]}',
    "deep": b"[" * 100_000,
    "not text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("content", NOT_CHOICES.values(), ids=NOT_CHOICES.keys())
def test_what_is_no_file_of_choices_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="no file of choices"):
        read_choices(path)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="missing"):
        read_choices(tmp_path / "missing.json")


def test_what_is_written_is_what_was_chosen(offers: Offers) -> None:
    found = choices_object(kept(offers, "1s"))
    entries = found["choices"]
    assert entries[0]["chosen"] == offers.steps[0].options[0].id
    assert (entries[1]["chosen"], entries[1]["chosen_by"], entries[1]["cost"]) == (None, "tool", None)
