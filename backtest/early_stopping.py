"""May the reading stop, because no verdict can change any more?

A verdict is a function of whole numbers that the whole read counts. Each of these counts distinct units, so `unread.totals` bounds it at every
look, and the bounds of all counts of all hypotheses hold together with probability 1 - error (Bonferroni over hypotheses, parts and counts). Where
every total within its bounds gives the same verdict, that verdict is the one of the whole read; stopping there is wrong with probability at most
`error`, however often one looks. Nothing is assumed about the log: not that units are alike, not that events are independent, only that the hash
that makes the buckets is as good as random.

"Cannot tell" is sure when a minimum can no longer be reached; a minimum that is reached stays reached. A verdict against is sure as soon as one
condition surely fails. A verdict for needs all of them:

lift             Katz's lower limit on the bounds of the closed table; rows of one unit (design G) are counted in layers of units with at least k;
chance           Chernoff's bound of the stratified tail: log p <= -λ hits + Σ fired_s log(1 + rate_s (e^λ - 1)), since a hypergeometric count is
                 no more spread than a binomial one (Hoeffding 1963);
same age         Σ over cells of age of fires times (who convert) / (who are at risk), with most over fewest for the most that E may be and fewest
                 over most for the least; a bound of the interval's spread from the same counts;
recall, precision, labels    ratios of two disjoint counts.

The bounds are conservative: they cost reading on, never a wrong verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from backtest.baseline import MINIMUM_COMPARATORS, Comparators
from backtest.detail import Detail, implied, names_outcome
from backtest.durations import HOUR
from backtest.intervals import Flags, Ints
from backtest.labels import AFTER, FEWEST, NEARLY_ALL_AFTER, NECESSARY, NO_LEAD, SAME_SECOND
from backtest.language import Hypothesis
from backtest.proportions import Z95
from backtest.score import MINIMUM_CONVERTERS, MINIMUM_FIRES, MINIMUM_HITS
from backtest.stratified import Floats
from backtest.tally import Baseline, Tally
from backtest.unread import totals
from backtest.verdict import Bar

CELLS_PER_HORIZON, CELLS = 4, 64
"""Cells of age: a quarter of the horizon each, so many of them, and one for all that is older."""

TILTS = np.geomspace(0.01, 5, 60)


@dataclass(frozen=True)
class Sure:
    """What the whole read will say: it clears, it does not, or (`None`) that cannot be told."""

    clears: bool | None


@dataclass(frozen=True)
class Counted:
    """What one hypothesis adds up to over the buckets read so far."""

    hypothesis: Hypothesis
    tally: Tally
    shared: Baseline
    detail: Detail


def sure_verdict(so_far: Counted, bar: Bar, share: float, error: float) -> Sure | None:
    """The verdict on a hypothesis that nobody selected, where it is sure; `None` where the rest of the read may still change it.

    `share`: of the buckets of its units that were read. `error`: of this hypothesis, that is the whole error over the number of hypotheses.
    """
    bounds = Bounds(so_far, share, error)
    fires, hits, converters = bounds.fires, bounds.hits, bounds.converters
    minimums = ((fires, MINIMUM_FIRES), (hits, MINIMUM_HITS), (converters, MINIMUM_CONVERTERS))
    if any(one.high < least for one, least in minimums):
        return Sure(None)
    if any(one.low < least for one, least in minimums):
        return None
    limits = [
        (bounds.lift_low, bar.min_lift_low),
        (Range(float(fires.low), float(fires.high)), bar.min_fires),
        (Range(float(hits.low), float(hits.high)), bar.min_true_positives),
        (bounds.recall, bar.min_recall),
        *([] if bar.min_precision is None else [(bounds.precision, bar.min_precision)]),
    ]
    if any(one.high < least for one, least in limits):
        return Sure(False)
    reached = all(one.low >= least for one, least in limits)
    if reached and bounds.no_label() and bounds.log_chance() <= math.log(bar.max_q) and bounds.aged_low() > 1:
        return Sure(True)
    return None


@dataclass(frozen=True)
class Range:
    """The least and the most that a number may be."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def share_with(self, rest: Range) -> Range:
        """Of this count in it and the disjoint rest together."""
        return Range(_share(self.low, rest.high), _share(self.high, rest.low))


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part else 0.0


PARTS = 4
"""The error of a hypothesis is split evenly: closed table and plain counts, strata, ages, labels."""


@dataclass
class Bounds:
    """Bounds of everything that the verdict depends on, each part worked out when it is asked for."""

    so_far: Counted
    share: float
    error: float
    fires: Range = field(init=False)
    hits: Range = field(init=False)
    converters: Range = field(init=False)
    recall: Range = field(init=False)
    precision: Range = field(init=False)

    def __post_init__(self) -> None:
        tally = self.so_far.tally
        hits, recalled = int(tally.hits.sum()), tally.recall_hits
        layers = _layers(self.so_far)
        seen = [hits, len(tally.hits) - hits, recalled, tally.recall_converters - recalled]
        bounds = self._bounded(np.concatenate((seen, layers.ravel())))
        self.hits, misses, recalled_, others = (Range(*one) for one in bounds[:4].tolist())
        self.fires, self.converters = self.hits + misses, recalled_ + others
        self.recall, self.precision = recalled_.share_with(others), self.hits.share_with(misses)
        self._closed = [Range(*one) for one in bounds[4:].reshape(*layers.shape, 2).sum(1).tolist()]

    def _bounded(self, seen: Ints) -> Ints:
        """One row of least and most for each count, of one part."""
        found = totals(seen, self.share, self.error / PARTS)
        return np.column_stack((found.low, found.high))

    @property
    def lift_low(self) -> Range:
        """The lower limit of Katz's interval, carried to lift, over all closed tables within the bounds."""
        tp, fp, fn, tn = self._closed
        fired, unfired = tp + fp, fn + tn
        share = fired.share_with(unfired)
        low, high = -math.inf, -math.inf  # where a cell is empty there is no lower limit, which no bar accepts
        if tp.low and fn.low:
            least = _ratio(tp.low, fp.high, fn.high, tn.low) * math.exp(-Z95 * _spread(tp.low, fp.high, fn.low, tn.high))
            low = min(_lift(least, part) for part in (share.low, share.high))
        if tp.high and fn.high:
            most = _ratio(tp.high, fp.low, fn.low, tn.high) * math.exp(-Z95 * _spread(tp.high, fp.low, fn.high, tn.low))
            high = max(_lift(most, part) for part in (share.low, share.high))
        return Range(low, high)

    def log_chance(self) -> float:
        """The most that log p_stratified may be, by Chernoff."""
        strata, tp, fp = self.so_far.detail.strata, *self._closed[:2]
        bounds = self._bounded(np.concatenate((strata.fired, strata.converters, strata.units - strata.converters)))
        fired, converters, others = bounds.reshape(3, -1, 2)
        rate = converters[:, 1] / np.maximum(converters[:, 1] + others[:, 0], 1)
        return min(
            float(_most(np.log1p(rate * math.expm1(tilt)), fired, tp.high + fp.high) - tilt * tp.low) for tilt in TILTS.tolist()
        )  # fmt: skip

    def aged_low(self) -> float:
        """The least that the lower limit of `lift_vs_baseline` may be."""
        ages, width = self.so_far.tally.ages, int(self.so_far.hypothesis.horizon) // CELLS_PER_HORIZON
        older = len(ages) - np.searchsorted(np.sort(ages), np.arange(CELLS + 1) * width, "left")
        fires, older = older[:-1] - older[1:], older[1:]  # within each cell; beyond its upper edge
        bounds = self._bounded(np.concatenate((fires, older, *_comparators(self.so_far.shared.comparators, width)))).reshape(6, -1, 2)
        return max(self._aged_low(bounds, cells) for cells in range(1, CELLS + 1))

    def _aged_low(self, bounds: Ints, cells: int) -> float:
        """With the cells from `cells` on taken for the worst: unsupported where they hit, sure to convert where they do not.

        The interval's spread is √Σψ² <= √ΣA² + √ΣC² with A what units add by firing and C as comparators (`backtest.judged`). ΣA² <= 1 / TP +
        ΣB² / E². Σ|C| <= 2 and each |C| <= Σ(1 / at risk) / E, so ΣC² <= 2 Σ(1 / at risk) / E. The limit rises and then falls with E, so it is
        least at an end.
        """
        fires, older, whole, some, sure, perhaps = bounds
        if (whole[:cells, 0] < MINIMUM_COMPARATORS).any():
            return 0.0
        beyond = float(older[cells - 1, 1])
        hits = self.hits.low - beyond
        surely = sure[:cells, 0] / np.maximum(some[:cells, 1], 1)
        fewest = float((surely * fires[:cells, 0]).sum())
        if hits <= 0 or fewest <= 0:
            return 0.0
        rate = np.minimum(perhaps[:cells, 1] / whole[:cells, 0], 1.0)
        most, squares, shares = (
            _most(weight, fires[:cells], self.fires.high) + beyond * at_worst
            for weight, at_worst in ((rate, 1.0), (rate * rate, 1.0), (1 / whole[:cells, 0], 1 / MINIMUM_COMPARATORS))
        )  # fmt: skip
        return min(
            hits / expected * math.exp(-Z95 * (math.sqrt(1 / hits + squares / expected**2) + math.sqrt(2 * shares / expected)))
            for expected in (fewest, most)
        )

    def no_label(self) -> bool:
        """Whether every label is surely absent."""
        tally, order, hypothesis = self.so_far.tally, self.so_far.detail.order, self.so_far.hypothesis
        quick, had = int((tally.leads <= HOUR).sum()), order.before + order.tied
        pairs = [
            (quick, len(tally.leads) - quick),
            (tally.excluded_converted, tally.fires_total - tally.excluded_converted),
            (order.tied + order.after, order.before),
            (order.within_second, order.fired - order.within_second),
            (had, order.converters - had),
        ]
        bounds = self._bounded(np.array(pairs).ravel()).reshape(-1, 2, 2).tolist()
        leads, excluded, late, together, first = (Range(*part).share_with(Range(*rest)) for part, rest in bounds)
        tells_apart = self.so_far.tally.closed.fn + self.so_far.tally.closed.tn > 0
        after_outcome = excluded.high >= AFTER and late.high >= NEARLY_ALL_AFTER and bounds[1][0][1] >= FEWEST
        progress = (names_outcome(hypothesis) or implied(hypothesis)) and first.high >= NECESSARY
        return tells_apart and leads.high < NO_LEAD and not after_outcome and together.high < SAME_SECOND and not progress


def _layers(so_far: Counted) -> Ints:
    """For tp, fp, fn and tn how many units have at least 1, 2, ... such rows in the closed table. Design L has one row per unit."""
    detail = so_far.detail
    hits, fired, converted, rows = detail.patterns.T
    values = (hits, fired - hits, converted - hits, rows - fired - converted + hits)
    most = 1 if so_far.hypothesis.anchored else max(len(detail.strata.units), 1)
    return np.array([[int(detail.times[value >= least].sum()) for least in range(1, most + 1)] for value in values], np.int64)


def _comparators(units: Comparators, width: int) -> tuple[Ints, Ints, Ints, Ints]:
    """For each cell of age how many units are at risk in all of it and in some of it, and how many convert in time from all and from some of it."""
    return (
        _over_cells(-(-units.start // width), units.stop // width),
        _over_cells(units.start // width, -(-units.stop // width)),
        _over_cells(-(-units.soonest // width), units.stop // width),
        _over_cells(units.soonest // width, -(-units.stop // width), units.soonest < units.stop),
    )


def _over_cells(first: Ints, end: Ints, some: Flags | None = None) -> Ints:
    """For each cell the units that have it among their cells `first` to `end`, exclusive."""
    real = first < end if some is None else (first < end) & some
    steps = (np.bincount(np.minimum(ends[real], CELLS), minlength=CELLS + 1) for ends in (first, end))
    begun, ended = (one.cumsum()[:CELLS] for one in steps)
    return begun - ended


def _most(weight: Floats, bounds: Ints, total: float) -> float:
    """The largest Σ weight · count with every count within its bounds and their sum at most `total`."""
    count = bounds[:, 0].astype(np.float64)
    room = max(total - float(count.sum()), 0.0)
    for index in np.argsort(-weight).tolist():
        more = min(room, float(bounds[index, 1]) - count[index])
        count[index] += more
        room -= more
    return float((weight * count).sum())


def _ratio(tp: float, fp: float, fn: float, tn: float) -> float:
    missed = _share(fn, tn)
    return _share(tp, fp) / missed if missed else math.inf


def _spread(tp: float, fp: float, fn: float, tn: float) -> float:
    """The standard error of log RR: √(1/tp - 1/fired + 1/fn - 1/unfired)."""
    return math.sqrt(fp / (tp * (tp + fp)) + tn / (fn * (fn + tn)))


def _lift(ratio: float, share: float) -> float:
    if math.isinf(ratio):
        return 1 / share if share else math.inf
    return ratio / (share * ratio + 1 - share) if share < 1 or ratio else 0.0
