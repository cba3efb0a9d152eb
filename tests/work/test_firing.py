"""Which fires of a backtest are remembered, and what became of them."""

from datetime import UTC, datetime, timedelta

import numpy as np

from backtest import Backtest, EventLog, Hypothesis, Window
from backtest.durations import DAY
from backtest.events import Presence, event_log
from backtest.intervals import FOREVER
from beton.work.firing import Collected, latest_fires

HYPOTHESIS = Hypothesis.model_validate(
    {"clauses": [{"kind": "did", "match": "invited", "span": {"first": "7d"}}], "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}}
)


def log(*invited: int, paid: dict[int, int] | None = None, first: int = 0) -> EventLog:
    """Unit n enters at day 0 and invites somebody on the day given; those in `paid` pay on that day."""
    units = np.arange(len(invited), dtype=np.int32)
    at = np.array(invited, np.int64) * DAY
    outcome = np.array([(paid or {}).get(unit, FOREVER // DAY) * DAY if unit in (paid or {}) else FOREVER for unit in units], np.int64)
    names = [f"p{first + unit}" for unit in units]
    return event_log(
        window=Window(0, 60 * DAY), units=names, names=["invited"], unit=units, name=np.zeros(len(at), np.int32), at=at,
        presence=Presence(units, at, at), firsts={"": np.zeros(len(at), np.int64)} | _firsts(np.zeros(len(at), np.int64), outcome),
    )  # fmt: skip


def _firsts(entry: np.ndarray, outcome: np.ndarray) -> dict[str, np.ndarray]:
    from backtest.events import first_key, outcome_key

    return {first_key(HYPOTHESIS.entry): entry, outcome_key(HYPOTHESIS): outcome}


def day(number: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)


def test_the_latest_fire_comes_first_and_says_what_became_of_it():
    told = latest_fires(HYPOTHESIS, log(1, 5, 3, paid={1: 9}))
    assert [(one.unit_id, one.fired_at, one.outcome_at) for one in told] == [("p1", day(5), day(9)), ("p2", day(3), None), ("p0", day(1), None)]


def test_over_several_logs_the_latest_of_all_stay():
    collected = Collected([HYPOTHESIS])
    whole = Backtest((HYPOTHESIS,), on_fires=collected)
    whole.add("person", log(1, 4))
    whole.add("person", log(2, 6, first=2))
    assert [one.unit_id for one in collected.by_place[0]] == ["p3", "p1", "p2", "p0"]
