"""The hypotheses that are measured: a stated mix of kinds, events picked by the square root of their frequency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from backtest.events import first_key
from backtest.language import Hypothesis
from backtest.matching import EventMatch
from beton.bench.history import PLANS, SIGNED_UP, UPGRADED

ACCOUNT = "company"

SHARES = {
    "anchored": 0.20, "rolling": 0.25, "filtered": 0.11, "sequence": 0.12, "days": 0.06,
    "persons": 0.06, "absence": 0.08, "property": 0.01, "conjunction": 0.11,
}  # fmt: skip
"""Kinds and how many of a hundred; "persons" are hypotheses about accounts."""

FIRST, LAST, HORIZONS = ("1d", "3d", "7d", "14d"), ("1d", "3d", "7d", "14d"), ("7d", "14d", "30d")


def make_hypotheses(count: int, names: Sequence[str], frequency: Sequence[int], seed: int) -> list[tuple[str, Hypothesis]]:
    """Kind and hypothesis. `frequency` follows `names`; sign-ups and upgrades are not conditions."""
    rng = Random(seed)  # noqa: S311
    usable = [(name, number) for name, number in zip(names, frequency, strict=True) if name not in (SIGNED_UP, UPGRADED) and number]
    weights = [number**0.5 for _, number in usable]

    def pick() -> str:
        return rng.choices(usable, weights)[0][0]

    ladder = [kind for kind, share in SHARES.items() for _ in range(round(share * count))]
    kinds = (ladder + ["rolling"] * count)[:count]
    return [(kind, _hypothesis(KINDS[kind](rng, pick), rng, kind)) for kind in kinds]


def matched_first() -> dict[str, EventMatch | None]:
    """The first-ever instants that the mix needs: of any event, of the sign-up, of the outcome."""
    return {first_key(match): match for match in (None, EventMatch(events=(SIGNED_UP,)), EventMatch(events=(UPGRADED,)))}


def _hypothesis(clauses: list[dict[str, Any]], rng: Random, kind: str) -> Hypothesis:
    anchored = any("first" in clause.get("span", {}) for clause in clauses)
    written: dict[str, Any] = {"clauses": clauses, "outcome": {"kind": "event", "match": UPGRADED, "horizon": rng.choice(HORIZONS)}}
    if anchored and kind != "persons":
        written["entry"] = SIGNED_UP
    if kind == "persons":
        written["unit"] = {"group": ACCOUNT}
    return Hypothesis.model_validate(written)


def _did(rng: Random, match: Any, span: dict[str, str], most: int = 10, **more: Any) -> dict[str, Any]:
    at_least = rng.choice([number for number in (1, 2, 3, 5, 10) if number <= most])
    return {"kind": "did", "match": match, "at_least": at_least, "span": span} | more


def _first(rng: Random) -> dict[str, str]:
    return {"first": rng.choice(FIRST)}


def _last(rng: Random) -> dict[str, str]:
    return {"last": rng.choice(LAST)}


def _either(rng: Random) -> dict[str, str]:
    return rng.choice((_first, _last))(rng)


Pick = Callable[[], str]


def _anchored(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    return [_did(rng, pick(), _first(rng))]


def _rolling(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    return [_did(rng, pick(), _last(rng))]


def _with_plan(rng: Random, match: dict[str, Any]) -> dict[str, Any]:
    return match | {"where": [{"property": "plan", "op": "equals", "value": rng.choice(PLANS)}]}


def _filtered(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    return [_did(rng, _with_plan(rng, {"events": [pick()]}), _either(rng), most=5)]


def _sequence(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    clause = {"kind": "sequence", "match": pick(), "then": pick(), "span": _either(rng)}
    return [clause | ({"within": rng.choice(("1h", "12h", "1d"))} if rng.random() < 0.5 else {})]


def _days(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    return [_did(rng, pick(), _either(rng), count="days") | {"at_least": rng.choice((2, 3, 4))}]


def _persons(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    return [_did(rng, pick(), _last(rng), count="persons") | {"at_least": rng.choice((2, 3))}]


def _absence(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    return [{"kind": "did_not", "match": pick(), "span": _either(rng)}]


def _property(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    del pick
    return [_did(rng, _with_plan(rng, {"any_event": True}), _either(rng), most=3)]


def _conjunction(rng: Random, pick: Pick) -> list[dict[str, Any]]:
    """Two or three counts; of one span kind, as a person would write them."""
    span = rng.choice((_first, _last))
    return [_did(rng, pick(), span(rng), most=3) for _ in range(rng.choice((2, 2, 3)))]


KINDS: dict[str, Callable[[Random, Pick], list[dict[str, Any]]]] = {
    "anchored": _anchored,
    "rolling": _rolling,
    "filtered": _filtered,
    "sequence": _sequence,
    "days": _days,
    "persons": _persons,
    "absence": _absence,
    "property": _property,
    "conjunction": _conjunction,
}
