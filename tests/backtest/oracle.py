"""The brute-force oracle: what a hypothesis means, in plain loops, written for obviousness and never for speed.

It shares nothing with the engine but the types of the language. Every definition is asked directly, at one instant, from the events at or
before that instant. All instants and lengths are whole microseconds, so "the instant before t" is t - 1.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import fsum
from typing import Any

from backtest.language import (
    Age,
    Clause,
    Cohort,
    Did,
    DidNot,
    First,
    Hypothesis,
    Lapse,
    Last,
    PropertyOutcome,
    Sequence,
    Span,
    State,
    Total,
    Trend,
    ValuesOf,
    Without,
)
from backtest.matching import Comparison, EventMatch
from tests.backtest.oracle_score import score
from tests.backtest.oracle_values import as_declared, as_text, canonical_json, compares, is_number, look_up

MINUTE = 60_000_000
HALF_HOUR = 30 * MINUTE
DAY = 24 * 60 * MINUTE


@dataclass(frozen=True)
class Row:
    """One event of the source. `at` is in microseconds since the epoch; `unit` is the person or the account, `person` always the person."""

    unit: str
    event: str
    at: int
    properties: dict[str, Any]
    person: str
    uuid: str | None = None


# --- the oracle ------------------------------------------------------------------------------------------------------


class Oracle:
    """Answers about one log and one window `[start, end)`.

    `types` says how a property is declared ("numeric", "boolean", anything else); nested ones by their path joined with dots.
    `cohorts` gives the members of each cohort.
    """

    def __init__(
        self,
        rows: list[Row],
        start: int,
        end: int,
        *,
        types: dict[str, str] | None = None,
        cohorts: dict[str, set[str]] | None = None,
    ) -> None:
        self.start, self.end = start, end
        self.types, self.cohorts = types or {}, cohorts or {}
        self.history: dict[str, list[Row]] = {}  # per unit, everything before the window's end, by time
        delivered = set()
        for row in sorted(rows, key=lambda row: row.at):
            again = row.uuid is not None and row.uuid in delivered
            delivered.add(row.uuid)
            if not again and row.at < end:
                self.history.setdefault(row.unit, []).append(row)
        self._matched: dict[tuple[int, str], tuple[EventMatch, list[Row]]] = {}

    # --- events ---

    def _declared(self, path: tuple[str, ...]) -> str | None:
        return self.types.get(".".join(path))

    def _fits(self, comparison: Comparison, row: Row) -> bool:
        path = comparison.property
        return compares(look_up(row.properties, path), comparison.op, comparison.value, self._declared(path))

    def _is_match(self, match: EventMatch, row: Row) -> bool:
        named = match.any_event or row.event in match.events
        return named and all(self._fits(comparison, row) for comparison in match.where)

    def _ever(self, match: EventMatch, unit: str) -> list[Row]:
        """The unit's matching events in all visible history. Remembered, because one instant after another asks for the same."""
        key = (id(match), unit)  # not the match itself: in Python a comparison with 1 equals one with true
        if key not in self._matched:
            self._matched[key] = match, [row for row in self.history[unit] if self._is_match(match, row)]
        return self._matched[key][1]

    def _seen(self, match: EventMatch, unit: str, t: int) -> list[Row]:
        """The matching events that a clause may use at instant t: those of the window, up to and including t."""
        return [row for row in self._ever(match, unit) if self.start <= row.at <= t]

    # --- entry and outcome: the first ever ---

    def entry(self, hypothesis: Hypothesis) -> dict[str, int]:
        found = {}
        for unit, rows in self.history.items():
            times = [row.at for row in rows if hypothesis.entry is None or self._is_match(hypothesis.entry, row)]
            if times:
                found[unit] = min(times)
        return found

    def outcome(self, hypothesis: Hypothesis) -> dict[str, int]:
        outcome = hypothesis.outcome
        found = {}
        for unit, entry in self.entry(hypothesis).items():
            if isinstance(outcome, Lapse):
                times = self._lapses(outcome, unit, entry)
            elif isinstance(outcome, PropertyOutcome):
                comparison = Comparison(property=outcome.property, op=outcome.op, value=outcome.value)
                times = [row.at for row in self.history[unit] if self._fits(comparison, row)]
            else:
                times = [row.at for row in self._ever(outcome.match, unit)]
            if times:
                found[unit] = min(times)
        return found

    def _lapses(self, lapse: Lapse, unit: str, entry: int) -> list[int]:
        """Instants from which no match lies in the last `after`; a match at m leaves `(t - after, t]` at m + after."""
        matches = [row.at for row in self._ever(lapse.match, unit)]
        instants = [entry + lapse.after, *(at + lapse.after for at in matches)]
        return [
            t
            for t in instants
            if entry + lapse.after <= t < self.end and not any(t - lapse.after < at <= t for at in matches)
        ]  # fmt: skip

    # --- spans ---

    def _session(self, unit: str, entry: int, t: int) -> list[Row]:
        """The unit's events in `[entry, entry + 24 h)` up to t, until the first gap of more than 30 minutes. Later ones are no longer in it."""
        session: list[Row] = []
        for row in self.history[unit]:
            if max(entry, self.start) <= row.at <= t:
                if row.at >= entry + DAY or (session and row.at - session[-1].at > HALF_HOUR):
                    break
                session.append(row)
        return session

    def _in_span(self, match: EventMatch, span: Span, unit: str, entry: int, t: int) -> list[Row]:
        """The matches that the span holds, as known at t."""
        if span == "first_session":
            return [row for row in self._session(unit, entry, t) if self._is_match(match, row)]
        seen = self._seen(match, unit, t)
        if isinstance(span, First):
            return [row for row in seen if entry <= row.at < entry + span.first]
        if isinstance(span, Last):
            return [row for row in seen if t - span.last < row.at]
        return [row for row in seen if entry <= row.at]

    # --- the clauses, each asked at one instant t >= entry ---

    def _clause(self, clause: Clause, unit: str, entry: int, t: int) -> bool:
        if isinstance(clause, Did):
            return self._did(clause, unit, entry, t)
        if isinstance(clause, DidNot):
            return self._did_not(clause, unit, entry, t)
        if isinstance(clause, Sequence):
            return self._sequence(clause, unit, entry, t)
        if isinstance(clause, Without):
            return self._without(clause, unit, t)
        if isinstance(clause, Trend):
            return self._trend(clause, unit, entry, t)
        if isinstance(clause, Total):
            return self._total(clause, unit, entry, t)
        if isinstance(clause, State):
            latest = self._latest_carrier(clause, unit, t)
            return latest is not None and compares(latest, clause.op, clause.value, self._declared(clause.property))
        if isinstance(clause, Age):
            return t >= entry + clause.at_least
        assert isinstance(clause, Cohort)
        return unit in self.cohorts.get(clause.cohort, set())

    def _did(self, clause: Did, unit: str, entry: int, t: int) -> bool:
        rows = self._in_span(clause.match, clause.span, unit, entry, t)
        if isinstance(clause.count, ValuesOf):
            values = [look_up(row.properties, clause.count.values_of) for row in rows]
            measure = len({as_text(value) for value in values if value is not None})
        elif clause.count == "days":
            measure = len({row.at // DAY for row in rows})  # the epoch began at a UTC midnight
        elif clause.count == "persons":
            measure = len({row.person for row in rows})
        else:
            measure = len(rows)
        return measure >= clause.at_least

    def _did_not(self, clause: DidNot, unit: str, entry: int, t: int) -> bool:
        if clause.span == "first_session":
            session = self._session(unit, entry, t)
            ended_by_silence = bool(session) and t >= session[-1].at + HALF_HOUR
            over = ended_by_silence or t >= entry + DAY
        elif isinstance(clause.span, First):
            over = t >= entry + clause.span.first
        else:
            over = t >= entry + clause.span.last
        return over and not self._in_span(clause.match, clause.span, unit, entry, t)

    def _sequence(self, clause: Sequence, unit: str, entry: int, t: int) -> bool:
        for a in self._in_span(clause.match, clause.span, unit, entry, t):
            for b in self._in_span(clause.then, clause.span, unit, entry, t):
                if a.at < b.at and (clause.within is None or b.at - a.at <= clause.within):
                    return True
        return False

    def _without(self, clause: Without, unit: str, t: int) -> bool:
        spoilers = self._seen(clause.without, unit, t)
        for a in self._seen(clause.match, unit, t):
            until = a.at + clause.within
            if until <= t and not any(a.at < b.at <= until for b in spoilers):
                return True
        return False

    def _trend(self, clause: Trend, unit: str, entry: int, t: int) -> bool:
        times = [row.at for row in self._seen(clause.match, unit, t)]
        now = sum(t - clause.over < at <= t for at in times)
        before = sum(t - 2 * clause.over < at <= t - clause.over for at in times)
        if t < entry + 2 * clause.over or before < clause.at_least_before:
            return False
        if clause.ratio_at_least is not None:
            return Fraction(now, before) >= Fraction(str(clause.ratio_at_least))
        return Fraction(now, before) <= Fraction(str(clause.ratio_at_most))

    def _total(self, clause: Total, unit: str, entry: int, t: int) -> bool:
        numbers = []
        for row in self._in_span(clause.match, clause.span, unit, entry, t):
            value = as_declared(look_up(row.properties, clause.property), self._declared(clause.property))
            if is_number(value):
                numbers.append((row.at, value))
        if not numbers:
            return False
        if clause.measure == "sum":
            total = fsum(value for _, value in numbers)
        elif clause.measure == "max":
            total = max(value for _, value in numbers)
        else:
            total = max(numbers)[1]  # the latest instant; among tied ones the greatest value
        if clause.at_least is not None:
            return total >= clause.at_least
        assert clause.at_most is not None
        return total <= clause.at_most

    # --- state ---

    def _carriers(self, clause: State, unit: str) -> list[Row]:
        return [row for row in self.history[unit] if look_up(row.properties, clause.property) is not None]

    def _latest_carrier(self, clause: State, unit: str, t: int) -> Any:
        """The property's value as the unit's latest event up to t carries it; None before it is known.

        What lies before the window is the seed: its latest value, as for any other instant. Tied events: the greatest value.
        """
        carriers = [row for row in self._carriers(clause, unit) if row.at <= t]
        if not carriers:
            return None
        latest = max(row.at for row in carriers)
        tied = [look_up(row.properties, clause.property) for row in carriers if row.at == latest]
        declared = self._declared(clause.property)
        numbers = [value for value in tied if is_number(as_declared(value, declared))]
        if numbers:
            return max(numbers, key=lambda value: (as_declared(value, declared), canonical_json(value)))
        return max(tied, key=canonical_json)

    def _becomes_known(self, clause: State, unit: str, t: int) -> bool:
        """Whether the property is carried for the first time ever at t: with a carrier before the window it was known all along."""
        carriers = self._carriers(clause, unit)
        return bool(carriers) and min(row.at for row in carriers) == t

    # --- the hypothesis ---

    def holds(self, hypothesis: Hypothesis, unit: str, t: int) -> bool:
        """The definition, at one instant, from events at or before it only."""
        entry = self.entry(hypothesis).get(unit)
        return entry is not None and self.holds_since(hypothesis, unit, entry, t)

    def holds_since(self, hypothesis: Hypothesis, unit: str, entry: int, t: int) -> bool:
        return t >= entry and all(self._clause(clause, unit, entry, t) for clause in hypothesis.clauses)

    def _instants(self, hypothesis: Hypothesis, unit: str, entry: int) -> list[int]:
        """Every instant at which truth can change.

        Each clause compares t with the times of events and with entry, always shifted by nothing or by a length of the hypothesis (or twice the
        length of a trend, 30 minutes, 24 hours); between two such instants none of these comparisons changes, so neither does truth.
        """
        lengths = {0, HALF_HOUR, DAY}
        for clause in hypothesis.clauses:
            span = getattr(clause, "span", None)
            if isinstance(span, First):
                lengths.add(int(span.first))
            if isinstance(span, Last):
                lengths.add(int(span.last))
            if isinstance(clause, Sequence | Without) and clause.within is not None:
                lengths.add(int(clause.within))
            if isinstance(clause, Trend):
                lengths |= {int(clause.over), 2 * int(clause.over)}
            if isinstance(clause, Age):
                lengths.add(int(clause.at_least))
        anchors = {entry, *(row.at for row in self.history[unit])}
        return sorted({anchor + length for anchor in anchors for length in lengths} | {self.start, self.look_from(hypothesis), self.end})

    def _is_fire(self, hypothesis: Hypothesis, unit: str, entry: int, t: int) -> bool:
        """Whether a maximal interval of truth starts at t, and not only because a state became known."""
        if not self.holds_since(hypothesis, unit, entry, t) or self.holds_since(hypothesis, unit, entry, t - 1):
            return False
        if t == entry:
            return True
        starting = [clause for clause in hypothesis.clauses if not self._clause(clause, unit, entry, t - 1)]
        return any(not (isinstance(clause, State) and self._becomes_known(clause, unit, t)) for clause in starting)

    def look_from(self, hypothesis: Hypothesis) -> int:
        """S0: the window's start plus the longest trailing look-back."""
        backs = [0]
        for clause in hypothesis.clauses:
            if isinstance(clause, Trend):
                backs.append(2 * int(clause.over))
            if isinstance(clause, Without):
                backs.append(int(clause.within))
            span = getattr(clause, "span", None)
            if isinstance(span, Last):
                backs.append(int(span.last))
        return self.start + max(backs)

    def entrants(self, hypothesis: Hypothesis) -> dict[str, int]:
        """The units that may fire, with their entry: a first span or `ever` restricts them to those that enter between S0 and the end."""
        spans = [getattr(clause, "span", None) for clause in hypothesis.clauses]
        entries = self.entry(hypothesis)
        if not any(isinstance(span, First) or span in ("first_session", "ever") for span in spans):
            return entries
        return {unit: entry for unit, entry in entries.items() if self.look_from(hypothesis) <= entry < self.end}

    def fires(self, hypothesis: Hypothesis) -> list[tuple[str, int, int]]:
        """(unit, instant, occurrence from 1 on), sorted."""
        again, look_from = hypothesis.fires_again_after, self.look_from(hypothesis)
        found = []
        for unit, entry in self.entrants(hypothesis).items():
            earlier: list[int] = []
            for t in self._instants(hypothesis, unit, entry):
                if not look_from <= t < self.end:
                    continue
                if earlier and again is None:
                    break
                if earlier and again is not None and t < earlier[-1] + again:
                    continue
                if self._is_fire(hypothesis, unit, entry, t):
                    earlier.append(t)
                    found.append((unit, t, len(earlier)))
        return sorted(found)

    def score(self, hypothesis: Hypothesis) -> dict[str, Any]:
        """See `tests.backtest.oracle_score`."""
        return score(self, hypothesis)
