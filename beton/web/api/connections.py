"""PostHog projects and what they can tell."""

from __future__ import annotations

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from beton.errors import NotFound
from beton.roles import Permission
from beton.store import connections, taxonomies
from beton.web.access.policy import needs
from beton.web.api.asking import refusals
from beton.web.api.resources import ConnectionPage, ConnectionRead, TaxonomyRead
from beton.web.injected import ThePlace


@get("/connections", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(), operation_id="listConnections", tags=["connections"])
def list_connections(place: ThePlace) -> ConnectionPage:
    """All connections, by name."""
    with place.store.reading() as tx:
        found = connections.every(tx)
    return ConnectionPage(data=[ConnectionRead.of(one) for one in found], next_cursor=None, has_more=False)


@get(
    "/connections/{connection:str}/taxonomy",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readTaxonomy",
    tags=["connections"],
)
def read_taxonomy(place: ThePlace, connection: FromPath[str]) -> TaxonomyRead:
    """The latest snapshot of a connection, known by name or id."""
    with place.store.reading() as tx:
        found = connections.get(tx, connection)
        snapshot = taxonomies.latest(tx, found.id)
    if snapshot is None:
        why = f"The taxonomy of {found.name} has not been read yet."
        raise NotFound(why, code="taxonomy.missing", fix=f"Run: beton taxonomy {found.name}")
    return TaxonomyRead.of(snapshot)


HANDLERS: list[HTTPRouteHandler] = [list_connections, read_taxonomy]
