"""What a growth team would run instead of a search: PostHog's correlation formula, a decision tree, a logistic regression with an L1 penalty, and
subgroup discovery. Each learns from the same units, looks and events as the search, and says how promising a unit is at a look."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backtest.intervals import Codes, Flags, Ints
from backtest.matching import EventMatch
from backtest.stratified import Floats
from beton.bench.counted import Seen, halves
from beton.bench.looks import Matrix

Scorer = Callable[[Seen], Floats]

INNER = 0.7
"""Share of the discovering units, in order of entry, on which settings are tried; the rest chooses."""

PRIOR = 1.0
FEWEST, FEWEST_SHARE = 25, 0.02
"""PostHog calls an event insignificant that fewer persons than both of these did."""


def odds_ratios(part: Seen) -> Floats:
    """Per event of the columns, also with a value: the odds of converting of those who did the event, over those of the others, each count plus 1.

    As PostHog counts it for a funnel from entry to outcome with the horizon as its window (numbers section 13): who converts has done what he did
    from entry to conversion, who does not what he did from entry to the end of the window. 0 where too few did it.
    """
    log, horizon = part.log, part.looks.horizon
    unit, entry = part.looks.unit, part.looks.entry
    outcome = log.outcome(part.question)[unit]
    complete = entry + horizon <= log.window.end
    converts = (outcome > entry) & (outcome <= entry + horizon)
    until = np.where(converts, outcome - 1, entry + horizon)
    found = []
    for column in (one for one in part.columns if one.plainest):
        did = _did(part, column.match, unit, entry, until)[complete]
        found.append(_odds(did, converts[complete]))
    return np.array(found)


def _did(part: Seen, match: EventMatch, unit: Codes, since: Ints, until: Ints) -> Flags:
    """Units with a match in [since, until]."""
    from_, to = np.full(len(part.log.units), 1), np.full(len(part.log.units), 0)
    from_[unit], to[unit] = since, until
    events = part.log.matches(match)
    inside = (events.at >= from_[events.unit]) & (events.at <= to[events.unit])
    did = np.zeros(len(part.log.units), np.bool_)
    did[events.unit[inside]] = True
    return did[unit]


def _odds(did: Flags, converts: Flags) -> float:
    if did.sum() < min(FEWEST, FEWEST_SHARE * len(did)):
        return 0.0
    success, failure = int((did & converts).sum()), int((did & ~converts).sum())
    others, other_failures = int((~did & converts).sum()), int((~did & ~converts).sum())
    return (success + PRIOR) * (other_failures + PRIOR) / ((failure + PRIOR) * (others + PRIOR))


def correlation(part: Seen) -> Scorer:
    """At a look, the greatest odds ratio of what the unit did in the last 14 days."""
    ratios = odds_ratios(part)
    places = [place for place, one in enumerate(part.columns) if one.plainest]
    return lambda other: ((other.table[:, places] > 0) * ratios).max(1, initial=0.0)


def _chosen(part: Seen, table: Matrix, settings: Sequence[Any], make: Callable[[Any], Any]) -> Any:
    """The setting with the least log loss on the later units of the discovering part, fitted to all of them."""
    from sklearn.metrics import log_loss

    first, second = halves(part, INNER)
    hit, both = part.hit, first | second
    losses = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops early is a fit all the same
        if min(hit[first].sum(), hit[second].sum()) > 0:
            losses = [log_loss(hit[second], make(one).fit(table[first], hit[first]).predict_proba(table[second])[:, 1]) for one in settings]
        return make(settings[int(np.argmin(losses))] if losses else settings[0]).fit(table[both], hit[both])


TREES = tuple((depth, leaf) for depth in (3, 5, 8) for leaf in (20, 60))


def tree(part: Seen) -> Scorer:
    """The share of conversions in the leaf that a unit is in at a look."""
    from sklearn.tree import DecisionTreeClassifier

    fitted = _chosen(part, part.table, TREES, lambda one: DecisionTreeClassifier(max_depth=one[0], min_samples_leaf=one[1], random_state=0))
    return lambda other: fitted.predict_proba(other.table)[:, -1]


PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)


def logistic(part: Seen) -> Scorer:
    """The fitted probability; counts as log(1 + count), each column divided by its standard deviation."""
    from sklearn.linear_model import LogisticRegression

    spread = np.log1p(part.table).std(0)
    spread[spread == 0] = 1

    def prepared(one: Seen) -> Matrix:
        return np.log1p(one.table) / spread

    fitted = _chosen(part, prepared(part), PENALTIES, lambda one: LogisticRegression(C=one, l1_ratio=1, solver="liblinear", max_iter=200))
    return lambda other: fitted.predict_proba(prepared(other))[:, -1]


RIVALS: dict[str, Callable[[Seen], Scorer]] = {"posthog_correlation": correlation, "decision_tree": tree, "l1_logistic": logistic}
