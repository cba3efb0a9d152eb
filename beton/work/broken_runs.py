"""Runs whose workflow ended by a fault that nobody foresaw.

A refusal or failure that Beton understands is written into the run by its workflow. Anything else ends the workflow without a word, and the run
would be shown as running for ever; the engine knows better.
"""

from __future__ import annotations

from dbos import DBOS

from beton.errors import BetonError
from beton.store import runs
from beton.store.records import RunStatus
from beton.work.this_process import the_place

ENDED_BADLY = ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
MOST = 200
"""Open runs that are looked at in one go, the newest; a workspace has a handful."""


@DBOS.step()
def end_broken_runs() -> list[str]:
    """The runs that were found to have ended so: each is failed now, and says where to look."""
    place = the_place()
    with place.store.reading() as tx:
        still_open = runs.listing(tx, statuses=(RunStatus.QUEUED, RunStatus.RUNNING), limit=MOST).data
    of_workflow = {run.workflow_id or run.id: run.id for run in still_open}
    if not of_workflow:
        return []
    found = DBOS.list_workflows(workflow_ids=list(of_workflow), status=ENDED_BADLY, load_input=False, load_output=False)
    broken = [of_workflow[one.workflow_id] for one in found]
    with place.store.transaction() as tx:
        for run_id in broken:
            if not runs.get(tx, run_id).status.over:
                runs.finish(tx, run_id, RunStatus.FAILED, error=_problem(run_id))
    return broken


def _problem(run_id: str) -> dict[str, object]:
    fault = BetonError(
        "Something went wrong inside Beton.", code="beton.unexpected", fix=f"Look for {run_id} in the log of the worker, and start a new run."
    )
    return fault.as_problem()
