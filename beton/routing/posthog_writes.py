"""Back into PostHog, where a key with the scope to write is given: an annotation for what happens, a static cohort of the persons that signals name.

An annotation carries the message's id at its end and is looked for before it is made, so that it is there once; a cohort is a set. Beton's own
reading of PostHog is another matter and another key: what reads can never write.

Shapes: https://posthog.com/docs/api/annotations (`search`, `content` up to 8,192 characters, `date_marker`, `scope`; scopes annotation:read and
annotation:write), https://posthog.com/docs/api/cohorts (`is_static`; scopes cohort:read and cohort:write). PATCH `add_persons_to_static_cohort/` with
`{"person_ids": [uuid]}` is in PostHog's schema (https://us.posthog.com/api/schema/); what it answers is unverified beyond its 2xx.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import httpx
from pydantic import Field

from beton.errors import BadInput, DestinationRefused, Fault
from beton.routing.addresses import Resolve, check_url, resolve
from beton.routing.destinations import ChannelSettings
from beton.routing.exchange import UNHURRIED, Reply, Silence, with_token
from beton.routing.facts import confidence, one_line, subject
from beton.routing.messages import Message
from beton.routing.outcomes import Outcome
from beton.routing.webhook import Patience

PER_SECOND = 2.0
_LONGEST = 8000


class PostHogWrites(ChannelSettings):
    """A project of PostHog, by a key that may write into it."""

    host: str = Field(max_length=300, title="PostHog's address", description="Such as https://us.posthog.com or https://eu.posthog.com.")
    project_id: int = Field(ge=1, title="Project", description="The project's number.")
    key: str = Field(
        repr=False, max_length=200, title="Personal API key", description="A key of its own, with the scope that this kind of route needs."
    )

    @property
    def address(self) -> str:
        """Host and project."""
        return f"{urlsplit(self.host).hostname or 'PostHog'} project {self.project_id}"

    def check(self) -> None:
        """The address and the key's letters."""
        check_url(self.host, allow_insecure=self.allow_insecure, allow_local=self.allow_local)
        if urlsplit(self.host).path.strip("/"):
            raise _refused("host", "The address of PostHog has no path.")
        if not re.fullmatch(r"ph[a-z]_[A-Za-z0-9_-]{8,180}", self.key):
            raise _refused("key", "This is not a personal API key of PostHog.")


class AnnotationSettings(PostHogWrites):
    """Annotations in a project: on its charts, at the day of the change. The key needs annotation:read and annotation:write."""


class CohortSettings(PostHogWrites):
    """A static cohort that persons with a signal are added to. The key needs cohort:read and cohort:write."""

    cohort_id: int = Field(ge=1, title="Cohort", description="The number of a static cohort, made in PostHog for this.")

    @property
    def address(self) -> str:
        """Host, project and cohort."""
        return f"{super().address} cohort {self.cohort_id}"

    @property
    def limit_key(self) -> str:
        """One project, whatever is written there."""
        return super().address


async def annotate(
    destination: AnnotationSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Outcome:
    """Leave an annotation unless it is there. A test looks, and writes nothing."""
    service = with_token(destination.host, destination.key, destination, client, clock, resolve, patience)
    path = f"/api/projects/{destination.project_id}/annotations/"
    mark = f"[beton {one_line(message.message_id, 120)}]"
    reply = await service.ask("GET", f"{path}?search={quote(mark)}&limit=10")
    if isinstance(reply, Silence) or not reply.good:
        return _failed(reply)
    there = reply.object.get("results")
    if not isinstance(there, list):
        return reply.outcome("retry")
    if message.kind == "test" or any(isinstance(one, dict) and mark in str(one.get("content")) for one in there):
        return reply.outcome()
    at = message.fired_at or clock()
    content = {"content": f"{_said(message)} {mark}", "date_marker": at.astimezone(UTC).isoformat(), "scope": "project"}
    made = await service.ask("POST", path, content)
    if isinstance(made, Silence) or not made.good:
        return _failed(made)
    return made.outcome(None if made.object.get("id") else "retry")


async def add_to_cohort(
    destination: CohortSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Outcome:
    """Add the signal's person to the cohort, where it may be already. A test looks whether the cohort is a static one, and writes nothing."""
    service = with_token(destination.host, destination.key, destination, client, clock, resolve, patience)
    path = f"/api/projects/{destination.project_id}/cohorts/{destination.cohort_id}"
    if message.kind == "test":
        reply = await service.ask("GET", f"{path}/")
        if isinstance(reply, Silence) or not reply.good:
            return _failed(reply)
        static = reply.object.get("is_static") is True
        return reply.outcome(None if static else "refused", None if static else "this cohort is not a static one")
    person = _person(message)
    if person is None:
        refusal = DestinationRefused("Only a person of PostHog can be in a cohort.", code="destination.not_for_this")
        return Outcome("refused", 0, failure=refusal)
    added = await service.ask("PATCH", f"{path}/add_persons_to_static_cohort/", {"person_ids": [person]})
    if isinstance(added, Silence) or not added.good:
        return _failed(added)
    return added.outcome(None if added.content is not None or (added.whole and not added.body) else "retry")  # a page in place of an answer is none


def _said(message: Message) -> str:
    if message.body:
        return message.body[:_LONGEST]
    parts = [message.title, message.sentence, subject(message) or "", confidence(message) or ""]
    return one_line(". ".join(part.rstrip(".") for part in parts if part), _LONGEST)


def _person(message: Message) -> str | None:
    """PostHog's uuid of the person, the only id by which a cohort takes one."""
    if message.kind != "signal" or message.unit_kind != "person" or message.unit is None:
        return None
    try:
        return str(uuid.UUID(message.unit))
    except ValueError:
        return None


def _failed(reply: Reply | Silence) -> Outcome:
    """An answer that is no use, with PostHog's own words."""
    if isinstance(reply, Silence):
        return reply.outcome()
    detail = reply.object.get("detail")
    return reply.outcome(said=detail if isinstance(detail, str) else None)


def _refused(field: str, message: str) -> BadInput:
    return BadInput(message, [Fault(field, message)], code="route.settings_invalid", fix="Correct the settings of the route; nothing was saved.")
