"""One conversation with a mail server, by the standard library, in a thread of its own.

The server is a stranger: its name was resolved and its addresses judged before, TLS speaks of the name while the connection goes to the address,
64 KB of what it says are heard, and the whole conversation has one deadline, however slowly its bytes drip. RFC 5321, RFC 3207 (STARTTLS).
"""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_SAID = 64 * 1024
"""Bytes that a server may say in one conversation."""

Security = Literal["starttls", "tls", "none"]


class TooTalkative(smtplib.SMTPException):
    """The server said more than `MOST_SAID`."""


class NoEncryption(smtplib.SMTPException):
    """The server offers no STARTTLS, and nothing is said in the clear."""


@dataclass(frozen=True)
class MailServer:
    """Where and how to hand a mail over. `addresses` were judged already; the first that can be connected to is taken."""

    name: str
    port: int
    addresses: Sequence[str]
    security: Security
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    tls: ssl.SSLContext = field(repr=False)
    connect_seconds: float
    seconds: float


@dataclass
class Conversation:
    """What has been reached so far: read by whoever waits when the conversation fails."""

    handed_over: bool = False
    """Whether the whole mail has left this machine: from here on a lost answer leaves it in doubt."""
    code: int | None = None
    """The server's last word about the mail itself."""
    said: str = ""


def hand_over(server: MailServer, sender: str, recipient: str, mail: bytes, talk: Conversation, ticking: Callable[[], float]) -> None:
    """Give one mail to a server. Raises what smtplib, ssl and sockets raise, and SMTPResponseException for a no; `talk` tells how far it came.

    `ticking` is a monotonic clock in seconds.
    """
    until = ticking() + server.seconds
    connection = _connect(server, until, ticking)
    try:
        connection.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            _encrypt(connection, server)
        if server.username is not None:
            connection.login(server.username, server.password or "")
        _expect(connection.mail(sender), talk)
        _expect(connection.rcpt(recipient), talk)
        _expect(connection.docmd("DATA"), talk, 354)
        connection.send(_dotted(mail))
        talk.handed_over = True
        _expect(connection.getreply(), talk)
        with suppress(smtplib.SMTPException, OSError):
            connection.putcmd("QUIT")
    finally:
        connection.close()


def _connect(server: MailServer, until: float, ticking: Callable[[], float]) -> _Pinned:
    failure: OSError | None = None
    for address in server.addresses:
        made = _Encrypted(server, address, until, ticking) if server.security == "tls" else _Pinned(server, address, until, ticking)
        try:
            code, said = made.connect(server.name, server.port)
        except ssl.SSLError:
            made.close()
            raise
        except OSError as error:
            made.close()
            failure = error
            continue
        if code != 220:
            made.close()
            raise smtplib.SMTPConnectError(code, said)
        return made
    raise failure or OSError("no address")


def _encrypt(connection: _Pinned, server: MailServer) -> None:
    if not connection.has_extn("starttls"):
        raise NoEncryption("the server offers no STARTTLS")
    code, said = connection.starttls(context=server.tls)
    if code != 220:
        raise smtplib.SMTPResponseException(code, said)
    connection.ehlo()


def _expect(answer: tuple[int, bytes], talk: Conversation, wanted: int = 250) -> None:
    talk.code, talk.said = answer[0], answer[1].decode("utf-8", "replace")
    if answer[0] != wanted and not (wanted == 250 and answer[0] == 251):  # 251: will be forwarded
        raise smtplib.SMTPResponseException(*answer)


def _dotted(mail: bytes) -> bytes:
    """With CRLF everywhere, dots doubled at the beginning of lines, and the final dot."""
    lines = mail.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


class _Pinned(smtplib.SMTP):
    """A connection to a checked address, with one deadline for all of it and an end to what it listens to."""

    def __init__(self, server: MailServer, address: str, until: float, ticking: Callable[[], float]) -> None:
        self.server, self.address, self.until, self.ticking = server, address, until, ticking
        self.heard = 0
        super().__init__(local_hostname="beton.invalid", timeout=server.connect_seconds)
        self._host = server.name  # what TLS verifies

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del host, timeout
        return socket.create_connection((self.address, port), min(self.server.connect_seconds, self.left()))

    def left(self) -> float:
        """Seconds until the deadline."""
        left = self.until - self.ticking()
        if left <= 0:
            raise TimeoutError("the conversation took too long")
        return left

    def getreply(self) -> tuple[int, bytes]:
        """As ever, from a bounded ear."""
        if self.file is None:
            self.file = io.BufferedReader(_Ear(self), 8192)
        return super().getreply()

    def send(self, s: Any) -> None:
        """As ever, within what is left of the time."""
        if self.sock is not None:
            self.sock.settimeout(self.left())
        super().send(s)


class _Encrypted(_Pinned):
    """Encrypted from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        plain.settimeout(self.left())
        return self.server.tls.wrap_socket(plain, server_hostname=self._host)


class _Ear(io.RawIOBase):
    """Reads from a connection's socket within its time, and no more than may be said."""

    def __init__(self, connection: _Pinned) -> None:
        self._connection = connection

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes, as soon as there are any."""
        if self._connection.heard >= MOST_SAID:
            raise TooTalkative(f"more than {MOST_SAID // 1024} KB were said")
        if self._connection.sock is None:
            return 0
        self._connection.sock.settimeout(self._connection.left())
        size = self._connection.sock.recv_into(buffer)
        self._connection.heard += size
        return size
