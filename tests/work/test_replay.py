"""Replay: a punctual log seen sweep by sweep, with no more kept between the sweeps than the live state keeps, fires as the backtest does."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
import pytest

from backtest.assembly import Rows, assemble
from backtest.atoms import LiveFire, Remembered, entries_in, forgets, live_fires, remember
from backtest.durations import DAY, HOUR
from backtest.events import EventLog, Window
from backtest.fires import first_matches
from backtest.language import Hypothesis
from backtest.plan import ReadPlan, plan_new_events, plan_reads
from tests.backtest.oracle import Row
from tests.backtest.random_logs import COHORT, TYPES, Case, random_case
from tests.posthog.served_log import rows_of

CASES, CHUNK = 400, 50
MORE = [pytest.param(seed, marks=pytest.mark.long) for seed in range(10_000, 16_000, 200)]
OVERLAP = HOUR
FAR = 2**61


@dataclass
class Replay:
    """What the live state holds of one hypothesis, and what the sweeps of `beton.work.sweeping` do with it, without database and HTTP."""

    case: Case
    rows: Rows
    live_from: int
    seen_until: int
    kept: list[Remembered] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    fired: dict[str, tuple[int, int]] = field(default_factory=dict)
    cursor: int | None = None
    most: int = 0

    @property
    def meaning(self) -> Hypothesis:
        return self.case.hypothesis

    @property
    def start(self) -> int:
        return self.live_from - self.meaning.look_back

    def sweep(self, now: int) -> list[LiveFire]:
        if self.cursor is None:
            self._start(now)
            since = self.live_from
        else:
            since = max(self.live_from, self.cursor - OVERLAP) if forgets(self.meaning) else self.live_from
            self._news(self.cursor - OVERLAP, now)
        found = self._fires(now, since)
        self._mark(found)
        self.cursor, self.most = now, max(self.most, len(self.kept))
        return found

    def _start(self, now: int) -> None:
        (plan,) = plan_reads([self.meaning], Window(self.start, now))
        log = self._log(plan, self.rows.where(self.rows.at < now))
        self.entries = entries_in(self.meaning, log)
        self.kept = remember(self.meaning, log, self.entries, self.live_from)
        self._mark(fire for fire in self._fires(now, self.live_from) if fire[1] < self.seen_until)
        self.kept = [match for match in self.kept if match.unit not in self._done()]

    def _news(self, since: int, now: int) -> None:
        (plan,) = plan_new_events([self.meaning], Window(since, now))
        log = self._log(plan, self.rows.where((self.rows.at >= since) & (self.rows.at < now)))
        start = max(since, self.start)
        self.kept = [match for match in self.kept if match.at < start]
        for unit, at in entries_in(self.meaning, log).items():
            self.entries[unit] = min(at, self.entries.get(unit, FAR))
        found = remember(self.meaning, log, self.entries, self.live_from, self._done())
        self.kept += [match for match in found if match.at >= start]
        if forgets(self.meaning):
            self.kept = [match for match in self.kept if match.at >= since - self.meaning.look_back]

    def _log(self, plan: ReadPlan, rows: Rows) -> EventLog:
        members = np.array([unit in self.case.log.cohorts[COHORT] for unit in rows.units], np.bool_)
        return replace(assemble(rows, plan, TYPES, {COHORT: members}), people=sorted({row.person for row in self.case.log.rows}))

    def _fires(self, now: int, since: int) -> list[LiveFire]:
        members = {COHORT: frozenset(self.case.log.cohorts[COHORT])}
        window = Window(self.start, now)
        return live_fires(
            self.meaning, self.kept, self.entries, self.fired, window=window, live_from=since, types=TYPES, members=members
        )  # fmt: skip

    def _mark(self, found: Iterable[LiveFire]) -> None:
        self.fired |= {unit: (at, count) for unit, at, count in found}

    def _done(self) -> set[str]:
        return set() if self.meaning.fires_again_after else set(self.fired)


def once(rows: Iterable[Row]) -> list[Row]:
    """Each event delivered once."""
    return list({row.uuid or (number,): row for number, row in enumerate(rows)}.values())


def backtested(case: Case, rows: Rows) -> list[LiveFire]:
    """All fires of the whole window, by unit and instant."""
    (plan,) = plan_reads([case.hypothesis], Window(case.log.start, case.log.end))
    members = np.array([unit in case.log.cohorts[COHORT] for unit in rows.units], np.bool_)
    log = assemble(rows.where(rows.at < case.log.end), plan, TYPES, {COHORT: members})
    found = first_matches(case.hypothesis, log)
    triples = zip(found.unit.tolist(), found.at.tolist(), found.occurrence.tolist(), strict=True)
    return sorted((log.units[unit], at, occurrence) for unit, at, occurrence in triples)


def instants(dice: Random, first: int, end: int) -> list[int]:
    """When sweeps run, from the approval on: hours, days or weeks apart, the last of them at the end."""
    step = dice.choice([HOUR, 5 * HOUR, DAY, 13 * DAY, 0])
    if step == HOUR:
        first = max(first, end - 2 * DAY)
    found, at = [first], first
    while at < end:
        at = min(end, at + (step or dice.randrange(1, 60 * HOUR)))
        found.append(at)
    return found


def told(case: Case, seed: int) -> str | None:
    """How the replay differs from the backtest, if it does."""
    dice, log = Random(seed), case.log
    if not log.rows:
        return None
    rows = rows_of(once(log.rows))
    live_from = log.start + case.hypothesis.look_back
    approved = dice.choice([log.end - 5 * DAY, log.end - DAY, live_from, log.start + 7 * DAY + 3 * HOUR])
    approved = min(max(approved, live_from, log.start + 1), log.end - 1)
    first = min(log.end, approved + dice.choice([0, 0, 1, HOUR, 2 * DAY]))
    if live_from >= log.end:
        return None
    replay = Replay(case, rows, live_from, seen_until=approved)
    sweeps = instants(dice, first, log.end)
    sent = [fire for now in sweeps for fire in replay.sweep(now)]
    expected = [fire for fire in backtested(case, rows) if fire[1] >= approved]
    if sorted(sent) == expected:
        return None
    written = case.hypothesis.to_json()
    return f"seed {seed}: approved {approved}, sweeps {sweeps[:5]}…\n{written}\nsent {sorted(sent)}\nbacktest {expected}"


@pytest.mark.parametrize("first_seed", [*range(0, CASES, CHUNK), *MORE])
def test_sweeps_fire_exactly_as_the_backtest(first_seed: int) -> None:
    differences = [told(random_case(seed), seed) for seed in range(first_seed, first_seed + (CHUNK if first_seed < CASES else 200))]
    assert [one for one in differences if one] == []
