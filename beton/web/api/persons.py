"""One person's data: handed over, or erased. The id is in the body, never in an address, which logs keep."""

from __future__ import annotations

from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from pydantic import Field, JsonValue

from beton.roles import Permission
from beton.signals import UnitKind
from beton.web.access.policy import needs
from beton.web.api.asking import refusals
from beton.web.api.bodies import Body, Name
from beton.web.api.resources import Sent
from beton.web.injected import TheActor, ThePlace
from beton.work import forgetting


class UnitBody(Body):
    """Whom it is about."""

    unit_id: str = Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$", description="The person's id or the account's key, as PostHog has it.")
    unit_kind: UnitKind = "person"
    connection: Name | None = Field(default=None, description="Name or id of a connection; all of them unless given.")


class ErasedRead(Sent):
    """What was removed of one connection, in numbers."""

    connection_id: str
    removed: dict[str, int]


class ErasedPage(Sent):
    """What was removed. Receivers of signals have to be asked separately."""

    data: list[ErasedRead]


class ExportRead(Sent):
    """All that is known of a unit."""

    unit: dict[str, str]
    as_of: str
    connections: dict[str, dict[str, list[dict[str, JsonValue]]]]


@post(
    "/persons/erase",
    status_code=200,
    opt=needs(Permission.MANAGE_SETTINGS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="erasePerson",
    tags=["workspace"],
)
def erase_person(place: ThePlace, actor: TheActor, data: JSONBody[UnitBody]) -> ErasedPage:
    """Erase a person or an account everywhere. Its signals stay as bare facts that lead to nobody; it is not written down again. Nobody hears
    whether it was known: somebody unknown is erased just so."""
    found = forgetting.erase(place, data.unit_id, kind=data.unit_kind, connection=data.connection, actor=actor)
    return ErasedPage(data=[ErasedRead(connection_id=one.connection.id, removed=one.erased.model_dump()) for one in found])


@post(
    "/persons/export",
    status_code=200,
    opt=needs(Permission.MANAGE_SETTINGS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="exportPerson",
    tags=["workspace"],
)
def export_person(place: ThePlace, actor: TheActor, data: JSONBody[UnitBody]) -> ExportRead:
    """All that is known of a person or an account."""
    return ExportRead.model_validate(forgetting.export(place, data.unit_id, kind=data.unit_kind, connection=data.connection, actor=actor))


HANDLERS: list[HTTPRouteHandler] = [erase_person, export_person]
SENT_OF_PERSONS = (ErasedPage, ExportRead)
TAKEN_OF_PERSONS = (UnitBody,)
