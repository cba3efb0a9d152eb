"""What people do with messages: click in Slack, and end mails. Nobody who does is signed in."""

import json
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import pytest
from litestar.testing import TestClient
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier

from beton.routing.blocks import STANDING, content
from beton.routing.mail import MailSettings, unsubscribe_url
from beton.store import audit, following, routes, signals
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.delivering import opened
from beton.work.ways_out import open_way
from beton.work.workplace import Workplace
from tests.routing.apis import Answered, Api, Asked, a_message, listening
from tests.routing.fake_slack import TOKEN
from tests.web.steps import fired

SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"


class Answers(Api):
    """Slack's end of `response_url`."""

    url = ""

    def answer(self, asked: Asked) -> Answered:
        return Answered(200, {"ok": True})


@pytest.fixture
def slack():
    with ExitStack() as opened_:
        api = Answers()
        api.url = opened_.enter_context(listening(api))
        yield api


@pytest.fixture
def signal_id(store: Store, connection: Connection) -> str:
    fired(store, connection)
    with store.reading() as tx:
        return signals.listing(tx).data[0].id


@pytest.fixture
def route(place: Workplace, slack: Answers) -> str:
    given = {"token": TOKEN, "channel": "C0123456789", "signing_secret": SIGNING, "api_url": f"{slack.url}/api"}
    return open_way(place, name="sales-channel", kind="slack", given=given, actor="ada").id


class Clicker:
    """Slack's servers, pressing buttons for people."""

    def __init__(self, client: TestClient, place: Workplace, route: str, answers_at: str) -> None:
        self.client, self.place, self.route, self.answers_at = client, place, route, answers_at

    def press(self, action: str, signal_id: str, user: str = "ada", **changes: Any) -> Any:
        payload = {
            "type": "block_actions",
            "user": {"id": f"U{user.upper()}", "username": user, "name": user, "team_id": "T1"},
            "api_app_id": "A02",
            "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "C1"},
            "team": {"id": "T1", "domain": "acme"},
            "message": {"type": "message", "ts": "1548261231.000200", "blocks": content(a_message())["blocks"]},
            "response_url": f"{self.answers_at}/actions/T1/1/x",
            "actions": [{"action_id": action, "block_id": "beton_actions", "type": "button", "value": signal_id, "action_ts": "1548426417.840180"}],
        }
        return self.send(urlencode({"payload": json.dumps(payload | changes)}).encode())

    def send(self, body: bytes, *, secret: str = SIGNING, at: float | None = None, headers: dict[str, str] | None = None) -> Any:
        class Stopped(SlackClock):
            def now(_) -> float:  # noqa: N805
                return self.place.clock().timestamp() if at is None else at

        signed = SignatureVerifier(secret, Stopped()).generate_signature(timestamp=str(int(Stopped().now())), body=body)
        given = {"X-Slack-Signature": str(signed), "X-Slack-Request-Timestamp": str(int(Stopped().now()))} | (headers or {})
        given["Content-Type"] = "application/x-www-form-urlencoded"
        return self.client.post(f"/slack/{self.place.store.workspace_id}/{self.route}", content=body, headers=given)


@pytest.fixture
def slack_at(stranger: TestClient, place: Workplace, route: str, slack: Answers) -> Clicker:
    return Clicker(stranger, place, route, slack.url)


def standing(slack: Answers) -> str:
    (line,) = [one for one in slack.asked[-1].content["blocks"] if one.get("block_id") == STANDING]
    return line["elements"][0]["text"]


def test_whoever_claims_first_has_it(slack_at: Clicker, store: Store, signal_id: str, slack: Answers):
    assert slack_at.press("beton_claim", signal_id).status_code == 200
    assert slack_at.press("beton_claim", signal_id, user="grace").status_code == 200

    with store.reading() as tx:
        assert signals.get(tx, signal_id).owner_id == "slack:UADA:ada"
        (entry,) = [one for one in audit.entries(tx, object_id=signal_id) if one.action == "signal.claim"]
    assert entry.actor == "ada in Slack"
    assert [one.path for one in slack.asked] == ["/actions/T1/1/x"] * 2
    assert standing(slack) == "Claimed by ada in Slack."
    assert slack.asked[0].content["replace_original"] is True


def test_what_became_of_it_is_kept_and_shown_and_can_change(slack_at: Clicker, store: Store, signal_id: str, slack: Answers):
    for action, verdict in (("beton_worked", "worked"), ("beton_not_a_fit", "not_a_fit")):
        assert slack_at.press(action, signal_id).status_code == 200
        with store.reading() as tx:
            given = following.feedback(tx, [signal_id])[signal_id]
        assert (given.verdict, given.actor) == (verdict, "ada in Slack")
    assert standing(slack) == "Not a fit, says ada in Slack."


def test_a_claim_in_slack_is_seen_on_the_page_of_the_signal(slack_at: Clicker, place: Workplace, signal_id: str):
    from beton.work.following import look

    slack_at.press("beton_claim", signal_id)

    assert look(place, signal_id).seen.owner == "ada in Slack"


def test_the_same_request_again_does_nothing(slack_at: Clicker, store: Store, signal_id: str, slack: Answers, place: Workplace):
    payload = {
        "type": "block_actions", "user": {"id": "UADA", "username": "ada"}, "response_url": f"{slack.url}/x",
        "actions": [{"action_id": "beton_claim", "value": signal_id}],
    }  # fmt: skip
    body = urlencode({"payload": json.dumps(payload)}).encode()
    assert slack_at.send(body).status_code == 200
    with store.transaction() as tx:
        following.claim(tx, signal_id, None, actor="ada")
    assert slack_at.send(body).status_code == 200

    with store.reading() as tx:
        assert signals.get(tx, signal_id).owner_id is None
    assert len(slack.asked) == 1


def test_only_what_the_app_signed_just_now_is_believed(slack_at: Clicker, store: Store, signal_id: str, place: Workplace, clock):
    body = urlencode({"payload": json.dumps({"type": "block_actions"})}).encode()
    now = clock.now.timestamp()
    answers = [
        slack_at.send(body, secret="0" * 32),
        slack_at.send(body, at=now - 301),
        slack_at.send(body, at=now + 301),
        slack_at.send(body, headers={"X-Slack-Signature": ""}),
        slack_at.send(body, headers={"X-Slack-Signature": "v0=" + "0" * 64}),
        slack_at.send(body, headers={"X-Slack-Request-Timestamp": "soon"}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(401, "unauthorized")] * 6

    for elsewhere in ("rte_nobody", "crm", "sales-channel"):
        slack_at.route = elsewhere
        assert slack_at.send(body, secret="0" * 32).status_code == 401
    assert slack_at.client.post(f"/slack/wsp_nobody/{slack_at.route}", content=body).status_code == 401
    with store.reading() as tx:
        assert signals.get(tx, signal_id).owner_id is None


def test_a_signal_of_another_workspace_is_not_there(slack_at: Clicker, store: Store, slack: Answers):
    assert slack_at.press("beton_claim", "sig_elsewhere").status_code == 200
    assert standing(slack) == "This signal is not there any more."


def clicked(**changes: Any) -> str:
    return json.dumps({"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "beton_claim", "value": "sig_1"}]} | changes)


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ("[]", 400),
        ("no", 400),
        ("{}", 200),
        (clicked(type="view_submission"), 200),
        (clicked(actions=[{"action_id": "beton_open"}]), 200),
        (clicked(actions=[{"action_id": "beton_claim", "value": 1}]), 200),
        (clicked(actions=[]), 200),
        (clicked(user={"id": "<!here>"}), 200),
        (clicked(user=None), 200),
    ],
)
def test_other_interactions_are_acknowledged_and_do_nothing(slack_at: Clicker, slack: Answers, payload: str, status: int):
    assert slack_at.send(urlencode({"payload": payload}).encode()).status_code == status
    assert slack.asked == []


def test_the_answer_goes_nowhere_but_to_slack(slack_at: Clicker, signal_id: str, slack: Answers, store: Store):
    for address in ("https://evil.example/x", "http://127.0.0.1:9/x", "https://hooks.slack.com.evil.example/x", "file:///etc/passwd", 7, None):
        assert slack_at.press("beton_worked", signal_id, response_url=address).status_code == 200
    assert slack.asked == []
    with store.reading() as tx:
        assert following.feedback(tx, [signal_id])


def test_guessing_is_slowed_down(slack_at: Clicker):
    body = b"payload=%7B%7D"
    answers = [slack_at.send(body, secret="1" * 32).status_code for _ in range(61)]

    assert (answers[59], answers[60]) == (401, 429)


# The end of mails.


@pytest.fixture
def mailbox(place: Workplace) -> tuple[str, str]:
    """A route to a mailbox, and the path that ends it."""
    given = {"to": "ada@example.com", "sender": "beton@acme.example", "host": "smtp.example.com"}
    route = open_way(place, name="ada", kind="email", given=given, actor="ada")
    with place.store.reading() as tx:
        _, settings = opened(place, tx, route.id)
    assert isinstance(settings, MailSettings)
    return route.id, str(unsubscribe_url(settings)).removeprefix(place.settings.address)


def test_one_click_of_a_mailbox_provider_ends_the_mails(stranger: TestClient, store: Store, mailbox: tuple[str, str]):
    route_id, path = mailbox
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    answers = [stranger.post(path, content=b"List-Unsubscribe=One-Click", headers=form) for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 200]
    with store.reading() as tx:
        route = routes.get(tx, route_id)
        switched = [one for one in audit.entries(tx, object_id=route_id) if one.action == "route.switch"]
    assert (route.enabled, "ended" in str(route.problem)) == (False, True)
    assert [one.actor for one in switched] == ["unsubscribe link"]


def test_opening_the_link_asks_and_ends_nothing(stranger: TestClient, store: Store, mailbox: tuple[str, str]):
    route_id, path = mailbox
    page = stranger.get(path)

    assert page.status_code == 200
    assert 'method="post"' in page.text
    assert "ada@example.com" in page.text
    with store.reading() as tx:
        assert routes.get(tx, route_id).enabled
    stranger.post(path)
    assert "No more mails" in stranger.get(path).text


def test_a_link_that_is_not_quite_right_ends_nothing(stranger: TestClient, store: Store, mailbox: tuple[str, str], route: str):
    route_id, path = mailbox
    stem, _, token = path.rpartition(".")
    wrong = [path[:-1] + ("A" if path[-1] != "A" else "B"), stem, f"{stem}.", f"/unsubscribe/{token}", f"/unsubscribe/wsp_x.{route_id}.{token}"]
    wrong += [f"{stem.rpartition('.')[0]}.{route}.{token}", f"{stem}.{'0' * 32}", f"{stem}.ü"]

    assert {stranger.post(one).status_code for one in wrong} == {404}
    with store.reading() as tx:
        assert routes.get(tx, route_id).enabled
