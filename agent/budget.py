"""What a run with a model may cost, counted outside of the model.

Every limit is looked at before each request and each question, so nothing that a model does goes on for longer than one request beyond it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

Limit = Literal["calls", "tokens", "money", "seconds", "queries", "failures"]
LIMITS: tuple[Limit, ...] = get_args(Limit)
MILLION = 1_000_000
LONGEST_WAIT = 30.0
"""Seconds that a provider may ask to wait; whoever asks for more is left."""


@dataclass(frozen=True)
class Limits:
    """Requests, tokens in and out, money in the currency of the price, seconds, questions asked by the model, requests that failed."""

    calls: int = 30
    tokens: int = 250_000
    money: float = 1.0
    seconds: float = 600.0
    queries: int = 60
    failures: int = 6

    def least(self, other: Limits) -> Limits:
        """The smaller of each."""
        return Limits(**{name: min(getattr(self, name), getattr(other, name)) for name in LIMITS})


@dataclass(frozen=True)
class Spent:
    """What a run has cost so far, in the units of `Limits`."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money: float = 0.0
    seconds: float = 0.0
    queries: int = 0
    failures: int = 0

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True)
class Budget:
    """Limits of a run, and `left_today`: what is left of the day's. Prices are per million tokens, 0 for a model of one's own.
    `context_tokens`: how much of a conversation one request may carry, by estimate; less than the model's context by the length of an answer.

    `clock` tells the time (aware), `wait` passes it; both are arguments so that tests need not.
    """

    clock: Callable[[], datetime]
    run: Limits = field(default_factory=Limits)
    left_today: Limits | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    context_tokens: int = 12_000
    wait: Callable[[float], None] = time.sleep

    @property
    def limits(self) -> Limits:
        return self.run if self.left_today is None else self.run.least(self.left_today)


class Purse:
    """The account of one run."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.limits = budget, budget.limits
        self._spent, self._began = Spent(), budget.clock()

    @property
    def spent(self) -> Spent:
        return replace(self._spent, seconds=self.seconds())

    def seconds(self) -> float:
        """Since the run began; never negative, whatever happens to the clock."""
        return max(0.0, (self.budget.clock() - self._began).total_seconds())

    def request(self) -> None:
        """One request is about to be made."""
        self._spent = replace(self._spent, calls=self._spent.calls + 1)

    def pay(self, tokens_in: int, tokens_out: int) -> None:
        """What a request took."""
        money = (max(0, tokens_in) * self.budget.price_in + max(0, tokens_out) * self.budget.price_out) / MILLION
        one = self._spent
        self._spent = replace(
            one, tokens_in=one.tokens_in + max(0, tokens_in), tokens_out=one.tokens_out + max(0, tokens_out), money=one.money + money
        )

    def query(self) -> None:
        """The model asked something of the search or of the taxonomy."""
        self._spent = replace(self._spent, queries=self._spent.queries + 1)

    def fail(self) -> None:
        """A request failed, or its answer was of no use."""
        self._spent = replace(self._spent, failures=self._spent.failures + 1)

    def empty(self) -> Limit | None:
        """The name of the first limit that is reached, or None. Money has none where nothing costs any."""
        spent, limits = self.spent, self.limits
        free = not (self.budget.price_in or self.budget.price_out)
        for name in LIMITS:
            untouched = (name == "money" and free) or (name == "failures" and not spent.failures)
            if not untouched and getattr(spent, name) >= getattr(limits, name):
                return name
        return None

    def last_call(self) -> bool:
        """Whether this is the time to finish: one request is left, or nearly all of something else is used."""
        spent, limits = self.spent, self.limits
        nearly = any(getattr(spent, name) >= 0.8 * getattr(limits, name) > 0 for name in ("tokens", "money", "seconds"))
        return limits.calls - spent.calls <= 1 or spent.queries >= limits.queries - 1 or nearly

    def wait(self, asked: float | None, turn: int) -> bool:
        """Waits as long as a provider asked, or a little longer each time; False where that is too long or leaves no time."""
        seconds = float(min(2**turn, 8)) if asked is None else asked
        if not 0 <= seconds <= LONGEST_WAIT or self.seconds() + seconds >= self.limits.seconds:
            return False
        self.budget.wait(seconds)
        return True

    @property
    def sentence(self) -> str:
        """For people who watch."""
        spent, limits = self.spent, self.limits
        money = f", {spent.money:.2f} of {limits.money:.2f} money" if self.budget.price_in or self.budget.price_out else ""
        tokens = f"{spent.tokens:,} of {limits.tokens:,} tokens"
        return f"{spent.calls} of {limits.calls} calls, {tokens}{money}, {spent.seconds:.0f} of {limits.seconds:.0f} s"
