"""What became of fires: the rules of the score, fixed bins, whole weeks, and a curve that counts those who are still being watched."""

from datetime import UTC, datetime, timedelta

import pytest

from backtest.durations import DAY, HOUR
from beton.store.records import Backtest
from beton.work import becoming
from beton.work.becoming import Became, Kept, Record, became
from beton.work.workplace import microseconds

END = datetime(2026, 3, 2, tzinfo=UTC)
HORIZON = 14 * DAY


def record(*told: tuple[float, float | None], fired: int | None = None, horizon: int = HORIZON) -> Record:
    """Fires so many days before the end, with their lead in days."""
    end = microseconds(END)
    kept = []
    for number, (ago, lead) in enumerate(told):
        at = end - round(ago * DAY)
        outcome = None if lead is None else at + round(lead * DAY)
        kept.append(Kept(f"fir_{number}", at, outcome, became(at, outcome, horizon, end)))
    result = {"fired": fired or len(told), "baseline": 0.1, "sample_size": len(told)}
    newest = Backtest.model_construct(id="bkt_1", as_of=END, result=result, run_id="run_1")
    return Record(newest, horizon, tuple(kept), result["fired"])


@pytest.mark.parametrize(
    ("ago", "lead", "wanted"),
    [
        (20, 3, Became.CONVERTED),
        (20, 14, Became.CONVERTED),
        (20, 14.001, Became.NOT),
        (20, None, Became.NOT),
        (14, None, Became.NOT),
        (13.999, None, Became.PENDING),
        (13.999, 2, Became.PENDING),
        (20, 0, Became.BEFORE),
        (3, -1, Became.BEFORE),
    ],
)
def test_a_fire_becomes_what_the_score_counts_it_as(ago: float, lead: float | None, wanted: Became) -> None:
    assert record((ago, lead)).kept[0].became is wanted


def test_leads_fall_into_fixed_bins_that_end_at_the_horizon() -> None:
    bins, median = becoming.leads(record((20, 1 / 24), (20, 1.01 / 24), (20, 1), (20, 1.5), (20, 14), (20, None), (2, 1)))
    assert [(one.label, one.count) for one in bins] == [
        ("up to 1 h", 1), ("1 to 6 h", 1), ("6 to 24 h", 1), ("1 to 3 d", 1), ("3 to 7 d", 0), ("7 to 14 d", 1),
    ]  # fmt: skip
    assert median == pytest.approx(24)
    assert [one.label for one in becoming.leads(record((40, 20), horizon=30 * DAY))[0]][-1] == "14 to 30 d"
    assert [one.label for one in becoming.leads(record((2, 0.1), horizon=12 * HOUR))[0]] == ["up to 1 h", "1 to 6 h", "6 to 12 h"]
    assert becoming.leads(record((20, None)))[1] is None


def test_a_week_without_a_fire_is_a_gap_and_not_a_zero() -> None:
    weeks = becoming.weeks(record((45, 2), (44, None), (29, None), (3, 1)))
    assert [one.n for one in weeks] == [2, 0, 1]
    assert all(one.start.weekday() == 0 and one.start.hour == 0 for one in weeks)
    assert weeks[0].precision.known
    assert not weeks[1].precision.known
    assert (weeks[2].precision.value, weeks[2].precision.low) == (0.0, 0.0)


def test_the_curve_counts_pending_fires_as_long_as_they_are_seen() -> None:
    told = becoming.conversion(record((30, 2), (30, None), (5, 1), (4, None), (20, -3)))
    assert told is not None
    assert (told.n, told.pending, told.seen) == (4, 2, 14.0)
    assert [(at, round(share, 4)) for at, share, *_ in told.steps] == [(1.0, 0.25), (2.0, 0.5)]
    assert told.censored == ((4.0, 0.5),)
    assert [(one.label, one.at_risk) for one in told.table][-3:] == [("3 d", 2), ("7 d", 1), ("14 d", 1)]


def test_the_curve_ends_where_nobody_is_seen_any_more() -> None:
    told = becoming.conversion(record((3, None), (2, 1)))
    assert told is not None
    assert told.seen == 3
    assert [one.label for one in told.table] == ["1 h", "6 h", "1 d", "3 d"]
    assert becoming.conversion(record((20, -1))) is None


def test_whether_all_fires_are_kept_is_known() -> None:
    assert record((20, None)).whole
    assert not record((20, None), fired=2).whole
    assert record((20, None), (20, 1)).counts() == {Became.CONVERTED: 1, Became.NOT: 1, Became.PENDING: 0, Became.BEFORE: 0}


def test_days_are_told_as_weeks_from_monday() -> None:
    (week,) = becoming.weeks(record((20, 1)))
    assert week.start == datetime(2026, 2, 9, tzinfo=UTC)
    assert week.start <= END - timedelta(days=20) < week.start + timedelta(days=7)
