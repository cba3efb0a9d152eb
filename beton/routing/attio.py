"""Attio: Beton's own attributes on the company or person that a signal is about.

    query     the record that has our key, else the one with that domain or e-mail address
    update    the one that was found without our key, by Attio's own id
    assert    the one with our key, or the one that nobody has: `beton_key` is a unique attribute, so that a repetition changes nothing

Shapes: https://docs.attio.com/rest-api/endpoint-reference/records/assert-a-record (PUT with `matching_attribute`, `data.values`; 409
`concurrent_write_conflict`), https://docs.attio.com/rest-api/guides/filtering-and-sorting (`filter` by attribute),
https://docs.attio.com/rest-api/endpoint-reference/attributes/create-an-attribute,
https://docs.attio.com/rest-api/guides/rate-limiting (25 writes and 100 reads a second; 429 with `Retry-After` as a date),
https://docs.attio.com/docs/attribute-types/attribute-types-text (values are lists; texts are written as they are),
https://docs.attio.com/docs/attribute-types/attribute-types-timestamp (UTC, nine decimals).
Unverified: that an empty list clears an attribute, and PATCH of a record by its id, which the reference lists beside the assert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import httpx
from pydantic import Field

from beton.errors import DestinationError, DestinationRefused
from beton.routing import crm
from beton.routing.addresses import Resolve, check_url, resolve
from beton.routing.crm import FIELDS, KEY, Difference, Found, Wanted
from beton.routing.destinations import ChannelSettings
from beton.routing.exchange import UNHURRIED, Reply, Service, Silence, with_token
from beton.routing.messages import Message
from beton.routing.outcomes import Outcome
from beton.routing.webhook import Patience

API = "https://api.attio.com"
PER_SECOND = 20.0
"""Records: each is one write, and of the 25 a second something is left to others."""

_MATCHED_BY = {"companies": "domains", "people": "email_addresses"}
_SUBJECT: dict[str, crm.Subject] = {"companies": "company", "people": "person"}
_FORMS = {"text": "text", "number": "number", "instant": "timestamp"}
_NAMES = {one.name: one.form for one in FIELDS}


class AttioSettings(ChannelSettings):
    """A workspace of Attio, by an API key."""

    token: str = Field(
        repr=False, max_length=200, title="API key", description="With the scopes record_permission:read-write and object_configuration:read-write."
    )
    records: Literal["companies", "people"] = Field(default="companies", title="Records", description="What signals are written to.")
    create: bool = Field(
        default=True,
        title="Create what is missing",
        description="Make a record, with Beton's attributes alone, where neither key nor domain finds one.",
    )
    base_url: str = Field(default=API, title="Attio's API", description="Only for a proxy of your own.")

    @property
    def address(self) -> str:
        """Which records."""
        return f"Attio {self.records}"

    @property
    def limit_key(self) -> str:
        """One account, whatever is written there."""
        return crm.account_of("Attio", self.token)

    def check(self) -> None:
        """The key's letters, and the address."""
        crm.check_token(self.token, "This is not a key of Attio.")
        check_url(self.base_url, allow_insecure=self.allow_insecure, allow_local=self.allow_local)


async def send(
    destination: AttioSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Outcome:
    """Write one signal; a test reads what Beton's own attributes are, and writes nothing."""
    service = with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience)
    if message.kind == "test":
        return await _tried(destination, service)
    try:
        wished = crm.wanted(message, _SUBJECT[destination.records])
        found = await _look(service, destination, wished)
    except DestinationRefused as refusal:
        return Outcome("refused", 0, failure=refusal)
    if isinstance(found, Outcome):
        return found
    if found is None and not destination.create:
        return Outcome("refused", 0, failure=crm.no_record(wished, "Attio"))
    if found is not None and crm.is_outdated(wished, found):
        return Outcome("delivered", 0, response_head="A newer signal is there already; nothing was written.")
    values = {"data": {"values": _written(crm.values_for(wished, found) if found and found.values.get(KEY) != wished.key else wished.values)}}
    path = f"/v2/objects/{destination.records}/records"
    if found is not None and found.values.get(KEY) != wished.key:
        reply = await service.ask("PATCH", f"{path}/{found.record_id}", values)
    else:
        reply = await service.ask("PUT", f"{path}?matching_attribute={KEY}", values)
    if isinstance(reply, Silence) or not reply.good:
        return _failed(reply)
    return reply.outcome(None if isinstance(reply.object.get("data"), dict) else "retry")


async def dry_run(
    destination: AttioSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Difference:
    """What sending would change. Reads only; raises the `DestinationError` that it met."""
    wished = crm.wanted(message, _SUBJECT[destination.records])
    found = await _look(with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience), destination, wished)
    if isinstance(found, Outcome):
        raise found.failure or DestinationError("Attio could not be read.")
    return crm.difference(wished, found, create=destination.create, where="Attio")


async def set_up(
    destination: AttioSettings,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> list[str]:
    """See to it that Beton's own attributes are there; the names of those that were made. Raises the `DestinationError` that it met."""
    service = with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience)
    missing = [one for one in FIELDS if not await _is_there(service, destination, one)]
    for one in missing:
        described = {"title": one.label, "description": one.meaning, "api_slug": one.name, "type": _FORMS[one.form], "config": {}}
        shape = {"is_required": False, "is_unique": one.unique, "is_multiselect": False}
        _done(await service.ask("POST", f"/v2/objects/{destination.records}/attributes", {"data": described | shape}), also=(409,))
    return [one.name for one in missing]


async def _look(service: Service, destination: AttioSettings, wished: Wanted) -> Found | Outcome | None:
    """The record that the wish is about; `None` where there is none. Raises where several answer to its domain."""
    by_key = await _query(service, destination, {KEY: wished.key})
    if isinstance(by_key, Outcome) or by_key:
        return by_key if isinstance(by_key, Outcome) else by_key[0]
    if wished.match is None:
        return None
    by_match = await _query(service, destination, {_MATCHED_BY[destination.records]: wished.match})
    if isinstance(by_match, Outcome):
        return by_match
    if len(by_match) > 1:
        raise crm.several_records(wished, "Attio")
    return by_match[0] if by_match else None


async def _query(service: Service, destination: AttioSettings, wanted: Mapping[str, str]) -> list[Found] | Outcome:
    reply = await service.ask("POST", f"/v2/objects/{destination.records}/records/query", {"filter": dict(wanted), "limit": 2})
    if isinstance(reply, Silence) or not reply.good or not isinstance(reply.object.get("data"), list):
        return _failed(reply)
    return [_found(one) for one in reply.object["data"] if isinstance(one, dict) and isinstance(one.get("values"), dict)]


def _found(record: Mapping[str, Any]) -> Found:
    id_ = record.get("id")
    return Found(str(id_.get("record_id") if isinstance(id_, dict) else ""), {name: _value(name, record["values"].get(name)) for name in _NAMES})


def _value(name: str, held: object) -> crm.Written:
    """The one present value of an attribute, which Attio gives as a list of entries with a `value`."""
    entry = held[0] if isinstance(held, list) and held else None
    value = entry.get("value") if isinstance(entry, dict) else None
    if _NAMES[name] == "instant":
        return crm.instant_in(value)
    if _NAMES[name] == "number":
        return float(value) if isinstance(value, (int, float)) else None
    return value if isinstance(value, str) and value else None


def _written(values: Mapping[str, crm.Written]) -> dict[str, Any]:
    """As Attio takes them: a text, a number or an instant; an empty list clears."""
    return {name: [] if value is None else value if isinstance(value, float) else crm.shown(value) for name, value in values.items()}


async def _tried(destination: AttioSettings, service: Service) -> Outcome:
    """Whether the key reads, and Beton's attributes are there."""
    reply = await service.ask("GET", f"/v2/objects/{destination.records}/attributes/{KEY}")
    if isinstance(reply, Reply) and reply.status == 404:
        return reply.outcome("refused", f"the attribute {KEY} is missing; set the route up")
    if isinstance(reply, Silence) or not reply.good:
        return _failed(reply)
    unique = (reply.object.get("data") or {}).get("is_unique") is True
    return reply.outcome(None if unique else "refused", None if unique else f"the attribute {KEY} does not hold unique values")


async def _is_there(service: Service, destination: AttioSettings, one: crm.Field) -> bool:
    reply = await service.ask("GET", f"/v2/objects/{destination.records}/attributes/{one.name}")
    if isinstance(reply, Reply) and reply.status == 404:
        return False
    content = _done(reply).object.get("data") or {}
    if content.get("type") != _FORMS[one.form] or (one.unique and content.get("is_unique") is not True):
        raise DestinationRefused(
            f"Attio has an attribute {one.name} of another kind.",
            code="destination.field_taken",
            fix="Archive or rename it there, then set up again.",
        )
    return True


def _done(reply: Reply | Silence, also: tuple[int, ...] = ()) -> Reply:
    """The answer to a request of the set-up; raises unless it is a good one."""
    if isinstance(reply, Reply) and (reply.status in also or (reply.good and reply.content is not None)):
        return reply
    raise _failed(reply).failure or DestinationError("Attio could not be asked.")


def _failed(reply: Reply | Silence) -> Outcome:
    """An answer that is no use, with Attio's own words."""
    if isinstance(reply, Silence):
        return reply.outcome()
    message = reply.object.get("message")
    return reply.outcome("retry" if reply.good else None, message if isinstance(message, str) and not reply.good else None)
