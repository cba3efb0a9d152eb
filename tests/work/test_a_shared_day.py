"""A day of sweeps next to another tool that eats half of PostHog's budget, by one simulated clock for both sides."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backtest.durations import DAY, MINUTE
from beton.posthog.ledger import MemoryLedger
from beton.sandbox.run import running_sandbox
from beton.sandbox.settings import LimitSettings
from beton.store.store import Store
from beton.work.workplace import instant
from tests.conftest import Clock
from tests.posthog.served_log import COMPANY, Server, random_served_log
from tests.work.test_sweeping import APPROVED, INVITES, SHARES, TESTED, VIEWS
from tests.work.workshop import set_up

PER_MINUTE, PER_HOUR = 120, 1200
"""Half of PostHog Cloud's 240 and 2,400 queries, the hour's half in bursts of the minute's half."""

BYTES = 8_000_000
"""Of each query of the other tool: 1,200 of them an hour are half of 20 GB."""


@pytest.mark.parametrize("step", [30 * MINUTE, pytest.param(5 * MINUTE, marks=pytest.mark.long)])
def test_a_day_next_to_another_tool_brings_no_refusal_and_at_most_five_queries_a_sweep(step: int, store: Store, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(json.dumps(one.to_json()) for one in random_served_log(first_seed=1000, logs=6).happened))
    with running_sandbox(path, limits=LimitSettings(failure_breaker=False), group_types=(COMPANY,)) as running:
        server = Server(running.url, running.project_id, running.api_key)
        bench = set_up(server, store, clock, tmp_path, APPROVED)
        bench.approve([VIEWS, INVITES, SHARES], TESTED)
        bench.sweep(APPROVED)
        polite = replace(bench, place=replace(bench.place, ledger=MemoryLedger()))
        refused, asked, signals = 0, [], 0
        for now in range(APPROVED + step, APPROVED + DAY + 1, step):
            for minute in range(now - step, now, 6 * MINUTE):  # a burst every six minutes is half of the hour's budget
                server.post("clock", {"now": instant(minute).isoformat(), "limits": True})
                refused += server.post("outside", {"queries": PER_MINUTE, "bytes": BYTES})["refused"]
            server.post("clock", {"now": instant(now).isoformat(), "limits": True})
            before = polite.place.reading.queries
            signals += len(polite.sweep(now).signals)
            asked.append(polite.place.reading.queries - before)
        statuses = {query["status"] for query in server.queries()}
    assert statuses == {200}
    assert refused == 0, "the other tool was not crowded out either"
    assert max(asked) <= 5
    print(f"{len(asked)} sweeps, {sum(asked)} queries, at most {max(asked)} a sweep, {signals} signals")
