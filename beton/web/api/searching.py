"""What is searched for and what came of it: questions, facts, remarks about names, and why something was proposed."""

from __future__ import annotations

from litestar import delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from agent.lint import lint
from beton.errors import BadInput, NotFound
from beton.roles import Permission
from beton.store import questions
from beton.store.records import Connection
from beton.web.access.policy import needs
from beton.web.api.asking import refusals
from beton.web.api.bodies import FactBody, QuestionBody
from beton.web.api.search_resources import ConfirmedQuestionRead, FactPage, FactRead, ProvenanceRead, QuestionRead, RemarksRead
from beton.web.injected import TheActor, ThePlace
from beton.work.asking import confirm_question, internal_filter, leaving_out, read_question, sampled_taxonomy, suggestions
from beton.work.provenance import signal_carriers, why
from beton.work.workplace import Workplace


@get(
    "/connections/{connection:str}/question",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readQuestion",
    tags=["searches"],
)
def read_question_of(place: ThePlace, connection: FromPath[str]) -> QuestionRead:
    """What may be predicted in a connection, with reasons, and what was confirmed."""
    found = _known(place, connection)
    with place.store.reading() as tx:
        kept = questions.confirmed(tx, found.id)
    confirmed = None if kept is None else ConfirmedQuestionRead.of(kept)
    return QuestionRead.model_validate({"connection_id": found.id, "confirmed": confirmed} | suggestions(place, found).to_json())


@put(
    "/connections/{connection:str}/question",
    opt=needs(Permission.WRITE),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="confirmQuestion",
    tags=["searches"],
)
def confirm(place: ThePlace, actor: TheActor, connection: FromPath[str], data: JSONBody[QuestionBody]) -> ConfirmedQuestionRead:
    """Say what is to be predicted; searches of the schedule ask this from now on."""
    found = _known(place, connection)
    question = read_question(data.unit, data.entry, data.outcome, data.window_days)
    if data.leave_out_internal:
        question = leaving_out(question, internal_filter(suggestions(place, found)))
    kept = confirm_question(place, found, question, window_days=data.window_days, actor=actor, share_values=data.share_values)
    return ConfirmedQuestionRead.of(kept)


@get(
    "/connections/{connection:str}/remarks",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readRemarks",
    tags=["connections"],
)
def read_remarks(place: ThePlace, connection: FromPath[str]) -> RemarksRead:
    """What is untidy about the names of a project, and which few events carried the signal in the newest search."""
    found = _known(place, connection)
    remarks = [one.to_json() for one in lint(sampled_taxonomy(place, found))]
    return RemarksRead.model_validate({"connection_id": found.id, "remarks": remarks, "signal": signal_carriers(place, found.id)})


@get(
    "/connections/{connection:str}/facts",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="listFacts",
    tags=["searches"],
)
def list_facts(place: ThePlace, connection: FromPath[str]) -> FactPage:
    """What people have written about their business, oldest first."""
    found = place.connection(connection)
    with place.store.reading() as tx:
        kept = questions.facts(tx, found.id)
    return FactPage(data=[FactRead.of(one) for one in kept], next_cursor=None, has_more=False)


@post(
    "/connections/{connection:str}/facts",
    opt=needs(Permission.WRITE),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="addFact",
    tags=["searches"],
)
def add_fact(place: ThePlace, actor: TheActor, connection: FromPath[str], data: JSONBody[FactBody]) -> FactRead:
    """Write a fact about the business down; a model that takes part in searches is told it."""
    found = place.connection(connection)
    with place.store.transaction() as tx:
        return FactRead.of(questions.add_fact(tx, found.id, data.text, actor=actor))


@delete(
    "/facts/{fact_id:str}",
    status_code=200,
    opt=needs(Permission.WRITE),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="removeFact",
    tags=["searches"],
)
def remove_fact(place: ThePlace, actor: TheActor, fact_id: FromPath[str]) -> FactRead:
    """Forget a fact; it is sent back once more."""
    with place.store.transaction() as tx:
        return FactRead.of(questions.remove_fact(tx, fact_id, actor=actor))


@get(
    "/hypotheses/{hypothesis_id:str}/provenance",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readProvenance",
    tags=["hypotheses"],
)
def read_provenance(place: ThePlace, hypothesis_id: FromPath[str]) -> ProvenanceRead:
    """Why it was proposed: what was tried, what was ruled out, who took part, what it cost."""
    return ProvenanceRead.of(why(place, hypothesis_id))


def _known(place: Workplace, connection: str) -> Connection:
    """A connection whose taxonomy has been read."""
    found = place.connection(connection)
    try:
        place.taxonomy(found)
    except BadInput as missing:
        raise NotFound(missing.message, code=missing.code, fix=missing.fix) from None
    return found


HANDLERS: list[HTTPRouteHandler] = [read_question_of, confirm, read_remarks, list_facts, add_fact, remove_fact, read_provenance]
