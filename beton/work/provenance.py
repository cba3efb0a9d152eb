"""Why was this proposed? The record of a search as it is kept, and the answer that is told from it long afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.lint import carriers
from agent.mine import Mined
from agent.search import Discovery, Found, Question
from backtest import Window
from backtest.verdict import Bar
from beton.store import hypotheses, search_records
from beton.store.search_records import SearchRecord
from beton.work.asking import question_json
from beton.work.keeping_finds import Beside
from beton.work.workplace import Workplace, instant

FORMAT = 1
MOST_SIGNAL = 200
"""Finds, the best first, from which it is told which events carry the signal."""


def record_of(
    question: Question, window: Window, discovery: Discovery, mined: Mined, found: Found, bar: Bar, *, facts: Sequence[str] = ()
) -> dict[str, Any]:
    """How a search went, as plain JSON: what was asked of which data, how much was tried, what was ruled out and why, who took part, what it cost."""
    cut = None if discovery.parts is None else instant(discovery.parts.cut)
    how = mined.record.model_dump(mode="json")
    return {
        "format": FORMAT,
        "question": question_json(question),
        "window": {"from": told(instant(window.start)), "until": told(instant(window.end)), "confirmed_from": None if cut is None else told(cut)},
        "tried": found.tried,
        "tested": found.tested,
        "sentence": found.sentence(bar),
        "lacks": [f"{one.sentence}." for one in found.lacks],
        "signal": [{"event": one.event, "share": one.share, "finds": one.finds} for one in carriers(discovery.finds(MOST_SIGNAL))],
        "bar": {"min_lift_low": bar.min_lift_low, "max_q": bar.max_q, "min_recall": bar.min_recall, "min_precision": bar.min_precision},
        "facts": list(facts),
        "how": how | {"considered": [one | {"hypothesis": without_values(one["hypothesis"])} for one in how["considered"]]},
        "proposals": [],
    }


def without_values(told: Any) -> Any:
    """A hypothesis with dots for the texts that it compares with. Only hypotheses that are kept may name values of properties; of those that were
    ruled out it is enough to know what they look at."""
    if isinstance(told, list):
        return [without_values(one) for one in told]
    if not isinstance(told, dict):
        return told
    masked = {key: without_values(value) for key, value in told.items()}
    return masked | {"value": "…"} if {"property", "op"} <= told.keys() and isinstance(told.get("value"), str | list) else masked


def line(number: int, fingerprint: str, source: str, beside: Beside, mined: Mined, **more: Any) -> dict[str, Any]:
    """One line of the list in the record."""
    words = mined.words.get(fingerprint)
    said = None if words is None else words.model_dump(mode="json")
    return {"place": number, "fingerprint": fingerprint, "source": source} | more | beside.to_json() | {"words": said}


def provenance(record: Mapping[str, Any], of_line: Mapping[str, Any]) -> dict[str, Any]:
    """What every proposal carries."""
    how = record["how"]
    return {
        "place": of_line["place"],
        "source": of_line["source"],
        "words": of_line["words"],
        "question": record["question"],
        "window": record["window"],
        "taxonomy_digest": how["taxonomy_digest"],
        "prompt_digests": how["prompt_digests"],
        "model": how["model"],
        "sharing": how["sharing"],
        "turns": how["turns"],
        "tried": record["tried"],
        "tested": record["tested"],
        "considered": how["considered"],
        "stopped_because": how["stopped_because"],
        "cost": how["cost"],
        "facts": record["facts"],
        "sentence": record["sentence"],
    }


def signal_carriers(place: Workplace, connection_id: str) -> list[dict[str, Any]]:
    """Which few events carried the signal in the newest search of a connection; nothing before the first."""
    with place.store.reading() as tx:
        newest = search_records.latest(tx, connection_id)
    return [] if newest is None else newest.content["signal"]


def why(place: Workplace, hypothesis_id: str) -> dict[str, Any]:
    """The answer for a kept hypothesis: every search that has proposed it, newest first, and every look at data that confirmed it or did not."""
    with place.store.reading() as tx:
        row = hypotheses.get(tx, hypothesis_id)
        searches = search_records.of_hypothesis(tx, hypothesis_id)
        looks = search_records.confirmations(tx, hypothesis_id)
    found = [one for record in searches if (one := _search(record, hypothesis_id)) is not None]
    return {
        "hypothesis_id": row.id,
        "hypothesis": row.sentence,
        "source": row.source,
        "sentence": _answer(row.source, found),
        "searches": found,
        "looks": [
            {
                "run_id": one.run_id,
                "version": one.hypothesis_version,
                "fingerprint": one.fingerprint,
                "from": told(one.confirmed_from),
                "until": told(one.confirmed_until),
                "counted": one.counted,
                "withheld": one.withheld,
            }
            for one in looks
        ],
    }


def _search(record: SearchRecord, hypothesis_id: str) -> dict[str, Any] | None:
    of_line = next((one for one in record.content["proposals"] if one["hypothesis_id"] == hypothesis_id), None)
    if of_line is None:
        return None
    beside = {name: of_line[name] for name in ("redundant_with", "new_recall_given_live")}
    head = {"run_id": record.run_id, "at": told(record.created_at), "version": of_line["version"]}
    return head | beside | provenance(record.content, of_line)


def _answer(source: str, searches: Sequence[Mapping[str, Any]]) -> str:
    if not searches:
        return "A person wrote it; no search has proposed it." if source == "person" else "No record of a search that proposed it is kept."
    one = searches[0]
    whose = "A model had the idea, and the search tested it" if one["source"] == "model" else "The search found it by trying conditions on its own"
    model = f" {one['model']['name']} took part: {one['cost']['calls']} calls." if one["model"] else " No model took part."
    out = len(one["considered"])
    words = f" The model's words, which decided nothing: {one['words']['reason'] or one['words']['sentence']}" if one["words"] else ""
    return (
        f"{whose}: number {one['place']} of the list, of {one['tried']:,} candidates tested on the earlier part of the window, confirmed once on the"
        f" later; {out} strong candidates were ruled out, each with its reason.{model}{words}"
    )


def told(at: datetime) -> str:
    """An instant as JSON has it."""
    return at.isoformat().replace("+00:00", "Z")
