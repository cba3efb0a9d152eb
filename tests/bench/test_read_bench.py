"""The reading benchmark: both ways give the same log, and the packed one asks for far less."""

import pytest

from beton.bench.read import run_read_bench


@pytest.mark.long
def test_packed_and_paged_reading_give_equal_logs() -> None:
    told = run_read_bench(20_000, 3)

    assert told["equal_logs"]
    assert told["packed"]["json_bytes_per_event"] < told["paged"]["json_bytes_per_event"] / 5
    assert told["packed"]["queries"] < told["paged"]["queries"]
