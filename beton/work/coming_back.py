"""What comes back from messages that were sent: a click on a button in Slack, and the wish to get no more mails.

Whoever sends these has no account here. A click is believed for the signature of the app whose secret the route knows, a wish for the token that
only its mails carry.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beton.errors import Conflict, NotFound
from beton.routing.destinations import ChannelSettings
from beton.routing.facts import one_line
from beton.routing.mail import MailSettings
from beton.routing.slack import SlackSettings, is_from_slack
from beton.signals import Feedback
from beton.store import following, kept_answers, routes, signals, workspaces
from beton.store.kept_answers import Answer
from beton.store.records import Route
from beton.store.store import Transaction
from beton.work.delivering import opened
from beton.work.following import owner_name, owner_names
from beton.work.workplace import Workplace

ENDED = "Whoever gets these mails has ended them."
_SAID = {"beton_worked": Feedback.WORKED, "beton_not_a_fit": Feedback.NOT_A_FIT}
_WORDS = {Feedback.WORKED: "Worked", Feedback.NOT_A_FIT: "Not a fit", Feedback.CUSTOMER: "Was a customer already"}
_NOTHING = "0" * 32
"""Stands in for the secret of a route that there is not, so that an unknown route costs as long as a wrong signature."""


@dataclass(frozen=True)
class Way:
    """A route as something came back along it, in its own workspace."""

    place: Workplace
    route: Route
    settings: ChannelSettings


@dataclass(frozen=True)
class Click:
    """A button that somebody pressed."""

    action: str
    signal_id: str
    user_id: str
    user_name: str

    @property
    def who(self) -> str:
        """As the audit log and pages name them; nobody can be mistaken for a member."""
        return f"{one_line(self.user_name, 60) or self.user_id} in Slack"

    @property
    def owner_id(self) -> str:
        """By which a signal is theirs."""
        return f"slack:{self.user_id}:{one_line(self.user_name, 60)}"


def slack_way(place: Workplace, workspace_id: str, route_id: str, timestamp: str, signature: str, body: bytes) -> Way | None:
    """The route that a request from Slack came along; `None` unless it is signed with the route's secret, within five minutes."""
    way = _way(place, workspace_id, route_id)
    settings = way.settings if way is not None and isinstance(way.settings, SlackSettings) else None
    known = settings.signing_secret if settings is not None else None
    return way if is_from_slack(known or _NOTHING, timestamp, signature, body, now=place.clock()) and known else None


def click(way: Way, pressed: Click, signature: str, body: bytes) -> str | None:
    """Do what the button says, once, and tell how the signal stands; `None` where the same request was answered before.

    Raises `NotFound` for a signal that is not there.
    """
    with way.place.store.transaction() as tx:
        try:
            if kept_answers.begin(tx, way.route.id, f"slack {signature}"[:200], hashlib.sha256(body).hexdigest()) is not None:
                return None
        except Conflict:
            return None
        present = signals.get(tx, pressed.signal_id)
        verdict = _SAID.get(pressed.action)
        if verdict is not None:
            following.say(tx, pressed.signal_id, verdict, actor=pressed.who)
        elif present.owner_id is None:
            following.claim(tx, pressed.signal_id, pressed.owner_id, actor=pressed.who)
        kept_answers.keep(tx, way.route.id, f"slack {signature}"[:200], Answer(200, {}, ""))
        return _standing(tx, pressed.signal_id)


def mailbox(place: Workplace, text: str) -> Way:
    """The mailbox that `<workspace>.<route>.<token>` belongs to; `NotFound` for any other text."""
    workspace_id, _, rest = text[:400].partition(".")
    route_id, _, token = rest.partition(".")
    way = _way(place, workspace_id, route_id)
    right = way.settings.unsubscribe_token if way is not None and isinstance(way.settings, MailSettings) else _NOTHING
    if not secrets.compare_digest(right.encode(), token.encode()) or way is None or not isinstance(way.settings, MailSettings):
        raise NotFound("This link belongs to no mails.", fix="Ask whoever runs Beton to remove the address.")
    return way


def end_mails(way: Way) -> None:
    """Switch the route to a mailbox off, for its reader. Doing so again changes nothing."""
    with way.place.store.transaction() as tx:
        if routes.get(tx, way.route.id).enabled:
            routes.switch(tx, way.route.id, enabled=False, actor="unsubscribe link", problem=ENDED)


def _way(place: Workplace, workspace_id: str, route_id: str) -> Way | None:
    if all(one.id != workspace_id for one in workspaces.every(place.store)):
        return None
    own = place.of(workspace_id)
    with own.store.reading() as tx:
        try:
            route = routes.get(tx, route_id)
        except NotFound:
            return None
        return Way(own, route, opened(own, tx, route.id)[1]) if route.id == route_id else None


def _standing(tx: Transaction, signal_id: str) -> str:
    """Whose it is, and what was said of it last."""
    signal = signals.get(tx, signal_id)
    owner = owner_name(signal.owner_id, owner_names(tx))
    given = following.feedback(tx, [signal_id]).get(signal_id)
    parts = [f"Claimed by {owner}." if owner else "", f"{_WORDS[given.verdict]}, says {given.actor}." if given else ""]
    return " ".join(part for part in parts if part) or "Open."


def pressed_in(payload: Mapping[str, Any]) -> Click | None:
    """The button in an interaction of Slack; `None` for anything else, such as a link that was opened."""
    actions, user = payload.get("actions"), payload.get("user")
    first = actions[0] if isinstance(actions, list) and actions else None
    if payload.get("type") != "block_actions" or not isinstance(first, dict) or not isinstance(user, dict):
        return None
    action, signal_id, user_id = first.get("action_id"), first.get("value"), user.get("id")
    if action not in ("beton_claim", *_SAID) or not isinstance(signal_id, str) or not isinstance(user_id, str) or not user_id.isalnum():
        return None
    name = user.get("username") or user.get("name")
    return Click(action, signal_id[:100], user_id[:40], name if isinstance(name, str) else "")
