"""The end of mails: `/unsubscribe/<workspace>.<route>.<token>`, as the List-Unsubscribe header of every mail names it.

A mailbox provider posts here for its user, without cookies and without asking (RFC 8058, section 3.1); whoever opens the link sees a page with one
button. Opening alone ends nothing: scanners of mails open every link.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from beton.errors import NotFound
from beton.web.access.forms import form
from beton.web.access.policy import OPEN
from beton.web.inbound.callbacks import TheCallbacks
from beton.work.coming_back import Way, end_mails, mailbox

PATH = "/unsubscribe/{token:str}"
Ask = Request[Any, Any, Any]


@get(PATH, opt=OPEN, include_in_schema=False)
async def ask_whether(request: Ask, callbacks: TheCallbacks, token: FromPath[str]) -> Response[str]:
    """One question, one button."""
    way = await _way(request, callbacks, token)
    return form(request, "unsubscribe.html", address=way.settings.address, ended=not way.route.enabled)


@post(PATH, opt=OPEN, status_code=200, include_in_schema=False)
async def end(request: Ask, callbacks: TheCallbacks, token: FromPath[str]) -> Response[str]:
    """No more of these mails, from this moment on."""
    way = await _way(request, callbacks, token)
    await asyncio.to_thread(end_mails, way)
    return form(request, "unsubscribe.html", address=way.settings.address, ended=True)


async def _way(request: Ask, callbacks: TheCallbacks, token: str) -> Way:
    stranger = callbacks.check(request)
    try:
        return await asyncio.to_thread(partial(mailbox, callbacks.place, token))
    except NotFound:
        stranger.count()
        raise
