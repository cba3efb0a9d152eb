"""The load on the desk: what is asked is answered, and what is told of it is so."""

from datetime import UTC, datetime

import pytest

from beton.bench.desk import _figures, _quantile, run_desk_bench
from beton.bench.desk_asked import Answered


@pytest.mark.long
def test_a_small_workspace_answers_every_kind_of_question() -> None:
    told = run_desk_bench(signals=2_000, hypotheses=200, rate=20, seconds=5, seed=3, clock=lambda: datetime.now(UTC))

    assert told["failed"] == []
    assert told["kept"]["answered"]
    assert told["kept"]["largest_bytes"]
    assert told["all"]["requests"] == 100
    assert {kind.split()[0] for kind in told["kinds"]} == {"page", "api"}
    assert len(told["depth"]) == 6


def test_the_quantile_is_the_value_that_so_many_are_not_above() -> None:
    answers = [Answered("page x", "/x", 200, seconds / 1000, 0.0, 10) for seconds in range(1, 101)]
    assert _figures(answers)["p99_ms"] == 99
    assert _quantile([0.5], 0.99) == 0.5
