"""What a workspace has chosen, and its audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from litestar import get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from beton.roles import Permission
from beton.store import audit
from beton.web.access.policy import needs
from beton.web.api.access_resources import AuditChecked, AuditPage, AuditRead, BarRead
from beton.web.api.asking import Cursor, Limit, lost_cursor, refusals
from beton.web.api.bodies import BarBody
from beton.web.injected import TheActor, ThePlace
from beton.work.choosing import choose_bar, chosen_of_bar
from beton.work.workplace import Workplace

ByObject = Annotated[str | None, QueryParameter(description="The id of what was changed.")]


@get("/bar", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(), operation_id="readBar", tags=["workspace"])
def read_bar(place: ThePlace) -> BarRead:
    """What a result must clear before approval needs no reason."""
    return _bar(place)


@put("/bar", opt=needs(Permission.MANAGE_SETTINGS), sync_to_thread=True, responses=refusals(), operation_id="chooseBar", tags=["workspace"])
def choose(place: ThePlace, actor: TheActor, data: JSONBody[BarBody]) -> BarRead:
    """Choose the workspace's own bar. What is left out is the installation's again. Verdicts change at once; what is approved stays so."""
    choose_bar(place, data.model_dump(exclude_unset=True), actor=actor)
    return _bar(place.of(place.store.workspace_id))


@get("/audit", opt=needs(Permission.READ_AUDIT), sync_to_thread=True, responses=refusals(), operation_id="listAudit", tags=["workspace"])
def list_audit(place: ThePlace, object_id: ByObject = None, limit: Limit = 50, cursor: Cursor = None) -> AuditPage:
    """Who did what to what, the newest first."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise lost_cursor()
    with place.store.reading() as tx:
        found = audit.entries(tx, object_id=object_id, before=None if cursor is None else int(cursor), limit=limit + 1)
    shown = found[:limit]
    more = len(found) > limit
    return AuditPage(data=[AuditRead.of(one) for one in shown], next_cursor=str(shown[-1].number) if more else None, has_more=more)


@get("/audit/check", opt=needs(Permission.READ_AUDIT), sync_to_thread=True, responses=refusals(), operation_id="checkAudit", tags=["workspace"])
def check_audit(place: ThePlace) -> AuditChecked:
    """Follow the chain of the audit log from its origin."""
    with place.store.reading() as tx:
        found = audit.check(tx)
    return AuditChecked(holds=found.broken_at is None, entries=found.entries, head=found.head, broken_at=found.broken_at)


def _bar(place: Workplace) -> BarRead:
    return BarRead(**asdict(place.bar), chosen=sorted(chosen_of_bar(place)))


HANDLERS: list[HTTPRouteHandler] = [read_bar, choose, list_audit, check_audit]
