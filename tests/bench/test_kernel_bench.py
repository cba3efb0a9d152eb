"""The bench compares like with like: whatever evaluates the measured mix gets the same counts."""

from pathlib import Path

import pytest

from beton.bench import evaluated, streamed
from beton.bench.history import NAMES, WINDOW, make_history, read_history, write_history
from beton.bench.kernel import run_kernel_bench, table
from beton.bench.mix import SHARES, make_hypotheses

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
def test_streaming_in_buckets_changes_no_count(buckets: int, written: Path, kernel: dict) -> None:
    found = streamed.measure(written, HYPOTHESES, SEED, 1, buckets)

    assert [tuple(one[:6]) for one in found["counts"]] == kernel["counts"]


def test_several_passes_over_the_file_change_no_count(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = streamed.measure(written, HYPOTHESES, SEED, 1, 8)
    monkeypatch.setattr(streamed, "ROWS_WAITING", EVENTS // 4)
    often = streamed.measure(written, HYPOTHESES, SEED, 1, 8)

    assert once["passes"] == 1 < often["passes"]
    assert often["counts"] == once["counts"]


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
    columns, rows = table(found)
    assert [len(row) for row in rows] == [len(columns)] * 2
