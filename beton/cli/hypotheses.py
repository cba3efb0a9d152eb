"""`beton hypotheses` and the decisions: what is proposed, and a person's yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, choose_connection, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, table, write
from beton.cli.scores import COLUMNS, print_records, row_of
from beton.errors import BadInput

if TYPE_CHECKING:
    from beton.work.deciding import Resource


def hypotheses(
    hypothesis_id: Annotated[str | None, Parameter(help="Show this one with its definition; all are listed otherwise.")] = None,
    /,
    *,
    status: Annotated[str | None, Parameter(help="Only those in this status.")] = None,
    connection: Annotated[str | None, Parameter(help="Only those of this connection.")] = None,
    limit: Annotated[int, Parameter(help="How many at most, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List hypotheses with their newest numbers, or show one."""
    from beton.lifecycle import Status

    if status is not None and status not in list(Status):
        raise BadInput(f"--status {status}: there is no such status.", fix=f"They are: {', '.join(Status)}.")
    with opened() as place:
        from beton.store import hypotheses as kept
        from beton.work.deciding import resource, resources

        if hypothesis_id is not None:
            _show(resource(place, hypothesis_id), as_json=as_json)
            return
        chosen = None if connection is None else choose_connection(place, connection).id
        with place.store.reading() as tx:
            found = kept.listing(tx, connection_id=chosen, statuses=() if status is None else (Status(status),), limit=limit)
        records = [one.to_json() for one in resources(place, list(found.data))]
    if as_json:
        print_records(records, as_json=True)
        return
    table(("id", "status", *COLUMNS), [(one["hypothesis_id"], one["status"], *row_of(one)) for one in records], right=("n", "recall", "p"))
    if found.next_after:
        say(f"There are more than {limit}; raise --limit.")


def _show(one: Resource, *, as_json: bool) -> None:
    if as_json:
        print_json(one.to_json())
        return
    import yaml

    from beton.lifecycle import allowed

    kept = one.hypothesis
    write(f"{kept.id}  {kept.status}  {kept.name}\n{kept.sentence}")
    if one.backtest is None:
        write("Not tested in this version.")
    else:
        table(COLUMNS[2:], [row_of(one.to_json())[2:]], right=("n", "recall", "p"))
    for reason in one.verdict.reasons if one.verdict else ():
        write(reason.sentence)
    write("\n" + yaml.safe_dump(kept.definition, sort_keys=False, allow_unicode=True).rstrip())
    write(f"\nPossible now: {', '.join(allowed(kept.status)) or 'nothing'}.")


HypothesisId = Annotated[str, Parameter(help="The id of the hypothesis.")]


def approve(
    hypothesis_id: HypothesisId,
    /,
    *,
    override_reason: Annotated[str | None, Parameter(name="--override-reason", help="Why it is approved though it does not clear the bar.")] = None,
    as_json: AsJson = False,
) -> None:
    """Approve a hypothesis: from now on its fires are sent as signals."""
    _decide("approve", hypothesis_id, as_json=as_json, override_reason=override_reason)


def reject(
    hypothesis_id: HypothesisId, /, *, reason: Annotated[str, Parameter(help="Why; the next proposals learn from it.")], as_json: AsJson = False
) -> None:
    """Reject a hypothesis and say why."""
    _decide("reject", hypothesis_id, as_json=as_json, reason=reason)


def pause(hypothesis_id: HypothesisId, /, *, as_json: AsJson = False) -> None:
    """Stop sending its signals for now; what waits to be sent is held."""
    _decide("pause", hypothesis_id, as_json=as_json)


def resume(hypothesis_id: HypothesisId, /, *, as_json: AsJson = False) -> None:
    """Send the signals of a paused hypothesis again."""
    _decide("resume", hypothesis_id, as_json=as_json)


def retire(hypothesis_id: HypothesisId, /, *, as_json: AsJson = False) -> None:
    """End a live hypothesis; what waits to be sent is given up."""
    _decide("retire", hypothesis_id, as_json=as_json)


def _decide(action: str, hypothesis_id: str, *, as_json: bool, **reasons: Any) -> None:
    from beton.lifecycle import Action

    with opened() as place:
        from beton.work.deciding import decide

        decided = decide(place, hypothesis_id, Action(action), actor=actor(), **reasons)
    if as_json:
        print_json(decided.to_json())
    else:
        write(f"{decided.hypothesis.id} is now {decided.hypothesis.status}: {decided.hypothesis.sentence}")
