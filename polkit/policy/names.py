"""The names of a policy that are most like one it doesn't have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from math import log

_MOST = 3
_SHORTLIST = 40
_LEAST_SCORE = 0.45
"""Below this a name has nothing to do with the one asked for (measured on types of other distributions)."""


class NameIndex:
    """Names by their trigrams and words, so that one look-up among some thousand names takes a millisecond."""

    def __init__(self, names: Iterable[str], canonical: Mapping[str, str]) -> None:
        """``names`` may hold aliases: ``canonical`` says what they stand for."""
        self._canonical = canonical
        self._by_trigram: dict[str, list[str]] = {}
        self._trigrams: dict[str, int] = {}
        self._words: Counter[str] = Counter()
        self._found: dict[str, tuple[str, ...]] = {}
        for name in sorted(set(names)):
            self._words.update(_words(name))
            trigrams = _trigrams(name)
            self._trigrams[name] = len(trigrams)
            for trigram in trigrams:
                self._by_trigram.setdefault(trigram, []).append(name)
        self._common = max(_SHORTLIST, len(self._trigrams) // 8)
        self._size = max(1, sum(self._words.values()))

    def nearest(self, name: str) -> tuple[str, ...]:
        """At most three canonical names, best first; never ``name`` itself, none that is too unlike."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> tuple[str, ...]:
        """Letters that nearly every name shares (``_t``) find nobody: they are left out of the search."""
        shared: Counter[str] = Counter()
        wanted = _trigrams(name)
        for trigram in wanted:
            names = self._by_trigram.get(trigram, ())
            if len(names) <= self._common:
                shared.update(names)
        alike = {other: 2 * count / (len(wanted) + self._trigrams[other]) for other, count in shared.items()}
        shortlist = sorted(alike, key=lambda other: (-alike[other], other))[:_SHORTLIST]
        scored = sorted((-self._score(name, other), other) for other in shortlist)
        found: list[str] = []
        for score, other in scored:
            real = self._canonical.get(other, other)
            if -score >= _LEAST_SCORE and real != name and real not in found:
                found.append(real)
        return tuple(found[:_MOST])

    def _score(self, name: str, other: str) -> float:
        """0 to 1: half for the letters, half for the words shared, a rare word counting for more.

        Between two names of one word the letters alone decide.
        """
        letters = SequenceMatcher(None, name, other, autojunk=False).ratio()
        one, two = _words(name), _words(other)
        if max(len(one), len(two)) <= 1:
            return letters
        every = sum(self._weight(word) for word in one | two)
        common = sum(self._weight(word) for word in one & two)
        return (letters + common / every) / 2

    def _weight(self, word: str) -> float:
        return log(self._size / (self._words[word] + 1)) + 1


def _words(name: str) -> frozenset[str]:
    """The parts between underscores, dots and dashes, without the ``t`` that every type ends with."""
    return frozenset(word for word in name.replace(".", "_").replace("-", "_").split("_") if word not in ("", "t"))


def _trigrams(name: str) -> frozenset[str]:
    padded = f"  {name} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))
