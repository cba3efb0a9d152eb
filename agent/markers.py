"""What the name of an event says about beginnings and results, as far as words can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.vocabulary import met, tokens
from backtest.language import Goal


@dataclass(frozen=True)
class Means:
    """What a name may mean: how much it says so, and the words that say it."""

    code: str
    score: float
    words: str
    goal: Goal | None = None


def as_entry(name: str, *, accounts: bool) -> Means | None:
    """What the name says about a beginning."""
    says = _says(name)
    if says("step") or says("end"):
        return None
    begins = says("create") or says("start")
    if word := says("sign_up"):
        return Means("sign_up", 1.0, f"{word!r} is signing up")
    if (word := says("account")) and begins:
        return Means("account_created", 0.95, f"{word!r} and {begins!r} is a new account")
    if (word := says("person")) and (says("join") or begins):
        return Means("person_joined", 0.45 if accounts else 0.8, f"{word!r} joins" + (", which is no new account" if accounts else ""))
    if (word := says("trial")) and (begins or says("start")):
        return Means("trial_started", 0.55, f"{word!r} begins")
    if (word := says("subscription")) and begins:
        return Means("first_subscription", 0.6, f"{word!r} begins, where customers are what is looked at")
    if word := says("create") or says("install"):
        return Means("created", 0.5, f"{word!r} may be the first thing that anybody does")
    return None


def as_outcome(name: str) -> Means | None:
    """What the name says about a result. A step on the way to one is none."""
    says = _says(name)
    if says("step"):
        return None
    if word := says("end"):
        return _leaving(name, word)
    if word := says("shrink"):
        return Means("downgrade", 0.5, f"{word!r} is paying less", Goal.churns)
    if word := says("grow"):
        return Means("upgrade", 0.85, f"{word!r} is paying more", Goal.expands)
    return _growth(says) or _conversion(says)


def _leaving(name: str, word: str) -> Means | None:
    """Things end all the time; leaving is the end of a subscription, of an account, or of what is not even named."""
    says = _says(name)
    alone = len(tokens(name)) == 1 or word.startswith(("churn", "kundig", "unsubscri", "resili"))
    subject = says("subscription") or says("account")
    score = 0.8 if subject else 0.6 if says("person") else 0.5 if alone else 0.0
    ended = 0.1 if word.startswith(("ended", "clos", "expired", "deleted")) else 0.0
    return Means("cancellation", score - ended, f"{word!r} is leaving", Goal.churns) if score else None


def _growth(says: Callable[[str], str | None]) -> Means | None:
    plan, room = says("subscription"), says("capacity")
    if plan and (word := says("change")):
        return Means("plan_changed", 0.85, f"{plan!r} and {word!r} is another plan", Goal.expands)
    if room and (word := says("raise")):
        return Means("growth", 0.6, f"{room!r} and {word!r} is using more", Goal.expands)
    return None


def _conversion(says: Callable[[str], str | None]) -> Means | None:
    if (plan := says("subscription")) and (word := says("create") or says("start") or says("buy") or says("done")):
        first = 0.05 if word.startswith(("activ", "aktiv")) else 0.0
        return Means("subscription", 1.0 - first, f"{plan!r} and {word!r} is paying from then on", Goal.converts)
    if word := says("buy"):
        return Means("purchase", 0.9, f"{word!r} is paying", Goal.converts)
    if (money := says("money")) and (word := says("done")):
        return Means("purchase", 0.9, f"{money!r} and {word!r} is paying", Goal.converts)
    if money and says("start"):
        return Means("purchase_begun", 0.2, f"{money!r} begins, which is a step towards paying rather than paying", Goal.converts)
    if (wish := says("lead")) and (word := says("booked")):
        return Means("lead", 0.6, f"{wish!r} and {word!r} is asking to be sold to", Goal.converts)
    return None


def _says(name: str) -> Callable[[str], str | None]:
    return lambda concept: met(name, concept)
