"""Months of an installation with faults: nothing is lost, nothing doubled, and a seed gives the same account every time."""

from typing import Any

import pytest

from beton.bench.rehearsal import run_rehearsal


def account(seed: int, **more: Any) -> dict[str, Any]:
    pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")
    return run_rehearsal(seed=seed, **more)


@pytest.mark.long
def test_a_month_with_faults_loses_and_doubles_nothing_and_is_the_same_again() -> None:
    first = account(1, months=1, scale=0.2)
    assert first["approved"] > 0
    assert first["signals"] == first["expected"] == first["messages"] > 0
    assert (first["lost"], first["duplicate_signals"], first["duplicate_effects"], first["undelivered"], first["given_up"]) == (0, 0, 0, 0, 0)
    assert min(first["receiver_faults"], first["posthog_faults"], first["feedback"]) > 0
    assert account(1, months=1, scale=0.2) == first
