"""The bench compares like with like: whatever evaluates the measured mix gets the same counts."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from beton.bench import evaluated, streamed
from beton.bench.history import NAMES, UPGRADED, WINDOW, make_history, read_history, write_history
from beton.bench.kernel import run_kernel_bench, table
from beton.bench.mix import SHARES, make_hypotheses
from beton.errors import BadInput

EVENTS, HYPOTHESES, SEED = 30_000, 100, 3


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "events.parquet"
    write_history(make_history(EVENTS, SEED), path)
    return path


@pytest.fixture(scope="module")
def kernel(written: Path) -> dict:
    return evaluated.measure(written, HYPOTHESES, SEED, 2, 1)


@pytest.mark.parametrize("rival", ["duckdb", "duckdb_combined", "polars_per_hypothesis", "pandas"])
def test_a_competitor_counts_what_the_kernel_counts(rival: str, written: Path, kernel: dict) -> None:
    pytest.importorskip("duckdb")
    pytest.importorskip("pandas")
    from beton.bench import competitors

    found = competitors.measure(rival, written, HYPOTHESES, SEED, 2, True)

    assert found["counts"] == dict(enumerate(kernel["counts"]))


def test_the_mix_fires_and_hits_so_that_equal_counts_mean_something(kernel: dict) -> None:
    assert sum(fires > 0 for fires, *_ in kernel["counts"]) > HYPOTHESES / 2
    assert all(sum(one[place] for one in kernel["counts"]) > 0 for place in range(6))


@pytest.mark.parametrize("buckets", [1, 16, 64])
def test_streaming_in_buckets_changes_no_count(buckets: int, written: Path, kernel: dict, tmp_path: Path) -> None:
    found = streamed.measure(written, tmp_path, HYPOTHESES, SEED, 2, buckets)

    assert [tuple(one[:6]) for one in found["counts"]] == kernel["counts"]
    assert found["frequency"] == np.bincount(read_history(written).name, minlength=NAMES).tolist()


def test_the_first_bucket_stays_and_is_what_was_counted(written: Path, tmp_path: Path) -> None:
    found = streamed.measure(written, tmp_path, HYPOTHESES, SEED, 1, 4)
    write_history(streamed.sample_of(tmp_path, found["names"]), tmp_path / "sample.parquet")
    alone = evaluated.measure(tmp_path / "sample.parquet", HYPOTHESES, SEED, 2, 1, found["frequency"])

    assert alone["counts"] == [tuple(one[:6]) for one in found["counts_of_sample"]]
    assert len(list(tmp_path.glob("*.when"))) == 1


def test_a_file_may_have_other_types_in_its_columns(written: Path, tmp_path: Path) -> None:
    frame, wanted = pl.read_parquet(written), read_history(written)
    other = frame.with_columns(
        pl.col("person").cast(pl.Int64), pl.col("event").cast(pl.String), pl.col("ts").cast(pl.Datetime("ns")).dt.replace_time_zone("UTC"),
        pl.when(pl.col("plan") >= 0).then(pl.col("plan").cast(pl.Int32)), pl.when(pl.col("account") >= 0).then("account"),
    )  # fmt: skip
    other.write_parquet(tmp_path / "other.parquet")
    found = read_history(tmp_path / "other.parquet")

    assert [found.names[code] for code in found.name] == [wanted.names[code] for code in wanted.name]
    for part in ("person", "at", "plan", "account"):
        assert getattr(found, part).tolist() == getattr(wanted, part).tolist()


def test_a_file_without_what_is_asked_about_is_refused(written: Path, tmp_path: Path) -> None:
    pl.read_parquet(written).drop("plan").write_parquet(tmp_path / "narrow.parquet")
    pl.read_parquet(written).with_columns(pl.col("event").cast(pl.String)).filter(pl.col("event") != UPGRADED).write_parquet(
        tmp_path / "free.parquet"
    )

    for name in ("narrow", "free"):
        with pytest.raises(BadInput):
            read_history(tmp_path / f"{name}.parquet")


def test_a_history_survives_its_file(written: Path) -> None:
    made, read = make_history(EVENTS, SEED), read_history(written)

    for part in ("person", "name", "at", "plan", "account"):
        assert getattr(read, part).tolist() == getattr(made, part).tolist()
    assert len(made.at) == pytest.approx(EVENTS, rel=0.01)
    assert WINDOW.start <= made.at.min() <= made.at.max() < WINDOW.end


def test_kinds_have_the_stated_shares() -> None:
    kinds = [kind for kind, _ in make_hypotheses(1000, make_history(1000, 1).names, [5] * NAMES, 1)]

    assert {kind: kinds.count(kind) / 1000 for kind in SHARES} == SHARES


def test_the_report_says_everything_that_was_agreed() -> None:
    found = run_kernel_bench(5_000, 20, rounds=1, rivals=("polars_per_hypothesis",))

    assert found["equal_results"] is True
    assert {"prepare_seconds", "evaluate_seconds", "peak_mb", "times_faster"} <= found.keys()
    assert found["times_faster"].keys() == {"polars_per_hypothesis"}
    assert found["compared"] == {"events": found["events"], "what": "all events"}
    columns, rows = table(found)
    assert [len(row) for row in rows] == [len(columns)] * 2


@pytest.mark.long
def test_a_streamed_report_says_the_same_and_what_was_compared(tmp_path: Path) -> None:
    path = tmp_path / "kept.parquet"
    rivals = ("polars_per_hypothesis",)
    found = run_kernel_bench(20_000, 50, file=path, rounds=1, rivals=rivals, buckets=4, in_one_piece=10_000)
    again = run_kernel_bench(1, 50, file=path, rounds=1, rivals=rivals)

    assert found["equal_results"] is True
    assert again.keys() - {"first_seconds", "best_evaluate_seconds", "evaluate_cpu_seconds", "competitors"} <= found.keys()
    assert found["times_faster"].keys() == {"polars_per_hypothesis"}
    assert 0 < found["compared"]["events"] < found["events"] == again["events"]
    assert found["fires"] == again["fires"]
    columns, rows = table(found)
    assert [len(row) for row in rows] == [len(columns)] * 3
