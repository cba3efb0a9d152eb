"""`beton bench rehearsal`: months of an installation in minutes on simulated time, from mining to drift, with faults.

A generated project is served by a local PostHog. Its first two months are searched, what clears the bar is approved, and then time goes on in steps:
each is a sweep (now and then two at once), deliveries to a receiver that fails as the seed says, outcomes read from PostHog, the watch over drift,
and once a week what a person says of signals. PostHog breaks down too. At the end everything is held against one sweep that nothing has disturbed.

What is drawn is drawn from the seed and what is counted are counts, so a seed gives the same account every time.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from backtest import Hypothesis
from beton.bench.spare_postgres import fast_directory
from beton.demo.receiver import Receiver
from beton.demo.story import question_of
from beton.errors import BetonError
from beton.lifecycle import Action, Status
from beton.posthog.ledger import MemoryLedger
from beton.routing.signing import new_secret
from beton.sandbox.run import Running, running_sandbox
from beton.sandbox.settings import LimitSettings
from beton.sandbox.worlds import World, generate
from beton.settings import Settings, with_local_key
from beton.signals import DeliveryStatus, Feedback, Signal
from beton.store import deliveries, following, hypotheses, signals
from beton.store.records import Connection
from beton.store.records import Hypothesis as Kept
from beton.store.store import open_store
from beton.work import connecting, deciding, delivering, drifting, observing, proposing, proving, scoreboard, sweeping, ways_out
from beton.work.backtesting import backtest_hypotheses, window_of
from beton.work.keeping import keep_tested
from beton.work.workplace import Workplace

WORLD = "freemium"
MINED_DAYS = 60
MONTH = timedelta(days=30)
STEP = timedelta(hours=12)
APPROVED = 3
"""Hypotheses that go live, at most."""

SETTLING = 12
"""Steps after the last one in which nothing fails any more: longer than the waits between attempts."""

RECEIVER_FAILS, POSTHOG_FAILS, TWO_AT_ONCE, SAID = 0.2, 0.05, 0.1, 0.3
STATUSES = (500, 502, 503, 429, 408)
FAULTS = ("error", "truncated", "html", "reset")
Tell = Callable[[str], None]
Fire = tuple[int, str, str]
"""Which hypothesis, whom, when."""


@dataclass
class Clock:
    """Simulated time, which stands still but for steps."""

    now: datetime

    def __call__(self) -> datetime:
        """The instant."""
        return self.now


@dataclass
class Rehearsal:
    """One installation on simulated time."""

    posthog: Running
    world: World
    folder: Path
    clock: Clock
    seed: int
    counted: Counter[str] = field(default_factory=Counter)

    def open(self, name: str, opened: ExitStack) -> Workplace:
        """A workplace with an empty database of its own."""
        settings = with_local_key(Settings(data_dir=self.folder / name, allow_insecure_hosts=True))
        store = open_store(settings, self.clock)
        opened.callback(store.close)
        return Workplace(settings, store, self.clock, ledger=MemoryLedger())

    async def connect(self, place: Workplace) -> Connection:
        """The project under a name, its names read."""
        key = SecretStr(self.posthog.api_key)
        connection = await connecting.connect(
            place, name="shop", host=self.posthog.url, project_id=str(self.posthog.project_id), api_key=key, share=1.0, actor="bench"
        )
        await observing.observe(place, connection, sample_values=False)
        return connection

    async def mine(self, place: Workplace, connection: Connection) -> list[Kept]:
        """Search, and approve the first that clear the bar; where none does, as in a small project it may be, the first with a reason."""
        window = window_of(self.clock(), MINED_DAYS)
        found = await proposing.propose(place, connection, question_of(self.world), window)
        kept = deciding.resources(place, list(found.kept))
        clear = [one for one in kept if one.verdict is not None and one.verdict.clears]
        chosen = [one.hypothesis for one in (clear or kept)[:APPROVED]]
        for one in chosen:
            deciding.decide(place, one.id, Action.APPROVE, actor="bench", override_reason=None if clear else "a rehearsal")
        self.counted["cleared"] = len(clear)
        self.counted["proposed"] = len(kept)
        return chosen

    async def step(self, place: Workplace, connection: Connection, receiver: Receiver, *, calm: bool) -> None:
        """What the jobs of half a day do."""
        dice = self._dice(self.clock.now)
        if not calm and dice.random() < RECEIVER_FAILS:
            statuses = [dice.choice(STATUSES) for _ in range(dice.randint(1, 4))]
            receiver.fail_with(*statuses)
            self.counted["receiver_faults"] += len(statuses)
        times = 2 if not calm and dice.random() < TWO_AT_ONCE else 1
        if not calm and times == 1 and dice.random() < POSTHOG_FAILS:  # of two at once it would be chance whom it meets
            self._break_posthog(dice.choice(FAULTS), dice.randint(0, 2))
        for ended in await asyncio.gather(*(sweeping.sweep(place, connection) for _ in range(times)), return_exceptions=True):
            self._note("sweeps", ended)
        await delivering.deliver_signals(place, dice)
        (read,) = await asyncio.gather(proving.read_outcomes(place, connection), return_exceptions=True)
        self._note("readings", read)
        self.counted["alarms"] += len(drifting.watch(place))

    def say(self, place: Workplace, until: datetime) -> None:
        """What somebody says of some of the signals that nothing was said of."""
        found = [one for one in _every(place) if one.fired_at < until]
        with place.store.transaction() as tx:
            said = following.feedback(tx, [one.id for one in found])
            for one in found:
                dice = self._dice(one.unit_id, one.fired_at)
                if one.id not in said and dice.random() < SAID:
                    following.say(tx, one.id, dice.choice(list(Feedback)), actor="bench")
                    self.counted["feedback"] += 1

    def _dice(self, *about: object) -> Random:
        """Drawn anew for each thing, so that no draw depends on what was drawn before it."""
        return Random(f"rehearsal {self.seed} {about}")  # noqa: S311 - not a secret

    def _break_posthog(self, kind: str, after: int) -> None:
        body = json.dumps([{"kind": kind, "times": 1, "after": after}]).encode()
        asked = urllib.request.Request(f"{self.posthog.url}/sandbox/faults", body, {"Content-Type": "application/json"})  # noqa: S310 - our own server
        with urllib.request.urlopen(asked, timeout=30):  # noqa: S310
            self.counted["posthog_faults"] += 1

    def _note(self, what: str, ended: object) -> None:
        if isinstance(ended, BaseException) and not isinstance(ended, BetonError):
            raise ended
        self.counted[what] += 1
        self.counted[f"{what}_failed"] += isinstance(ended, BetonError)


def run_rehearsal(*, months: int, seed: int, scale: float = 0.3, tell: Tell = lambda _line: None) -> dict[str, Any]:
    """Play it, and give the account. `holds`: nothing lost, nothing doubled."""
    days = MINED_DAYS + months * MONTH.days
    world = generate(WORLD, seed, days=days, scale=scale)
    end = datetime.fromisoformat(world.truth["as_of"])
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="beton-rehearsal-", dir=fast_directory())))
        world.write(folder / "world")
        limits = LimitSettings(throttling=False, budget_enforced=False, failure_breaker=False)
        posthog = opened.enter_context(running_sandbox(folder / "world" / "events.parquet", limits=limits))
        clock = Clock(end - months * MONTH)
        rehearsal = Rehearsal(posthog, world, folder, clock, seed)
        receiver = opened.enter_context(Receiver(secret := new_secret(), clock=clock))
        return asyncio.run(_play(rehearsal, opened, receiver, secret, end, tell)) | {"months": months, "seed": seed, "events": len(world.events)}


async def _play(rehearsal: Rehearsal, opened: ExitStack, receiver: Receiver, secret: str, end: datetime, tell: Tell) -> dict[str, Any]:
    place, clock, began = rehearsal.open("played", opened), rehearsal.clock, rehearsal.clock.now
    connection = await rehearsal.connect(place)
    chosen = await rehearsal.mine(place, connection)
    tell(f"{rehearsal.counted['proposed']} proposed, {len(chosen)} approved")
    ways_out.add_route(place, name="sales", url=receiver.url, secret=secret, actor="bench")
    expected_place = rehearsal.open("undisturbed", opened)
    undisturbed, rows = await _approved_alike(rehearsal, expected_place, chosen)
    while clock.now < end:
        clock.now = min(end, clock.now + STEP)
        await rehearsal.step(place, connection, receiver, calm=False)
        rehearsal.counted["steps"] += 1
        if rehearsal.counted["steps"] % 14 == 0:
            rehearsal.say(place, clock.now - timedelta(days=7))
            tell(f"{clock.now:%Y-%m-%d}: {len(receiver.received)} messages taken")
    await sweeping.sweep(expected_place, undisturbed)
    _mend(rehearsal.posthog)
    for _ in range(SETTLING):
        await rehearsal.step(place, connection, receiver, calm=True)
        clock.now += STEP
    return _account(rehearsal, place, chosen, _fires(expected_place, rows), receiver, began)


async def _approved_alike(rehearsal: Rehearsal, place: Workplace, chosen: Sequence[Kept]) -> tuple[Connection, list[Kept]]:
    """The same hypotheses, approved at the same instant, in another database."""
    connection = await rehearsal.connect(place)
    meanings = [Hypothesis.model_validate(one.definition) for one in chosen]
    if not meanings:
        return connection, []
    rows = keep_tested(
        place, connection, await backtest_hypotheses(place, connection, meanings, window_of(rehearsal.clock(), MINED_DAYS)), actor="bench"
    )
    for row in rows:
        deciding.decide(place, row.id, Action.APPROVE, actor="bench", override_reason="as in the other database")
    await sweeping.sweep(place, connection)
    return connection, rows


def _mend(posthog: Running) -> None:
    """Faults that have not struck yet are taken back."""
    asked = urllib.request.Request(f"{posthog.url}/sandbox/reset", b"{}", {"Content-Type": "application/json"})  # noqa: S310 - our own server
    with urllib.request.urlopen(asked, timeout=30):  # noqa: S310
        pass


def _every(place: Workplace) -> list[Signal]:
    found: list[Signal] = []
    after = None
    with place.store.reading() as tx:
        while True:
            page = signals.listing(tx, limit=200, after=after)
            found += page.data
            after = page.next_after
            if after is None:
                return found


def _fires(place: Workplace, rows: Sequence[Kept]) -> list[Fire]:
    at = {row.id: index for index, row in enumerate(rows)}
    return sorted((at[one.hypothesis_id], str(one.unit_id), one.fired_at.isoformat()) for one in _every(place))


def _account(
    rehearsal: Rehearsal, place: Workplace, chosen: Sequence[Kept], expected: list[Fire], receiver: Receiver, began: datetime
) -> dict[str, Any]:
    got = _fires(place, chosen)
    told = Counter(one.content["signal_id"] for one in receiver.received if one.content["type"] == "signal.created")
    with place.store.reading() as tx:
        waiting = sum(deliveries.count(tx, one) for one in (DeliveryStatus.PENDING, DeliveryStatus.FAILED))
        dead = deliveries.count(tx, DeliveryStatus.DEAD)
        live = [hypotheses.get(tx, one.id) for one in chosen]
    stopped = any(one.status is not Status.APPROVED for one in live)
    counts = {
        "expected": len(expected),
        "signals": len(got),
        # A hypothesis that was paused for its drift finds nothing more, and that is no loss.
        "lost": 0 if stopped else len(set(expected) - set(got)),
        "duplicate_signals": len(got) - len(set(got) & set(expected)),
        "messages": told.total(),
        "duplicate_effects": told.total() - len(told),
        "duplicate_attempts": receiver.duplicates,
        "undelivered": waiting,
        "given_up": dead,
    }
    lines = [_line(one) for one in scoreboard.scoreboard(place).lines]
    holds = not (counts["lost"] + counts["duplicate_signals"] + counts["duplicate_effects"] + counts["undelivered"] + counts["given_up"])
    more = {"approved": len(chosen), "began": began.isoformat(), "hypotheses": lines, "holds": holds}
    return {name: rehearsal.counted[name] for name in sorted(rehearsal.counted)} | counts | more


def _line(one: scoreboard.Line) -> dict[str, Any]:
    """Promise and what came of it. `within`: the realised precision lies in the promised interval; `None` while it cannot be told."""
    promise, realised = one.promise, one.realised
    low, high = (promise.low, promise.high) if promise else (None, None)
    seen = realised.interval
    within = None if realised.precision is None or low is None or high is None else low <= realised.precision <= high
    return {
        "hypothesis": one.hypothesis.sentence,
        "promised": None if promise is None else {"precision": promise.precision, "low": low, "high": high},
        "realised": {
            "precision": realised.precision,
            "low": seen.low if seen else None,
            "high": seen.high if seen else None,
            "matured": realised.matured,
            "converted": realised.converted,
        },
        "within": within,
        "verdict": one.verdict,
    }
