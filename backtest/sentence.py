"""A hypothesis as one plain English sentence that states every number it depends on and every comparison.

People approve sentences, so two hypotheses that mean different things must never print the same one. That is kept by building each sentence
from a grammar that can be read back: names that are not plain words, or that are words of the grammar itself, stand in quotes; texts always do;
comparisons stand in brackets. The sentence is that of the canonical form, so one meaning has one sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import singledispatchmethod

from backtest.durations import Duration
from backtest.language import (
    Age,
    Clause,
    Cohort,
    Counted,
    Did,
    DidNot,
    Event,
    First,
    Goal,
    Group,
    Hypothesis,
    Lapse,
    Last,
    Measure,
    Outcome,
    PropertyOutcome,
    Sequence,
    Span,
    State,
    Total,
    Trend,
    Without,
)
from backtest.matching import Comparison, EventMatch, Instant, Op, Scalar

PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(?:[.:/-][A-Za-z0-9_$]+)*")
GRAMMAR = {
    "account", "accounts", "after", "again", "an", "and", "any", "are", "as", "at", "before", "both", "churn", "cohort", "contains", "convert",
    "day", "days", "did", "different", "do", "doing", "event", "events", "expand", "false", "fire", "first", "for", "from", "go",
    "greater", "greatest", "have", "hour", "hours", "in", "is", "it", "last", "later", "latest", "least", "less", "may", "minute",
    "minutes", "most", "no", "not", "of", "often", "on", "once", "one", "or", "over", "passed", "people", "person", "return", "same",
    "second", "seconds", "session", "set", "since", "start", "starts", "sum", "than", "that", "the", "their", "then", "time", "times",
    "today", "true", "utc", "value", "values", "where", "which", "who", "whom", "whose", "with", "within", "without",
}  # fmt: skip
"""Words of the sentences themselves: an event of such a name is quoted."""

OPS = {
    Op.equals: "is", Op.not_equals: "is not", Op.any_of: "is one of", Op.greater_than: "is greater than", Op.at_least: "is at least",
    Op.less_than: "is less than", Op.at_most: "is at most", Op.contains: "contains", Op.starts_with: "starts with", Op.is_set: "is set",
    Op.is_not_set: "is not set",
}  # fmt: skip
GOALS = {Goal.converts: "convert", Goal.expands: "expand", Goal.churns: "churn", Goal.returns: "return"}
MEASURES = {Measure.sum: "sum", Measure.max: "greatest value", Measure.latest: "latest value"}


def sentence(hypothesis: Hypothesis) -> str:
    """One sentence, for instance "People who did invited_teammate at least 2 times within 7 days of user_signed_up do paid within 14 days."

    Hypotheses of different fingerprints have different sentences, and the name of a hypothesis is no part of its sentence.
    """
    canonical = hypothesis.canonical()
    telling = _Telling(canonical)
    clauses = " and ".join(telling.clause(one) for one in canonical.clauses)
    again = f"; the same {telling.one} may fire again {canonical.fires_again_after.words} later" if canonical.fires_again_after else ""
    whole = f"{telling.start}{telling.units} {clauses} {_outcome(canonical.outcome)} within {canonical.horizon.words}{again}."
    return whole[0].upper() + whole[1:]


class _Telling:
    """How one hypothesis is told: what its unit is called, and how its entry is referred to.

    A simple entry is named wherever a clause counts from it; any other, or one that no clause mentions, is told at the start.
    """

    def __init__(self, hypothesis: Hypothesis) -> None:
        group = hypothesis.unit.group if isinstance(hypothesis.unit, Group) else None
        self.units = "people" if group is None else f"{_plural(group)} ({word(group)} accounts)"
        self.one = "person" if group is None else "account"
        self.relative = "who" if group is None else "that"
        self.whom = "whom" if group is None else "which"
        entry = hypothesis.entry
        spans = [getattr(one, "span", None) for one in hypothesis.clauses if not isinstance(one, Age)]
        counted_from = len(spans) < len(hypothesis.clauses) or any(not isinstance(span, Last | None) for span in spans)
        self.start, self.since = "", "their first event"
        if entry is not None and counted_from and isinstance(entry.canonical().model_dump(), str):
            self.since = events(entry)
        elif entry is not None:
            self.start, self.since = f"from their first {events(entry)} on, ", "that start"

    def span(self, span: Span) -> str:
        if isinstance(span, First):
            return f"within {span.first.words} of {self.since}"
        if isinstance(span, Last):
            return f"in the last {_length(span.last)}"
        return f"in the first session after {self.since}" if span == "first_session" else f"at any time since {self.since}"

    @singledispatchmethod
    def clause(self, clause: Clause) -> str:
        raise TypeError(f"no words for {type(clause).__name__}")

    @clause.register
    def _did(self, clause: Did) -> str:
        did, span, least = f"{self.relative} did {events(clause.match)}", self.span(clause.span), f"at least {clause.at_least}"
        if clause.count is Counted.events:
            return f"{did} at least {'once' if clause.at_least == 1 else f'{clause.at_least} times'} {span}"
        if clause.count is Counted.days:
            return f"{did} on {least} different days (UTC) {span}"
        if clause.count is Counted.persons:
            return f"for {self.whom} {least} different {'person' if clause.at_least == 1 else 'people'} did {events(clause.match)} {span}"
        values = "value" if clause.at_least == 1 else "values"
        return f"{did} with {least} different {values} of {path(clause.count.values_of)} {span}"

    @clause.register
    def _did_not(self, clause: DidNot) -> str:
        return f"{self.relative} did not do {events(clause.match)} {self.span(clause.span)}"

    @clause.register
    def _sequence(self, clause: Sequence) -> str:
        gap = "later" if clause.within is None else f"at most {clause.within.words} later"
        return f"{self.relative} did {events(clause.match)} and then {events(clause.then)} {gap}, both {self.span(clause.span)},"

    @clause.register
    def _without(self, clause: Without) -> str:
        return f"{self.relative} did {events(clause.match)} with no {events(clause.without)} within {clause.within.words} after it"

    @clause.register
    def _trend(self, clause: Trend) -> str:
        bound = f"at least {clause.ratio_at_least}" if clause.ratio_at_least is not None else f"at most {clause.ratio_at_most}"
        span = _length(clause.over)
        before = "once" if clause.at_least_before == 1 else f"{clause.at_least_before} times"
        compared = f"{bound} times as often in the last {span} as in the {span} before (then at least {before})"
        return f"{self.relative} did {events(clause.match)} {compared}"

    @clause.register
    def _total(self, clause: Total) -> str:
        bound = f"at least {clause.at_least}" if clause.at_least is not None else f"at most {clause.at_most}"
        of = f"{MEASURES[clause.measure]} of {path(clause.property)} over {events(clause.match)} {self.span(clause.span)}"
        return f"for {self.whom} the {of} is {bound}"

    @clause.register
    def _state(self, clause: State) -> str:
        return f"whose latest {comparison(clause.comparison)}"

    @clause.register
    def _age(self, clause: Age) -> str:
        return f"for {self.whom} at least {clause.at_least.words} have passed since {self.since}"

    @clause.register
    def _cohort(self, clause: Cohort) -> str:
        return f"{self.relative} are in cohort {quoted(clause.cohort)} today"


def _outcome(outcome: Outcome) -> str:
    told = _outcome_itself(outcome)
    goal = GOALS.get(outcome.goal)
    return f"{goal} ({told})" if goal else told


def _outcome_itself(outcome: Outcome) -> str:
    if isinstance(outcome, Event):
        return f"do {events(outcome.match)}"
    if isinstance(outcome, Lapse):
        return f"go {outcome.after.words} without {events(outcome.match)}"
    return f"have an event where {comparison(outcome.match.where[0])}"


def events(match: EventMatch) -> str:
    """Which events count, with their comparisons in brackets: `paid or upgraded (where plan is "pro")`."""
    names = "any event" if match.any_event else _listed([word(name) for name in match.events], "or")
    where = _listed([comparison(one) for one in match.where], "and")
    return f"{names} (where {where})" if where else names


def comparison(one: Comparison) -> str:
    start = f"{path(one.property)} {OPS[one.op]}"
    if isinstance(one.value, tuple):
        return f"{start} {', '.join(map(_value, one.value))}"
    return start if one.value is None else f"{start} {_value(one.value)}"


def _value(value: Scalar | None) -> str:
    if isinstance(value, Instant):
        return str(value.model_dump()["instant"])
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def path(keys: Iterable[str]) -> str:
    return " → ".join(map(word, keys))


def word(name: str) -> str:
    """A name as it is when it is a plain word, else in quotes."""
    return name if PLAIN.fullmatch(name) and name.casefold() not in GRAMMAR else quoted(name)


def quoted(text: str) -> str:
    """Text in quotes on one line: what cannot be printed is escaped as in JSON."""
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in json.dumps(text, ensure_ascii=False))


def _listed(parts: list[str], last: str) -> str:
    return f" {last} ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else "".join(parts)


def _length(duration: Duration) -> str:
    """Behind "the last": `the last 7 days`, `the last day`."""
    return duration.words.removeprefix("1 ")


def _plural(name: str) -> str:
    if not re.fullmatch(r"[a-z]+", name):
        return "accounts"
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name + ("es" if re.search(r"(s|x|z|ch|sh)$", name) else "s")


# --- titles ----------------------------------------------------------------------------------------------------------


def short_title(hypothesis: Hypothesis, limit: int = 80) -> str:
    """The name, or else what the clauses and the outcome are about, in at most `limit` characters."""
    parts = " + ".join(map(_brief, hypothesis.clauses))
    told = f"{parts} → {_brief_outcome(hypothesis.outcome)} in {hypothesis.horizon}"
    title = _one_line(hypothesis.name or "") or _one_line(told)
    return title if len(title) <= limit else title[: limit - 1].rstrip() + "…"


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _brief(clause: Clause) -> str:
    if isinstance(clause, State):
        return comparison(clause.comparison)
    if isinstance(clause, Age):
        return f"{clause.at_least} old"
    if isinstance(clause, Cohort):
        return f"cohort {clause.cohort}"
    about = _name(clause.match)
    if isinstance(clause, Sequence):
        return f"{about} then {_name(clause.then)}"
    if isinstance(clause, Without):
        return f"{about} without {_name(clause.without)}"
    if isinstance(clause, Trend):
        return f"{about} {f'×{clause.ratio_at_least}+' if clause.ratio_at_least is not None else f'×{clause.ratio_at_most} or less'}"
    if isinstance(clause, Total):
        bound = f"≥ {clause.at_least}" if clause.at_least is not None else f"≤ {clause.at_most}"
        return f"{clause.measure} of {path(clause.property)} {bound}"
    return f"no {about}" if isinstance(clause, DidNot) else about + (f" ×{clause.at_least}" if clause.at_least > 1 else "")


def _brief_outcome(outcome: Outcome) -> str:
    if isinstance(outcome, PropertyOutcome):
        return comparison(outcome.match.where[0])
    return f"no {_name(outcome.match)}" if isinstance(outcome, Lapse) else _name(outcome.match)


def _name(match: EventMatch) -> str:
    return "any event" if match.any_event else "/".join(match.events)
