"""A Slack that checks what it is sent as the documents say it does.

https://docs.slack.dev/reference/methods/chat.postMessage · https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks ·
https://docs.slack.dev/reference/block-kit/blocks. Blocks are validated twice: by these schemas, and by Slack's own SDK.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block

from tests.routing.apis import Answered, Api, Asked, Strict

TOKEN = "xoxb-" + "1234567890-abcdefghij"
SPECIAL = re.compile(r"<(![a-z]+|@[A-Z0-9]+|#[A-Z0-9]+|https?://[^<>|]+(\|[^<>]*)?)>")


class Plain(Strict):
    type: Literal["plain_text"]
    text: str = Field(min_length=1, max_length=3000)
    emoji: bool = True


class Mrkdwn(Strict):
    type: Literal["mrkdwn"]
    text: str = Field(min_length=1, max_length=3000)
    verbatim: bool = False


class Button(Strict):
    type: Literal["button"]
    action_id: str = Field(max_length=255)
    text: Plain
    value: str | None = Field(default=None, max_length=2000)
    url: str | None = Field(default=None, max_length=3000)
    style: Literal["primary", "danger"] | None = None


class Header(Strict):
    type: Literal["header"]
    text: Plain
    block_id: str | None = Field(default=None, max_length=255)


class Section(Strict):
    type: Literal["section"]
    text: Plain | Mrkdwn | None = None
    fields: list[Plain | Mrkdwn] | None = Field(default=None, min_length=1, max_length=10)
    block_id: str | None = Field(default=None, max_length=255)


class Context(Strict):
    type: Literal["context"]
    elements: list[Plain | Mrkdwn] = Field(min_length=1, max_length=10)
    block_id: str | None = Field(default=None, max_length=255)


class Actions(Strict):
    type: Literal["actions"]
    elements: list[Button] = Field(min_length=1, max_length=25)
    block_id: str | None = Field(default=None, max_length=255)


AnyBlock = Annotated[Header | Section | Context | Actions, Field(discriminator="type")]


class Posted(Strict):
    """The arguments of chat.postMessage that are looked at here."""

    channel: str = Field(min_length=1)
    text: str = Field(max_length=40_000)
    blocks: list[AnyBlock] = Field(max_length=50)
    unfurl_links: bool = True
    unfurl_media: bool = True


class Hooked(Strict):
    """The body of an incoming webhook."""

    text: str = Field(max_length=40_000)
    blocks: list[AnyBlock] = Field(max_length=50)


class FakeSlack(Api):
    """One channel, by both ways. `posted` are the messages in it."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[dict[str, Any]] = []

    def answer(self, asked: Asked) -> Answered:
        if asked.path == "/services/T0/B0/hook-token":
            return self._hooked(asked)
        if asked.path == "/api/chat.postMessage":
            return self._posted(asked)
        return Answered(404, "no_service")

    def _hooked(self, asked: Asked) -> Answered:
        if not is_right(Hooked, asked.content):
            return Answered(400, "invalid_blocks" if isinstance(asked.content, dict) and "blocks" in asked.content else "invalid_payload")
        self.posted.append(asked.content)
        return Answered(200, "ok")

    def _posted(self, asked: Asked) -> Answered:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answered(200, {"ok": False, "error": "invalid_auth"})
        if not is_right(Posted, asked.content):
            return Answered(200, {"ok": False, "error": "invalid_blocks"})
        if asked.content["channel"] != "C0123456789":
            return Answered(200, {"ok": False, "error": "channel_not_found"})
        self.posted.append(asked.content)
        return Answered(200, {"ok": True, "channel": "C0123456789", "ts": f"1503435956.{len(self.posted):06d}", "message": {"type": "message"}})


def is_right(shape: type[Posted] | type[Hooked], content: Any) -> bool:
    """Whether Slack's documents and Slack's SDK both take it."""
    try:
        shape.model_validate(content)
        for block in Block.parse_all(content["blocks"]):
            block.to_dict()
    except (ValidationError, SlackObjectFormationError):
        return False
    return True


def texts(content: Any) -> list[str]:
    """Every text in it that Slack would read for special sequences."""
    found = [content["text"]]
    for block in content["blocks"]:
        parts = [block.get("text"), *(block.get("fields") or ()), *(block.get("elements") or ())]
        found += [part["text"] for part in parts if isinstance(part, dict) and part.get("type") == "mrkdwn"]
    return found
