"""Texts of messages with blanks in them: `{{unit}} of {{account|an unknown company}} did it: {{hypothesis}}`.

There are no loops, conditions or calls: what fills a blank is data from strangers and stays data. A blank names one of `VARIABLES`; after a bar
stands what is written where nothing is known. What fills a blank is one line, escaped for the medium of its channel; the text around it is the
writer's own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping

from beton.errors import BadInput, Fault
from beton.routing.facts import confidence, day_and_time, events, one_line
from beton.routing.messages import Message

VARIABLES: Mapping[str, str] = {
    "unit": "the person or account, by its id in PostHog",
    "account": "the company, by name, domain or key",
    "domain": "the company's domain",
    "hypothesis": "the hypothesis as one sentence",
    "type": "what sales calls it, such as expansion",
    "confidence": "the promised precision with its interval",
    "promise": "what that rests on, such as 37 of 52 like this converted",
    "owner": "whose it is",
    "fired_at": "when it fired, in UTC",
    "events": "the last events that made it fire",
    "url": "the signal's page",
    "workspace": "the workspace's name",
}
REQUIRED = ("unit", "hypothesis")
"""A message that does not say about whom and why helps nobody."""

UNKNOWN = "unknown"
_BLANK = re.compile(r"\{\{\s*([^{}|]*?)\s*(?:\|([^{}]*))?\}\}")
_LONGEST = 2000

_ESCAPES: dict[str, Callable[[str], str]] = {
    "mrkdwn": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "html": html.escape,
}


def check_template(text: str) -> None:
    """Refuse a text with an unknown or malformed blank, or without a required one, as `BadInput`."""
    used = [found.group(1) for found in _BLANK.finditer(text)]
    faults = [Fault("template", f"{{{{{name}}}}} is no variable") for name in dict.fromkeys(used) if name not in VARIABLES]
    left = _BLANK.sub("", text)
    if "{{" in left or "}}" in left:
        faults.append(Fault("template", "a blank is not closed, or not opened"))
    faults += [Fault("template", f"{{{{{name}}}}} is missing") for name in REQUIRED if name not in used]
    if any(not (letter.isprintable() or letter in "\n\t\r") for letter in text):
        faults.append(Fault("template", "it holds control characters"))
    if faults:
        fix = f"Variables are: {', '.join(VARIABLES)}. Needed are: {', '.join(REQUIRED)}."
        raise BadInput("This template cannot be used.", faults, fix=fix, code="route.template_invalid")


def fill(text: str, message: Message, medium: str) -> str:
    """The text with its blanks filled in for a channel's medium."""
    escape = _ESCAPES.get(medium, lambda value: value)
    values = _values(message)

    def blank(found: re.Match[str]) -> str:
        told = values.get(found.group(1))
        return escape(one_line(told or found.group(2) or UNKNOWN, _LONGEST))

    return _BLANK.sub(blank, text.replace("\r\n", "\n"))


def _values(message: Message) -> dict[str, str | None]:
    return {
        "unit": message.unit,
        "account": message.account,
        "domain": message.account_domain,
        "hypothesis": message.sentence,
        "type": None if message.type is None else message.type.replace("_", " "),
        "confidence": confidence(message),
        "promise": message.promise,
        "owner": message.owner,
        "fired_at": None if message.fired_at is None else day_and_time(message.fired_at),
        "events": ", ".join(f"{name} ({at})" for name, at in events(message)) or None,
        "url": message.url,
        "workspace": message.workspace,
    }
