"""Slack gets what its documents allow, reads nothing into what customers called their events, and is asked once where nobody knows what it did."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier

from beton.errors import BadInput, DestinationBadStatus, DestinationError
from beton.routing.blocks import ACTIONS, STANDING, content, cut, mrkdwn, with_standing
from beton.routing.slack import TOLERANCE, SlackSettings, is_from_slack, send
from beton.routing.webhook import Patience, open_client
from beton.signals import Receipt
from tests.routing.apis import Answered, a_message, listening
from tests.routing.fake_slack import SPECIAL, TOKEN, FakeSlack, Hooked, is_right, texts
from tests.routing.fakes import START, Clock

QUICK = Patience(connect=0.5, status=1.0, head=0.5)
SIGNING = "8f742231b10e8888abcd99yyyzzz85a5"
NASTY = "<!channel> <@U012> <https://evil.example|click> & `x` *b* @here http://evil.example/?q=1"


def bot(url: str, **changes) -> SlackSettings:
    return SlackSettings.model_validate({"token": TOKEN, "channel": "C0123456789", "signing_secret": SIGNING, "api_url": f"{url}/api"} | changes)


def hook(url: str, **changes) -> SlackSettings:
    return SlackSettings.model_validate({"webhook_url": f"{url}/services/T0/B0/hook-token"} | changes)


def sent(destination: SlackSettings, message=None):
    async def once():
        async with open_client(QUICK) as client:
            return await send(destination, message or a_message(), client=client, clock=Clock(), patience=QUICK)

    return asyncio.run(once())


@pytest.fixture
def slack():
    return FakeSlack()


@pytest.mark.parametrize("settings_of", [bot, hook])
def test_a_signal_arrives_in_the_channel_with_what_sales_needs(slack, settings_of):
    with listening(slack) as url:
        outcome = sent(settings_of(url))

    assert (outcome.kind, outcome.failure) == ("delivered", None)
    (posted,) = slack.posted
    shown = "\n".join(texts(posted))
    assert all(text in shown for text in ("71% (68% to 73%)", "37 of 52", "Ada", "teammate_invited", "Company 1", "2026-03-02 09:30 UTC"))
    assert posted["blocks"][0]["text"]["text"] == "Invited a teammate: company1.com"


def test_the_buttons_are_there_where_a_click_can_be_answered_and_name_the_signal(slack):
    with listening(slack) as url:
        sent(bot(url))
        sent(hook(url))

    with_secret, without = (next(one for one in posted["blocks"] if one["type"] == "actions")["elements"] for posted in slack.posted)
    assert [one["text"]["text"] for one in with_secret] == ["Claim", "Worked", "Not a fit", "Open"]
    assert [one.get("value") for one in with_secret[:3]] == ["sig_1"] * 3
    assert [one["action_id"] for one in with_secret[:3]] == list(ACTIONS)
    assert [one["text"]["text"] for one in without] == ["Open"]


def test_nothing_that_customers_wrote_calls_anybody_or_leads_anywhere():
    message = a_message(
        title=NASTY,
        sentence=NASTY,
        unit=NASTY,
        account=NASTY,
        owner=NASTY,
        promise=NASTY,
        workspace=NASTY,
        receipts=(Receipt(event=NASTY, at=START),),
    )
    digest = a_message(kind="digest", title=NASTY, sentence=NASTY, items=(message, message))

    for each in (message, digest):
        made = content(each)
        assert is_right(Hooked, made)
        special = {found.group(1) for text in texts(made) for found in SPECIAL.finditer(text)}
        assert all(one.startswith("https://beton.example.com/signals/sig_1") for one in special)
        assert all(block.get("text", {}).get("verbatim", True) is True for block in made["blocks"] if block["type"] == "section")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=4000), st.text(max_size=400), st.integers(0, 60), st.text(max_size=3500))
def test_any_text_makes_blocks_that_slack_takes(long, short, items, body):
    one = a_message(title=short, sentence=long, unit=short or "u", owner=short, promise=long, receipts=(Receipt(event=short, at=START),))
    for message in (one, one.model_copy(update={"body": mrkdwn(body, 100_000)}), a_message(kind="digest", sentence=long, items=(one,) * items)):
        assert is_right(Hooked, content(message))


def test_a_cut_leaves_no_half_escape_and_no_half_link():
    assert cut("a" * 10 + "&amp;", 14) == "a" * 10 + "…"
    assert cut("see <https://example.com|there> and more", 20) == "see …"
    assert mrkdwn("&" * 10, 21) == "&amp;" * 4 + "…"
    assert cut("short") == "short"


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (Answered(200, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}), "retry"),
        (Answered(200, {"ok": False, "error": "is_archived"}), "refused"),
        (Answered(200, {"ok": False, "error": "fatal_error"}), "in_doubt"),
        (Answered(200, {"ok": False}), "refused"),
        (Answered(200, "<html>maintenance</html>"), "in_doubt"),
        (Answered(200, {"ok": "yes"}), "in_doubt"),
        (Answered(200, [1]), "in_doubt"),
        (Answered(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"}), "retry"),
        (Answered(500, {"ok": False, "error": "internal_error"}), "in_doubt"),
        (Answered(502, "bad gateway"), "in_doubt"),
        (Answered(503, "busy"), "retry"),
        (Answered(401, "no"), "refused"),
    ],
)
def test_what_slack_says_of_a_message_decides_whether_it_may_go_again(slack, answered, kind):
    slack.instead.append(answered)
    with listening(slack) as url:
        outcome = sent(bot(url))

    assert outcome.kind == kind
    assert isinstance(outcome.failure, DestinationError)
    assert outcome.retry_after == (30.0 if "Retry-After" in answered.headers else None)
    assert TOKEN not in outcome.failure.message


def test_a_lost_answer_leaves_it_in_doubt_and_a_refused_connection_does_not(slack):
    with listening(slack) as url:
        slack.lose = 2
        lost = [sent(bot(url)).kind, sent(hook(url)).kind]
        slack.lose = 1
        again = sent(bot(url, send_again=True)).kind
    refused = sent(bot(url))

    assert lost == ["in_doubt", "in_doubt"]
    assert len(slack.posted) == 3, "it had arrived each time"
    assert again == "retry", "as the operator chose"
    assert (refused.kind, refused.failure.code) == ("retry", "destination.unreachable")


def test_a_webhook_that_slack_has_removed_ends_the_route_and_its_words_are_kept(slack):
    slack.instead += [Answered(410, "channel_is_archived"), Answered(404, "no_service"), Answered(400, "invalid_payload")]
    with listening(slack) as url:
        outcomes = [sent(hook(url)) for _ in range(3)]

    assert [one.kind for one in outcomes] == ["gone", "refused", "refused"]
    assert [one.response_head for one in outcomes] == ["channel_is_archived", "no_service", "invalid_payload"]
    assert isinstance(outcomes[1].failure, DestinationBadStatus)
    assert "no_service" in outcomes[1].failure.message
    assert "hook-token" not in "".join(one.failure.message for one in outcomes)


@pytest.mark.parametrize("body", [b"payload=%7B%7D", b"", "ü".encode()])
def test_a_click_is_known_by_the_signature_that_slacks_own_sdk_makes(body):
    class Stopped(SlackClock):
        def now(self) -> float:
            return START.timestamp()

    timestamp = str(int(START.timestamp()))
    made = SignatureVerifier(SIGNING, Stopped()).generate_signature(timestamp=timestamp, body=body) or ""

    assert is_from_slack(SIGNING, timestamp, made, body, now=START)
    assert not is_from_slack(SIGNING, timestamp, made, body + b" ", now=START)
    assert not is_from_slack(SIGNING[:-1] + "b", timestamp, made, body, now=START)
    assert not is_from_slack(SIGNING, timestamp, made[:-1], body, now=START)
    assert is_from_slack(SIGNING, timestamp, made, body, now=START + TOLERANCE - timedelta(seconds=1))
    for elsewhen in (TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)):
        assert not is_from_slack(SIGNING, timestamp, made, body, now=START + elsewhen)
    for odd in ("", "now", "1e9", "-1", "９" * 10, str(int(START.timestamp())) + "0" * 9):
        assert not is_from_slack(SIGNING, odd, made, body, now=START)
    assert not is_from_slack(SIGNING, timestamp, "v0=ü", body, now=START)


def test_what_became_of_it_takes_the_place_of_what_had_become_of_it():
    blocks = content(a_message())["blocks"]
    once = with_standing(blocks, "Claimed by <ada>")
    twice = with_standing(once, "Worked, says ada")

    assert [one.get("block_id") for one in once].count(STANDING) == 1
    assert len(twice) == len(once) == len(blocks) + 1
    assert twice[-1]["elements"][0]["text"] == "Worked, says ada"
    assert "&lt;ada&gt;" in once[-1]["elements"][0]["text"]
    assert is_right(Hooked, {"text": "x", "blocks": twice})
    assert len(with_standing(blocks * 20, "x")) <= 50


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"webhook_url": None, "token": None}, "webhook_url"),
        ({"webhook_url": "https://hooks.slack.com/x", "token": TOKEN}, "webhook_url"),
        ({"token": "secret"}, "token"),
        ({"token": "xoxb-1\r\nX: y"}, "token"),
        ({"channel": None}, "channel"),
        ({"channel": "a b"}, "channel"),
        ({"signing_secret": "x"}, "signing_secret"),
        ({"token": None, "webhook_url": "http://hooks.slack.com/x"}, "url"),
        ({"token": None, "webhook_url": "https://10.0.0.1/x"}, "url"),
    ],
)
def test_settings_that_cannot_work_are_refused_where_they_are_given(changes, field):
    with pytest.raises(BadInput) as refused:
        bot("https://slack.com", **changes).check()

    assert refused.value.faults[0].field == field
    assert TOKEN not in str(refused.value)


def test_no_secret_is_in_any_text_of_the_settings():
    shown = repr(bot("https://slack.com")) + bot("https://slack.com").address + repr(hook("https://hooks.slack.com"))
    assert not any(secret in shown for secret in (TOKEN, SIGNING, "hook-token"))
