"""A route's rules, as the API sends them and takes them in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from beton.errors import BadInput, Fault
from beton.routing.signing import new_secret
from beton.signals import RouteKind, SignalType, UnitKind
from beton.store.route_rules import Rules
from beton.web.api.bodies import Body, Instant, Line
from beton.web.api.resources import Sent

Id = Annotated[str, Field(min_length=1, max_length=80)]
OwnerRule = Literal["nobody", "crm_owner", "round_robin"]


class PassesRead(Sent):
    """Which signals a route takes; what is empty or null takes all."""

    hypotheses: list[str]
    types: list[SignalType]
    unit_kinds: list[UnitKind]
    min_confidence: float | None
    cohort: str | None


class CooldownRead(Sent):
    """How often the same may come up again; 0 and null set no limit."""

    unit_days: float
    account_days: float
    per_day: int | None


class TurnRead(Sent):
    """A member whose turn comes, up to so many signals in seven days."""

    member: str
    per_week: int


class OwnersRead(Sent):
    """Whose a signal is to begin with, and whose after so many hours without a claim."""

    rule: OwnerRule
    turns: list[TurnRead]
    escalate_after_hours: float | None
    escalate_to: str | None


class RulesRead(Sent):
    """What a route takes, how often, whose that is, and what it says."""

    passes: PassesRead
    cooldown: CooldownRead
    owners: OwnersRead
    template: str | None

    @classmethod
    def of(cls, rules: Rules) -> RulesRead:
        return cls.model_validate(rules.model_dump(mode="json"))


class PassesBody(Body):
    """Which signals a route takes; what is left out takes all."""

    hypotheses: list[Id] = Field(default=[], max_length=200, description="Ids.")
    types: list[SignalType] = Field(default=[], max_length=6)
    unit_kinds: list[UnitKind] = Field(default=[], max_length=2)
    min_confidence: float | None = Field(default=None, ge=0, le=1, description="A signal without a confidence does not pass where one is asked for.")
    cohort: Annotated[str, Field(pattern=r"^[0-9]{1,12}$")] | None = Field(
        default=None, description="The number of a cohort of PostHog: those who were in it when they fired."
    )


class CooldownBody(Body):
    """How often the same may come up again; 0 and null set no limit."""

    unit_days: float = Field(default=0, ge=0, le=365, description="Days after a signal about a unit without another one about it.")
    account_days: float = Field(default=0, ge=0, le=365, description="The same for all units of an account.")
    per_day: int | None = Field(default=None, ge=1, le=100_000, description="Most signals in 24 hours.")


class TurnBody(Body):
    """A member whose turn comes."""

    member: Id = Field(description="A member's id.")
    per_week: int = Field(default=50, ge=1, le=10_000, description="Most signals in seven days, over all routes.")


class OwnersBody(Body):
    """Whose a signal is to begin with."""

    rule: OwnerRule = Field(
        default="nobody", description="`crm_owner`: the member with the e-mail address that the CRM's property in PostHog has, else by turns."
    )
    turns: list[TurnBody] = Field(default=[], max_length=200)
    escalate_after_hours: float | None = Field(default=None, gt=0, le=720, description="Hours without a claim after which it is another's.")
    escalate_to: Id | None = Field(default=None, description="A member's id.")


class RulesBody(Body):
    """A route's rules, whole: what is left out goes back to its default."""

    passes: PassesBody = Field(default=PassesBody(), json_schema_extra={"default": {}})
    cooldown: CooldownBody = Field(default=CooldownBody(), json_schema_extra={"default": {}})
    owners: OwnersBody = Field(default=OwnersBody(), json_schema_extra={"default": {}})
    template: Annotated[str, Field(min_length=1, max_length=4000)] | None = Field(
        default=None, description="The text of its messages with blanks such as `{{unit}}`; null for the channel's own."
    )

    def rules(self) -> Rules:
        """As they are kept; `BadInput` where parts do not go together."""
        try:
            return Rules.model_validate(self.model_dump(mode="json"))
        except ValidationError as error:
            faults = [Fault(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_input=False, include_url=False)]
            raise BadInput("These rules do not go together.", faults, code="route.rules_invalid") from None


class NewRouteBody(Body):
    """A way out for signals."""

    name: Line
    kind: RouteKind = "webhook"
    url: Annotated[str, Field(min_length=1, max_length=2048)] | None = Field(default=None, description="Of a webhook.")
    secret: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(default=None, description="A webhook's signing secret of your own.")
    settings: dict[str, Any] | None = Field(default=None, description="Of any other kind: see the guide on routing signals.")
    notices: bool = Field(default=False, description="Whether it also gets every change of a hypothesis's status.")
    rules: RulesBody | None = Field(default=None, description="Null: it takes all signals.")

    def destination(self) -> tuple[dict[str, Any], str | None]:
        """The settings of its channel, and the secret that is shown this once; `BadInput` where they do not go together."""
        if self.kind != "webhook":
            if self.url is not None or self.secret is not None:
                fault = Fault("url", "belongs to a webhook")
                raise BadInput(
                    "A route of this kind has no url and no secret.", [fault], fix="Put all into `settings`.", code="route.settings_invalid"
                )
            return self.settings or {}, None
        if self.url is None:
            raise BadInput("A webhook needs its address.", [Fault("url", "is missing")], code="route.settings_invalid")
        secret = self.secret or new_secret()
        return (self.settings or {}) | {"url": self.url, "secret": secret}, secret


class AgainBody(Body):
    """Which deliveries are to be sent again: those that were given up."""

    since: Instant = Field(description="Made at or after this instant.")
    route: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(default=None, description="Name or id; null: all routes.")
    arrived_too: bool = Field(default=False, description="Also what has arrived: only along one route whose receiver knows a repetition by its id.")


SENT_OF_RULES: tuple[type[BaseModel], ...] = (RulesRead, PassesRead, CooldownRead, OwnersRead, TurnRead)
TAKEN_OF_RULES: tuple[type[BaseModel], ...] = (NewRouteBody, AgainBody, RulesBody, PassesBody, CooldownBody, OwnersBody, TurnBody)
