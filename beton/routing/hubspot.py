"""HubSpot: Beton's own properties on the company or contact that a signal is about.

    read      which records have our key; for the others, one search by domain or e-mail address
    update    those that were found without our key, by HubSpot's own id
    upsert    those with our key, and those that nobody has: `beton_key` is a property with unique values, so that a repetition changes nothing

Shapes, version 2026-03: https://developers.hubspot.com/docs/api-reference/latest/crm/objects/objects/batch/get-objects (read by `idProperty`),
https://developers.hubspot.com/docs/api-reference/latest/crm/objects/custom-objects/batch/upsert-custom-objects (`id`, `idProperty`, `properties`,
`objectWriteTraceId`; 200, or 207 with `errors`), https://developers.hubspot.com/docs/api-reference/latest/crm/objects/objects/batch/update-objects,
https://developers.hubspot.com/docs/api-reference/2026-03/crm/search-the-crm (`filterGroups`),
https://developers.hubspot.com/docs/api-reference/latest/crm/properties/create-property (`hasUniqueValue`),
https://developers.hubspot.com/docs/api-reference/latest/error-handling (`category`, `message`, `context`; all of them optional),
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines (100 requests in ten seconds at least; 429).
Unverified: the groups address (`/crm/properties/2026-03/{type}/groups`, after v3), and that an error of an upsert names its `objectWriteTraceId` in
`context` as those of a create do; an input that neither `results` nor `errors` name is sent again, which changes nothing where it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from beton.routing.outcomes import Kind, Outcome
from beton.routing.webhook import Patience

API = "https://api.hubapi.com"
VERSION = "2026-03"
PER_SECOND = 2.0
"""Batches, of up to four requests each: of the 100 requests in ten seconds that every account has, something is left to others."""

BATCH = 25
"""Records in a request; HubSpot takes 100, but so many answers of records would be longer than what is read."""

_MATCHED_BY = {"companies": "domain", "contacts": "email"}
_SUBJECT: dict[str, crm.Subject] = {"companies": "company", "contacts": "person"}
_GROUP = "beton"
_FORMS = {"text": ("string", "text"), "number": ("number", "number"), "instant": ("datetime", "date")}
_LATER = frozenset({"RATE_LIMITS", "CONFLICT", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE"})


class HubSpotSettings(ChannelSettings):
    """An account of HubSpot, by the token of an app of its own."""

    token: str = Field(
        repr=False, max_length=200, title="Access token", description="Of a private app with read and write scopes for the records and their schemas."
    )
    records: Literal["companies", "contacts"] = Field(default="companies", title="Records", description="What signals are written to.")
    create: bool = Field(
        default=True, title="Create what is missing", description="Make a record, with Beton's fields alone, where neither key nor domain finds one."
    )
    base_url: str = Field(default=API, title="HubSpot's API", description="Only for a proxy of your own.")

    @property
    def address(self) -> str:
        """Which records."""
        return f"HubSpot {self.records}"

    @property
    def limit_key(self) -> str:
        """One account, whatever is written there."""
        return crm.account_of("HubSpot", self.token)

    @property
    def batch(self) -> int:
        """Records in a request."""
        return BATCH

    def check(self) -> None:
        """The token's letters, and the address."""
        crm.check_token(self.token, "This is not a token of HubSpot.")
        check_url(self.base_url, allow_insecure=self.allow_insecure, allow_local=self.allow_local)


async def send(
    destination: HubSpotSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Outcome:
    """Write one signal; a test reads what Beton's own properties are, and writes nothing."""
    if message.kind == "test":
        return await _tried(destination, with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience))
    return (await send_many(destination, [message], client=client, clock=clock, resolve=resolve, patience=patience))[0]


async def send_many(
    destination: HubSpotSettings,
    messages: Sequence[Message],
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Sequence[Outcome]:
    """Write several signals; each gets its own outcome. Of several about one record, the latest is written."""
    service = with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience)
    outcomes: dict[str, Outcome] = {}
    wishes: dict[str, Wanted] = {}
    for message in messages:
        try:
            wishes[message.message_id] = crm.wanted(message, _SUBJECT[destination.records])
        except DestinationRefused as refusal:
            outcomes[message.message_id] = Outcome("refused", 0, failure=refusal)
    latest = crm.newest(wishes)
    written = await _write_all(service, destination, latest) if latest else {}
    return [outcomes.get(one.message_id) or written[wishes[one.message_id].key] for one in messages]


async def dry_run(
    destination: HubSpotSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Difference:
    """What sending would change. Reads only; raises the `DestinationError` that it met."""
    wished = crm.wanted(message, _SUBJECT[destination.records])
    service = with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience)
    found = await _look(service, destination, {wished.key: wished}, [one.name for one in FIELDS])
    if isinstance(found, Outcome):
        raise found.failure or DestinationError("HubSpot could not be read.")
    if found.several:
        raise crm.several_records(wished, "HubSpot")
    return crm.difference(wished, found.records.get(wished.key), create=destination.create, where="HubSpot")


async def set_up(
    destination: HubSpotSettings,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> list[str]:
    """See to it that Beton's own properties are there; the names of those that were made. Raises the `DestinationError` that it met."""
    service = with_token(destination.base_url, destination.token, destination, client, clock, resolve, patience)
    missing = [one for one in FIELDS if not await _is_there(service, destination, one)]
    path = f"/crm/properties/{VERSION}/{destination.records}"
    if missing:
        _done(await service.ask("POST", f"{path}/groups", {"name": _GROUP, "label": "Beton"}), also=(409,))
    for one in missing:
        kind, shape = _FORMS[one.form]
        described = {"name": one.name, "label": one.label, "description": one.meaning, "groupName": _GROUP, "type": kind, "fieldType": shape}
        _done(await service.ask("POST", path, described | {"hasUniqueValue": one.unique, "formField": False}), also=(409,))
    return [one.name for one in missing]


@dataclass(frozen=True)
class _Looked:
    """What is there: records by our key, and the keys for which several answer."""

    records: Mapping[str, Found]
    several: frozenset[str]


async def _look(service: Service, destination: HubSpotSettings, wishes: Mapping[str, Wanted], names: Sequence[str]) -> _Looked | Outcome:
    """The records that the wishes, by key, are about; an outcome where that could not be told."""
    path = f"/crm/objects/{VERSION}/{destination.records}"
    inputs = [{"id": key} for key in wishes]
    reply = await service.ask("POST", f"{path}/batch/read", {"idProperty": KEY, "inputs": inputs, "properties": list(names)})
    if isinstance(reply, Silence) or not reply.good or not isinstance(reply.object.get("results"), list):
        return _failed(reply)
    records = {str(one.values.get(KEY)): one for one in _records(reply)}
    unknown = {one.match: key for key, one in wishes.items() if key not in records and one.match is not None}
    if not unknown:
        return _Looked(records, frozenset())
    by = _MATCHED_BY[destination.records]
    asked = {
        "filterGroups": [{"filters": [{"propertyName": by, "operator": "IN", "values": sorted(unknown)}]}],
        "properties": [by, *names],
        "limit": 100,
    }
    reply = await service.ask("POST", f"{path}/search", asked)
    if isinstance(reply, Silence) or not reply.good or not isinstance(reply.object.get("results"), list):
        return _failed(reply)
    several: set[str] = set()
    for one, properties in _found(reply):
        key = unknown.get(str(properties.get(by) or "").lower())
        if key is not None and key in records:
            several.add(key)
        elif key is not None:
            records[key] = one
    if reply.object.get("total", 0) > len(reply.object["results"]):  # more than could be looked at: some of ours may be among them
        several.update(key for key in unknown.values() if key not in records)
    return _Looked(records, frozenset(several))


async def _write_all(service: Service, destination: HubSpotSettings, wishes: Mapping[str, Wanted]) -> dict[str, Outcome]:
    """An outcome for each key."""
    looked = await _look(service, destination, wishes, [KEY, crm.FIRED_AT])
    if isinstance(looked, Outcome):
        return dict.fromkeys(wishes, looked)
    outcomes: dict[str, Outcome] = {}
    updates: dict[str, dict[str, Any]] = {}
    upserts: dict[str, dict[str, Any]] = {}
    for key, one in wishes.items():
        found = looked.records.get(key)
        if key in looked.several:
            outcomes[key] = Outcome("refused", 0, failure=crm.several_records(one, "HubSpot"))
        elif found is None and not destination.create:
            outcomes[key] = Outcome("refused", 0, failure=crm.no_record(one, "HubSpot"))
        elif found is not None and crm.is_outdated(one, found):
            outcomes[key] = Outcome("delivered", 0, response_head="A newer signal is there already; nothing was written.")
        elif found is not None and found.values.get(KEY) != key:
            updates[key] = {"id": found.record_id, "properties": _properties(crm.values_for(one, found)), "objectWriteTraceId": one.message_id}
        else:
            upserts[key] = {"idProperty": KEY, "id": key, "properties": _properties(one.values), "objectWriteTraceId": one.message_id}
    for what, inputs in (("update", updates), ("upsert", upserts)):
        outcomes |= await _write(service, f"/crm/objects/{VERSION}/{destination.records}/batch/{what}", inputs)
    return outcomes


async def _write(service: Service, path: str, inputs: Mapping[str, dict[str, Any]]) -> dict[str, Outcome]:
    if not inputs:
        return {}
    reply = await service.ask("POST", path, {"inputs": list(inputs.values())})
    if isinstance(reply, Reply) and reply.status == 400 and len(inputs) > 1:  # one that is wrong must not hold up the others
        outcomes: dict[str, Outcome] = {}
        for key, one in inputs.items():
            outcomes |= await _write(service, path, {key: one})
        return outcomes
    if isinstance(reply, Silence) or not reply.good:
        return dict.fromkeys(inputs, _failed(reply))
    results = reply.object.get("results")
    if not isinstance(results, list):
        return dict.fromkeys(inputs, reply.outcome("retry"))
    errors = [one for one in reply.object.get("errors") or () if isinstance(one, dict)]
    if reply.status != 207 and not errors and len(results) == len(inputs):
        return dict.fromkeys(inputs, reply.outcome())
    return {key: _one_of_several(reply, one, results, errors, alone=len(inputs) == 1) for key, one in inputs.items()}


def _one_of_several(reply: Reply, asked: Mapping[str, Any], results: Sequence[Any], errors: Sequence[Mapping[str, Any]], *, alone: bool) -> Outcome:
    """What became of one input of a batch of which a part failed."""
    names = {str(asked["id"]), str(asked["objectWriteTraceId"])}
    for error in errors:
        if alone or names & set(_named_in(error.get("context"))):
            category, message = str(error.get("category") or ""), str(error.get("message") or "an error")
            kind: Kind = "retry" if category in _LATER else "refused"
            return reply.outcome(kind, f"{category}: {message}")
    for one in results:
        if isinstance(one, dict):
            properties = one.get("properties") if isinstance(one.get("properties"), dict) else {}
            if names & {str(one.get("id")), str(one.get("objectWriteTraceId")), str((properties or {}).get(KEY))}:
                return reply.outcome("delivered")
    return reply.outcome("retry", "nothing was said of this record")


def _named_in(context: object) -> Iterator[str]:
    if isinstance(context, dict):
        for value in context.values():
            yield from map(str, value) if isinstance(value, list) else (str(value),)


async def _tried(destination: HubSpotSettings, service: Service) -> Outcome:
    """Whether the token reads, and Beton's properties are there."""
    path = f"/crm/properties/{VERSION}/{destination.records}/{KEY}"
    reply = await service.ask("GET", path)
    if isinstance(reply, Reply) and reply.status == 404:
        return reply.outcome("refused", f"the property {KEY} is missing; set the route up")
    if isinstance(reply, Silence) or not reply.good:
        return _failed(reply)
    return reply.outcome(None if reply.object.get("hasUniqueValue") is True else "refused", f"the property {KEY} does not hold unique values")


async def _is_there(service: Service, destination: HubSpotSettings, one: crm.Field) -> bool:
    reply = await service.ask("GET", f"/crm/properties/{VERSION}/{destination.records}/{one.name}")
    if isinstance(reply, Reply) and reply.status == 404:
        return False
    content = _done(reply).object
    if content.get("type") != _FORMS[one.form][0] or (one.unique and content.get("hasUniqueValue") is not True):
        raise DestinationRefused(
            f"HubSpot has a property {one.name} of another kind.", code="destination.field_taken", fix="Remove or rename it there, then set up again."
        )
    return True


def _done(reply: Reply | Silence, also: Sequence[int] = ()) -> Reply:
    """The answer to a request of the set-up; raises unless it is a good one."""
    if isinstance(reply, Reply) and (reply.status in also or (reply.good and reply.content is not None)):
        return reply
    raise _failed(reply).failure or DestinationError("HubSpot could not be asked.")


def _failed(reply: Reply | Silence) -> Outcome:
    """An answer that is no use, with HubSpot's own words."""
    if isinstance(reply, Silence):
        return reply.outcome()
    message = reply.object.get("message")
    return reply.outcome("retry" if reply.good else None, message if isinstance(message, str) and not reply.good else None)


def _records(reply: Reply) -> list[Found]:
    return [found for found, _ in _found(reply)]


def _found(reply: Reply) -> Iterator[tuple[Found, Mapping[str, Any]]]:
    for one in reply.object["results"]:
        if isinstance(one, dict) and isinstance(one.get("properties"), dict) and one.get("id"):
            yield Found(str(one["id"]), {name: _value(name, one["properties"].get(name)) for name in _NAMES}), one["properties"]


_NAMES = {one.name: one.form for one in FIELDS}


def _value(name: str, text: object) -> crm.Written:
    """As it is stored: HubSpot holds everything as text, and gives an empty field as null or as an empty text."""
    if not isinstance(text, str) or not text:
        return None
    if _NAMES[name] == "instant":
        return crm.instant_in(text)
    if _NAMES[name] == "number":
        try:
            return float(text)
        except ValueError:
            return None
    return text


def _properties(values: Mapping[str, crm.Written]) -> dict[str, str]:
    """As HubSpot takes them: texts, where an empty one clears the field."""
    return {name: crm.shown(value) or "" for name, value in values.items()}
