"""A call of an installed interface that would give what rules of a module give."""

from __future__ import annotations

from dataclasses import dataclass

from polkit.model.rules import AvRule


@dataclass(frozen=True)
class InterfaceCall:
    """A call of an interface of the reference policy, held against a module. Counts are accesses (source, target,
    class, permission), attributes expanded.
    """

    name: str
    arguments: tuple[str, ...]
    header: str
    """The file that defines it, in the directory of the headers."""
    rules: tuple[AvRule, ...]
    """The module's rules that it gives whole."""
    given: int
    """Accesses it grants that its domains have anyway: of the policy, whatever the booleans, or of their base."""
    extra: int
    """Accesses it newly grants that no rule of the module gives."""
    extra_rules: tuple[AvRule, ...]
    """Those as rules, on types: the first few, of a call that is used all."""
    refused: tuple[str, ...]
    """Why the extra may not be granted whatever its number: ids of risks, ``neverallow``."""
    used: bool
    """It may stand for its rules: it grants no more, or no more than was allowed."""

    @property
    def text(self) -> str:
        """``NAME(ARGUMENT, ARGUMENT)``."""
        return f"{self.name}({', '.join(self.arguments)})"
