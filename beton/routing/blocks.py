"""A message as Slack's Block Kit: the layout, its limits, and the escaping without which an event called `<!channel>` would wake a company.

Limits: https://docs.slack.dev/reference/block-kit/blocks (50 blocks; header 150, section 3,000, field 2,000 characters; 5 elements looked at here),
escaping: https://docs.slack.dev/messaging/formatting-message-text (`&`, `<` and `>`, nothing else).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from beton.routing.facts import confidence, events, facts, one_line, subject
from beton.routing.messages import Message

Block = dict[str, Any]

ACTIONS: Final = {"beton_claim": "Claim", "beton_worked": "Worked", "beton_not_a_fit": "Not a fit"}
"""The buttons, by the id under which Slack tells of a click."""

STANDING: Final = "beton_standing"
"""The block that says what became of the signal."""

_HEADER, _SECTION, _FIELD, _FALLBACK, _ITEMS = 150, 3000, 2000, 3000, 40
_LONGEST_LINK = 3000


def mrkdwn(text: str, limit: int = _SECTION) -> str:
    """A given text that Slack shows as it is; cut so that no escape is broken."""
    escaped = [_ESCAPES.get(letter, letter) for letter in text]
    if sum(map(len, escaped)) <= limit:
        return "".join(escaped)
    kept, size = [], 1
    for letter in escaped:
        size += len(letter)
        if size > limit:
            break
        kept.append(letter)
    return "".join(kept) + "…"


def cut(escaped: str, limit: int = _SECTION) -> str:
    """A text that is escaped already, shortened without leaving half an escape or half a link."""
    if len(escaped) <= limit:
        return escaped
    kept = re.sub(r"&[a-z]{0,3}$", "", escaped[: limit - 1])
    return (kept[: kept.rfind("<")] if kept.rfind("<") > kept.rfind(">") else kept) + "…"


_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\x00": ""}


def content(message: Message) -> dict[str, Any]:
    """`text` (what notifications show) and `blocks`."""
    blocks = _digest(message) if message.kind == "digest" else _single(message)
    return {"text": mrkdwn(one_line(f"{message.title}: {message.sentence}", _FALLBACK)), "blocks": blocks}


def with_standing(blocks: Sequence[Any], standing: str) -> list[Any]:
    """The blocks of a message that was posted before, with a line that says what became of it in place of an earlier one."""
    others = [one for one in blocks if not (isinstance(one, dict) and one.get("block_id") == STANDING)]
    return [*others[:49], _context(mrkdwn(standing, _FIELD), STANDING)]


def _single(message: Message) -> list[Block]:
    said = cut(message.body) if message.body else mrkdwn(message.sentence)
    blocks = [_header(message.title), _section(said)]
    shown = [(name, text) for name, text in facts(message) if name != "Because"]
    if shown and not message.body:
        blocks.append({"type": "section", "fields": [_text(f"*{name}*\n{mrkdwn(text, 1900)}") for name, text in shown]})
    why = events(message)
    if why and not message.body:
        blocks.append(_section("\n".join(f"• {_code(event)} {when}" for event, when in why)))
    if elements := _buttons(message):
        blocks.append({"type": "actions", "block_id": "beton_actions", "elements": elements})
    return [*blocks, _context(_footer(message))]


def _digest(message: Message) -> list[Block]:
    lines = [_item(one) for one in message.items[:_ITEMS]]
    if len(message.items) > _ITEMS:
        lines.append(f"… and {len(message.items) - _ITEMS} more.")
    blocks = [_header(message.title), _section(cut(message.body) if message.body else mrkdwn(message.sentence))]
    blocks += [_section(line) for line in lines]
    if elements := _buttons(message):
        blocks.append({"type": "actions", "block_id": "beton_actions", "elements": elements})
    return [*blocks, _context(_footer(message))]


def _item(message: Message) -> str:
    who = mrkdwn(one_line(subject(message) or message.title, 100))
    sure = f" ({confidence(message)})" if confidence(message) else ""
    return f"*{_linked(message.url, who)}*{sure}: {mrkdwn(one_line(message.sentence, 150))}"


def _buttons(message: Message) -> list[Block]:
    elements: list[Block] = []
    if message.kind == "signal" and message.signal_id:
        elements = [{"type": "button", "action_id": action, "text": _plain(label), "value": message.signal_id} for action, label in ACTIONS.items()]
        elements[0]["style"] = "primary"
    if _may_link(message.url):
        elements.append({"type": "button", "action_id": "beton_open", "text": _plain("Open"), "url": message.url})
    return elements


def _footer(message: Message) -> str:
    parts = [message.promise or "", f"Hypothesis {message.hypothesis_id}" if message.hypothesis_id else "", f"Beton, {message.workspace}"]
    return mrkdwn(one_line(" · ".join(part for part in parts if part), 1000), _FIELD)


def _linked(url: str | None, text: str) -> str:
    return f"<{url}|{text.replace('|', '/')}>" if _may_link(url) else text


def _may_link(url: str | None) -> bool:
    """Our own addresses need no escaping; one that would is not made a link."""
    return url is not None and len(url) <= _LONGEST_LINK and url.startswith(("https://", "http://")) and not set(url) & set("<>|& \n")


def _code(name: str) -> str:
    return f"`{mrkdwn(one_line(name, 200).replace('`', chr(39)), 1000)}`"


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain(one_line(text, _HEADER))}


def _section(text: str) -> Block:
    return {"type": "section", "text": _text(text or " ")}


def _context(text: str, block_id: str | None = None) -> Block:
    block: Block = {"type": "context", "elements": [_text(text or " ")]}
    return block if block_id is None else block | {"block_id": block_id}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text or " ", "emoji": False}


def _text(text: str) -> dict[str, Any]:
    """`verbatim`: no address and no `@name` in a given text becomes a link or a call."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
