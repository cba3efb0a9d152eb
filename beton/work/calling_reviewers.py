"""A message to reviewers when proposals wait: along a route that the workspace has chosen for it, once a day at most, and only when there is news.

That it was told is written down before it is sent, so that no two workers tell it and no crash tells it twice; where nothing can have arrived, it is
taken back and tried again at the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from beton.errors import BadInput, Fault, NotFound
from beton.lifecycle import Status
from beton.routing.deliver import ClientFactory
from beton.routing.messages import Message
from beton.routing.outcomes import Outcome
from beton.routing.webhook import open_client
from beton.store import hypotheses, routes, workspaces
from beton.store.records import Hypothesis, Route
from beton.store.store import Transaction
from beton.work.delivering import opened
from beton.work.workplace import Workplace

CHOSEN, TOLD = "reviewers", "reviewers_told"
"""The names under which a workspace keeps the route, and when it was last told."""

KINDS = ("slack", "email")
AT_MOST = timedelta(hours=24)
LISTED = 10


def chosen_route(place: Workplace) -> Route | None:
    """The route that reviewers get their message along; `None` where they get none."""
    with place.store.reading() as tx:
        return _chosen(tx, workspaces.get(tx).settings)


def choose_route(place: Workplace, route: str | None, *, actor: str) -> Route | None:
    """Tell reviewers along this route, known by name or id, or not at all."""
    with place.store.transaction() as tx:
        found = None if route is None else routes.get(tx, route)
        if found is not None and found.kind not in KINDS:
            raise BadInput("Reviewers are people.", [Fault("route", "is neither Slack nor e-mail")], fix="Choose a route to Slack or to a mailbox.")
        workspaces.choose(tx, CHOSEN, None if found is None else found.id, actor=actor)
        return found


def call_reviewers(place: Workplace, client_factory: ClientFactory = open_client) -> Outcome | None:
    """Tell them if it is time and there is something new; `None` where there was nothing to tell. To be called where no event loop runs."""
    with place.store.transaction() as tx:
        settings = workspaces.lock(tx).settings  # or two workers would tell it
        route, told = _chosen(tx, settings), _told(settings)
        waiting = hypotheses.every(tx, statuses=(Status.PROPOSED,))
        new = [one for one in waiting if told is None or one.updated_at > told]
        if route is None or not route.enabled or not new or (told is not None and tx.now - told < AT_MOST):
            return None
        workspaces.remember(tx, TOLD, tx.now.isoformat())
        channel, destination = opened(place, tx, route.id)
        message = _message(place, tx, waiting, new)

    async def once() -> Outcome:
        async with client_factory() as client:
            return await channel.send(destination, message, client=client, clock=place.clock)

    outcome = asyncio.run(once())
    if outcome.kind == "retry":
        with place.store.transaction() as tx:
            workspaces.remember(tx, TOLD, None if told is None else told.isoformat())
    return outcome


def _chosen(tx: Transaction, settings: Mapping[str, Any]) -> Route | None:
    route_id = settings.get(CHOSEN)
    try:
        return None if route_id is None else routes.get(tx, route_id)
    except NotFound:
        return None


def _told(settings: Mapping[str, Any]) -> datetime | None:
    text = settings.get(TOLD)
    return None if text is None else datetime.fromisoformat(text)


def _message(place: Workplace, tx: Transaction, waiting: Sequence[Hypothesis], new: Sequence[Hypothesis]) -> Message:
    """The message; its id is that of the day, so that a mail of the same day is the same mail."""
    workspace, address = workspaces.get(tx), place.settings.address
    items = tuple(
        Message(
            message_id=f"rev_{one.id}",
            kind="notice",
            workspace=workspace.name,
            title=one.name,
            sentence=one.sentence,
            url=f"{address}/hypotheses/{one.id}",
            hypothesis_id=one.id,
        )
        for one in sorted(new, key=lambda one: one.updated_at, reverse=True)[:LISTED]
    )
    count, wait = len(waiting), "proposals wait" if len(waiting) != 1 else "proposal waits"
    return Message(
        message_id=f"rev_{workspace.id}_{tx.now:%Y%m%d}",
        kind="digest",
        workspace=workspace.name,
        title=f"{count} {wait} for review",
        sentence=f"{count} {wait} for a decision, {len(new)} of them new. Nothing is sent until somebody approves.",
        url=f"{address}/review",
        items=items,
    )
