"""What lies after the as-of instant or a unit's outcome, order, ids, copies and whole days do not matter. Twice the units count twice."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backtest import Hypothesis, plan_reads, published, score
from beton.event_files import open_event_file
from beton.local_backtest import window_before
from beton.sandbox.worlds import World, generate

AS_OF_EARLIER = timedelta(days=12)


@cache
def world() -> World:
    return generate("freemium", 3, scale=0.12)


def as_of() -> datetime:
    """Some days before the end, so that there is something after it."""
    return datetime.fromisoformat(world().truth["as_of"]) - AS_OF_EARLIER


def hypotheses() -> list[Hypothesis]:
    truth = world().truth
    told = [one["hypothesis"] for one in truth["planted"]] + [one for trap in truth["must_label"] for one in trap["hypotheses"]]
    return [Hypothesis.model_validate(one) for one in told]


def numbers(events: pl.DataFrame, folder: Path, at: datetime) -> list[dict[str, Any]]:
    """Everything that is published of every hypothesis."""
    events.write_parquet(folder / "events.parquet")
    window = window_before(at, 90)
    (plan,) = plan_reads(hypotheses(), window)
    (log,) = open_event_file(str(folder / "events.parquet")).logs(plan, world().truth["property_types"], buckets=1)
    return [published(score(one, log), window) for one in hypotheses()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return numbers(world().events, tmp_path_factory.mktemp("plain"), as_of())


def scrambled_future(events: pl.DataFrame) -> pl.DataFrame:
    late = pl.col("timestamp") >= pl.lit(as_of())
    return events.with_columns(
        pl.when(late).then(pl.lit("user_signed_up")).otherwise(pl.col("event")).alias("event"),
        pl.when(late).then(pl.col("person_id").reverse()).otherwise(pl.col("person_id")).alias("person_id"),
    )


def no_future(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("timestamp") < pl.lit(as_of()))


def shuffled(events: pl.DataFrame) -> pl.DataFrame:
    return events.sample(fraction=1, shuffle=True, seed=5)


def renamed(events: pl.DataFrame) -> pl.DataFrame:
    """Ids whose order is another one."""
    return events.with_columns(pl.col("person_id").hash(9).cast(pl.String) + pl.lit("/") + pl.col("person_id"))


def delivered_twice(events: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([events, events.sample(fraction=0.3, seed=2)])


@pytest.mark.parametrize("change", [scrambled_future, no_future, shuffled, renamed, delivered_twice], ids=lambda one: one.__name__)
def test_what_must_not_matter_changes_no_number(change: Callable[[pl.DataFrame], pl.DataFrame], plain: list[dict[str, Any]], tmp_path: Path) -> None:
    assert numbers(change(world().events), tmp_path, as_of()) == plain


def test_whole_days_change_no_number(plain: list[dict[str, Any]], tmp_path: Path) -> None:
    days = timedelta(days=37)
    moved = world().events.with_columns(pl.col("timestamp") + days)

    assert numbers(moved, tmp_path, as_of() + days) == plain


def test_what_a_unit_does_after_its_outcome_changes_no_ratio(plain: list[dict[str, Any]], tmp_path: Path) -> None:
    """Only how many fires came too late, and what follows from that, may differ."""
    outcome = world().units.select(pl.col("unit").alias("person_id"), "outcome")
    events = world().events.join(outcome, on="person_id", how="left", maintain_order="left")
    kept = events.filter(pl.col("outcome").is_null() | (pl.col("timestamp") <= pl.col("outcome"))).drop("outcome")
    fields = ("precision", "recall", "lift_vs_baseline", "sample_size", "baseline", "lift_live7d", "converters", "lead", "closed")

    assert len(kept) < len(events)
    for one, other in zip(numbers(kept, tmp_path, as_of()), plain, strict=True):
        assert {name: one[name] for name in fields} == {name: other[name] for name in fields}


def test_twice_the_units_count_twice_and_keep_the_ratios(plain: list[dict[str, Any]], tmp_path: Path) -> None:
    events = world().events
    twins = events.with_columns(pl.col("person_id") + "-twin", pl.col("uuid") + "-twin", pl.col("distinct_id") + "-twin")
    for one, other in zip(numbers(pl.concat([events, twins]), tmp_path, as_of()), plain, strict=True):
        assert {name: one["closed"][name] for name in ("tp", "fp", "fn", "tn")} == {
            name: 2 * other["closed"][name] for name in ("tp", "fp", "fn", "tn")
        }
        for name in ("fires_total", "excluded_converted", "pending", "sample_size", "true_positives", "recall_converters", "recall_hits"):
            assert one["counts"][name] == 2 * other["counts"][name]
        assert one["precision"] == other["precision"]
        assert one["recall"] == other["recall"]
        if one["counts"]["unsupported"] == 2 * other["counts"]["unsupported"] and other["lift_vs_baseline"] is not None:
            assert one["lift_vs_baseline"] == pytest.approx(other["lift_vs_baseline"], rel=1e-12)
