"""A real SMTP server (aiosmtpd) on loopback that keeps what it accepts, with or without TLS, a password, or an answer of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class Mailbox:
    """What arrived. `refuse_rcpt` and `refuse_data` are answered in place of a yes."""

    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuse_rcpt: str | None = None
    refuse_data: str | None = None
    port: int = 0

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802  aiosmtpd's name
        del server, session, options
        if self.refuse_rcpt is not None:
            return self.refuse_rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        del session
        if self.refuse_data is not None:
            return self.refuse_data
        self.raw.append(envelope.content)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.encrypted.append(server.transport is not None and server.transport.get_extra_info("cipher") is not None)
        return "250 OK queued"

    def authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        del server, session, envelope, mechanism
        self.logins.append((data.login.decode(), data.password.decode()))
        right = data.password == b"right horse"
        return AuthResult(success=right, handled=right)


class _Implicit(Controller):
    """Encrypted from the first byte, without the name check that the controller makes of itself."""

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port), 5):
            pass


@contextlib.contextmanager
def listening(mailbox: Mailbox, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False) -> Generator[int]:
    """The port of a server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    extras: dict[str, Any] = {"tls_context": starttls, "require_starttls": starttls is not None} if starttls else {}
    if login:
        extras |= {"authenticator": mailbox.authenticate, "auth_require_tls": False}
    controller = (_Implicit if tls else Controller)(mailbox, hostname="127.0.0.1", port=port, ssl_context=tls, **extras)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()
