"""The ledger's laws: merging, its text form, its books."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.audit import SCHEMA, Ledger, Partial, ReadOptions, dump, load, merge, read_logs, totals
from polkit.errors import AccountingError, SourceError
from polkit.model import (
    EQUAL_LEVELS,
    SAMPLE,
    UNKNOWN_LEVELS,
    AccessKey,
    Evidence,
    Failure,
    Party,
    Port,
    Unparsed,
    Xperm,
)
from tests.audit.reading import LOGS, avc, read_ledger

names = st.sampled_from(["a_t", "b_t", "x.process", "socket-proxy"])
parties = st.builds(Party, st.just("u"), st.sampled_from(["r", "object_r"]), names)
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)


def samples(values):
    return st.lists(values, max_size=3).map(lambda items: tuple(sorted(set(items))))


@st.composite
def keys(draw):
    return AccessKey(
        source=draw(parties),
        target=draw(parties),
        tclass=draw(st.sampled_from(["file", "chr_file"])),
        perms=draw(st.sampled_from([("read",), ("ioctl", "read"), ("open",)])),
        xperm=draw(st.none() | st.builds(Xperm, st.sampled_from(["ioctl", "nlmsg"]), st.integers(0, 65535))),
        port=draw(st.none() | st.builds(Port, st.sampled_from(["tcp", "udp"]), st.integers(0, 65535))),
        levels=draw(st.sampled_from([EQUAL_LEVELS, UNKNOWN_LEVELS])),
        failure=draw(st.none() | st.builds(Failure, st.just("compute_sid"), st.none() | parties)),
        origin=draw(st.sampled_from(["kernel", "user"])),
    )


@st.composite
def partials(draw):
    counts = {}
    for key in draw(st.lists(keys(), max_size=3, unique=True)):
        records = draw(st.integers(1, 9))
        counts[key] = Evidence(
            records=records,
            accesses=records * len(key.perms),
            first=draw(st.none() | st.integers(0, 10**13)),
            last=draw(st.none() | st.integers(0, 10**13)),
            permissive=draw(st.integers(0, records)),
            comms=draw(samples(texts)),
            paths=draw(samples(texts)),
            calls=draw(samples(texts)),
            ports=draw(samples(st.integers(0, 65535))),
            hosts=draw(samples(texts)),
        )
    unlisted = draw(st.integers(0, 3))
    unparsed = tuple(draw(st.lists(st.builds(Unparsed, texts, st.integers(0, 99), texts, texts), max_size=2)))
    parsed = sum(evidence.records for evidence in counts.values())
    return Partial(
        name=draw(texts),
        bytes=draw(st.integers(0, 3)),
        lines=draw(st.integers(0, 3)),
        marks=draw(st.sampled_from(["", "a" * 12, "b" * 12 + "c" * 12])),
        records={
            "AVC": parsed + len(unparsed) + unlisted,
            "USER_AVC": 0,
            "SELINUX_ERR": 0,
            "other": draw(st.integers(0, 3)),
        },
        granted=draw(st.integers(0, 2)),
        filtered=draw(st.integers(0, 2)),
        undated=draw(st.integers(0, parsed)),
        counts=counts,
        unparsed=unparsed,
        unlisted=unlisted,
        notes=tuple(draw(st.lists(texts, max_size=1))),
    )


ledgers = st.dictionaries(st.sampled_from(["a" * 64, "b" * 64, "c" * 64]), partials(), max_size=3).map(Ledger)


@given(ledgers, ledgers, ledgers)
def test_merge_is_associative_commutative_and_idempotent(one, two, three):
    assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(one, two) == merge(two, one)
    assert merge(one, one) == one
    assert merge(one, Ledger()) == one


@given(ledgers, ledgers)
def test_merge_keeps_what_covers_more(one, two):
    for source, partial in merge(one, two).partials.items():
        held = [ledger.partials[source] for ledger in (one, two) if source in ledger.partials]
        assert partial in held
        assert partial.bytes == max(other.bytes for other in held)


@given(ledgers)
def test_a_ledger_survives_its_text_form(ledger):
    lines = list(dump(ledger))
    assert load(lines) == ledger
    assert list(dump(load(lines))) == lines
    assert json.loads(lines[0]) == {"schema": SCHEMA}
    assert all("\n" not in line for line in lines)


@given(ledgers, ledgers)
def test_totals_do_not_depend_on_the_order_of_merging(one, two):
    assert totals(merge(one, two)) == totals(merge(two, one))


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
def test_recorded_logs_survive_the_text_form_and_balance(log):
    ledger = read_logs([str(log)])
    assert load(dump(ledger), "saved") == ledger
    summary = totals(ledger).summary
    assert summary.denials == summary.parsed + len(summary.unparsed)
    assert summary.accesses == sum(
        counted.evidence.records * len(counted.key.perms) for counted in totals(ledger).counted
    )


def test_a_source_that_has_grown_replaces_its_earlier_part():
    # More than 64 KiB, so that the start is the same.
    lines = [avc(f'path="/{"x" * 200}{n}"', serial=n) for n in range(400)]
    part, whole = (read_ledger("\n".join(lines[:size])) for size in (300, 400))
    assert list(part.partials) == list(whole.partials)
    assert list(dump(merge(part, whole))) == list(dump(whole))
    assert totals(merge(part, whole)).summary.parsed == totals(merge(whole, part)).summary.parsed == 400


LINES = [f"{avc(f'comm={chr(34)}c{n}{chr(34)}', serial=n)}\n" for n in range(9)]


@given(st.lists(st.integers(1, len(LINES)), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_readings_of_a_growing_small_log_count_as_the_last(sizes, order):
    ledgers = [read_ledger("".join(LINES[:size])) for size in sizes]
    largest = totals(max(ledgers, key=lambda ledger: totals(ledger).summary.bytes))
    order.shuffle(ledgers)
    assert totals(merge(*ledgers, *ledgers)) == largest
    assert totals(merge(*(load(dump(ledger)) for ledger in ledgers))) == largest


@given(st.integers(1, 8), st.integers(0, 8))
def test_logs_that_only_begin_alike_both_count(size, shared):
    one, other = (LINES[:shared] + [avc(f"comm={name}") + "\n"] * size for name in "xy")
    both = totals(merge(read_ledger("".join(one)), read_ledger("".join(other))))
    assert both.summary.denials == len(one) + len(other)


def test_unparsed_records_beyond_the_bound_are_counted():
    denials = totals(read_ledger("avc:  denied {\n\n" * 1500))
    assert (denials.summary.denials, denials.summary.unreadable, denials.summary.parsed) == (1500, 1500, 0)
    assert (len(denials.summary.unparsed), denials.summary.unlisted) == (1000, 500)
    assert [one.line for one in denials.summary.unparsed] == [*range(1, 2001, 2)]


def test_samples_are_bounded_and_the_smallest():
    records = "\n".join(avc(f'comm="c{n:05}" path="/p{n:05}"', serial=n) for n in reversed(range(3000)))
    (counted,) = totals(read_ledger(records)).counted
    assert counted.evidence.comms == tuple(f"c{n:05}" for n in range(SAMPLE))
    assert counted.evidence.paths == tuple(f"/p{n:05}" for n in range(SAMPLE))
    assert counted.evidence.records == 3000


def test_the_same_records_in_any_order_give_the_same_totals():
    lines = [avc(f'comm="c{n % 7}"', perms=("read", "write open")[n % 2], serial=n) for n in range(50)]
    one, other = (totals(read_ledger("\n".join(order))) for order in (lines, lines[::-1]))
    assert one.counted == other.counted


def test_books_that_do_not_balance_fail_loudly():
    ledger = read_ledger(avc())
    ((source, partial),) = ledger.partials.items()
    ((key, evidence),) = partial.counts.items()
    for broken in (
        replace(partial, records={**partial.records, "AVC": 2}),
        replace(partial, counts={}),
        replace(partial, counts={key: replace(evidence, accesses=5)}),
        replace(partial, unparsed=(Unparsed("x", 1, "y", "z"),)),
        replace(partial, undated=2),
    ):
        with pytest.raises(AccountingError):
            totals(Ledger({source: broken}))


def saved() -> list[str]:
    return list(
        dump(
            read_ledger(
                f"{avc('ioctlcmd=0x5401', 'ioctl')}\n{avc('src=80', 'name_bind', 'tcp_socket')}\navc:  denied {{\n"
            )
        )
    )


DAMAGE = {
    "another version": (0, lambda line: line.replace("ledger/1", "ledger/2"), 1),
    "no JSON": (2, lambda line: line[:-2], 3),
    "no object": (2, lambda line: "[]", 3),
    "an unknown line": (2, lambda line: "{}", 3),
    "cut": (-1, None, 5),
    "a wrong end": (-1, lambda line: '{"end":3}', 6),
    "rules for a type": (2, lambda line: line.replace("a_t", "a_t;allow"), 3),
    "rules for a permission": (2, lambda line: line.replace('"perms":["', '"perms":["} ; allow'), 3),
    "no permission": (2, lambda line: line.replace('["ioctl"]', "[]"), 3),
    "an unknown outcome": (2, lambda line: line.replace("equal", "eq", 1), 3),
    "a command too large": (2, lambda line: line.replace("21505", "99999999"), 3),
    "a port too large": (3, lambda line: line.replace('["tcp",80]', '["tcp",80000]'), 4),
    "a port that is none": (3, lambda line: line.replace('["tcp",80]', '["tcp","80"]'), 4),
    "a negative count": (2, lambda line: line.replace('"records":1', '"records":-1'), 3),
    "a true count": (2, lambda line: line.replace('"records":1', '"records":true'), 3),
    "books that do not balance": (2, lambda line: line.replace('"records":1', '"records":7'), 6),
    "a source id that is none": (1, lambda line: line.replace('"source":"', '"source":"zz'), 2),
    "too many samples": (2, lambda line: line[:-2] + f',"comms":{json.dumps(["x"] * 65)}}}}}', 3),
    "deep nesting": (2, lambda line: "[" * 100_000, 3),
    "a huge number": (2, lambda line: line.replace('"records":1', '"records":' + "9" * 5000), 3),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_ledger_is_refused_with_its_line(name):
    place, damage, number = DAMAGE[name]
    lines = saved()
    if damage is None:
        del lines[place]
    else:
        assert damage(lines[place]) != lines[place]
        lines[place] = damage(lines[place])
    with pytest.raises(SourceError, match=rf"^node\.ledger, line {number}: ") as caught:
        load(lines, "node.ledger")
    assert caught.value.hint


def test_a_count_given_twice_or_before_a_source_is_refused():
    lines = saved()
    for broken in ([*lines[:3], *lines[2:]], [lines[0], *lines[2:]], [*lines, lines[1]]):
        with pytest.raises(SourceError):
            load(broken)


@given(st.integers(0, 5), st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_garbled_ledger_is_refused_or_balances(line, at, junk):
    lines = saved()
    text = lines[line].encode()
    lines[line] = (text[:at] + junk + text[at + len(junk) :]).decode("utf-8", "replace")
    try:
        totals(load(lines))
    except SourceError:
        return


def test_a_ledger_is_filtered_by_source_type_but_not_by_time(tmp_path):
    path = tmp_path / "ledger"
    path.write_text("\n".join(dump(read_ledger(f"{avc()}\n{avc().replace('a_t', 'c_t')}\n"))))
    summary = totals(read_logs([str(path)], ReadOptions(source_types=frozenset({"c_t"})))).summary
    assert (summary.denials, summary.parsed, summary.filtered) == (1, 1, 1)
    with pytest.raises(SourceError, match="counts, not single times"):
        read_logs([str(path)], ReadOptions(since=1))
