"""The walk through the decisions: what holds for every sequence of keys."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from polkit.minimize import Walk, begin, press

KEYS = [*"123456789", "enter", "b", "s", "v", "?", "other", "x", "", "12", "redraw"]
ENDS = ["d", "q"]
sizes = st.lists(st.integers(1, 9), max_size=6)
keys = st.lists(st.sampled_from(KEYS), max_size=40)


def walked(start: Walk, pressed: list[str]) -> list[Walk]:
    """Every state on the way, the first included."""
    return list(accumulate(pressed, press, initial=start))


@given(sizes, keys)
def test_no_key_loses_a_choice(many: list[int], pressed: list[str]) -> None:
    for before, after in zip(walked(begin(many), pressed), walked(begin(many), pressed)[1:]):
        for number, (old, new) in enumerate(zip(before.choices, after.choices)):
            assert new is not None or old is None
            assert new == old or number == before.index
        assert all(new or not old for old, new in zip(before.seen, after.seen))


@given(sizes, keys)
def test_a_choice_is_one_of_the_options_and_answers_its_step(many: list[int], pressed: list[str]) -> None:
    walk = walked(begin(many), pressed)[-1]
    assert 0 <= walk.index <= len(many)
    for size, choice, seen in zip(walk.sizes, walk.choices, walk.seen):
        assert choice is None or (0 <= choice < size and seen)


@given(sizes, keys, st.sampled_from([*"123456789", "enter", "s"]))
def test_back_undoes_the_position_and_nothing_else(many: list[int], pressed: list[str], key: str) -> None:
    before = walked(begin(many), pressed)[-1]
    after = press(before, key)
    if after.index == before.index:
        return  # the key meant nothing there
    back = press(after, "b")
    assert back.index == before.index
    assert (back.choices, back.seen) == (after.choices, after.seen)


@given(sizes, keys)
def test_skipping_leaves_a_step_as_it_stands(many: list[int], pressed: list[str]) -> None:
    before = walked(begin(many), pressed)[-1]
    after = press(before, "s")
    assert after.choices == before.choices
    if not before.at_end:
        assert after.seen[before.index]
        assert after.index == before.index + 1


@given(sizes, keys)
def test_looking_changes_nothing(many: list[int], pressed: list[str]) -> None:
    before = walked(begin(many), pressed)[-1]
    for key in ("v", "?", "other", "", "zz"):
        after = press(before, key)
        assert (after.index, after.choices, after.seen) == (before.index, before.choices, before.seen)
        assert after.over == before.over
    assert press(press(before, "v"), "v").more == before.more


@given(sizes, keys, st.sampled_from(ENDS), keys)
def test_what_is_over_stays_over(many: list[int], pressed: list[str], end: str, later: list[str]) -> None:
    before = walked(begin(many), pressed)[-1]
    ended = press(before, end)
    if before.over:
        return  # Enter at the end was done already
    assert ended.over == {"d": "done", "q": "later"}[end]
    assert ended.choices == before.choices
    assert walked(ended, later)[-1] == ended


@given(sizes, keys)
def test_it_goes_on_at_the_first_step_without_an_answer(many: list[int], pressed: list[str]) -> None:
    walk = walked(begin(many), pressed)[-1]
    again = begin(many, walk.choices, walk.seen)
    assert (again.choices, again.seen) == (walk.choices, walk.seen)
    assert all(again.seen[: again.index])
    assert again.at_end or not again.seen[again.index]


def test_one_walk() -> None:
    walk = begin([2, 3, 1])
    walk = press(walk, "2")
    walk = press(walk, "s")
    assert (walk.index, walk.choices, walk.seen) == (2, (1, None, None), (True, True, False))
    assert press(walk, "2").unknown == "2"  # there is one option
    walk = press(press(walk, "b"), "enter")
    assert walk.choices == (1, 0, None)
    walk = press(walk, "1")
    assert walk.at_end
    assert press(walk, "1").unknown == "1"
    assert press(walk, "enter").over == "done"
