"""E-mail: one message about a signal as it comes, or one a day about all of them, handed to a mail server over SMTP.

A mail cannot be called back and its reader does not know a repetition, so that a lost answer after the whole mail was handed over leaves it in doubt.
Its Message-ID is made of the message's id, the same at every attempt. Whoever gets it can end it with one click: RFC 8058 (`List-Unsubscribe-Post`, a
POST without cookies), as large mailbox providers ask for (https://support.google.com/a/answer/81126). Plain text by RFC 5322 and 2047.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import httpx
from pydantic import Field

from beton.errors import (
    BadInput,
    DestinationBadStatus,
    DestinationError,
    DestinationRefused,
    DestinationTimeout,
    Fault,
    excerpt,
)
from beton.routing.addresses import Resolve, allowed_addresses, check_url, host_of, is_local, resolve
from beton.routing.destinations import ChannelSettings
from beton.routing.exchange import SECONDS
from beton.routing.facts import confidence, events, facts, one_line, subject
from beton.routing.messages import Message
from beton.routing.outcomes import Kind, Outcome
from beton.routing.smtp import Conversation, MailServer, NoEncryption, Security, TooTalkative, hand_over
from beton.routing.webhook import Patience, shown, trusted

BATCH = 200
"""Most signals told of in one mail."""

PATIENCE = Patience(status=30.0)
"""`connect` and `status` count here: to connect, and for the whole conversation."""

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{2,63}")
_POLICY = SMTP.clone(cte_type="7bit")

# Its own threads: a mail server that hangs must not keep the threads that the store works in.
_threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="beton-mail")


class MailSettings(ChannelSettings):
    """One mailbox, and the server that mails for it are handed to."""

    to: str = Field(max_length=254, title="To", description="The one address that gets the mails; for several people, make several routes.")
    sender: str = Field(max_length=254, title="From", description="The sender's address, of a domain that the mail server may send for.")
    host: str = Field(max_length=253, title="Mail server", description="Such as smtp.example.com.")
    port: int = Field(default=587, ge=1, le=65535, title="Port", description="587 with STARTTLS, 465 with TLS.")
    security: Security = Field(
        default="starttls", title="Encryption", description="Write none only for a server on this machine or in a private network."
    )
    username: str | None = Field(default=None, max_length=254, title="User name", description="For the mail server, if it asks for one.")
    password: str | None = Field(default=None, max_length=500, repr=False, title="Password", description="For the mail server.")
    daily: bool = Field(
        default=False, title="Once a day", description="One mail a day about all signals since the last one; none on a day without any."
    )
    hour: int = Field(default=7, ge=0, le=23, title="Hour", description="Of the daily mail, in UTC.")
    send_again: bool = Field(
        default=False,
        title="Send again when in doubt",
        description="Where the server's last word was lost, send once more at the risk of a second mail, instead of leaving it to a person.",
    )
    unsubscribe_token: str = Field(
        default_factory=lambda: secrets.token_urlsafe(24), pattern=r"[A-Za-z0-9_-]{24,64}", repr=False, json_schema_extra={"made": True}
    )
    """Proves that whoever unsubscribes has had a mail. Made with the route, and never entered."""
    unsubscribe_at: str | None = Field(default=None, exclude=True)
    """The address that unsubscribes as soon as a dot and the token stand behind it; known at the moment of use."""

    @property
    def address(self) -> str:
        """The mailbox."""
        return self.to

    @property
    def limit_key(self) -> str:
        """One mail server."""
        return f"mail {self.host}:{self.port}"

    @property
    def batch(self) -> int:
        """A daily mail tells of many signals, any other of one."""
        return BATCH if self.daily else 1

    def cutoff(self, now: datetime) -> datetime | None:
        """With a daily mail, the last hour at which one was due: what came later waits for the next."""
        if not self.daily:
            return None
        due = now.astimezone(UTC).replace(hour=self.hour, minute=0, second=0, microsecond=0)
        return due if due <= now else due - timedelta(days=1)

    def check(self) -> None:
        """Addresses, server, and that nothing secret is said in the clear."""
        for field, value in (("to", self.to), ("sender", self.sender)):
            if not _ADDRESS.fullmatch(value) or ".." in value:
                raise _refused(field, "This is not an e-mail address.")
        for field, value in (("username", self.username), ("password", self.password)):
            if value is not None and not re.fullmatch(r"[\x20-\x7e]+", value):
                raise _refused(field, "It holds letters that mail servers do not take.")
        if (self.username is None) is not (self.password is None):
            raise _refused("password", "A user name and a password go together.")
        check_url(self._server_url, allow_insecure=self.allow_insecure, allow_local=self.allow_local)
        if self.security == "none" and not (self.allow_insecure or (self.allow_local and is_local(host_of(httpx.URL(self._server_url))))):
            raise _refused("security", "Mails would leave this machine unencrypted.")

    @property
    def _server_url(self) -> str:
        return f"https://{self.host}:{self.port}"


async def send(
    destination: MailSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = PATIENCE,
    tls: ssl.SSLContext | None = None,
) -> Outcome:
    """Hand one mail over. `client` is there for the other channels' sake; `tls` for a server whose certificate is trusted otherwise."""
    del client
    began, talk = clock(), Conversation()
    try:
        destination.check()
        url = httpx.URL(destination._server_url)
        mail = compose(destination, message, began)
        async with asyncio.timeout(patience.connect):
            reach = {"allow_insecure": destination.allow_insecure, "allow_local": destination.allow_local}
            addresses = await allowed_addresses(url, resolve=resolve, **reach)
        server = MailServer(
            host_of(url),
            destination.port,
            addresses[:3],
            destination.security,
            destination.username,
            destination.password,
            tls or trusted(),
            patience.connect,
            min(patience.status, SECONDS),
        )
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(_threads, hand_over, server, destination.sender, destination.to, mail.as_bytes(), talk, loop.time)
    except (BadInput, DestinationRefused) as error:
        failure = error if isinstance(error, DestinationRefused) else DestinationRefused(error.message, fix=error.fix, code=error.code)
        return Outcome("retry" if failure.code == "destination.unknown_host" else "refused", _since(began, clock()), failure=failure)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return _failed(error, destination, talk, _since(began, clock()))
    return Outcome("delivered", _since(began, clock()), talk.code, _head(talk, destination))


async def send_many(
    destination: MailSettings,
    messages: Sequence[Message],
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = PATIENCE,
    tls: ssl.SSLContext | None = None,
) -> Sequence[Outcome]:
    """One mail about all the messages: what becomes of it becomes of each."""
    one = messages[0] if len(messages) == 1 else gathered(messages)
    outcome = await send(destination, one, client=client, clock=clock, resolve=resolve, patience=patience, tls=tls)
    return [outcome] * len(messages)


def gathered(messages: Sequence[Message]) -> Message:
    """Several messages as one; its id is made of theirs, so that the same ones make the same digest."""
    digest = hashlib.sha256("\n".join(sorted(one.message_id for one in messages)).encode()).hexdigest()
    count = len(messages)
    return Message(
        message_id=f"dig_{digest[:40]}",
        kind="digest",
        workspace=messages[0].workspace,
        title=f"{count} signals",
        sentence=f"{count} signals since the last mail, the newest last.",
        items=tuple(messages),
    )


def compose(destination: MailSettings, message: Message, now: datetime) -> EmailMessage:
    """The mail. Headers are made of single lines by the library, which refuses any other; the Message-ID is the same at every attempt."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = Address("Beton", addr_spec=destination.sender)
    mail["To"] = Address(addr_spec=destination.to)
    mail["Subject"] = one_line(message.title, 150)
    mail["Date"] = format_datetime(now.astimezone(UTC))
    domain = destination.sender.rpartition("@")[2]
    mail["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9_.-]', '-', message.message_id)[:200]}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    leave = unsubscribe_url(destination)
    if leave is not None:
        mail["List-Unsubscribe"] = f"<{leave}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content("\n".join(_lines(message, leave)) + "\n", charset="utf-8", cte="quoted-printable")
    return mail


def unsubscribe_url(destination: MailSettings) -> str | None:
    """Where one click ends these mails; `None` where the server's address is not known."""
    return None if destination.unsubscribe_at is None else f"{destination.unsubscribe_at}.{destination.unsubscribe_token}"


def _lines(message: Message, leave: str | None) -> Iterator[str]:
    yield from _said(message)
    for number, item in enumerate(message.items, 1):
        sure = f", {confidence(item)}" if confidence(item) else ""
        yield f"{number}. {one_line(subject(item) or item.title)}{sure}"
        yield f"   {one_line(item.sentence, 500)}"
        if item.url:
            yield f"   {item.url}"
        yield ""
    if message.url:
        yield f"Open it in Beton: {message.url}"
        yield ""
    yield "-- "
    yield f"Sent by Beton for {one_line(message.workspace)}."
    if leave is not None:
        yield f"To end these mails: {leave}"


def _said(message: Message) -> Iterator[str]:
    if message.body:
        yield from message.body.replace("\x00", "").splitlines()
        yield ""
        return
    yield one_line(message.sentence, 2000)
    yield ""
    known = facts(message)
    for name, text in known:
        yield f"{name}: {one_line(text, 500)}"
    if known:
        yield ""
    happened = events(message, most=10)
    if happened:
        yield "What happened:"
        yield from (f"- {one_line(event)}, {when}" for event, when in happened)
        yield ""


def _failed(error: Exception, destination: MailSettings, talk: Conversation, latency_ms: int) -> Outcome:
    """A no has a code; without one, what counts is whether the whole mail was handed over."""
    if isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 600:
        words = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        message = f"{destination.host} answered {error.smtp_code}: {excerpt(one_line(words), _secrets(destination), limit=300)}"
        failure: DestinationError = DestinationBadStatus(message, details={"status": error.smtp_code})
        kind: Kind = "retry" if error.smtp_code < 500 else "refused"
        return Outcome(kind, latency_ms, error.smtp_code, _head(talk, destination), failure)
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # a text that no mail can hold; errors of TLS are both
        failure = DestinationRefused(f"The mail cannot be written: {error}.", code="destination.not_writable")
        return Outcome("refused", latency_ms, failure=failure)
    kind = "in_doubt" if talk.handed_over and not destination.send_again else "retry"
    return Outcome(kind, latency_ms, failure=_silence(error, destination.host))


def _silence(error: Exception, where: str) -> DestinationError:
    """Why there is no answer. smtplib reports all of it as a connection that was closed, and keeps the reason in the chain."""
    chain, link = [], error
    while link is not None and link not in chain and len(chain) < 10:
        chain.append(link)
        link = link.__cause__ or link.__context__
    cause = type(chain[-1]).__name__
    if any(isinstance(one, TimeoutError) for one in chain):
        return DestinationTimeout(f"{where} did not answer in time.", details={"cause": cause})
    if any(isinstance(one, (ssl.SSLError, NoEncryption)) for one in chain):
        return DestinationRefused(f"No secure connection to {where} is possible: {error}.", code="destination.tls", details={"cause": cause})
    if any(isinstance(one, TooTalkative) for one in chain):
        return DestinationError(f"{where} answered with more than it should: {chain[-1]}.", code="destination.too_large", details={"cause": cause})
    if isinstance(error, ConnectionRefusedError):
        return DestinationRefused(f"Nobody listens at {where}: {error}.", code="destination.unreachable", details={"cause": cause})
    return DestinationError(f"{where} broke the connection off.", code="destination.broken", details={"cause": cause})


def _head(talk: Conversation, destination: MailSettings) -> str | None:
    return shown(talk.said.encode(), _secrets(destination)) or None


def _secrets(destination: MailSettings) -> tuple[str, ...]:
    return tuple(filter(None, (destination.password, destination.unsubscribe_token)))


def _since(began: datetime, now: datetime) -> int:
    return max(0, round((now - began).total_seconds() * 1000))


def _refused(field: str, message: str) -> BadInput:
    return BadInput(message, [Fault(field, message)], code="route.settings_invalid", fix="Correct the settings of the route; nothing was saved.")
