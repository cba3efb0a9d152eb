"""Data: connections with their health and budget, names with remarks, the question, facts, and runs with what they cost."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from pydantic import SecretStr

from beton.errors import BadInput, BetonError, Conflict, Fault, PostHogError
from beton.roles import Permission
from beton.store import connections, questions
from beton.store.questions import ConfirmedQuestion
from beton.store.records import Connection, Run
from beton.web.access.policy import needs
from beton.web.injected import NewProject, TheHands, ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, text, whole
from beton.web.pages.review import Search
from beton.work import surveying
from beton.work.asking import confirmed_question
from beton.work.backtesting import default_as_of

RUNS_AT_ONCE = 10
NAMES_AT_ONCE = 100
WINDOW_DAYS = 90
HORIZON_DAYS = 14
HOSTS = (("https://eu.posthog.com", "PostHog Cloud EU"), ("https://us.posthog.com", "PostHog Cloud US"), ("", "My own PostHog"))
KINDS = {"backtest": "Backtest", "propose": "Search", "taxonomy": "Reading of names", "sweep": "Sweep"}
PROJECT = re.compile(r"@current|\d{1,12}")
LONGEST_NAME = 80


@get("/data", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def overview(page: ThePage, place: ThePlace, after: FromQuery[str] = "") -> Response[str]:
    """All connections, and the runs."""
    return _overview(page, place, after=after)


@post("/data", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def connect(page: ThePage, place: ThePlace, hands: TheHands, data: FormFields) -> Response[str]:
    """Check a project, keep it, and read its names. With a fault the form comes back, without the key."""
    try:
        made = hands.reach.connect(place, project_of(place, data), page.actor)
    except (BadInput, Conflict, PostHogError) as error:
        return _overview(page, place, refused=error, told=written(data))
    problem = read_again(hands, place, made)
    return _one(page, place, made.id, refused=problem, done="connected") if problem else page.go(f"/data/{made.id}", done="connected")


@get("/data/{connection:str}", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def show(
    page: ThePage, place: ThePlace, connection: FromPath[str], q: Search = "", start: FromQuery[int] = 0, done: FromQuery[str] = ""
) -> Response[str]:
    """One connection with all that is known of its project."""
    return _one(page, place, connection, q=q.strip()[:200], start=max(0, min(start, 1_000_000)), done=done)


@post("/data/{connection:str}/names", status_code=200, sync_to_thread=True, opt=needs(Permission.RUN), include_in_schema=False)
def read_names(page: ThePage, place: ThePlace, hands: TheHands, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Read the names anew."""
    del data
    found = place.connection(connection)
    problem = read_again(hands, place, found)
    return page.go(f"/data/{found.id}", done="names") if problem is None else _one(page, place, found.id, refused=problem)


@post("/data/{connection:str}/check", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def check(page: ThePage, place: ThePlace, hands: TheHands, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Try host, key and every scope again."""
    del data
    found = place.connection(connection)
    well = hands.reach.check(place, found)
    return page.go(f"/data/{found.id}", done="well" if well else "failing")


@post("/data/{connection:str}/key", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def replace_key(page: ThePage, place: ThePlace, hands: TheHands, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Another key, if it passes every check."""
    found = place.connection(connection)
    try:
        hands.reach.replace_key(place, found, _key(data), page.actor)
    except (BadInput, PostHogError) as error:
        return _one(page, place, found.id, refused=error)
    return page.go(f"/data/{found.id}", done="key")


@post("/data/{connection:str}/share", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def share(page: ThePage, place: ThePlace, connection: FromPath[str], data: FormFields) -> Response[str]:
    """How much of PostHog's limits may be used."""
    found = place.connection(connection)
    percent = whole(data, "share") or 0
    if not 1 <= percent <= 100:
        raise BadInput("The share is between 1 and 100 %.", [Fault("share", "is not between 1 and 100")])
    with place.store.transaction() as tx:
        connections.configure(tx, found.id, actor=page.actor, share=percent / 100)
    return page.go(f"/data/{found.id}", done="share")


@post("/data/{connection:str}/remove", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_CONNECTIONS), include_in_schema=False)
def remove(page: ThePage, place: ThePlace, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Remove a connection; with `everything` also its hypotheses and signals."""
    found = place.connection(connection)
    if text(data, "sure") not in ("yes", "everything"):
        raise BadInput("Say that this is meant.", [Fault("sure", "is not yes")], fix="Go back and use the button.")
    try:
        with place.store.transaction() as tx:
            connections.remove(tx, found.id, actor=page.actor, force=text(data, "sure") == "everything")
    except Conflict as error:
        return _one(page, place, found.id, refused=error)
    return page.go("/data")


@post("/data/{connection:str}/question", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def confirm(page: ThePage, place: ThePlace, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Keep a suggested question."""
    found = place.connection(connection)
    try:
        confirm_suggestion(page, place, found, data)
    except BadInput as error:
        return _one(page, place, found.id, refused=error)
    return page.go(f"/data/{found.id}", done="question")


@post("/data/{connection:str}/search", status_code=200, sync_to_thread=True, opt=needs(Permission.RUN), include_in_schema=False)
def search(page: ThePage, place: ThePlace, hands: TheHands, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Search for what precedes the confirmed outcome, and watch."""
    del data
    return page.go(f"/runs/{start_search(place, hands, place.connection(connection)).id}")


@post("/data/{connection:str}/backtest", status_code=200, sync_to_thread=True, opt=needs(Permission.RUN), include_in_schema=False)
def backtest(page: ThePage, place: ThePlace, hands: TheHands, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Test all that is proposed or live on the last days, and watch."""
    found = place.connection(connection)
    ids = surveying.to_test(place, found)
    if not ids:
        raise BadInput(f"{found.name} has no hypothesis to test.", fix="Write one, or start a search.")
    days = whole(data, "window_days") or WINDOW_DAYS
    return page.go(f"/runs/{hands.jobs.start_backtest(found, ids, default_as_of(place.clock()), days).id}")


@post("/data/{connection:str}/facts", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def add_fact(page: ThePage, place: ThePlace, connection: FromPath[str], data: FormFields) -> Response[str]:
    """Write a fact about the business down."""
    found = place.connection(connection)
    try:
        with place.store.transaction() as tx:
            questions.add_fact(tx, found.id, text(data, "text"), actor=page.actor)
    except BadInput as error:
        return _one(page, place, found.id, refused=error)
    return page.go(f"/data/{found.id}", done="fact")


@post("/facts/{fact_id:str}", status_code=200, sync_to_thread=True, opt=needs(Permission.WRITE), include_in_schema=False)
def change_fact(page: ThePage, place: ThePlace, fact_id: FromPath[str], data: FormFields) -> Response[str]:
    """Another wording; an empty one forgets the fact."""
    with place.store.transaction() as tx:
        if text(data, "text") and text(data, "then") != "forget":
            connection_id = questions.change_fact(tx, fact_id, text(data, "text"), actor=page.actor).connection_id
        else:
            connection_id = questions.remove_fact(tx, fact_id, actor=page.actor).connection_id
    return page.go(f"/data/{connection_id}", done="fact")


def project_of(place: ThePlace, form: dict[str, Any]) -> NewProject:
    """What a form says of a project. Raises BadInput with every fault."""
    name, host, project = text(form, "name"), text(form, "region") or text(form, "host"), text(form, "project_id") or "@current"
    faults = []
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
        faults.append(Fault("name", "is empty, too long, or has a slash"))
    if not host:
        faults.append(Fault("host", "is empty"))
    if not PROJECT.fullmatch(project):
        faults.append(Fault("project_id", "is not a project's number"))
    if faults:
        raise BadInput("Something is missing.", faults)
    return NewProject(name, host, project, _key(form), place.settings.posthog_share)


def _key(form: dict[str, Any]) -> SecretStr:
    key = text(form, "api_key")
    if not key or len(key) > 500 or not key.isprintable():
        fix = "Make one in PostHog: Settings, Personal API keys."
        raise BadInput("A personal API key is needed.", [Fault("api_key", "is empty, or not a key")], fix=fix)
    return SecretStr(key)


def _number(form: dict[str, Any], name: str) -> float | None:
    told = text(form, name).replace(",", ".")
    if not told:
        return None
    if not re.fullmatch(r"-?\d{1,12}(\.\d{1,6})?", told):
        raise BadInput("A number of this form is none.", [Fault(name, f"{told!r} is not a number")])
    return float(told)


def written(form: dict[str, Any]) -> dict[str, str]:
    """What comes back with a form that was refused: not the key."""
    return {name: text(form, name) for name in ("name", "region", "host", "project_id")}


def confirm_suggestion(page: Page, place: ThePlace, connection: Connection, form: dict[str, Any]) -> ConfirmedQuestion:
    """Keep the suggestion that a form names. Raises BadInput."""
    return surveying.confirm_suggestion(
        place,
        connection,
        whole(form, "number") or 0,
        horizon_days=whole(form, "horizon_days") or HORIZON_DAYS,
        window_days=whole(form, "window_days") or WINDOW_DAYS,
        at_least=_number(form, "at_least"),
        leave_out_internal=text(form, "keep_internal") != "yes",
        share_values=text(form, "share_values") == "yes",
        actor=page.actor,
    )


def start_search(place: ThePlace, hands: TheHands, connection: Connection) -> Run:
    """Queue a search for the confirmed question. Raises BadInput where there is none."""
    kept = confirmed_question(place, connection)
    return hands.jobs.start_proposals(connection, kept.definition, default_as_of(place.clock()), kept.window_days)


def read_again(hands: TheHands, place: ThePlace, connection: Connection) -> PostHogError | None:
    """Read the names of a project; what went wrong, if anything did."""
    try:
        hands.reach.read_names(place, connection)
    except PostHogError as error:
        return error
    return None


def _overview(
    page: Page, place: ThePlace, *, after: str = "", refused: BetonError | None = None, told: dict[str, str] | None = None
) -> Response[str]:
    return page.render(
        "data/overview.html",
        status=200 if refused is None else refused.status,
        title="Data",
        at="data",
        data=surveying.overview(place, limit=RUNS_AT_ONCE, after=after or None),
        after=after,
        refused=refused,
        written=told or {},
        hosts=HOSTS,
        kinds=KINDS,
        cost=cost_of,
        size=size,
    )


def _one(
    page: Page, place: ThePlace, connection: str, *, q: str = "", start: int = 0, done: str = "", refused: BetonError | None = None
) -> Response[str]:
    found = surveying.look(place, connection)
    every = sorted(found.taxonomy.events, key=lambda one: (-one.volume, one.name)) if found.taxonomy else []
    shown = [one for one in every if q.lower() in one.name.lower()]
    return page.render(
        "data/one.html",
        status=200 if refused is None else refused.status,
        title=found.connection.name,
        at="data",
        found=found,
        one=found.connection,
        events=shown[start : start + NAMES_AT_ONCE],
        matching=len(shown),
        start=start,
        at_once=NAMES_AT_ONCE,
        q=q,
        done=done,
        refused=refused,
        kinds=KINDS,
        cost=cost_of,
        size=size,
        asked=surveying.asked_in_words(found.survey.question) if found.survey.question else "",
        window_days=WINDOW_DAYS,
        horizon_days=HORIZON_DAYS,
    )


def cost_of(counts: dict[str, Any]) -> list[str]:
    """What a run has cost, as far as it is known: queries, bytes, a model's money."""
    model = counts.get("model") if isinstance(counts.get("model"), dict) else {}
    told = []
    if isinstance(queries := counts.get("queries"), int):
        told.append(f"{queries:,} {'query' if queries == 1 else 'queries'}")
    if isinstance(read := counts.get("bytes_read"), int) and read:
        told.append(f"{size(read)} read")
    if model and model.get("calls"):
        told.append(f"{model['calls']:,} model calls, {model.get('money', 0):.4f} of money")
    return told


def size(number: int) -> str:
    """Bytes in the unit that fits."""
    told = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if told < 1000:
            return f"{told:.0f} {unit}" if unit == "B" or told >= 99.5 else f"{told:.1f} {unit}"
        told /= 1000
    return f"{told:.1f} TB"


HANDLERS: list[HTTPRouteHandler] = [
    overview, connect, show, read_names, check, replace_key, share, remove, confirm, search, backtest, add_fact, change_fact,
]  # fmt: skip
