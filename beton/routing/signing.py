"""How a receiver knows that a message is ours and unchanged: two signatures over the same body, made with one secret.

    webhook-id: msg_…                   the same in every attempt: keep it, and act on each id once
    webhook-timestamp: 1772443800       when this attempt was made, in Unix seconds
    webhook-signature: v1,<base64>      HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks 1.0.0)
    X-Beton-Signature: sha256=<hex>     HMAC-SHA256 over the body alone

The key of `webhook-signature` is what Standard Webhooks prescribes: the bytes behind the base64 after `whsec_`. The key of
`X-Beton-Signature` is the secret as it is shown, the UTF-8 bytes of the whole text with its prefix, because that is what people paste into
a receiver. A secret of the operator's own that does not start with `whsec_` is used as its UTF-8 bytes in both.

Only `webhook-signature` covers the time; a receiver that checks `X-Beton-Signature` alone cannot tell a replay.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

from beton.errors import BadInput, Fault

PREFIX = "whsec_"
TOLERANCE = timedelta(minutes=5)
"""How old or early a message may be, as Standard Webhooks' own libraries have it."""

_SHORTEST, _LONGEST = 24, 64  # bytes, by the specification
_SHORTEST_TEXT, _LONGEST_TEXT = 16, 512  # characters of a secret of the operator's own
_FIX = "Let Beton make one, or give at least 24 random bytes in base64 behind whsec_."


def new_secret() -> str:
    """A fresh secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def standard_key(secret: str) -> bytes:
    """The key of `webhook-signature`. `BadInput` when the secret is malformed or too short to sign with; the message does not repeat it."""
    if not secret.startswith(PREFIX):
        if not _SHORTEST_TEXT <= len(secret) <= _LONGEST_TEXT or not secret.isprintable():
            raise _refused(f"A signing secret has {_SHORTEST_TEXT} to {_LONGEST_TEXT} printable characters.")
        return secret.encode()
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _refused(f"What follows {PREFIX} is not base64.") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise _refused(f"The secret holds {len(key)} bytes; {_SHORTEST} to {_LONGEST} are asked for.")
    return key


def signed_headers(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The four headers for an attempt made `at` this instant."""
    timestamp = str(int(at.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{_standard(standard_key(secret), message_id, timestamp, body)}",
        "X-Beton-Signature": f"sha256={_over_body(secret, body)}",
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime, tolerance: timedelta = TOLERANCE) -> str:
    """The message's id if it was signed with `secret`, within `tolerance` of `now`; `BadInput` (`webhook.signature_invalid`) otherwise.

    For receivers written in Python; header names may be in any case. All signatures that are present must be right, but
    `webhook-signature` may list several of which one is enough: that is how a sender changes its secret.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, listed = (given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message_id or not listed or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise _not_ours("A webhook header is missing or malformed.")
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        raise _not_ours("The message is too old, or from the future.")
    expected = f"v1,{_standard(standard_key(secret), message_id, timestamp, body)}".encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in listed.split(" ")):
        raise _not_ours("No signature matches the message.")
    own = given.get("x-beton-signature")
    if own is not None and not hmac.compare_digest(f"sha256={_over_body(secret, body)}".encode(), own.encode()):
        raise _not_ours("X-Beton-Signature does not match the body.")
    return message_id


def _standard(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)).decode()


def _over_body(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def _refused(message: str) -> BadInput:
    return BadInput(message, [Fault("secret", message)], fix=_FIX, code="route.secret_invalid")


def _not_ours(message: str) -> BadInput:
    return BadInput(message, fix="Answer 401 and drop the message.", code="webhook.signature_invalid", status=401)
