"""Send what is due: one lane per route, so that a dead or slow destination delays nobody but itself.

    due_routes        which routes have deliveries waiting
      per route       claim one or a few, send, settle each as it ends; again, while the receiver keeps up

A lane sends one request at a time; where the receiver takes longer to answer than we to write down, it doubles. It stops as soon as the receiver is
silent, asks for patience or wants no more, or fails three times running. So a dead receiver costs one attempt of one delivery per call, and a
process that dies leaves hardly more than one message per route that was sent and not written down. Where a destination has a limit, the outbox
says how long to wait; where it takes several messages in a request, a request has several.

Claims are leases that the outbox takes back when they run out. A process killed between sending and settling has sent a message whose
attempt nobody wrote down; the next holder of the delivery sends it again, with the same id and the same bytes, or, where the receiver would not
know a repetition, the outbox holds it for a person.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import httpx

from beton.errors import Conflict
from beton.routing.addresses import Resolve, resolve
from beton.routing.channels import Channel
from beton.routing.destinations import ChannelSettings
from beton.routing.messages import Message
from beton.routing.outcomes import Outcome
from beton.routing.schedule import next_attempt
from beton.routing.webhook import open_client
from beton.signals import AttemptOutcome, Claim, DeliveryStatus

LEASE = timedelta(seconds=60)
"""How long a claim should be leased: four times what an attempt can take, so that a slow database costs no repetition."""

WIDEST = 8
"""Most deliveries on their way to one destination at a time."""

FAILURES = 3
"""Batches in a row in which the receiver only failed, after which it is left alone until the next call. One message that a receiver stumbles
over must not hold up the others."""

PROMPT_MS = 50
"""Up to this latency, sending side by side gains little and would only leave more in the air when a process dies."""

MOST_LANES = 100
"""Most destinations served at a time."""

_T = TypeVar("_T")
ClientFactory = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery, ready to go.

    `message` is a function of what is stored, so that every attempt has the same; `None` when the signal's unit has been erased since. `wait` is
    for how long the destination's limit asks it to be kept.
    """

    claim: Claim
    channel: Channel
    destination: ChannelSettings
    message: Message | None
    wait: timedelta = timedelta(0)


class Outbox(Protocol):
    """What sending needs of the store. Each call is one transaction; calls come from worker threads, one at a time."""

    def due_routes(self) -> Sequence[str]:
        """Ids of the enabled routes that have due deliveries, the longest waiting first."""
        ...

    def claim(self, route_id: str, requests: int) -> Sequence[Parcel]:
        """Lease due deliveries of one route, for `LEASE`: as many as go in so many requests, fewer where the destination's limit is reached. A
        delivery is leased to one worker at a time."""
        ...

    def settle(self, claim: Claim, outcome: AttemptOutcome) -> None:
        """Write an attempt down. `Conflict` when the lease has been lost."""
        ...

    def give_back(self, claim: Claim) -> None:
        """End a lease under which nothing was sent."""
        ...

    def disable(self, route_id: str, reason: str) -> None:
        """Switch a route off: its receiver wants no more."""
        ...

    def rest(self, route_id: str, seconds: float) -> None:
        """Leave a route's receiver alone for so long, as it has asked."""
        ...


@dataclass(slots=True)
class DeliveryReport:
    """What became of the attempts of one call. `lost` are attempts that another worker had taken over; `failed` ones will be tried again;
    `in_doubt` ones wait for a person to look."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    in_doubt: int = 0
    lost: int = 0
    disabled: list[str] = field(default_factory=list)
    by_route: Counter[str] = field(default_factory=Counter)
    """Attempts per route."""

    @property
    def attempts(self) -> int:
        return self.by_route.total()


async def deliver_due(
    outbox: Outbox,
    client_factory: ClientFactory = open_client,
    *,
    clock: Callable[[], datetime],
    rng: random.Random,
    limit: int = 500,
    resolve: Resolve = resolve,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> DeliveryReport:
    """Send what is due, at most about `limit` deliveries per route, and write down every attempt.

    `client_factory` opens a client per route. What the outbox raises ends its lane; the other lanes finish first, then it is raised.
    """
    round_ = _Round(outbox, client_factory, clock, rng, limit, resolve, sleep)
    lanes = [round_.lane(route_id) for route_id in await round_.ask(outbox.due_routes)]
    endings = await asyncio.gather(*lanes, return_exceptions=True)
    failures = [ending for ending in endings if isinstance(ending, BaseException)]
    if failures:
        if len(failures) > 1:
            failures[0].add_note(f"{len(failures) - 1} more routes failed in this call")
        raise failures[0]
    return round_.report


@dataclass
class _Round:
    """One call's shared state."""

    outbox: Outbox
    client_factory: ClientFactory
    clock: Callable[[], datetime]
    rng: random.Random
    limit: int
    resolve: Resolve
    sleep: Callable[[float], Awaitable[None]]
    report: DeliveryReport = field(default_factory=DeliveryReport)
    lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_LANES))
    store: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, call: Callable[..., _T], *arguments: object) -> _T:
        """Call the outbox without stopping those who wait for receivers."""
        async with self.store:
            return await asyncio.to_thread(call, *arguments)

    async def lane(self, route_id: str) -> None:
        async with self.lanes, self.client_factory() as client:
            width, left, failures = 1, self.limit, 0
            while left > 0 and failures < FAILURES:
                parcels = await self.ask(self.outbox.claim, route_id, min(width, left))
                if not parcels:
                    return
                size = parcels[0].destination.batch
                requests = [parcels[begin : begin + size] for begin in range(0, len(parcels), size)]
                endings = await _all([self._request(request, client) for request in requests])
                outcomes = [outcome for request in endings for outcome in request]
                wish = max((outcome.retry_after for outcome in outcomes if outcome.retry_after is not None), default=None)
                if wish is not None:
                    await self.ask(self.outbox.rest, route_id, wish)
                if _needs_rest(outcomes):
                    return
                failures = failures + 1 if outcomes and all(outcome.kind in ("retry", "in_doubt") for outcome in outcomes) else 0
                slow = any(outcome.latency_ms > PROMPT_MS for outcome in outcomes)
                width, left = min(width * 2, WIDEST) if slow else 1, left - len(parcels)

    async def _request(self, parcels: Sequence[Parcel], client: httpx.AsyncClient) -> list[Outcome]:
        """One request with one message or several, each written down; nothing where there was nothing to send."""
        for parcel in (one for one in parcels if one.message is None):
            erased = AttemptOutcome(status=DeliveryStatus.DEAD, error="The unit was erased before this could be sent.", counts=False)
            await self._settle(parcel.claim, erased)
        going = [(one, one.message) for one in parcels if one.message is not None]
        if not going:
            return []
        try:
            await self.sleep(max(0.0, max(one.wait for one, _ in going).total_seconds()))
        except asyncio.CancelledError:
            for one, _ in going:  # nothing has left: whoever comes next need not wait for the lease to run out
                self.outbox.give_back(one.claim)
            raise
        outcomes = await self._sent(going, client)
        self.report.by_route[going[0][0].claim.delivery.route_id] += len(going)
        for (parcel, _), outcome in zip(going, outcomes, strict=True):
            await self._write(parcel.claim, outcome)
        return outcomes

    async def _sent(self, going: Sequence[tuple[Parcel, Message]], client: httpx.AsyncClient) -> list[Outcome]:
        channel, destination = going[0][0].channel, going[0][0].destination
        if channel.send_many is None:
            ((_, message),) = going
            return [await channel.send(destination, message, client=client, clock=self.clock, resolve=self.resolve)]
        messages = [message for _, message in going]
        return list(await channel.send_many(destination, messages, client=client, clock=self.clock, resolve=self.resolve))

    async def _write(self, claim: Claim, outcome: Outcome) -> None:
        route_id, made = claim.delivery.route_id, claim.delivery.attempts - claim.delivery.attempts_before + 1
        if outcome.kind == "gone" and route_id not in self.report.disabled:
            self.report.disabled.append(route_id)
            told = outcome.failure.message if outcome.failure else "The destination wants no more deliveries."
            await self.ask(self.outbox.disable, route_id, told)
        await self._settle(claim, written(outcome, made, self.clock(), self.rng))

    async def _settle(self, claim: Claim, written: AttemptOutcome) -> None:
        try:
            await self.ask(self.outbox.settle, claim, written)
        except Conflict:  # another worker holds the delivery by now, and will write down its own attempt
            self.report.lost += 1
            return
        match written.status:
            case DeliveryStatus.DELIVERED:
                self.report.delivered += 1
            case DeliveryStatus.FAILED:
                self.report.failed += 1
            case DeliveryStatus.IN_DOUBT:
                self.report.in_doubt += 1
            case _:
                self.report.dead += 1


def written(outcome: Outcome, attempts_made: int, now: datetime, rng: random.Random) -> AttemptOutcome:
    """An outcome as it is written down: delivered, failed with the next attempt's instant, in doubt, or dead. `attempts_made` in this round."""
    due = next_attempt(attempts_made, outcome, now, rng)
    return AttemptOutcome(
        status=_ENDS.get(outcome.kind, DeliveryStatus.FAILED if due else DeliveryStatus.DEAD),
        status_code=outcome.status_code,
        latency_ms=outcome.latency_ms,
        response_head=outcome.response_head,
        error=outcome.failure.message if outcome.failure else None,
        next_attempt_at=due,
    )


_ENDS = {"delivered": DeliveryStatus.DELIVERED, "in_doubt": DeliveryStatus.IN_DOUBT}


def _needs_rest(outcomes: Sequence[Outcome]) -> bool:
    """Whether the receiver asks for patience, wants no more, or does not answer at all."""
    if any(outcome.kind == "gone" or outcome.retry_after is not None or outcome.status_code == 429 for outcome in outcomes):
        return True
    return bool(outcomes) and all(outcome.kind in ("retry", "in_doubt") and outcome.status_code is None for outcome in outcomes)


async def _all(attempts: Sequence[Awaitable[_T]]) -> list[_T]:
    """All attempts to their end, then the first failure if there was one: none is cut off in mid-sending because another's settling failed."""
    endings = await asyncio.gather(*attempts, return_exceptions=True)
    for ending in endings:
        if isinstance(ending, BaseException):
            raise ending
    return [ending for ending in endings if not isinstance(ending, BaseException)]
