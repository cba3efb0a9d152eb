"""The kinds of routes there are, what a route's receiver needs beforehand, and whom reviewers' messages go to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from litestar import get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import BaseModel, Field

from beton.roles import Permission
from beton.routing.channels import CHANNELS
from beton.routing.crm import Difference
from beton.routing.forms import FormField, Shape, form_fields
from beton.routing.messages import MessageKind
from beton.store.records import Route
from beton.web.access.policy import needs
from beton.web.api.asking import refusals
from beton.web.api.bodies import Body, Line
from beton.web.api.resources import Listing, Sent
from beton.web.injected import TheActor, ThePlace
from beton.work import calling_reviewers, preparing

OfSignal = Annotated[str | None, QueryParameter(description="The id of a signal; the newest one unless given.", max_length=80)]


class SettingRead(Sent):
    """One setting of a kind of route."""

    name: str
    title: str
    help: str
    shape: Shape = Field(description="How it is entered; what is `secret` is never shown again.")
    required: bool
    default: str = Field(description="As a form shows it; empty where there is none.")
    choices: list[str]

    @classmethod
    def of(cls, one: FormField) -> SettingRead:
        return cls.model_validate(asdict(one) | {"choices": list(one.choices)})


class RouteKindRead(Sent):
    """A kind of destination, and what it can promise."""

    kind: str
    title: str
    effect: Literal["idempotent", "uncertain"] = Field(description="uncertain: where an answer was lost, a person decides whether it is sent again.")
    takes: list[MessageKind]
    has_set_up: bool
    has_difference: bool
    settings: list[SettingRead]


class RouteKindList(Listing):
    """All of them."""

    data: list[RouteKindRead]


class SetUpRead(Sent):
    """What was made at the receiver, by name; what was there already is not named."""

    made: list[str]


class ChangeRead(Sent):
    """One field of a record: what is there, and what would be."""

    name: str
    before: str | None
    after: str | None


class RouteDifferenceRead(Sent):
    """What sending would change."""

    action: Literal["create", "update", "nothing"]
    record_id: str | None
    found_by: Literal["key", "match"] | None
    why: str
    changes: list[ChangeRead]

    @classmethod
    def of(cls, one: Difference) -> RouteDifferenceRead:
        return cls(**one.model_dump())


class ReviewersRead(Sent):
    """Where reviewers are told that proposals wait; null: nowhere."""

    route_id: str | None
    route: str | None

    @classmethod
    def of(cls, one: Route | None) -> ReviewersRead:
        return cls(route_id=None, route=None) if one is None else cls(route_id=one.id, route=one.name)


class ReviewersBody(Body):
    """Where to tell reviewers."""

    route: Line | None = Field(description="Name or id of a route to Slack or to a mailbox; null for none.")


@get("/route-kinds", opt=needs(Permission.READ_ROUTES), sync_to_thread=False, responses=refusals(), operation_id="listRouteKinds", tags=["routes"])
def list_route_kinds() -> RouteKindList:
    """What signals can be sent to, and which settings each kind asks for."""
    kinds = [
        RouteKindRead(
            kind=kind,
            title=one.title,
            effect=one.effect,
            takes=sorted(one.takes),
            has_set_up=one.set_up is not None,
            has_difference=one.dry_run is not None,
            settings=[SettingRead.of(field) for field in form_fields(kind)],
        )
        for kind, one in CHANNELS.items()
    ]
    return RouteKindList(data=kinds, next_cursor=None, has_more=False)


@post(
    "/routes/{route:str}/set-up",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 410, 502, 504),
    operation_id="setUpRoute",
    tags=["routes"],
)
def set_up_route(place: ThePlace, actor: TheActor, route: FromPath[str]) -> SetUpRead:
    """Make Beton's own fields in the CRM that a route, known by name or id, leads to, as far as they are missing."""
    return SetUpRead(made=preparing.set_up(place, route, actor=actor))


@get(
    "/routes/{route:str}/difference",
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404, 410, 502, 504),
    operation_id="readDifference",
    tags=["routes"],
)
def read_difference(place: ThePlace, route: FromPath[str], signal_id: OfSignal = None) -> RouteDifferenceRead:
    """What sending a signal along a route would change in the CRM, which is read and not written."""
    return RouteDifferenceRead.of(preparing.difference(place, route, signal_id))


@get("/reviewers", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(), operation_id="readReviewers", tags=["workspace"])
def read_reviewers(place: ThePlace) -> ReviewersRead:
    """Where reviewers are told, once a day at most, that proposals wait."""
    return ReviewersRead.of(calling_reviewers.chosen_route(place))


@put(
    "/reviewers",
    opt=needs(Permission.MANAGE_SETTINGS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="chooseReviewers",
    tags=["workspace"],
)
def choose_reviewers(place: ThePlace, actor: TheActor, data: JSONBody[ReviewersBody]) -> ReviewersRead:
    """Choose where reviewers are told, or that they are told nowhere."""
    return ReviewersRead.of(calling_reviewers.choose_route(place, data.route, actor=actor))


HANDLERS: list[HTTPRouteHandler] = [list_route_kinds, set_up_route, read_difference, read_reviewers, choose_reviewers]
SENT_OF_KINDS: tuple[type[BaseModel], ...] = (
    RouteKindList, RouteKindRead, SettingRead, SetUpRead, RouteDifferenceRead, ChangeRead, ReviewersRead,
)  # fmt: skip
TAKEN_OF_KINDS: tuple[type[BaseModel], ...] = (ReviewersBody,)
