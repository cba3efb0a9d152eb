"""The main job from end to end on a local PostHog: connect, taxonomy, proposals, the table of results, one approval, signals arriving.

Everything is done by the jobs of `beton.work`, through HTTP, as with a real project; only time is simulated: the last week of the world passes in
half days, each followed by a sweep.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from agent.search import Question
from backtest import Hypothesis
from beton.demo.receiver import Receiver
from beton.lifecycle import Action
from beton.routing.signing import new_secret
from beton.sandbox.run import running_sandbox
from beton.sandbox.worlds import World
from beton.settings import Settings, with_local_key
from beton.store.records import Connection
from beton.store.store import open_store
from beton.work import connecting, deciding, delivering, observing, proposing, sweeping, ways_out
from beton.work.backtesting import window_of
from beton.work.deciding import Resource
from beton.work.workplace import Workplace

LIVE = timedelta(days=7)
"""The part of the world that is still to come when the backtest is made."""

STEP = timedelta(hours=12)
WINDOW_DAYS = 90


class Teller(Protocol):
    """Says what happens, to whoever watches."""

    def step(self, title: str) -> None:
        """A new chapter."""
        ...

    def say(self, text: str) -> None:
        """A line of it."""
        ...

    def progress(self, what: str, done: int, total: int) -> None:
        """How far a slow thing is."""
        ...

    def results(self, found: list[Resource]) -> None:
        """The table of proposals with their numbers."""
        ...


@dataclass
class Clock:
    """Simulated time: stands at `now`, and from `run` on passes as fast as real time."""

    now: datetime
    running_since: float | None = None

    def __call__(self) -> datetime:
        """The instant."""
        if self.running_since is None:
            return self.now
        return self.now + timedelta(seconds=time.monotonic() - self.running_since)

    def run(self) -> None:
        """Let time pass."""
        self.running_since = time.monotonic()


@dataclass
class Demo:
    """A running demo: `place` and `connection` can be served on, `summary` is what `--json` prints."""

    place: Workplace
    connection: Connection
    clock: Clock
    sandbox_url: str
    summary: dict[str, Any] = field(default_factory=dict)


def tell(world: World, directory: Path, teller: Teller, keep_open: ExitStack, *, began: Callable[[], float]) -> Demo:
    """Tell the story with files in `directory`; servers stay up until `keep_open` is closed. `began` gives the seconds since the start."""
    teller.step("A PostHog project")
    world.write(directory / "world")
    end = datetime.fromisoformat(world.truth["as_of"])
    clock = Clock(end - LIVE)
    groups = [name for name in world.events.columns if name not in _PLAIN]
    sandbox = keep_open.enter_context(running_sandbox(directory / "world" / "events.parquet", group_types=tuple(groups)))
    teller.say(f"{world.spec.title if world.spec else world.name}: {len(world.events):,} events, served at {sandbox.url} by a local PostHog.")
    settings = with_local_key(Settings(data_dir=directory / "beton"))
    place = Workplace(settings, open_store(settings, clock), clock)
    keep_open.callback(place.store.close)
    demo = asyncio.run(_until_approved(place, world, sandbox, teller, clock))
    demo.summary = {"events": len(world.events)} | demo.summary
    if demo.summary["approved"]:
        demo.summary |= asyncio.run(_live(demo, teller, end, keep_open))
    else:
        demo.summary |= {"signals": 0, "delivered": 0, "verified_signatures": 0}
    demo.summary |= {"posthog_queries": place.reading.queries, "seconds": round(began(), 1)}
    clock.run()
    return demo


_PLAIN = {"uuid", "event", "distinct_id", "person_id", "timestamp", "properties", "created_at"}


async def _until_approved(place: Workplace, world: World, sandbox: Any, teller: Teller, clock: Clock) -> Demo:
    teller.step("Connect, and read the taxonomy")
    connection = await connecting.connect(
        place, name="demo", host=sandbox.url, project_id=str(sandbox.project_id), api_key=SecretStr(sandbox.api_key), share=0.5, actor="demo"
    )
    taxonomy, _ = await observing.observe(place, connection)
    events = [one for one in taxonomy.events if one.volume]
    teller.say(f"{len(events)} kinds of events and {len(taxonomy.properties)} properties in the last {taxonomy.window_days} days.")
    teller.step(f"Search the last {WINDOW_DAYS} days for behaviour that precedes the outcome")
    asked = question_of(world)
    window = window_of(clock(), WINDOW_DAYS)
    proposed = await proposing.propose(place, connection, asked, window, progress=teller.progress)
    found = deciding.resources(place, list(proposed.kept))
    teller.say(f"{proposed.found.tried:,} conditions tried on {proposed.events:,} events; {len(found)} are proposed.")
    teller.results(found)
    cleared = [one for one in found if one.verdict and one.verdict.clears]
    summary = {"proposed": len(found), "cleared": len(cleared), "approved": 0}
    if cleared:
        teller.step("A person approves the first that clears the bar")
        chosen = deciding.decide(place, cleared[0].hypothesis.id, Action.APPROVE, actor="demo")
        teller.say(chosen.hypothesis.sentence)
        summary["approved"] = 1
    return Demo(place, connection, clock, sandbox.url, summary)


def question_of(world: World) -> Question:
    """What the owner of this project would ask: the outcome and entry that the world was made with."""
    told = {key: world.truth[key] for key in ("unit", "entry", "outcome") if world.truth.get(key) is not None}
    shape = Hypothesis.model_validate(told | {"clauses": [{"kind": "age", "at_least": "1d"}]})
    return Question(shape.unit, shape.entry, shape.outcome)


async def _live(demo: Demo, teller: Teller, end: datetime, keep_open: ExitStack) -> dict[str, int]:
    teller.step(f"Live: the following {LIVE.days} days, swept every {STEP // timedelta(hours=1)} hours")
    place, rng = demo.place, random.Random(0)  # noqa: S311  jitter, not a secret
    secret = new_secret()
    receiver = keep_open.enter_context(Receiver(secret, clock=demo.clock))
    ways_out.add_route(place, name="sales", url=receiver.url, actor="demo", secret=secret)
    found = delivered = 0
    while demo.clock.now <= end:
        swept = await sweeping.sweep(place, demo.connection)
        delivered += (await delivering.deliver_signals(place, rng)).delivered
        found += len(swept.signals)
        for signal in swept.signals[:1]:
            more = f" and {len(swept.signals) - 1} more" if swept.signals[1:] else ""
            teller.say(f"{signal.fired_at:%d %b %H:%M} UTC  {signal.unit_kind} {signal.unit_id}{more}")
        teller.progress("Days", min(int((demo.clock.now - (end - LIVE)) / STEP), LIVE // STEP), LIVE // STEP)
        demo.clock.now += STEP
    taken = len(receiver.received)
    teller.say(f"{found} signals. The receiver took {taken} messages and found {receiver.verified_signatures} signatures right, two on each.")
    return {"signals": found, "delivered": delivered, "verified_signatures": receiver.verified_signatures}
