"""Style, scripts and pictures of the pages. The hash of the content is part of each address, so browsers may keep a file for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from beton.errors import NotFound
from beton.web.access.policy import OPEN
from beton.web.injected import Ask

DIRECTORY = Path(__file__).parent.parent / "static"
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file, as it is and compressed once."""

    name: str
    content: bytes
    compressed: bytes
    digest: str
    kind: str

    @property
    def path(self) -> str:
        """Where it is served, below the base of the server."""
        return f"/static/{self.digest}/{self.name}"


@cache
def assets() -> dict[str, Asset]:
    """Name → file, of all that are there when they are first asked for."""
    return {path.name: _read(path) for path in sorted(DIRECTORY.rglob("*")) if path.suffix in KINDS}


def asset(name: str) -> Asset:
    """The file of this name; `NotFound` when it is none of ours, or was not fetched when the project was built."""
    found = assets().get(name)
    if found is None:
        raise NotFound(f"There is no file {name}.", fix="Install the project again: that fetches what the repository does not hold.")
    return found


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    compressed = gzip.compress(content, 9, mtime=0)
    return Asset(path.name, content, compressed, hashlib.sha256(content).hexdigest()[:16], KINDS[path.suffix])


@get("/static/{digest:str}/{name:str}", sync_to_thread=False, opt=OPEN, include_in_schema=False)
def static_file(request: Ask, digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """A file. Under the address of another content it is served all the same, but not kept: a page from before an upgrade still looks right."""
    found = asset(name)
    headers = {"Cache-Control": FOR_EVER if digest == found.digest else "no-store", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.kind, headers=headers | {"Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.kind, headers=headers)


HANDLERS: list[HTTPRouteHandler] = [static_file]
