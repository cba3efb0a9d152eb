"""What the API takes in."""

from __future__ import annotations

from datetime import UTC, datetime
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from beton.roles import Permission, Role
from beton.signals import Feedback

LARGEST_NUMBER = 2**63 - 1
LONGEST_WINDOW_DAYS = 1096


def in_utc(at: datetime) -> datetime:
    """The instant in UTC; `ValueError` at the two ends of time, where that has no year."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


def _text(value: Any) -> Any:
    """Refuses numbers, which would be read as seconds since 1970."""
    if isinstance(value, str):
        return value
    raise ValueError("is not an instant in RFC 3339, such as 2026-01-31T09:00:00Z")


Instant = Annotated[AwareDatetime, BeforeValidator(_text, json_schema_input_type=AwareDatetime), AfterValidator(in_utc)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Words = Annotated[str, Field(min_length=1, max_length=2000)]
Name = Annotated[str, Field(min_length=1, max_length=200, description="Name or id of a connection.")]
WindowDays = Annotated[float, Field(gt=0, le=LONGEST_WINDOW_DAYS, description="Days of history, ending a minute ago.")]


def _kinds(annotation: Any) -> frozenset[Any]:
    """The plain types that a field may have; whole numbers are numbers."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return frozenset().union(*map(_kinds, get_args(annotation)))
    return frozenset({float if annotation is int else annotation})


class Body(BaseModel):
    """Base of everything that is taken in: no unknown fields, no text or number that a database could not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        waiting = [data]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str) and "\x00" in one:
                raise ValueError("a text contains a NUL character")
            if isinstance(one, int) and abs(one) > LARGEST_NUMBER:
                raise ValueError("a number is larger than 64 bits can hold")
            if isinstance(one, dict):
                waiting += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                waiting += one
        return data

    @field_validator("*", mode="before")
    @classmethod
    def _as_described(cls, value: Any, info: ValidationInfo) -> Any:
        """To pydantic `"1"` and `true` are numbers, and 1 and `"yes"` are true; the framework asks it to be so kind."""
        wanted = _kinds(cls.model_fields[info.field_name or ""].annotation)
        kind = float if type(value) is int else type(value)
        if wanted & {bool, float} and kind in (bool, float, str) and kind not in wanted:
            raise ValueError(f"is not {'true or false' if bool in wanted else 'a number'}")
        return value


class NewConnectionBody(Body):
    """A PostHog project to be read."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f/]*$")]
    host: Annotated[str, Field(min_length=1, max_length=300)] = Field(description="`us`, `eu`, or the address of the PostHog.")
    project_id: Annotated[str, Field(pattern=r"^(@current|[0-9]{1,12})$")] = Field(default="@current", description="Its number.")
    api_key: SecretStr = Field(min_length=1, max_length=500, description="A personal API key with read scopes.")
    share: float | None = Field(default=None, gt=0, le=1, description="Share of PostHog's limits. Null: the installation's.")


class PostHogKeyBody(Body):
    """Another key for a connection."""

    api_key: SecretStr = Field(min_length=1, max_length=500)


class ShareBody(Body):
    """How much of PostHog's limits may be used."""

    share: float = Field(gt=0, le=1)


class NewHypothesisBody(Body):
    """A hypothesis that a person or a program has written."""

    connection: Name
    definition: dict[str, Any] = Field(description="The hypothesis in the language: see docs/reference/hypothesis.schema.json.")
    selected: bool = Field(
        default=False, description="True when it was chosen after looking at the data it will be tested on: then only later data confirm it."
    )


class DraftBody(Body):
    """A hypothesis that is being written."""

    connection: Name | None = Field(default=None, description="Name or id; with it the names of its project are checked too.")
    definition: dict[str, Any] | Annotated[str, Field(max_length=20_000)] = Field(
        description="In the language: as an object, or as text in YAML or JSON, whose faults then tell their lines."
    )


class Decision(Body):
    """A decision about what was seen. Without `row_version` and `If-Match` it is about whatever is there now."""

    row_version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="The row version that was looked at; stale ones are refused.")


class Approval(Decision):
    """An approval; below the bar it needs a reason."""

    override_reason: Words | None = Field(default=None, description="Why it is approved although it does not clear the bar.")


class Rejection(Decision):
    """A rejection says why: the next proposals learn from it."""

    reason: Words


class Snooze(Decision):
    """Not now: ask again at `until`."""

    until: Instant


class Revision(Decision):
    """What a hypothesis is to say from now on."""

    definition: dict[str, Any] = Field(description="The whole hypothesis in the language.")


class PopulationBody(Body):
    """Who is counted at all, told by the properties of the entry event."""

    leave_out_internal: bool = Field(default=False, description="Leave internal and test traffic out, as confirmed for the connection.")
    where: list[dict[str, Any]] = Field(
        default=[], max_length=20, description="Comparisons that name a segment, as in a hypothesis: `{property, op, value}`."
    )


class NewBacktestBody(Body):
    """Hypotheses to be tested."""

    connection: Name
    hypothesis_ids: list[Name] | None = Field(default=None, min_length=1, max_length=1000, description="Null: all that are proposed or live.")
    window_days: WindowDays = 90
    population: PopulationBody | None = Field(
        default=None, description="Test each for these units only: as a hypothesis of its own, whose entry has the comparisons. Needs `write`, too."
    )


class NewProposalsBody(Body):
    """A question to be searched for: behaviour of these units that precedes this outcome. Without an outcome it is the one that was confirmed."""

    connection: Name
    outcome: dict[str, Any] | None = Field(default=None, description="The outcome, as in a hypothesis. Null: what was confirmed for the connection.")
    entry: str | dict[str, Any] | None = Field(default=None, description="The event that starts a unit's clock, as in a hypothesis.")
    unit: str | dict[str, Any] = Field(default="person", description="Whose behaviour, as in a hypothesis.")
    window_days: WindowDays | None = Field(default=None, description="Days of history, ending a minute ago. Null: 90, or what was confirmed.")


class QuestionBody(Body):
    """What is to be predicted in a connection, as a person confirms it."""

    outcome: dict[str, Any] = Field(description="The outcome, as in a hypothesis.")
    entry: str | dict[str, Any] | None = Field(default=None, description="The event that starts a unit's clock, as in a hypothesis.")
    unit: str | dict[str, Any] = Field(default="person", description="Whose behaviour, as in a hypothesis.")
    window_days: WindowDays = 90
    leave_out_internal: bool = Field(default=False, description="Add the suggested filters against internal traffic to the entry event.")
    share_values: bool | None = Field(default=None, description="Whether a model may see values of event properties. Null: as before.")


class FactBody(Body):
    """A fact about the business."""

    text: Annotated[str, Field(min_length=1, max_length=500)]


class RouteChange(Body):
    """What a route gets besides signals."""

    notices: bool = Field(description="Whether it gets every change of a hypothesis's status.")


class FeedbackBody(Body):
    """What became of a signal."""

    verdict: Feedback | None = Field(description="Null takes back what was said.")


class NewMemberBody(Body):
    """Somebody to be invited."""

    email: Annotated[str, Field(min_length=3, max_length=254)]
    role: Role


class RoleBody(Body):
    """Another role."""

    role: Role


class NewKeyBody(Body):
    """A key for a program."""

    name: Line
    scopes: list[Permission] = Field(min_length=1, description="What it may do: a part of what its maker may.")


class BarBody(Body):
    """The workspace's own bar. What is left out is the installation's."""

    max_q: float = Field(default=0.1, gt=0, le=1)
    min_lift_low: float = Field(default=1.5, ge=0, le=1000)
    min_fires: int = Field(default=20, ge=1)
    min_true_positives: int = Field(default=5, ge=1)
    min_recall: float = Field(default=0.05, ge=0, le=1)
    min_precision: float | None = Field(default=None, ge=0, le=1)


TAKEN: tuple[type[BaseModel], ...] = (
    NewHypothesisBody, DraftBody, Revision, Decision, Approval, Rejection, Snooze, NewBacktestBody, NewProposalsBody, QuestionBody, FactBody,
    RouteChange, PopulationBody,
    NewMemberBody, RoleBody, NewKeyBody, BarBody, FeedbackBody, NewConnectionBody,
    PostHogKeyBody, ShareBody,
)  # fmt: skip
"""Every body that the API takes in."""
