"""How proposals came about: enough to answer "why was this proposed?" long afterwards.

Everything that a model wrote is kept as bounded plain text, and marked as its own. A record is plain JSON and holds no key and no address
beyond the name of the host.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Flag = Literal["cause", "marker", "consequence", "own_path", "duplicate_of"]

Stopped = Literal[
    "no_model", "finished", "calls", "tokens", "money", "seconds", "queries", "failures", "refused_connection", "timeout", "rate_limited",
    "server_error", "unauthorised", "rejected", "too_long",
]  # fmt: skip
"""Why the model was asked no more: it finished; a limit was reached; or a failure that asking again does not mend."""


class Value(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Words(Value):
    """A model's words about one proposal. Advice for a person who decides: no number, status or order depends on them.

    `flag`: what it takes the behaviour for; `duplicate_of` is the fingerprint of the idea that it repeats.
    """

    sentence: str
    reason: str
    flag: Flag | None = None
    duplicate_of: str | None = None
    model: str = ""


class Turn(Value):
    """One request. `tool` is None where nothing usable came back; `outcome` says in a few words what came of it. `prompt`: what it answered."""

    tool: str | None
    arguments: dict[str, Any] = {}
    outcome: str
    failed: str | None = None
    prompt: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


class Cost(Value):
    """Tokens are the provider's own count, estimated (`estimated`) where it gave none; money is in the currency of the price."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    seconds: float = 0.0
    queries: int = 0
    failures: int = 0
    estimated: bool = False


class ModelNamed(Value):
    """`host` is empty for a model without an address."""

    name: str
    host: str = ""


class RuledOut(Value):
    """A strong candidate that is not proposed, and why; numbers of the discovering part where there are any."""

    fingerprint: str
    hypothesis: dict[str, Any]
    code: str
    sentence: str
    numbers: dict[str, float | int | None] = {}


class Record(Value):
    """The whole run. Digests are SHA-256; `considered` are at most a hundred of the `tried`."""

    taxonomy_digest: str
    prompt_digests: dict[str, str] = {}
    model: ModelNamed | None = None
    sharing: Literal["names", "opaque"] = "names"
    values_shared: bool = False
    turns: tuple[Turn, ...] = ()
    tried: int
    considered: tuple[RuledOut, ...] = ()
    stopped_because: Stopped
    stopped_sentence: str = ""
    cost: Cost = Cost()
