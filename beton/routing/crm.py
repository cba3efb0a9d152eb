"""What Beton writes into a CRM, whichever it is: a few fields of its own on the record of a person or company, and how that record is found.

Only fields that begin with `beton_` are written, nothing is deleted, and a record is found before one is made: by Beton's own key, else by domain or
e-mail address. A field that people write is never touched. An older signal never takes the place of a newer one, in whatever order they arrive.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from beton.errors import BadInput, DestinationError, DestinationRefused, Fault
from beton.routing.facts import events, one_line, subject
from beton.routing.messages import Message
from beton.signals import Value

Form = Literal["text", "number", "instant"]
Subject = Literal["company", "person"]
Written = str | float | datetime | None

KEY, FIRED_AT = "beton_key", "beton_fired_at"
LONGEST = 300
"""Characters of a text: batches of records stay within what is read of an answer."""

_EMAIL = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,253}\.[^@\s<>,;\".]{2,63}")


def check_token(token: str, refusal: str) -> None:
    """Refuse, in these words, what could not stand in a header."""
    if not token or not all("!" <= letter <= "~" for letter in token):
        raise BadInput(refusal, [Fault("token", refusal)], code="route.settings_invalid")


def account_of(service: str, token: str) -> str:
    """What a limit counts together: the account that a token belongs to, as far as can be told without asking."""
    return f"{service} {hashlib.sha256(token.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Field:
    """One of Beton's own fields in a CRM."""

    name: str
    label: str
    form: Form
    meaning: str
    unique: bool = False


FIELDS: tuple[Field, ...] = (
    Field(KEY, "Beton key", "text", "By which Beton finds this record again.", unique=True),
    Field("beton_signal", "Beton signal", "text", "The claim of the last signal."),
    Field("beton_signal_id", "Beton signal id", "text", "The last signal."),
    Field("beton_type", "Beton signal type", "text", "What kind of signal it was."),
    Field("beton_who", "Beton unit", "text", "Whom the signal is about."),
    Field("beton_confidence", "Beton confidence", "number", "Share of such signals that came true in the backtest, 0 to 1."),
    Field("beton_promise", "Beton promise", "text", "What the confidence rests on."),
    Field("beton_events", "Beton events", "text", "The last events that made it fire."),
    Field(FIRED_AT, "Beton signal at", "instant", "When its conditions became true."),
    Field("beton_owner", "Beton owner", "text", "Whose signal it is in Beton."),
    Field("beton_hypothesis", "Beton hypothesis", "text", "The hypothesis that fired."),
    Field("beton_url", "Beton link", "text", "The signal in Beton."),
)


@dataclass(frozen=True)
class Wanted:
    """What a message wants of a CRM: a record by its key, else by the one that `match` names, with these values."""

    message_id: str
    key: str
    match: str | None = field(repr=False)
    """A domain, or an e-mail address, in lower case."""
    values: Mapping[str, Written] = field(repr=False)
    fired_at: datetime | None


@dataclass(frozen=True)
class Found:
    """A record as it is: the CRM's id, and those of Beton's fields that are filled."""

    record_id: str
    values: Mapping[str, Written] = field(repr=False)

    @property
    def fired_at(self) -> datetime | None:
        """Of the signal that is written there."""
        at = self.values.get(FIRED_AT)
        return at if isinstance(at, datetime) else None


class Change(Value):
    """One field: what is there, and what would be."""

    name: str
    before: str | None
    after: str | None


class Difference(Value):
    """What sending would do, found out by reading alone."""

    action: Literal["create", "update", "nothing"]
    record_id: str | None
    found_by: Literal["key", "match"] | None
    why: str
    changes: tuple[Change, ...] = ()


def wanted(message: Message, subject_of: Subject) -> Wanted:
    """What a signal wants of a CRM; `DestinationRefused` where it has no record of this kind."""
    if message.kind != "signal" or message.unit is None:
        raise DestinationRefused("Only signals are written into a CRM.", code="destination.not_for_this", fix="Send this along another route.")
    key, match = _company(message) if subject_of == "company" else _person(message)
    happened = "; ".join(f"{event} ({when})" for event, when in events(message))
    values: dict[str, Written] = {
        KEY: key,
        "beton_signal": _text(message.sentence),
        "beton_signal_id": _text(message.signal_id),
        "beton_type": _text(message.type),
        "beton_who": _text(subject(message)),
        "beton_confidence": None if message.confidence is None else round(message.confidence, 4),
        "beton_promise": _text(message.promise),
        "beton_events": _text(happened),
        FIRED_AT: None if message.fired_at is None else to_the_millisecond(message.fired_at),
        "beton_owner": _text(message.owner),
        "beton_hypothesis": _text(message.hypothesis_id),
        "beton_url": _text(message.url),
    }
    return Wanted(message.message_id, key, match, values, None if message.fired_at is None else to_the_millisecond(message.fired_at))


def difference(wished: Wanted, found: Found | None, *, create: bool, where: str) -> Difference:
    """What writing would change."""
    if found is None:
        if not create:
            return Difference(action="nothing", record_id=None, found_by=None, why=f"{where} has no such record, and this route makes none.")
        changes = tuple(Change(name=name, before=None, after=shown(value)) for name, value in wished.values.items() if value is not None)
        return Difference(action="create", record_id=None, found_by=None, why=f"{where} has no record {wished.key}.", changes=changes)
    by: Literal["key", "match"] = "key" if found.values.get(KEY) == wished.key else "match"
    if is_outdated(wished, found):
        return Difference(action="nothing", record_id=found.record_id, found_by=by, why="A newer signal is there already.")
    values = values_for(wished, found)
    changed = [(name, found.values.get(name), value) for name, value in values.items() if found.values.get(name) != value]
    changes = tuple(Change(name=name, before=shown(before), after=shown(after)) for name, before, after in changed)
    if not changes:
        return Difference(action="nothing", record_id=found.record_id, found_by=by, why="All of it is there already.")
    return Difference(action="update", record_id=found.record_id, found_by=by, why=f"{len(changes)} of Beton's fields would change.", changes=changes)


def is_outdated(wished: Wanted, found: Found) -> bool:
    """Whether a newer signal is written there."""
    return wished.fired_at is not None and found.fired_at is not None and found.fired_at > wished.fired_at


def values_for(wished: Wanted, found: Found | None) -> dict[str, Written]:
    """What is to be written. A record that has a key keeps it: it is found by that of an earlier signal too."""
    kept = found is not None and found.values.get(KEY) not in (None, "")
    return {name: value for name, value in wished.values.items() if not (kept and name == KEY)}


def newest(messages: Mapping[str, Wanted]) -> dict[str, Wanted]:
    """By key the latest of several: none of a record's signals may be written beside another in one request."""
    latest: dict[str, Wanted] = {}
    for one in messages.values():
        present = latest.get(one.key)
        if present is None or (one.fired_at or _EVER) >= (present.fired_at or _EVER):
            latest[one.key] = one
    return latest


def no_record(wished: Wanted, where: str) -> DestinationError:
    """The route makes no records, and none is there."""
    return DestinationRefused(
        f"{where} has no record for {wished.key}.", code="destination.no_record", fix="Create it there, or let the route create what is missing."
    )


def several_records(wished: Wanted, where: str) -> DestinationError:
    """Two records answer to the same domain or address: which of them is meant is for people to say."""
    return DestinationRefused(f"{where} has several records for {wished.key}.", code="destination.ambiguous", fix="Merge them there.")


def to_the_millisecond(at: datetime) -> datetime:
    """As precise as a CRM keeps it."""
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def instant_in(text: object) -> datetime | None:
    """An instant as CRMs write it: ISO 8601 with up to nine decimals, or milliseconds since 1970."""
    if not isinstance(text, str) or not text:
        return None
    if re.fullmatch(r"\d{10,15}", text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return None
    return to_the_millisecond(at if at.tzinfo else at.replace(tzinfo=UTC))


def shown(value: Written) -> str | None:
    """A value as a difference tells it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{value:g}" if isinstance(value, (int, float)) else value


_EVER = datetime.min.replace(tzinfo=UTC)


def _company(message: Message) -> tuple[str, str | None]:
    domain = (message.account_domain or "").lower() or None
    if domain is not None:
        return f"domain:{_key(domain)}", domain
    if message.unit_kind == "account" and message.unit is not None:
        return f"account:{_key(message.unit)}", None
    raise DestinationRefused("It is not known which company this person belongs to.", code="destination.no_record", fix="Write to persons instead.")


def _person(message: Message) -> tuple[str, str | None]:
    if message.unit_kind != "person" or message.unit is None:
        raise DestinationRefused("An account is no person.", code="destination.no_record", fix="Write to companies instead.")
    address = message.unit.lower() if _EMAIL.fullmatch(message.unit) else None
    return f"person:{_key(message.unit)}", address


def _key(text: str) -> str:
    """As it is, or, where a CRM might cut it, its beginning and a digest of it."""
    line = one_line(text, 1000)
    return text if text == line and len(text) <= 200 else f"{line[:150]}~{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _text(text: str | None) -> str | None:
    return one_line(text, LONGEST) or None if text is not None else None
