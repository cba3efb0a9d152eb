"""Writing a hypothesis by hand, and changing one: with its sentence, or its faults, beside it while one types."""

from __future__ import annotations

from dataclasses import replace

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from backtest.matching import Comparison
from beton.errors import BadInput
from beton.lifecycle import Action, allowed
from beton.roles import Permission
from beton.store import connections, hypotheses
from beton.store.records import Connection
from beton.web.access.policy import needs
from beton.web.injected import TheHands, ThePlace
from beton.web.pages.hypotheses import WINDOW_DAYS
from beton.web.pages.page import FormFields, Page, ThePage, text, whole
from beton.work.backtesting import default_as_of
from beton.work.drafting import Draft, as_text, events_of, read_draft, revise
from beton.work.populating import Population, internal_of, populated, read_segment
from beton.work.reviewing import meaning_of
from beton.work.writing import write_hypothesis

BEGINNING = """\
entry: user_signed_up
clauses:
  - {kind: did, match: invited_teammate, at_least: 2, span: {first: 7d}}
outcome: {kind: event, match: paid, horizon: 14d}
"""

FORMS = (
    ("did it", "{kind: did, match: opened, at_least: 3, span: {last: 7d}}"),
    ("on several days", "{kind: did, match: opened, at_least: 3, count: days, span: {last: 7d}}"),
    ("did not", "{kind: did_not, match: invited, span: {first: 7d}}"),
    ("one, then the other", "{kind: sequence, match: opened, then: invited, within: 1d, span: {first: 7d}}"),
    ("one without the other", "{kind: without, match: opened, without: invited, within: 3d}"),
    ("more and more", "{kind: trend, match: opened, over: 7d, ratio_at_least: 2, at_least_before: 3}"),
    ("a sum", "{kind: total, match: bought, property: amount, measure: sum, at_least: 100, span: {last: 30d}}"),
    ("a property", "{kind: state, property: plan, op: equals, value: team}"),
    ("an age", "{kind: age, at_least: 14d}"),
)
"""What may be asked of a unit, each as it is written."""


@get("/hypotheses/new", sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def new(page: ThePage, place: ThePlace, connection: FromQuery[str] = "") -> Response[str]:
    """An empty form, begun."""
    chosen = _chosen(place, connection)
    return _form(page, place, chosen, read_draft(place, chosen, BEGINNING))


@post("/hypotheses/preview", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def preview(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """What the text says, while it is being written; nothing is kept."""
    chosen = _chosen(place, text(data, "connection"))
    draft = _draft(place, chosen, data)
    return page.render("hypotheses/preview.html", draft=draft, names=_names(draft))


@post("/hypotheses/new", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def write(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """Keep it as proposed, and test it if that was asked for. With faults, the form comes back and names them all."""
    chosen = _chosen(place, text(data, "connection"))
    draft = _draft(place, chosen, data)
    if draft.definition is None or chosen is None:
        return _form(page, place, chosen, draft, status=422, narrowed=(text(data, "internal") == "out", text(data, "segment")))
    row, _ = write_hypothesis(place, chosen, draft.definition, page.actor, selected=text(data, "looked") == "yes")
    if text(data, "then") != "test" or not page.may(Permission.RUN):
        return page.go(f"/hypotheses/{row.id}")
    run = hands.jobs.start_backtest(chosen, [row.id], default_as_of(place.clock()), WINDOW_DAYS)
    return page.go(f"/runs/{run.id}")


@get("/hypotheses/{hypothesis_id:str}/edit", sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def edit(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str]) -> Response[str]:
    """The present definition, to be changed."""
    with place.store.reading() as tx:
        row = hypotheses.get(tx, hypothesis_id)
    chosen = place.connection(row.connection_id)
    draft = read_draft(place, chosen, as_text(row.definition))
    return _form(page, place, chosen, draft, editing=row)


@post("/hypotheses/{hypothesis_id:str}/edit", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def change(page: ThePage, place: ThePlace, hands: TheHands, hypothesis_id: FromPath[str], data: FormFields) -> Response[str]:
    """Its next version."""
    with place.store.reading() as tx:
        row = hypotheses.get(tx, hypothesis_id)
    chosen = place.connection(row.connection_id)
    draft = read_draft(place, chosen, _written(data))
    if draft.definition is None:
        return _form(page, place, chosen, draft, editing=row, status=422)
    revise(place, hypothesis_id, draft.definition, actor=page.actor, expected_row_version=whole(data, "row_version"))
    if text(data, "then") != "test" or not page.may(Permission.RUN):
        return page.go(f"/hypotheses/{hypothesis_id}")
    run = hands.jobs.start_backtest(chosen, [hypothesis_id], default_as_of(place.clock()), WINDOW_DAYS)
    return page.go(f"/runs/{run.id}")


def _form(
    page: Page,
    place: ThePlace,
    chosen: Connection | None,
    draft: Draft,
    *,
    editing: hypotheses.Hypothesis | None = None,
    status: int = 200,
    narrowed: tuple[bool, str] = (False, ""),
) -> Response[str]:
    with place.store.reading() as tx:
        every = connections.every(tx)
    return page.render(
        "hypotheses/write.html",
        status=status,
        title="Edit" if editing else "Write a hypothesis",
        at="hypotheses",
        draft=draft,
        names=_names(draft),
        connections=every,
        chosen=chosen,
        editing=editing,
        may_change=editing is None or Action.REVISE in allowed(editing.status),
        forms=FORMS,
        narrowed=narrowed,
        internal=[_said(one) for one in internal_of(place, chosen)] if chosen is not None and editing is None else [],
        events=events_of(place, chosen) if chosen is not None else [],
    )


def _chosen(place: ThePlace, name: str) -> Connection | None:
    """The named connection, or the first there is."""
    if name:
        return place.connection(name)
    with place.store.reading() as tx:
        return next(iter(connections.every(tx)), None)


def _draft(place: ThePlace, chosen: Connection | None, form: dict[str, object]) -> Draft:
    """What is written, for the population that is chosen beside it."""
    draft = read_draft(place, chosen, _written(form))
    if chosen is None:
        return draft
    try:
        population = Population(text(form, "internal") == "out", read_segment(text(form, "segment")))
    except BadInput as refused:
        return replace(draft, definition=None, known=None, faults=(*draft.faults, *refused.faults))
    return populated(place, chosen, draft, population)


def _said(one: Comparison) -> str:
    """One comparison as a person would write it."""
    value = "" if one.value is None else one.model_dump()["value"]
    return f"{'.'.join(one.property)} {one.op.replace('_', ' ')} {str(value).lower() if isinstance(value, bool) else value}".strip()


def _written(form: dict[str, object]) -> str:
    value = form.get("text", "")
    return str(value).replace("\r\n", "\n")


def _names(draft: Draft) -> tuple[str, ...]:
    return () if draft.definition is None else meaning_of(draft.definition.canonical().to_json(), draft.definition.fingerprint).names


HANDLERS: list[HTTPRouteHandler] = [new, preview, write, edit, change]
