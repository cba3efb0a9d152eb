"""The session's cookie, and what hangs on it: the token against forged requests.

A page elsewhere can have a browser send our cookie along. It cannot read our pages, so it does not know the token in our forms, which is a hash of
the cookie's value: nothing further is to be kept, and the token of one session is of no use in another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie

from litestar.datastructures import Cookie
from litestar.types import Scope

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
SESSION = "beton_session"
_TOKEN = "beton_session_token"  # noqa: S105 - a key of the request's state


def cookie_name(*, secure: bool, base: str) -> str:
    """`__Host-` where the browser can promise that nobody but this host, over https, has set it."""
    return f"__Host-{SESSION}" if secure and not base else SESSION


def session_cookie(token: str, *, secure: bool, base: str, lasts: timedelta) -> Cookie:
    """The cookie of a session; with an empty token, the one that removes it."""
    return Cookie(
        key=cookie_name(secure=secure, base=base),
        value=token,
        path=base or "/",
        max_age=int(lasts.total_seconds()) if token else 0,
        httponly=True,
        secure=secure,
        samesite="lax",
    )


def token_in(header: str, name: str, longest: int = 100) -> str:
    """The value of a cookie in the `Cookie` header, or nothing."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None or len(found.value) > longest else found.value


def remember(scope: Scope, token: str) -> None:
    """Keep the session's token for the length of the request."""
    scope["state"][_TOKEN] = token


def session_token(scope: Scope) -> str:
    """The session's token; nothing where there is none."""
    return scope["state"].get(_TOKEN, "")


def csrf_of(scope: Scope) -> str:
    """The token for the forms of this session; nothing where there is none."""
    token = session_token(scope)
    return csrf_for(token) if token else ""


def csrf_for(token: str) -> str:
    """The token for the forms of a session."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"beton csrf\0" + token.encode()).digest()[:24]).decode()


def is_csrf(scope: Scope, sent: str) -> bool:
    """Whether what was sent is this session's token."""
    wanted = csrf_of(scope)
    return bool(wanted) and hmac.compare_digest(wanted.encode(), sent.encode())
