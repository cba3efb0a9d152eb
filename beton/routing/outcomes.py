"""What one attempt to deliver came to, and where it was meant to go: the values that the parts of this room exchange."""

from dataclasses import dataclass, field
from typing import Literal

from beton.errors import DestinationError

Kind = Literal["delivered", "retry", "refused", "gone", "in_doubt"]
"""delivered: a 2xx. retry: it may work later (no answer, 408, 425, 429, 5xx). refused: the answer was no, or the address may not be called;
tried again all the same, because people repair receivers. gone: a 410, the receiver wants no more. in_doubt: it may have arrived, and the receiver
would not know a repetition; a webhook's would, by its `webhook-id`, so that a lost answer is a `retry` there."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A webhook receiver. `headers` are the operator's own, such as an Authorization that the receiver asks for."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    allow_insecure: bool = False
    """Whether the operator permits plain http and addresses of private networks."""
    allow_local: bool = True
    """Whether this machine itself may be called: where only it can reach the server."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt: `latency_ms` until the status arrived or the attempt was given up, `response_head` the answer's first 2 KB as text.

    `retry_after` is the receiver's wish in seconds. `failure` is `None` exactly where the message was delivered.
    """

    kind: Kind
    latency_ms: int
    status_code: int | None = None
    response_head: str | None = None
    failure: DestinationError | None = None
    retry_after: float | None = None
