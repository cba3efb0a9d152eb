"""Names for matchers and clauses, equal exactly where they mean the same work. Cheap: a batch asks for thousands of them.

Python's own equality will not do, because it takes a comparison with 1 for one with true.
"""

from __future__ import annotations

from backtest.language import Clause, ValuesOf
from backtest.matching import EventMatch

Key = tuple[object, ...]


def match_key(match: EventMatch | None) -> Key:
    """Event names in any order, and comparisons with the types of their values."""
    if match is None:
        return ("any",)
    names: Key = ("any",) if match.any_event else tuple(sorted(set(match.events)))
    if not match.where:
        return names
    return (*names, None, *((one.property, one.op.value, repr(one.value)) for one in match.where))


def clause_key(clause: Clause) -> Key:
    """Everything that a clause says. Matchers by their key, everything else by its text."""
    parts: list[object] = [clause.kind]
    for name, value in clause:
        if isinstance(value, EventMatch):
            parts.append(match_key(value))
        elif isinstance(value, ValuesOf):
            parts.append(value.values_of)
        elif name != "kind":
            parts.append(repr(value))
    return tuple(parts)
