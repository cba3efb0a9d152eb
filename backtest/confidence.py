"""How sure one may be that a hypothesis is as precise as asked, in view of all hypotheses that were screened for the same outcome.

Precisions are drawn from Beta(α, β), hits from a binomial; α and β are those under which all screened hypotheses together are most likely
(empirical Bayes). Each precision is then shrunk towards what is usual, the more the fewer its fires. An LLM's own estimate is not this number.

What a person wants to know is whether it will do so on later data. There more is uncertain: the base rate is another one (units grow older, seasons
change), effects wax, wane and end, and later fires are a sample too. So what is asked is carried to the base rate so far, the precision may drift,
and the effect may be over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest.intervals import Flags, Ints
from backtest.stratified import Floats

FEWEST = 5
"""With fewer screened hypotheses no usual precision can be told."""

DRIFT = 0.15
"""By how much a lift that lasts changes from one part of a window to the next: standard deviation of its logarithm (0.14 in the built-in worlds)."""

ENDED = 0.16
"""How often an effect is over by then, so that nothing clears a bar: in the built-in worlds, in which one planted effect of each ends, one find in
six."""

MOST_LATER = 2_000
"""More later fires than this make no difference."""

DRIFTS = 400
"""So many equally likely drifts stand for all."""

LEAST_SPREAD = 1e6
"""α + β at which precisions are taken as equal: more agreement than chance allows has no finite maximum."""


@dataclass(frozen=True)
class Prior:
    alpha: float
    beta: float

    def shrunk(self, hits: int, n: int) -> float:
        """Posterior mean of the precision, (α + hits) / (α + β + n)."""
        return (self.alpha + hits) / (self.alpha + self.beta + n)

    def confidence(self, hits: int, n: int, bar: float) -> float:
        """P(precision >= bar | data): the upper tail at `bar` of Beta(α + hits, β + n - hits)."""
        from scipy.special import betaincc

        return float(betaincc(self.alpha + hits, self.beta + n - hits, bar))

    def later_confidence(self, hits: int, n: int, asked: Asked, ended: float = ENDED) -> float:
        """P(precision over as many later fires >= asked | data), of hits drawn from the beta-binomial of Beta(α + hits, β + n - hits). `ended`: how
        likely the effect is over by then."""
        from scipy.special import betaln, gammaln, ndtri

        later = min(n, MOST_LATER)
        x, a, b = np.arange(later + 1), self.alpha + hits, self.beta + n - hits
        ways = gammaln(later + 1) - gammaln(x + 1) - gammaln(later - x + 1)
        at_least = np.append(np.exp(ways + betaln(a + x, b + later - x) - betaln(a, b))[::-1].cumsum()[::-1], 0.0)
        drifts = DRIFT * ndtri((np.arange(DRIFTS) + 0.5) / DRIFTS)
        bars = np.ceil(np.minimum(asked.so_far * np.exp(-drifts), 1.0) * later - 1e-9).astype(np.int64)
        return float((1 - ended) * min(1.0, at_least[bars].mean()))


@dataclass(frozen=True)
class Asked:
    """What is asked: a precision `later`, and the one that stands for it at the base rate `so_far`."""

    later: float
    so_far: float


def asked(min_precision: float | None, min_lift: float, base: float | None, later_base: float | None) -> Asked | None:
    """The bar's precision, or where it has none its lift times the base rate of later data. `base`: expected / supported fires on the data so far,
    `later_base` the same on later data, taken as `base` where it is not known. `None` where no precision between 0 and 1 stands for it."""
    if not base:
        return None
    later_base = later_base or base
    later = min_lift * later_base if min_precision is None else min_precision
    so_far = later * base / later_base
    return Asked(later, so_far) if 0 < later < 1 and 0 < so_far < 1 else None


def fitted_prior(hits: Ints, n: Ints) -> Prior | None:
    """Maximum likelihood of the beta-binomial, Σ log [B(α + x, β + n - x) / B(α, β)], over all screened hypotheses of one outcome.

    `None` with fewer than `FEWEST` hypotheses that fired, or when all or none of the fires hit. Sorted first: the order carries no meaning.
    """
    by = np.lexsort((hits[n > 0], n[n > 0]))
    x, size = hits[n > 0][by].astype(np.float64), n[n > 0][by].astype(np.float64)
    if len(size) < FEWEST or x.sum() in (0, size.sum()):
        return None
    from scipy.optimize import minimize
    from scipy.special import betaln, digamma, expit

    def loss(place: Floats) -> tuple[float, Floats]:
        """Minus mean log likelihood, and its slope, at (logit of the mean, log of α + β)."""
        mean, total = float(expit(place[0])), math.exp(place[1])
        a, b = mean * total, (1 - mean) * total
        both = digamma(size + total) - digamma(total)
        by_a = float((digamma(a + x) - digamma(a) - both).sum())
        by_b = float((digamma(b + size - x) - digamma(b) - both).sum())
        likelihood = float((betaln(a + x, b + size - x) - betaln(a, b)).sum())
        slope = np.array([(by_a - by_b) * mean * (1 - mean) * total, by_a * a + by_b * b])
        return -likelihood / len(size), -slope / len(size)  # of one hypothesis: of all, the first step would lead to where nothing slopes

    pooled = x.sum() / size.sum()
    start = np.array([math.log(pooled / (1 - pooled)), math.log(10.0)])
    bounds = [(-30.0, 30.0), (math.log(1e-3), math.log(LEAST_SPREAD))]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-10})
    mean, total = float(expit(found.x[0])), math.exp(found.x[1])
    return Prior(mean * total, (1 - mean) * total)


@dataclass(frozen=True)
class Bin:
    """Forecasts in [low, high): how many, their mean, and the share that came true."""

    low: float
    high: float
    count: int
    forecast: float
    came_true: float


@dataclass(frozen=True)
class Calibration:
    """How forecasts fared. `brier` = mean (f - y)², `log_loss` = -mean log-likelihood (infinite after a wrong certainty), `in_the_large` = mean f -
    mean y, `brier_of_base_rate` = what the constant forecast mean y gets."""

    count: int
    brier: float
    log_loss: float
    in_the_large: float
    brier_of_base_rate: float
    bins: tuple[Bin, ...]


def calibration(forecast: Floats, came_true: Flags, edges: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)) -> Calibration | None:
    """Confidence against whether the bar was cleared on later data; `None` without forecasts. The last bin includes its upper edge."""
    if not len(forecast):
        return None
    y = came_true.astype(np.float64)
    likely = np.where(came_true, forecast, 1 - forecast)
    with np.errstate(divide="ignore"):
        log_loss = -float(np.log(likely).mean())
    place = np.clip(np.searchsorted(np.array(edges), forecast, "right") - 1, 0, len(edges) - 2)
    bins = tuple(
        Bin(edges[one], edges[one + 1], int(here.sum()), float(forecast[here].mean()), float(y[here].mean()))
        for one in range(len(edges) - 1)
        if (here := place == one).any()
    )
    return Calibration(
        count=len(y),
        brier=float(((forecast - y) ** 2).mean()),
        log_loss=log_loss,
        in_the_large=float(forecast.mean() - y.mean()),
        brier_of_base_rate=float(y.mean() * (1 - y.mean())),
        bins=bins,
    )
