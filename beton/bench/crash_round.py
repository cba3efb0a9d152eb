"""One database under kills: what is begun, when it is killed, and what is left when all has settled."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from datetime import datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr

from beton.bench.crash_crew import PATIENCE, Crew, Hand
from beton.bench.crash_sender import Sender, happened
from beton.bench.crash_worker import SharedClock
from beton.bench.crash_world import HISTORY_DAYS, START, STEP, Fire, Prepared, fires, prepare, received, swept_once, waiting
from beton.bench.measured import MeasurementFailed
from beton.bench.served import free_port
from beton.demo.receiver import Receiver
from beton.routing.signing import new_secret
from beton.sandbox.run import Running
from beton.settings import KEY_BYTES, Settings
from beton.store import backtests, hypotheses, runs
from beton.store.durable import enqueue_with, outside
from beton.store.store import open_store
from beton.work import listening
from beton.work.durable_backtests import BACKTESTS
from beton.work.workplace import Workplace

PHASES = ("sweep", "delivery", "backtest", "reception")
LOOK = 0.02
TURNS = 15
"""Sweeps and deliveries after the last kill, at most; each is later than all leases before it."""

CAUGHT = 0.5
"""Share of the kills during delivery that come between what the receiver has done and what it answers."""


@dataclass
class Counted:
    """What a round has done to the workers, and what it found."""

    kills: int = 0
    lost: int = 0
    duplicate_signals: int = 0
    duplicate_effects: int = 0
    duplicate_attempts: int = 0
    signals: int = 0
    messages: int = 0
    received: int = 0
    backtests: int = 0
    backtests_differing: int = 0
    interrupted: int = 0
    restarts: list[float] = field(default_factory=list)
    during: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Counted) -> Counted:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self


def tally(found: Counted, expected: set[Fire], got: list[Fire], arrived: Counter[Fire]) -> None:
    """Lost is what should have been found and was not, or was found and never arrived; doubled is what nobody expected, or expected once."""
    right = expected & set(got)
    found.signals, found.messages = len(got), arrived.total()
    found.lost = len(expected - right) + len(right - set(arrived))
    found.duplicate_signals = len(got) - len(right)
    found.duplicate_effects = arrived.total() - len(arrived)


class Trap(Receiver):
    """A receiver that can be told to let the sender be killed when it has taken a message and before it answers."""

    def __init__(self, secret: str, clock: SharedClock) -> None:
        super().__init__(secret, clock=clock)
        self.sprung, self.released = threading.Event(), threading.Event()
        self._left = 0

    def set_for(self, number: int) -> None:
        """Spring at this message from now on."""
        self.sprung.clear()
        self.released.clear()
        self._left = number

    def release(self) -> None:
        """Answer, whoever may still be there to hear it."""
        self._left = 0
        self.released.set()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """As ever; the message that springs the trap is answered when the trap is released."""
        status = super().take(headers, body)
        if self._left:
            self._left -= 1
            if not self._left:
                self.sprung.set()
                self.released.wait(PATIENCE)
        return status


@dataclass
class Round:
    """An empty database, its workers and its receiver. `until` is when all that the world holds has happened."""

    database_url: str
    home: Path
    posthog: Running
    workers: int
    dice: Random
    until: datetime
    world: Path
    context: ForkServerContext
    typical: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    sent_until: str = START.isoformat()

    def run(self, kills: int) -> Counted:
        """Kill so often, let it settle, and count."""
        with ExitStack() as opened:
            self.clock = SharedClock(self.home / "clock")
            self.clock.set(START)
            self.settings = self._settings(self.database_url)
            self.trap = opened.enter_context(Trap(secret := new_secret(), self.clock))
            store = open_store(self.settings, self.clock)
            opened.callback(store.close)
            self.place = Workplace(self.settings, store, self.clock)
            self.prepared = prepare(self.place, self.posthog, receiver=self.trap.url, secret=secret)
            self.crew = Crew(self.settings, self.clock, self.home, self.context)
            opened.callback(self.crew.end)
            self.crew.start("server")
            for _ in range(self.workers):
                self.crew.start("worker")
            client = opened.enter_context(outside(self.settings))
            if client is None:
                raise MeasurementFailed("The workers have no database of jobs.")
            self.client = client
            self._open_source()
            self._calibrate()
            found = Counted()
            for _ in range(kills):
                self._kill(found)
            self._settle()
            self._count(found)
            return found

    def _settings(self, url: str) -> Settings:
        key = SecretStr(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())
        return Settings(
            database_url=url,
            secret_key=key,
            data_dir=self.home,
            port=free_port(),
            allow_insecure_hosts=True,
            hash_buckets=2,
            sweep_interval_minutes=1440,
        )

    def _open_source(self) -> None:
        """PostHog sends the same events that it answers sweeps with. An active source needs one to have come."""
        source, address, _ = listening.add_source(self.place, name="posthog", connection=self.prepared.connection.id, actor="bench")
        self.events = happened(self.world)
        self.sender = Sender(address)
        self.sender.begin([one for one in self.events if one["timestamp"] < START.isoformat()][-1:])
        self.sender.finish()
        listening.switch(self.place, source.id, "active", actor="bench")

    def _news(self) -> list[dict[str, Any]]:
        """What has happened since the last time PostHog sent."""
        until = self.clock().isoformat()
        fresh = [one for one in self.events if self.sent_until <= one["timestamp"] < until]
        self.sent_until = until
        return fresh

    # --- work ----------------------------------------------------------------------------------------------------------

    def _begin(self, phase: str) -> str:
        """Leave work for the workers; the id of its workflow."""
        if phase == "backtest":
            return self._begin_backtest()
        self.asked += 1
        workflow = {"sweep": "sweep_tick", "delivery": "deliver_tick"}[phase]
        enqueue_with(self.client, BACKTESTS, workflow, f"crash-{self.asked}", None, None)
        return f"crash-{self.asked}"

    def _begin_backtest(self) -> str:
        ids = list(self.prepared.hypothesis_ids)
        with self.place.store.transaction() as tx:
            versions = [hypotheses.get(tx, one).version for one in ids]
            request = {"hypothesis_ids": ids, "versions": versions, "as_of": START.isoformat(), "window_days": HISTORY_DAYS}
            run = runs.queue(tx, "backtest", connection_id=self.prepared.connection.id, request=request)
        enqueue_with(self.client, BACKTESTS, "backtest_run", run.id, run.id, None)
        return run.id

    def _state(self, workflow_id: str) -> tuple[str, str | None]:
        (found,) = self.client.list_workflows(workflow_ids=[workflow_id], load_input=False, load_output=False)
        return found.status, found.executor_id

    def _finish(self, workflow_id: str) -> None:
        self._wait(lambda: self._state(workflow_id)[0] not in ("PENDING", "ENQUEUED", "DELAYED"), workflow_id)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > until:
                raise MeasurementFailed(f"{what} did not end: {self.crew.said()}")
            time.sleep(LOOK)

    def _calibrate(self) -> None:
        """What each kind of work takes when nobody is killed, from being taken up. The first sweep reads the past, and is no measure."""
        self._finish(self._begin("sweep"))
        self.clock.advance(STEP)
        for phase in PHASES[:3]:
            workflow = self._begin(phase)
            self._taken_up(workflow)
            began = time.perf_counter()
            self._finish(workflow)
            self.typical[phase] = time.perf_counter() - began
        began = time.perf_counter()
        self.sender.begin(self._news())
        self.sender.finish()
        self.typical["reception"] = time.perf_counter() - began

    def _taken_up(self, workflow: str) -> None:
        self._wait(lambda: self._state(workflow)[0] != "ENQUEUED", workflow)

    # --- kills ---------------------------------------------------------------------------------------------------------

    def _kill(self, found: Counted) -> None:
        """Five minutes later something begins, and at some moment of it its worker is no more."""
        self.clock.advance(STEP)
        phase = self.dice.choice(PHASES)
        if phase == "reception":
            self._kill_receiving(found)
            return
        if phase == "delivery":
            self._finish(self._begin("sweep"))
        caught = phase == "delivery" and self.dice.random() < CAUGHT
        if caught:
            self.trap.set_for(self.dice.randint(1, 3))
        workflow = self._begin(phase)
        self._taken_up(workflow)
        moment = self.dice.random() * self.typical[phase]
        if caught:
            self.trap.sprung.wait(1 + 3 * self.typical[phase])
        else:
            time.sleep(moment)
        state, executor_id = self._state(workflow)
        killed = self.crew.kill(executor_id, self.dice)
        self.trap.release()
        self._note(found, phase, killed, interrupted=state == "PENDING")

    def _kill_receiving(self, found: Counted) -> None:
        """PostHog sends what has happened since the last time, and the server is no more at some moment of it."""
        before, fresh = self.sender.sent, self._news()
        self.sender.begin(fresh)
        time.sleep(self.dice.random() * self.typical["reception"])
        killed = self.crew.kill(None, self.dice, "server")
        self._note(found, "reception", killed, interrupted=self.sender.sent - before <= len(fresh))
        self.sender.finish()

    def _note(self, found: Counted, phase: str, killed: Hand, *, interrupted: bool) -> None:
        """Count a kill, and start another in the place of the killed."""
        found.kills += 1
        found.during[phase] += 1
        found.interrupted += interrupted
        self.crew.replace(killed)

    def _settle(self) -> None:
        """Nobody is killed any more: until nothing waits."""
        self.clock.set(max(self.clock(), self.until))
        self.sender.begin(self._news())
        self.sender.finish()
        for _ in range(TURNS):
            self._finish(self._begin("sweep"))
            self._finish(self._begin("delivery"))
            self._wait(lambda: not self._unfinished(), "what was interrupted")
            if not waiting(self.place) and self.sender.acknowledged <= set(received(self.place)):
                return
            self.clock.advance(STEP)
        # What still waits is lost as far as anybody can see, and is counted so.

    def _unfinished(self) -> bool:
        return bool(self.client.list_workflows(status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False, load_output=False, limit=1))

    # --- counting ------------------------------------------------------------------------------------------------------

    def _count(self, found: Counted) -> None:
        tally(found, set(self._expected()), fires(self.place, self.prepared), Counter(self._effects()))
        found.duplicate_attempts = self.trap.duplicates
        taken = received(self.place)
        found.received = len(taken)
        found.lost += len(self.sender.acknowledged - set(taken))
        found.duplicate_signals += len(taken) - len(set(taken))
        found.restarts = self.crew.restarts
        self._compare_backtests(found)

    def _expected(self) -> list[Fire]:
        """What one process finds in the same events with nobody killing it."""
        clock = SharedClock(self.home / "calm-clock")
        clock.set(START)
        settings = self._settings(f"sqlite:///{self.home / 'calm.sqlite'}")
        store = open_store(settings, clock)
        place = Workplace(settings, store, clock)
        prepared: Prepared = prepare(place, self.posthog, receiver=self.trap.url, secret=new_secret())
        for share in range(3):
            clock.set(START + (self.until - START) * share / 2)
            swept_once(place, prepared.connection)
        found = fires(place, prepared)
        store.close()
        return found

    def _effects(self) -> list[Fire]:
        told = [one.content for one in self.trap.received if one.content["type"] == "signal.created"]
        return [self.prepared.fire(one["hypothesis_id"], one["unit"]["id"], one["occurrence"], one["fired_at"]) for one in told]

    def _compare_backtests(self, found: Counted) -> None:
        """Every run over the same stretch tells the same, however often it was interrupted."""
        with self.place.store.reading() as tx:
            over = [one for one in runs.listing(tx, kind="backtest", limit=200).data if one.request.get("as_of")]
            told = [sorted((one.hypothesis_id, one.digest) for one in backtests.of_run(tx, run.id)) for run in over]
        found.backtests = len(over)
        wanted = self.prepared.digests
        found.backtests_differing = sum(one != wanted for one in told)
