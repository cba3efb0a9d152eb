"""Signing in through an OpenID Connect provider: the code flow with PKCE, state and nonce.

What belongs together of one attempt travels in a sealed cookie of ten minutes, bound to the browser that began it. The provider's addresses pass
the same guard as those of webhooks. Who the provider names has to be known here: by the subject of an earlier sign-in, by an address that the
provider has verified, or by an invitation to that address.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from litestar import Request, Response, Router, get
from litestar.datastructures import Cookie
from litestar.di import Provide
from litestar.params import QueryParameter
from litestar.response import Redirect

from beton.errors import Unauthorized
from beton.roles import Role
from beton.routing.fetching import fetch_json
from beton.routing.pinned import Reach
from beton.settings import Settings
from beton.store import members, sessions
from beton.store.sealing import Place, SealBroken, UnknownKey
from beton.store.store import Store
from beton.web.access.cookies import token_in
from beton.web.access.forms import inside, to
from beton.web.access.policy import OPEN
from beton.web.access.signing_in import Entrance, Next, TheEntrance

Ask = Request[Any, Any, Any]
COOKIE = "beton_oidc"
MINUTES = 10
SKEW = 120
"""Seconds that the provider's clock may differ from ours."""

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key. None with a shared secret, and not none."""

_PLACE = Place("-", "cookie", "oidc", "attempt")
Text = Annotated[str, QueryParameter()]


@dataclass(frozen=True)
class Provider:
    """A provider as the settings name it."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect: str
    reach: Reach

    @classmethod
    def of(cls, settings: Settings) -> Provider:
        """As the settings say."""
        secret = settings.oidc_client_secret
        reach = Reach(settings.allow_insecure_hosts, settings.only_here)
        return cls(
            settings.oidc_issuer.rstrip("/"), settings.oidc_client_id, secret.get_secret_value() if secret else None,
            f"{settings.address}/oidc/callback", reach,
        )  # fmt: skip

    def described(self) -> dict[str, Any]:
        """The provider's description of itself, which has to name the issuer that was asked."""
        found = fetch_json(f"{self.issuer}/.well-known/openid-configuration", self.reach)
        if str(found.get("issuer", "")).rstrip("/") != self.issuer:
            raise Unauthorized("The provider describes itself as another issuer.", code="unauthorized.oidc")
        return found

    def where(self, attempt: dict[str, str]) -> str:
        """Where the browser is sent to."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt["verifier"].encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect, "scope": "openid email profile",
            "state": attempt["state"], "nonce": attempt["nonce"], "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        endpoint = str(self.described()["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def claims(self, code: str, attempt: dict[str, str], now: datetime) -> dict[str, Any]:
        """Who the provider says it was, checked. Raises BetonError."""
        known = self.described()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect, "code_verifier": attempt["verifier"]}
        basic = None if self.client_secret is None else (self.client_id, self.client_secret)
        token = fetch_json(str(known["token_endpoint"]), self.reach, form=form | {"client_id": self.client_id}, basic=basic).get("id_token")
        keys = fetch_json(str(known["jwks_uri"]), self.reach)
        return self._checked(str(token), keys, attempt["nonce"], now)

    def _checked(self, token: str, keys: Any, nonce: str, now: datetime) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Unauthorized("The provider's token cannot be verified.", code="unauthorized.oidc") from error
        audience = claims.get("aud")
        named = audience == self.client_id or (isinstance(audience, list) and self.client_id in audience)
        for_us = named and claims.get("azp", self.client_id) == self.client_id
        at, ends, issued = now.timestamp(), claims.get("exp"), claims.get("iat")
        fresh = isinstance(ends, int | float) and isinstance(issued, int | float) and at < ends + SKEW and issued - SKEW < at
        right = str(claims.get("iss", "")).rstrip("/") == self.issuer and hmac.compare_digest(str(claims.get("nonce", "")), nonce)
        if not (for_us and fresh and right and isinstance(claims.get("sub"), str) and claims["sub"]):
            raise Unauthorized("The provider's token is not for this sign-in.", code="unauthorized.oidc")
        return claims


@get("/oidc/start", opt=OPEN, sync_to_thread=True, include_in_schema=False)
def start(request: Ask, entrance: TheEntrance, next_page: Next = "/") -> Response[Any]:
    """Send the browser to the provider."""
    attempt = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")} | {"next": inside(next_page)}
    attempt["until"] = str(entrance.store.clock().timestamp() + MINUTES * 60)
    sealed = entrance.store.sealer.seal(json.dumps(attempt), _PLACE)
    answer = Redirect(_provider(request).where(attempt), status_code=303)
    answer.cookies.append(_cookie(entrance, request, sealed, MINUTES * 60))
    return answer


@get("/oidc/callback", opt=OPEN, sync_to_thread=True, include_in_schema=False)
def callback(request: Ask, entrance: TheEntrance, code: Text = "", answered: Annotated[str, QueryParameter(name="state")] = "") -> Response[Any]:
    """Back from the provider: who it was, and whether they are known here."""
    attempt = _attempt(request, entrance)
    if not code or not hmac.compare_digest(attempt["state"].encode(), answered.encode()):
        raise Unauthorized("This answer belongs to no sign-in of this browser.", code="unauthorized.oidc", fix="Begin again at the sign-in page.")
    provider = _provider(request)
    found = _known(entrance.store, provider.issuer, provider.claims(code, attempt, entrance.store.clock()))
    token = entrance.let_in(request, *found, "oidc")
    answer = entrance.with_cookie(request, to(request, attempt["next"]), token)
    answer.cookies.append(_cookie(entrance, request, "", 0))
    return answer


def _known(store: Store, issuer: str, claims: dict[str, Any]) -> tuple[str, str]:
    """Workspace and member whom the provider's claims name."""
    email = claims.get("email") if claims.get("email_verified") is True and isinstance(claims.get("email"), str) else None
    found = members.with_subject(store, issuer, claims["sub"], email)
    if found is None and email is not None:
        found = _invited(store, issuer, claims, email)
    if found is None:
        raise Unauthorized(
            "The provider knows you, but you are no member here.", code="unauthorized.no_member", fix="Ask an admin for an invitation."
        )
    return found


def _invited(store: Store, issuer: str, claims: dict[str, Any], email: str) -> tuple[str, str] | None:
    """Takes up an invitation to an address that has no account yet."""
    workspace_id = sessions.invited_to(store, email)
    if workspace_id is None or members.has_password(store, email):
        return None
    with store.of(workspace_id).transaction() as tx:
        link = sessions.take_up(tx, members.address(email))
        name = claims.get("name")
        members.add(tx, email, link.role or Role.VIEWER, actor=f"invitation of {link.email}", name=name[:100] if isinstance(name, str) else "")
    return members.with_subject(store, issuer, claims["sub"], email)


def _attempt(request: Ask, entrance: Entrance) -> dict[str, str]:
    sealed = next((value.decode("latin-1") for name, value in request.scope["headers"] if name == b"cookie"), "")
    try:
        attempt = json.loads(entrance.store.sealer.open(token_in(sealed, COOKIE, longest=2000), _PLACE))
    except (SealBroken, UnknownKey):
        attempt = {"until": "0"}
    if float(attempt["until"]) <= entrance.store.clock().timestamp():
        raise Unauthorized("This sign-in has expired.", code="unauthorized.oidc", fix="Begin again at the sign-in page.")
    return attempt


def _cookie(entrance: Entrance, request: Ask, sealed: str, seconds: int) -> Cookie:
    return Cookie(
        key=COOKIE, value=sealed, path=entrance.door.base or "/", max_age=seconds, httponly=True, secure=entrance.secure(request), samesite="lax"
    )


def _provider(request: Ask) -> Provider:
    return request.app.state.oidc


def router(entrance: Entrance) -> Router:
    """The two addresses."""
    return Router(path="/", route_handlers=[start, callback], dependencies={"entrance": Provide(lambda: entrance, sync_to_thread=False)})
