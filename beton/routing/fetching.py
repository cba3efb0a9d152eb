"""Asking a stranger's server for JSON, through the guard of addresses: small answers, no redirects, little patience."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from beton.errors import DestinationError, DestinationTimeout
from beton.routing.pinned import Pinned, Reach

LARGEST = 256 * 1024
SECONDS = 10.0


def fetch_json(url: str, reach: Reach, *, form: Mapping[str, str] | None = None, basic: tuple[str, str] | None = None) -> dict[str, Any]:
    """The JSON object at an address: by GET, or by POST of a form. To be called where no event loop runs. Raises DestinationError or BadInput."""
    return asyncio.run(_fetch(url, reach, form, basic))


async def _fetch(url: str, reach: Reach, form: Mapping[str, str] | None, basic: tuple[str, str] | None) -> dict[str, Any]:
    auth = None if basic is None else httpx.BasicAuth(*basic)
    headers = {"User-Agent": "beton/0.1", "Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(transport=Pinned(reach), headers=headers, auth=auth, follow_redirects=False) as client,
            client.stream("GET" if form is None else "POST", url, data=None if form is None else dict(form)) as response,
        ):
            body = b""
            async for part in response.aiter_raw():
                body += part
                if len(body) > LARGEST:
                    raise DestinationError(f"{_host(url)} answered with more than {LARGEST // 1024} KB.", code="destination.too_large")
    except (TimeoutError, httpx.TimeoutException):
        raise DestinationTimeout(f"{_host(url)} did not answer in time.") from None
    except httpx.HTTPError as error:
        raise DestinationError(f"{_host(url)} could not be asked: {error}.", code="destination.unreachable") from error
    return _object(url, response.status_code, body)


def _object(url: str, status: int, body: bytes) -> dict[str, Any]:
    if status != 200:
        raise DestinationError(f"{_host(url)} answered {status}.", code="destination.bad_status")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise DestinationError(f"{_host(url)} answered with something else than a JSON object.", code="destination.not_json")
    return found


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return "The address"
