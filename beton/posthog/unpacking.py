"""Unpacking an answer as it arrives, no further than it may be long: a few bytes can unpack into a thousand times as many."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import httpx

_STEP = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


async def unpacked(response: httpx.Response) -> AsyncIterator[bytes]:
    """The parts of the body, none longer than 256 KB where it was packed. Only gzip is asked for; `httpx.DecodingError` for anything else."""
    if response.is_stream_consumed:  # read already, as by a transport that keeps answers in memory
        yield response.content
        return
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        async for part in response.aiter_raw():
            yield part
        return
    if encoding not in ("gzip", "x-gzip"):
        raise httpx.DecodingError(f"packed as {encoding[:40]}", request=response.request)
    unpacker = zlib.decompressobj(_GZIP)
    async for packed in response.aiter_raw():
        left = packed
        while left and not unpacker.eof:
            try:
                part = unpacker.decompress(left, _STEP)
            except zlib.error as error:
                raise httpx.DecodingError(str(error), request=response.request) from error
            left = unpacker.unconsumed_tail
            if part:
                yield part
