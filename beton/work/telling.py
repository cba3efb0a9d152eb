"""What is told about a signal or a change of status: one message from what is stored, the same at every attempt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from beton.routing.channels import Channel
from beton.routing.messages import Message
from beton.routing.payloads import Account as SentAccount
from beton.routing.payloads import body_bytes, signal_payload, status_payload, trial_payload, with_text
from beton.routing.templates import fill
from beton.signals import Claim, Notice, Receipt, Signal
from beton.store import backtests, hypotheses, members, reach, workspaces
from beton.store.records import Route
from beton.store.store import Transaction
from beton.work.following import owner_name
from beton.work.workplace import Workplace, microseconds

OUTCOMES = {"converts": "converted", "expands": "expanded", "churns": "churned", "returns": "returned"}


def message_of(place: Workplace, tx: Transaction, claim: Claim, route: Route, channel: Channel) -> Message | None:
    """The message of a delivery; `None` when its unit has been erased. Sentence and promise are those of the version that was approved."""
    if isinstance(claim.about, Notice):
        return notice_message(place, tx, claim.about, claim.delivery.message_id)
    if claim.about.unit_id is None:
        return None
    plain = signal_message(place, tx, claim.about, claim.delivery.message_id, unclaimed=claim.delivery.step > 0)
    return templated(plain, route.rules.template, channel)


def signal_message(place: Workplace, tx: Transaction, signal: Signal, message_id: str, *, unclaimed: bool = False) -> Message:
    """A signal as a message without a template. `unclaimed`: it is said a second time, because nobody has claimed it."""
    said = hypotheses.version(tx, signal.hypothesis_id, signal.hypothesis_version)
    result = backtests.get(tx, said.backtest_id).result if said.backtest_id else None
    account = reach.accounts(tx, [signal.id]).get(signal.id)
    url = f"{place.settings.address}/signals/{signal.id}"
    about = (account and account.label) or signal.unit_id or ""
    kind = signal.signal_type.replace("_", " ")
    owner = _owner(tx, signal)
    payload = signal_payload(
        signal,
        sentence=said.sentence,
        backtest=result,
        account=None if account is None else SentAccount(name=account.name or account.key, domain=account.domain),
        links={"signal": url},
        owner=owner,
        unclaimed=unclaimed,
    )
    return Message(
        message_id=message_id,
        kind="signal",
        workspace=workspaces.get(tx).name,
        title=f"{'Not claimed yet: ' if unclaimed else ''}{kind}: {about}",
        sentence=said.sentence,
        url=url,
        unit_kind=signal.unit_kind,
        unit=signal.unit_id,
        account=account.label if account else None,
        account_domain=account.domain if account else None,
        type=signal.signal_type,
        confidence=signal.confidence,
        confidence_low=(result or {}).get("precision_low"),
        confidence_high=(result or {}).get("precision_high"),
        promise=promise(result, signal.type),
        receipts=signal.receipts,
        fired_at=signal.fired_at,
        owner=owner,
        signal_id=signal.id,
        hypothesis_id=signal.hypothesis_id,
        hypothesis_version=signal.hypothesis_version,
        payload=body_bytes(payload),
    )


def notice_message(place: Workplace, tx: Transaction, notice: Notice, message_id: str) -> Message:
    """A change of a hypothesis's status as a message."""
    return Message(
        message_id=message_id,
        kind="notice",
        workspace=workspaces.get(tx).name,
        title=f"Hypothesis {notice.became}: {notice.sentence}",
        sentence=f"{notice.sentence} It went from {notice.was} to {notice.became} by {notice.actor}.",
        url=f"{place.settings.address}/hypotheses/{notice.hypothesis_id}",
        hypothesis_id=notice.hypothesis_id,
        hypothesis_version=notice.hypothesis_version,
        payload=body_bytes(status_payload(notice)),
    )


def trial_message(place: Workplace, tx: Transaction, route: Route, channel: Channel, now: datetime) -> Message:
    """A message that is no signal, with every blank filled in by something made up."""
    plain = Message(
        message_id=f"test_{route.id}_{microseconds(now)}",
        kind="test",
        workspace=workspaces.get(tx).name,
        title="A test of this route",
        sentence="This is a test: it is about nobody, and nothing needs to be done.",
        url=f"{place.settings.address}/routing",
        unit_kind="person",
        unit="test-unit",
        account="Example Company",
        account_domain="example.com",
        type="custom",
        confidence=0.71,
        confidence_low=0.58,
        confidence_high=0.82,
        promise="37 of 52 like this did it (made up)",
        receipts=(Receipt(event="test event", at=now),),
        fired_at=now,
        payload=body_bytes(trial_payload(route.name, now)),
    )
    return templated(plain, route.rules.template, channel)


def templated(message: Message, template: str | None, channel: Channel) -> Message:
    """The message with the route's own text; webhooks get it as the field `text`."""
    if template is None:
        return message
    body = fill(template, message, channel.medium)
    payload = with_text(message.payload, body) if channel.medium == "json" and message.payload else message.payload
    return message.model_copy(update={"body": body, "payload": payload})


def promise(result: Mapping[str, Any] | None, goal: str) -> str | None:
    """Of how many like this how many had the outcome, in the result on which it was approved; else why that cannot be told."""
    if result is None:
        return "approved without a test"
    counts, judged = result.get("counts") or {}, result.get("sample_size")
    hits = counts.get("true_positives")
    if hits is None or not judged:
        return "too little to tell"
    return f"{hits} of {judged} like this {OUTCOMES.get(goal, 'did it')}"


def _owner(tx: Transaction, signal: Signal) -> str | None:
    """By name: whose turn it was, which does not change while the message is on its way, unless it is somebody else's by then."""
    wanted = signal.assigned_id or signal.owner_id
    known = {one.id: one.name for one in members.every(tx)}
    return owner_name(wanted, known) if wanted is not None and (wanted in known or wanted.startswith("slack:")) else None
