"""What the API sends about searches: questions, facts, remarks, and how proposals came about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from beton.store.questions import ConfirmedQuestion, Fact
from beton.web.api.resources import Listing, Sent


class SuggestionRead(Sent):
    """One thing that may be meant by the names of a project. `code` is stable, `sentence` says why."""

    role: Literal["entry", "outcome", "unit", "internal"]
    code: str
    sentence: str
    event: str | None
    property: str | None
    unit: str | dict[str, str] | None
    goal: str | None = Field(description="Of an outcome: converts, expands, churns, custom.")
    where: list[dict[str, Any]] = Field(description="Comparisons of the event; of internal traffic those that leave it out.")


class SuggestedQuestionRead(Sent):
    """A whole question. `definition` can be confirmed as it is; null where `needs` says what a person has to add."""

    number: int
    sentence: str
    unit: SuggestionRead
    entry: SuggestionRead | None
    outcome: SuggestionRead
    horizon_days: int
    needs: str | None
    definition: dict[str, Any] | None


class ConfirmedQuestionRead(Sent):
    """What is searched for, and who said so."""

    definition: dict[str, Any]
    window_days: float
    share_values: bool = Field(description="Whether a model may see values of event properties.")
    confirmed_by: str
    confirmed_at: datetime

    @classmethod
    def of(cls, one: ConfirmedQuestion) -> ConfirmedQuestionRead:
        return cls(**one.model_dump(exclude={"connection_id"}))


class QuestionRead(Sent):
    """What may be predicted in a connection, best first, and what was confirmed; nothing is ever searched for on a guess."""

    connection_id: str
    confirmed: ConfirmedQuestionRead | None
    questions: list[SuggestedQuestionRead]
    units: list[SuggestionRead]
    entries: list[SuggestionRead]
    outcomes: list[SuggestionRead]
    internal: list[SuggestionRead]


class FactRead(Sent):
    """A sentence about the business."""

    fact_id: str
    connection_id: str
    text: str
    written_by: str
    created_at: datetime

    @classmethod
    def of(cls, one: Fact) -> FactRead:
        return cls(fact_id=one.id, **one.model_dump(exclude={"id"}))


class FactPage(Listing):
    data: list[FactRead]


class RemarkRead(Sent):
    """Something untidy about the names of a project."""

    code: str
    sentence: str
    names: list[str]


class SignalCarrierRead(Sent):
    """An event and the share of the strongest finds of the newest search that name it."""

    event: str
    share: float
    finds: int


class RemarksRead(Sent):
    """What is untidy about the names of a project, and which few events carry the signal; empty before the first search."""

    connection_id: str
    remarks: list[RemarkRead]
    signal: list[SignalCarrierRead]


class SearchRead(Sent):
    """How one search came to propose a hypothesis. `words` are the model's, and decided nothing."""

    run_id: str
    at: datetime
    version: int
    place: int = Field(description="Of the list, from 1.")
    source: Literal["search", "model"] = Field(description="Who had the idea.")
    redundant_with: dict[str, Any] | None = Field(description="The live hypothesis that it contains or repeats, and their Jaccard index.")
    new_recall_given_live: float | None = Field(description="Share of conversions that it precedes and no live one does.")
    words: dict[str, Any] | None
    question: dict[str, Any]
    window: dict[str, Any]
    taxonomy_digest: str
    prompt_digests: dict[str, str]
    model: dict[str, str] | None
    sharing: Literal["names", "opaque"]
    turns: list[dict[str, Any]] = Field(description="The model's calls of tools.")
    tried: int
    tested: int
    considered: list[dict[str, Any]] = Field(description="Strong candidates that were ruled out, each with its reason.")
    stopped_because: str
    cost: dict[str, Any]
    facts: list[str] = Field(description="What people had written about their business.")
    sentence: str


class LookRead(Sent):
    """A look at confirming data. It does not count where the definition had been edited after numbers were shown."""

    run_id: str
    version: int
    fingerprint: str
    from_: datetime = Field(alias="from")
    until: datetime
    counted: bool
    withheld: dict[str, Any] | None


class ProvenanceRead(Sent):
    """Why a hypothesis was proposed, from the record."""

    hypothesis_id: str
    hypothesis: str
    source: str
    sentence: str
    searches: list[SearchRead]
    looks: list[LookRead]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> ProvenanceRead:
        return cls.model_validate(told)


SENT_BY_SEARCHES: tuple[type[BaseModel], ...] = (QuestionRead, ConfirmedQuestionRead, FactRead, FactPage, RemarksRead, ProvenanceRead)
