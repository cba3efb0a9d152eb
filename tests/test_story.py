"""The whole product: connect, observe, propose, test, decide, sweep, deliver, and what the receiver has in hand at the end."""

import asyncio
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

from beton.demo.receiver import Receiver
from beton.demo.story import Clock, question_of
from beton.lifecycle import Action, Status
from beton.routing.signing import new_secret
from beton.sandbox.run import running_sandbox
from beton.sandbox.worlds import generate
from beton.settings import Settings, with_local_key
from beton.store.store import open_store
from beton.work import connecting, deciding, delivering, observing, proposing, sweeping, ways_out
from beton.work.backtesting import window_of
from beton.work.workplace import Workplace


def test_from_a_posthog_project_to_signed_signals(tmp_path: Path) -> None:
    world = generate("freemium", 1, scale=0.25)
    world.write(tmp_path / "world")
    end = datetime.fromisoformat(world.truth["as_of"])
    clock, secret = Clock(end - timedelta(days=7)), new_secret()
    settings = with_local_key(Settings(data_dir=tmp_path / "beton", allow_insecure_hosts=True))
    place = Workplace(settings, open_store(settings, clock), clock)

    async def story(url: str, key: str) -> None:
        where: dict[str, Any] = {"name": "shop", "host": url, "project_id": "1", "api_key": SecretStr(key), "share": 1.0, "actor": "ada"}
        shop = await connecting.connect(place, **where)
        taxonomy, _ = await observing.observe(place, shop)
        assert world.truth["outcome"]["match"] in {event.name for event in taxonomy.events}

        proposed = await proposing.propose(place, shop, question_of(world), window_of(clock(), 90))
        best = next(one for one in deciding.resources(place, list(proposed.kept)) if one.verdict and one.verdict.clears)
        assert deciding.decide(place, best.hypothesis.id, Action.APPROVE, actor="ada").hypothesis.status is Status.APPROVED

        ways_out.add_route(place, name="sales", url=receiver.url, actor="ada", secret=secret)
        sent = []
        while clock.now <= end:
            sent += (await sweeping.sweep(place, shop)).signals
            await delivering.deliver_signals(place, random.Random(0))
            clock.now += timedelta(days=1)
        assert {message.content["hypothesis_id"] for message in receiver.received} == {best.hypothesis.id}
        assert len(receiver.received) == len(sent) > 0
        assert (receiver.verified_signatures, receiver.duplicates, receiver.rejected) == (2 * len(sent), 0, 0)

    with running_sandbox(tmp_path / "world" / "events.parquet") as sandbox, Receiver(secret, clock=clock) as receiver:
        asyncio.run(story(sandbox.url, sandbox.api_key))
    place.store.close()
