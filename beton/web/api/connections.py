"""PostHog projects and what they can tell."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from beton.errors import NotFound
from beton.roles import Permission
from beton.store import connections, taxonomies
from beton.web.access.policy import needs
from beton.web.api.asking import refusals
from beton.web.api.bodies import NewConnectionBody, PostHogKeyBody, ShareBody
from beton.web.api.resources import ConnectionPage, ConnectionRead, TaxonomyRead
from beton.web.injected import NewProject, TheActor, TheHands, ThePlace
from beton.work.workplace import Workplace

Force = Annotated[bool, QueryParameter(description="With its hypotheses, their results and signals.")]


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
    return _taxonomy(place, connection)


@post(
    "/connections",
    opt=needs(Permission.MANAGE_CONNECTIONS),
    sync_to_thread=True,
    responses=refusals(409, 502, 503, 504),
    operation_id="addConnection",
    tags=["connections"],
)
def add_connection(place: ThePlace, hands: TheHands, actor: TheActor, data: JSONBody[NewConnectionBody]) -> ConnectionRead:
    """Check a project, host, key and every scope, and keep it. Nothing is kept when a check fails; its names are not read yet."""
    share = place.settings.posthog_share if data.share is None else data.share
    project = NewProject(data.name, data.host, data.project_id, data.api_key, share)
    return ConnectionRead.of(hands.reach.connect(place, project, actor))


@post(
    "/connections/{connection:str}/check",
    status_code=200,
    opt=needs(Permission.MANAGE_CONNECTIONS),
    sync_to_thread=True,
    responses=refusals(404, 502, 503, 504),
    operation_id="checkConnection",
    tags=["connections"],
)
def check_connection(place: ThePlace, hands: TheHands, connection: FromPath[str]) -> ConnectionRead:
    """Try host, key and every scope again; `status` and `problem` say how it went."""
    found = place.connection(connection)
    hands.reach.check(place, found)
    return ConnectionRead.of(place.connection(found.id))


@post(
    "/connections/{connection:str}/key",
    status_code=200,
    opt=needs(Permission.MANAGE_CONNECTIONS),
    sync_to_thread=True,
    responses=refusals(404, 502, 503, 504),
    operation_id="replaceKey",
    tags=["connections"],
)
def replace_key(place: ThePlace, hands: TheHands, actor: TheActor, connection: FromPath[str], data: JSONBody[PostHogKeyBody]) -> ConnectionRead:
    """Put another key in place of the kept one, if it passes every check."""
    found = place.connection(connection)
    hands.reach.replace_key(place, found, data.api_key, actor)
    return ConnectionRead.of(place.connection(found.id))


@post(
    "/connections/{connection:str}/share",
    status_code=200,
    opt=needs(Permission.MANAGE_CONNECTIONS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="chooseShare",
    tags=["connections"],
)
def choose_share(place: ThePlace, actor: TheActor, connection: FromPath[str], data: JSONBody[ShareBody]) -> ConnectionRead:
    """Choose how much of PostHog's limits may be used."""
    with place.store.transaction() as tx:
        return ConnectionRead.of(connections.configure(tx, connection, actor=actor, share=data.share))


@post(
    "/connections/{connection:str}/taxonomy",
    status_code=200,
    opt=needs(Permission.RUN),
    sync_to_thread=True,
    responses=refusals(404, 502, 503, 504),
    operation_id="renewTaxonomy",
    tags=["connections"],
)
def renew_taxonomy(place: ThePlace, hands: TheHands, connection: FromPath[str]) -> TaxonomyRead:
    """Read the names of a project anew; takes some seconds."""
    hands.reach.read_names(place, place.connection(connection))
    return _taxonomy(place, connection)


@delete(
    "/connections/{connection:str}",
    status_code=200,
    opt=needs(Permission.MANAGE_CONNECTIONS),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="removeConnection",
    tags=["connections"],
)
def remove_connection(place: ThePlace, actor: TheActor, connection: FromPath[str], force: Force = False) -> ConnectionRead:
    """Remove a connection with its key, names and runs; it is sent back once more."""
    found = place.connection(connection)
    with place.store.transaction() as tx:
        connections.remove(tx, found.id, actor=actor, force=force)
    return ConnectionRead.of(found)


def _taxonomy(place: Workplace, connection: str) -> TaxonomyRead:
    with place.store.reading() as tx:
        found = connections.get(tx, connection)
        snapshot = taxonomies.latest(tx, found.id)
    if snapshot is None:
        why = f"The taxonomy of {found.name} has not been read yet."
        raise NotFound(why, code="taxonomy.missing", fix=f"Run: beton taxonomy {found.name}")
    return TaxonomyRead.of(snapshot)


HANDLERS: list[HTTPRouteHandler] = [
    list_connections, read_taxonomy, add_connection, check_connection, replace_key, choose_share, renew_taxonomy, remove_connection,
]  # fmt: skip
