"""Where Slack tells of clicks: `POST /slack/<workspace>/<route>`, the request URL of the app whose signing secret the route knows.

Slack wants an answer within three seconds and takes its body for nothing; what became of the signal is written into the message afterwards, at the
address that came with the click (https://docs.slack.dev/interactivity/handling-user-interaction).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from litestar import Request, Response, post
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath

from beton.errors import BadInput, NotFound, Unauthorized
from beton.web.access.policy import OPEN
from beton.web.inbound.callbacks import TheCallbacks
from beton.work.coming_back import Way, click, pressed_in, slack_way
from beton.work.telling_slack import tell_standing

HOME = "hooks.slack.com"
"""Where the addresses lie at which a message can be changed."""


@post("/slack/{workspace:str}/{route:str}", opt=OPEN, status_code=200, include_in_schema=False)
async def clicked(request: Request[Any, Any, Any], callbacks: TheCallbacks, workspace: FromPath[str], route: FromPath[str]) -> Response[None]:
    """Claim a signal, or say what became of it."""
    strangers = callbacks.check(request)
    body = await request.body()
    timestamp, signature = (request.headers.get(f"x-slack-{name}", "") for name in ("request-timestamp", "signature"))
    way = await asyncio.to_thread(slack_way, callbacks.place, workspace, route, timestamp, signature, body)
    if way is None:
        strangers.count()
        raise Unauthorized("This was not signed by the Slack app of a route.", fix="Give the route the app's signing secret.")
    payload = _payload(body)
    pressed = pressed_in(payload)
    if pressed is None:
        return Response(None, status_code=200)
    try:
        standing = await asyncio.to_thread(partial(click, way, pressed, signature, body))
    except NotFound:
        standing = "This signal is not there any more."
    address = _address(payload, way)
    if standing is None or address is None:
        return Response(None, status_code=200)
    blocks = (payload.get("message") or {}).get("blocks")
    later = BackgroundTask(tell_standing, way, address, standing, blocks if isinstance(blocks, list) else [])
    return Response(None, status_code=200, background=later)


def _payload(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(parse_qs(body.decode(), max_num_fields=10).get("payload", ["{}"])[-1])
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise BadInput("The body is no interaction of Slack.", code="input.malformed", status=400)
    return told


def _address(payload: dict[str, Any], way: Way) -> str | None:
    """Where the message can be changed: at Slack, or at the proxy that the route goes through."""
    given = payload.get("response_url")
    if not isinstance(given, str) or len(given) > 1000:
        return None
    own = urlsplit(str(getattr(way.settings, "api_url", "")))
    parts = urlsplit(given)
    at_slack = parts.scheme == "https" and parts.netloc == HOME
    return given if at_slack or (own.netloc != "slack.com" and (parts.scheme, parts.netloc) == (own.scheme, own.netloc)) else None
