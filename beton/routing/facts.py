"""A message's facts as short plain texts, the same in Slack, in a mail and in a CRM. Not escaped for any of them."""

from __future__ import annotations

import re
from datetime import datetime

from beton.routing.messages import Message

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


def one_line(text: str, limit: int = 200) -> str:
    """Without line breaks, control characters and those that turn the direction of reading; cut at `limit` characters."""
    line = _BREAKS.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def subject(message: Message) -> str | None:
    """Whom it is about: the account, where it is known, beside the unit."""
    if message.unit is None:
        return message.account
    return message.unit if message.account in (None, message.unit) else f"{message.account} ({message.unit})"


def confidence(message: Message) -> str | None:
    """The promised precision with its interval; `None` where it could not be told."""
    if message.confidence is None:
        return None
    text = f"{message.confidence:.0%}"
    if message.confidence_low is not None and message.confidence_high is not None:
        text += f" ({message.confidence_low:.0%} to {message.confidence_high:.0%})"
    return text


def day_and_time(at: datetime) -> str:
    """An instant for people, in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def facts(message: Message) -> list[tuple[str, str]]:
    """What is known of the signal, as name and text."""
    found = [
        ("Who", subject(message)),
        ("Confidence", confidence(message)),
        ("Because", message.promise),
        ("Owner", message.owner),
        ("When", None if message.fired_at is None else day_and_time(message.fired_at)),
    ]
    return [(name, text) for name, text in found if text]


def events(message: Message, most: int = 3) -> list[tuple[str, str]]:
    """The last events that made it fire: name, and when."""
    return [(one.event, day_and_time(one.at)) for one in message.receipts[-most:]]
