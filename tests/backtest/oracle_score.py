"""The oracle's scores: numbers 1.9 rule by rule, in double loops over fires and units."""

from math import fsum
from typing import TYPE_CHECKING, Any

from backtest.language import First, Hypothesis

if TYPE_CHECKING:
    from tests.backtest.oracle import Oracle

DAY = 86_400_000_000
FEWEST_COMPARATORS = 20


def score(oracle: "Oracle", hypothesis: Hypothesis) -> dict[str, Any]:
    """Design F's counts and ratios, its lead times (microseconds, sorted), and the closed table. None where a ratio cannot be told."""
    horizon, look_from = int(hypothesis.horizon), oracle.look_from(hypothesis)
    entries, outcomes = oracle.entry(hypothesis), oracle.outcome(hypothesis)
    fires = {unit: t for unit, t, occurrence in oracle.fires(hypothesis) if occurrence == 1}
    excluded = pending = 0
    evaluated = []
    for unit, fire in fires.items():
        if unit in outcomes and outcomes[unit] <= fire:
            excluded += 1
        elif fire + horizon > oracle.end:
            pending += 1
        else:
            evaluated.append(unit)
    leads = [outcomes[unit] - fires[unit] for unit in evaluated if unit in outcomes and outcomes[unit] <= fires[unit] + horizon]
    reached = {unit for unit in oracle.entrants(hypothesis) if unit in outcomes and outcomes[unit] > entries[unit]}
    converters = {unit for unit in reached if look_from <= outcomes[unit] < oracle.end}
    hits = sum(unit in fires and fires[unit] < outcomes[unit] <= fires[unit] + horizon for unit in converters)
    table = {
        "fires_total": len(fires),
        "excluded_converted": excluded,
        "pending": pending,
        "sample_size": len(evaluated),
        "true_positives": len(leads),
        "recall_converters": len(converters),
        "recall_hits": hits,
        "precision": len(leads) / len(evaluated) if evaluated else None,
        "recall": hits / len(converters) if converters else None,
        "closed": _closed(oracle, hypothesis, entries, outcomes, fires),
        "leads": sorted(leads),
    }
    return table | _expected(oracle, horizon, entries, outcomes, fires, evaluated)


def _expected(
    oracle: "Oracle", horizon: int, entries: dict[str, int], outcomes: dict[str, int], fires: dict[str, int], evaluated: list[str]
) -> dict[str, Any]:
    """Each evaluated fire against all units at the fire's exact age; fewer than 20 comparators leave the fire out of everything here."""
    shares, live_shares, unfired_shares, true_positives = [], [], [], 0
    for unit in evaluated:
        age = fires[unit] - entries[unit]
        everyone, live, unfired = [], [], []  # of each comparator: does it convert within the horizon?
        for other, entry in entries.items():
            then = entry + age
            outcome = outcomes.get(other)
            if not oracle.start <= then or then + horizon > oracle.end or (outcome is not None and outcome <= then):
                continue
            converts = outcome is not None and outcome <= then + horizon
            everyone.append(converts)
            if any(then - 7 * DAY < row.at <= then for row in oracle.history[other]):
                live.append(converts)
            if other not in fires or fires[other] >= then:
                unfired.append(converts)
        if len(everyone) >= FEWEST_COMPARATORS:
            true_positives += unit in outcomes and outcomes[unit] <= fires[unit] + horizon
            shares.append(sum(everyone) / len(everyone))
            live_shares.append(sum(live) / len(live) if live else 0.0)
            unfired_shares.append(sum(unfired) / len(unfired) if unfired else 0.0)
    expected = fsum(shares)
    return {
        "supported": len(shares),
        "supported_true_positives": true_positives,
        "expected": expected,
        "expected_live7d": fsum(live_shares),
        "expected_not_yet_fired": fsum(unfired_shares),
        "baseline": expected / len(shares) if shares else None,
        "lift": true_positives / expected if expected > 0 else None,
    }


def _closed(oracle: "Oracle", hypothesis: Hypothesis, entries: dict[str, int], outcomes: dict[str, int], fires: dict[str, int]) -> dict[str, Any]:
    horizon = int(hypothesis.horizon)
    spans = [getattr(clause, "span", None) for clause in hypothesis.clauses]
    firsts = [int(span.first) if isinstance(span, First) else DAY for span in spans if isinstance(span, First) or span == "first_session"]
    rows = []  # (condition, converts) of each unit, or of each unit at each grid instant
    if firsts:
        design = "L"
        for unit, entry in oracle.entrants(hypothesis).items():
            landmark = entry + max(firsts)
            outcome = outcomes.get(unit)
            if landmark + horizon <= oracle.end and (outcome is None or outcome > landmark):
                fired = unit in fires and fires[unit] <= landmark
                rows.append((fired, outcome is not None and outcome <= landmark + horizon))
    else:
        design = "G"
        tau = oracle.look_from(hypothesis)
        while tau + horizon <= oracle.end:
            for unit, entry in oracle.entrants(hypothesis).items():
                outcome = outcomes.get(unit)
                active = any(tau - 14 * DAY < row.at <= tau for row in oracle.history[unit])
                if entry <= tau and active and (outcome is None or outcome > tau):
                    rows.append((oracle.holds_since(hypothesis, unit, entry, tau), outcome is not None and outcome <= tau + horizon))
            tau += horizon
    return {
        "design": design,
        "tp": rows.count((True, True)),
        "fp": rows.count((True, False)),
        "fn": rows.count((False, True)),
        "tn": rows.count((False, False)),
    }
