"""A mail goes out once, to one mailbox, encrypted, holds no header that a customer wrote, and can be ended with a click."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beton.errors import BadInput
from beton.routing.mail import MailSettings, compose, gathered, send, send_many, unsubscribe_url
from beton.routing.smtp import MOST_SAID
from beton.routing.webhook import Patience, open_client
from beton.signals import Receipt
from tests.routing.apis import a_message
from tests.routing.certificates import self_signed
from tests.routing.fakes import START, Clock
from tests.routing.mailbox import Mailbox, listening
from tests.routing.servers import serving

QUICK = Patience(connect=0.5, status=1.0)
NASTY = "Acme\r\nBcc: everyone@example.com\r\n\r\n<script>\x00\u2028\u202e"


def box(port: int, **changes) -> MailSettings:
    fields = {"to": "ada@example.com", "sender": "beton@acme.example", "host": "127.0.0.1", "port": port, "security": "none"}
    return MailSettings.model_validate(fields | {"unsubscribe_at": "https://beton.example.com/unsubscribe/wsp_1.rte_1"} | changes)


async def here(name: str, port: int) -> list[str]:
    """Every name is this machine's."""
    del name, port
    return ["127.0.0.1"]


def sent(destination: MailSettings, message=None, tls=None, patience=QUICK):
    async def once():
        async with open_client(patience) as client:
            return await send(destination, message or a_message(), client=client, clock=Clock(), resolve=here, patience=patience, tls=tls)

    began = time.monotonic()
    outcome = asyncio.run(once())
    assert time.monotonic() - began < 2.5, "an attempt must end within its patience"
    return outcome


@pytest.fixture
def mailbox():
    return Mailbox()


def test_a_signal_arrives_as_one_plain_mail(mailbox):
    with listening(mailbox) as port:
        outcome = sent(box(port))

    assert (outcome.kind, outcome.status_code, outcome.failure) == ("delivered", 250, None)
    (mail,) = mailbox.mails
    assert mailbox.envelopes == [("beton@acme.example", ["ada@example.com"])]
    assert (mail["Subject"], mail["To"], mail["Message-ID"]) == ("Invited a teammate: company1.com", "ada@example.com", "<msg_0001@acme.example>")
    text = mail.get_content()
    assert all(part in text for part in ("71% (68% to 73%)", "37 of 52", "Ada", "teammate_invited", "https://beton.example.com/signals/sig_1"))
    assert mail.get_content_type() == "text/plain"


def test_one_click_ends_the_mails_as_rfc_8058_has_it(mailbox):
    with listening(mailbox) as port:
        destination = box(port)
        sent(destination)

    (mail,) = mailbox.mails
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Unsubscribe"] == f"<https://beton.example.com/unsubscribe/wsp_1.rte_1.{destination.unsubscribe_token}>"
    assert unsubscribe_url(destination) in mail.get_content()
    assert len(destination.unsubscribe_token) >= 32
    assert destination.unsubscribe_token != box(1).unsubscribe_token
    assert "unsubscribe_at" not in destination.stored()
    assert MailSettings(**destination.stored()).unsubscribe_token == destination.unsubscribe_token


def test_the_message_id_is_the_same_at_every_attempt_and_a_digest_of_the_same_signals_has_the_same():
    ids = {compose(box(1), a_message(), START + timedelta(hours=hours))["Message-ID"] for hours in range(3)}
    assert len(ids) == 1
    one, two, three = a_message(1), a_message(2), a_message(3)
    assert gathered([one, two]).message_id == gathered([two, one]).message_id != gathered([one, three]).message_id


def headers_of(message):
    made = compose(box(1), message, START).as_bytes()
    head, _, _ = made.partition(b"\r\n\r\n")
    return [line.split(b":")[0].lower() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]


EXPECTED = sorted(headers_of(a_message()))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300), st.text(min_size=1, max_size=60))
def test_no_text_becomes_a_header(title, sentence, message_id):
    for text in (title, NASTY + title):
        message = a_message(title=text, sentence=text + sentence, unit=text or "u", account=text, owner=text, promise=text, message_id=message_id)
        assert sorted(headers_of(message)) == EXPECTED
        compose(box(1), message, START).as_bytes().decode("ascii")


def test_what_customers_wrote_stays_in_its_line_of_the_body(mailbox):
    nasty = a_message(title=NASTY, sentence=NASTY, account=NASTY, receipts=(Receipt(event=".\r\nQUIT", at=START),), body=None)
    with listening(mailbox) as port:
        sent(box(port), nasty)
        sent(box(port), a_message(body="first\n.\n.dotted\nlast \U0001f600"))

    assert len(mailbox.mails) == 2
    assert "Bcc" not in mailbox.mails[0]
    assert not any(line.startswith("Bcc") for line in mailbox.mails[0].get_content().splitlines())
    assert mailbox.mails[1].get_content().splitlines()[:4] == ["first", ".", ".dotted", "last \U0001f600"]


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_a_mail_goes_encrypted_to_a_server_whose_name_is_in_its_certificate(mailbox, tmp_path, how):
    server, trusting = self_signed("mail.localhost", tmp_path)
    own = {"starttls": {"starttls": server}, "tls": {"tls": server}}[how]

    with listening(mailbox, **own, login=how == "tls") as port:
        login = {"username": "beton", "password": "right horse"} if how == "tls" else {}
        good = box(port, host="mail.localhost", security=how, **login)
        outcome = sent(good, tls=trusting)
        wrong_name, unknown = sent(good.model_copy(update={"host": "other.localhost"}), tls=trusting), sent(good)

    assert (outcome.kind, mailbox.encrypted) == ("delivered", [True])
    assert [(one.kind, one.failure.code) for one in (wrong_name, unknown)] == [("retry", "destination.tls")] * 2
    assert len(mailbox.mails) == 1
    assert mailbox.logins == ([("beton", "right horse")] if how == "tls" else [])


def test_nothing_is_said_in_the_clear_to_a_server_that_offers_no_encryption(mailbox):
    with listening(mailbox, login=True) as port:
        outcome = sent(box(port, security="starttls", username="beton", password="right horse"))

    assert (outcome.kind, outcome.failure.code) == ("retry", "destination.tls")
    assert (mailbox.logins, mailbox.mails) == ([], [])


def test_a_no_is_kept_with_its_code_and_the_password_is_not(mailbox):
    with listening(mailbox, login=True) as port:
        denied = sent(box(port, username="beton", password="wrong horse"))
    mailbox.refuse_rcpt = "550 5.1.1 no such mailbox"
    with listening(mailbox) as port:
        unknown = sent(box(port))
    mailbox.refuse_rcpt, mailbox.refuse_data = None, "451 4.3.0 try later"
    with listening(mailbox) as port:
        later = sent(box(port))

    assert [(one.kind, one.status_code) for one in (denied, unknown, later)] == [("refused", 535), ("refused", 550), ("retry", 451)]
    assert "no such mailbox" in unknown.failure.message
    assert "wrong horse" not in denied.failure.message + (denied.response_head or "")


@contextmanager
def silent_after(words: list[bytes], last: bytes | None = None, pause: float = 0.0):
    """A server that answers line by line with `words` and then, after whatever comes, says `last`, or nothing more."""

    def script(connection: socket.socket) -> None:
        for word in words:
            connection.sendall(word)
            if not connection.recv(65536):
                return
        if last is None:
            connection.recv(65536)
            return
        while True:
            connection.sendall(last)
            time.sleep(pause)

    with serving(script) as url:
        yield int(url.split(":")[2].split("/")[0])


UNTIL_DATA = [b"220 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]


def test_a_lost_answer_to_the_whole_mail_leaves_it_in_doubt_and_one_before_does_not():
    with silent_after(UNTIL_DATA) as port:
        doubtful = sent(box(port), patience=Patience(connect=0.4, status=0.4))
        again = sent(box(port, send_again=True), patience=Patience(connect=0.4, status=0.4))
    with silent_after(UNTIL_DATA[:3]) as port:
        before = sent(box(port), patience=Patience(connect=0.4, status=0.4))

    assert (doubtful.kind, doubtful.failure.code) == ("in_doubt", "destination.timeout")
    assert again.kind == "retry"
    assert (before.kind, before.failure.code) == ("retry", "destination.timeout")


@pytest.mark.parametrize("reached", range(len(UNTIL_DATA)))
def test_a_server_that_drips_ends_within_the_patience(reached):
    with silent_after(UNTIL_DATA[:reached], last=b"2", pause=0.02) as port:
        outcome = sent(box(port), patience=Patience(connect=0.4, status=0.4))

    assert (outcome.kind, outcome.failure.code) == ("retry", "destination.timeout")


@pytest.mark.parametrize("reached", range(len(UNTIL_DATA) + 1))
def test_a_server_that_never_stops_talking_is_not_listened_to(reached):
    with silent_after(UNTIL_DATA[:reached], last=b"250-" + b"x" * 4000 + b"\r\n") as port:
        outcome = sent(box(port))

    assert outcome.kind == ("in_doubt" if reached == len(UNTIL_DATA) else "retry")
    assert outcome.failure.code == "destination.too_large"
    assert MOST_SAID < 100_000


@pytest.mark.parametrize(
    "words", [[b"HTTP/1.1 200 OK\r\n\r\n"], [b"\xff\xfe\r\n"], [b"554 no service\r\n"], [b"220 x" * 4000], [b"421 shutting down\r\n"]]
)
def test_what_is_no_mail_server_is_told_as_a_failure(words):
    with silent_after(words) as port:
        outcome = sent(box(port), patience=Patience(connect=0.4, status=0.4))

    assert outcome.kind in ("retry", "refused")
    assert outcome.failure is not None


def test_nobody_listens_and_an_address_that_may_not_be_called():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert sent(box(port)).failure.code == "destination.unreachable"

    async def to_the_inside(name, port):
        return ["10.0.0.7"]

    async def unknown(name, port):
        raise OSError

    async def once(resolve):
        async with open_client(QUICK) as client:
            wish = box(25, host="mail.example.com", security="starttls")
            return await send(wish, a_message(), client=client, clock=Clock(), resolve=resolve, patience=QUICK)

    outcomes = [asyncio.run(once(resolve)) for resolve in (to_the_inside, unknown)]
    assert [(one.kind, one.failure.code) for one in outcomes] == [("refused", "destination.address_forbidden"), ("retry", "destination.unknown_host")]


def test_a_day_is_one_mail_about_all_of_it(mailbox):
    messages = [a_message(number) for number in range(1, 31)]

    async def once():
        async with open_client(QUICK) as client:
            return await send_many(box(port, daily=True), messages, client=client, clock=Clock(), patience=QUICK)

    with listening(mailbox) as port:
        outcomes = asyncio.run(once())

    assert [one.kind for one in outcomes] == ["delivered"] * 30
    (mail,) = mailbox.mails
    assert mail["Subject"] == "30 signals"
    assert all(f"/sig_{number}" in mail.get_content() for number in range(1, 31))


def test_a_daily_mail_waits_for_its_hour_and_any_other_for_nothing():
    daily = box(25, daily=True, hour=7)
    at = lambda day, hour: datetime(2026, 3, day, hour, 30, tzinfo=UTC)  # noqa: E731

    assert daily.cutoff(at(2, 9)) == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert daily.cutoff(at(2, 6)) == datetime(2026, 3, 1, 7, tzinfo=UTC)
    assert (daily.batch, box(25).batch, box(25).cutoff(at(2, 9))) == (200, 1, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": "ada@example.com\r\nRCPT TO:<eve@example.com>"}, "to"),
        ({"to": "ada@example.com, eve@example.com"}, "to"),
        ({"to": "ada"}, "to"),
        ({"to": "a..b@example.com"}, "to"),
        ({"sender": "Beton <beton@acme.example>"}, "sender"),
        ({"username": "x\r\n", "password": "y"}, "username"),
        ({"username": "x"}, "password"),
        ({"host": "smtp.example.com", "security": "none"}, "security"),
        ({"host": "10.0.0.1"}, "url"),
        ({"host": "a b"}, "url"),
        ({"host": "user:pw@smtp.example.com"}, "url"),
        ({"host": "169.254.169.254", "allow_insecure": True}, "url"),
    ],
)
def test_settings_that_cannot_work_are_refused_where_they_are_given(changes, field):
    with pytest.raises(BadInput) as refused:
        box(25, **changes).check()

    assert refused.value.faults[0].field == field


def test_mail_servers_that_hang_keep_no_thread_that_others_need():
    """More conversations than a machine has default threads end beside each other."""

    async def all_at_once(port):
        async with open_client(QUICK) as client:
            one = lambda: send(box(port), a_message(), client=client, clock=Clock(), patience=Patience(connect=0.5, status=0.6))  # noqa: E731
            return await asyncio.gather(*(one() for _ in range(60)))

    with silent_after([]) as port:
        began, before = time.monotonic(), threading.active_count()
        outcomes = asyncio.run(all_at_once(port))

    assert {one.kind for one in outcomes} == {"retry"}
    assert time.monotonic() - began < 5.0, "with the six threads that two cores have by default they take six seconds"
    assert threading.active_count() <= before + 64
