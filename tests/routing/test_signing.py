"""Both signatures can be checked by somebody who has only read the documentation."""

import base64
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from beton.demo.receiver import signatures_right
from beton.errors import BadInput
from beton.routing.signing import new_secret, signed_headers, standard_key, verify
from tests.routing.fakes import SECRET, START

BODY = '{"account":null,"hypothesis":"Ünïcode, too"}'.encode()
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "verify-webhooks.md"


def documented():
    """The functions of the guide, as a reader would paste them."""
    names: dict = {}
    exec(re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[0], names)  # noqa: S102
    return names


def lowered(headers):
    return {name.lower(): value for name, value in headers.items()}


def test_the_headers_are_these_to_the_last_byte():
    """The expected values were computed with openssl from the documentation, not with this code."""
    headers = signed_headers(SECRET, "msg_1", datetime(2026, 3, 2, 9, 30, tzinfo=UTC), b'{"a":1}')

    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1772443800",
        "webhook-signature": "v1,XniZK9LuCWswdDybNbcYwsRlimlMRrz8Pb1fzRnNanU=",
        "X-Beton-Signature": "sha256=ce1fed1b14cf6510bdcb0a215d3b8623495beb640133886413f0034d9e29e0bd",
    }


def test_the_standard_library_of_standard_webhooks_accepts_what_we_sign():
    secret = new_secret()
    headers = signed_headers(secret, "msg_1", datetime.now(UTC), BODY)

    Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_we_accept_what_the_library_of_standard_webhooks_signs():
    secret, now = new_secret(), datetime.now(UTC)
    theirs = Webhook(secret).sign("msg_1", now, BODY.decode())

    assert verify(secret, {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": theirs}, BODY, now=now)


@pytest.mark.parametrize("secret", [SECRET, pytest.param(new_secret(), id="fresh"), "a secret of the operator's own", "schön-und-geheim-1234"])
def test_the_snippets_of_the_guide_accept_what_we_sign_and_nothing_else(secret):
    guide = documented()
    headers = lowered(signed_headers(secret, "msg_1", START, BODY))
    now = START.timestamp()

    assert guide["is_from_beton"](secret, headers, BODY, now)
    assert guide["body_is_from_beton"](secret, headers, BODY)
    assert not guide["is_from_beton"](secret, headers, BODY + b" ", now)
    assert not guide["body_is_from_beton"](secret, headers, BODY + b" ")
    assert not guide["is_from_beton"](secret, headers | {"webhook-id": "msg_2"}, BODY, now)
    assert not guide["is_from_beton"](secret, headers, BODY, now + 301)
    assert not guide["is_from_beton"](secret, headers, BODY)  # the real clock is far from the one of this test
    assert not guide["is_from_beton"](secret, {}, BODY, now)
    assert not guide["body_is_from_beton"](secret, {}, BODY)
    assert abs(time.time() - now) > 301


def test_the_demo_receiver_counts_two_right_signatures_and_no_wrong_one():
    headers = lowered(signed_headers(SECRET, "msg_1", START, BODY))

    assert signatures_right(SECRET, headers, BODY, START.timestamp()) == 2
    for name in headers:
        assert signatures_right(SECRET, headers | {name: "wrong"}, BODY, START.timestamp()) == 0
        assert signatures_right(SECRET, headers | {name: "v1,é"}, BODY, START.timestamp()) == 0


def test_verify_takes_header_names_in_any_case_and_returns_the_id():
    headers = {name.upper(): value for name, value in signed_headers(SECRET, "msg_1", START, BODY).items()}

    assert verify(SECRET, headers, BODY, now=START + timedelta(minutes=4)) == "msg_1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "1772443801"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ünïcode"},
        {"webhook-signature": "v1a,AAAA v2,BBBB"},
        {"x-beton-signature": "sha256=00"},
        {"x-beton-signature": "é"},
    ],
)
def test_whatever_is_changed_is_noticed(change):
    headers = lowered(signed_headers(SECRET, "msg_1", START, BODY))

    with pytest.raises(BadInput) as refused:
        verify(SECRET, headers | change, BODY, now=START)
    assert refused.value.code == "webhook.signature_invalid"
    assert refused.value.status == 401


def test_old_and_early_messages_are_refused():
    headers = signed_headers(SECRET, "msg_1", START, BODY)

    for off in (timedelta(minutes=6), timedelta(minutes=-6)):
        with pytest.raises(BadInput):
            verify(SECRET, headers, BODY, now=START + off)


def test_one_right_signature_of_several_is_enough():
    headers = lowered(signed_headers(SECRET, "msg_1", START, BODY))
    listed = f"v1,AAAA {headers['webhook-signature']} v1a,BBBB"

    assert verify(SECRET, headers | {"webhook-signature": listed}, BODY, now=START)
    assert signatures_right(SECRET, headers | {"webhook-signature": listed}, BODY, START.timestamp()) == 2


def test_new_secrets_differ_and_hold_32_bytes():
    assert new_secret() != new_secret()
    assert len(standard_key(new_secret())) == 32


def test_padding_may_be_missing_as_with_the_libraries():
    key = bytes(range(25))
    unpadded = "whsec_" + base64.b64encode(key).decode().rstrip("=")

    assert standard_key(unpadded) == key


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "whsec_",
        "whsec_not base64 at all!",
        "whsec_c2hvcnQ=",
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "with a\nline break in it",
        "x" * 513,
    ],
)
def test_a_secret_that_cannot_protect_is_refused_without_being_repeated(secret):
    with pytest.raises(BadInput) as refused:
        standard_key(secret)
    assert refused.value.code == "route.secret_invalid"
    assert len(secret) < 10 or secret not in str(refused.value.as_problem())
