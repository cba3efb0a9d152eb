"""What is sent, whatever the way: one message about a signal, a change of status, a day's signals, or a test.

Everything is a function of what is written down, so that every attempt carries the same. Texts are as they were given: `body` alone is escaped
for its channel's medium already, all else is the channel's to escape.
"""

from typing import Literal

from pydantic import AwareDatetime, Field

from beton.signals import Receipt, SignalType, UnitKind, Value

MessageKind = Literal["signal", "notice", "digest", "test"]


class Message(Value):
    """One message. What does not apply to its kind is `None`."""

    message_id: str
    """Stable over attempts and restores: whoever keeps it acts once."""
    kind: MessageKind
    workspace: str
    """The workspace's name."""
    title: str
    """One line: what it is and about whom."""
    sentence: str
    """The claim: the hypothesis in words, or what has changed."""
    body: str | None = None
    """The route's own text, filled in and escaped for the channel's medium; `None` where the channel's layout is used."""
    url: str | None = None
    """The page about it."""
    unit_kind: UnitKind | None = None
    unit: str | None = None
    """The unit's id as PostHog gives it."""
    account: str | None = None
    """The company's name or domain, where it is known."""
    account_domain: str | None = None
    type: SignalType | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    confidence_low: float | None = Field(default=None, ge=0, le=1)
    confidence_high: float | None = Field(default=None, ge=0, le=1)
    promise: str | None = None
    """What the confidence rests on, such as "37 of 52 like this converted"; where there is none, the reason."""
    receipts: tuple[Receipt, ...] = ()
    """The last events that made it fire."""
    fired_at: AwareDatetime | None = None
    owner: str | None = None
    """Whose it is, by name."""
    signal_id: str | None = None
    hypothesis_id: str | None = None
    hypothesis_version: int | None = None
    items: tuple["Message", ...] = ()
    """What a digest gathers."""
    payload: bytes | None = Field(default=None, repr=False)
    """The JSON that webhooks post: the same bytes at every attempt."""
