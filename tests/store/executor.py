"""A process with a job engine, for tests that kill it: `executor.py URL ID JOURNAL [begin]`.

Its workflow writes a line per step; with `begin` it starts one, without it only waits to take over.
"""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from beton.settings import Settings
from beton.store.durable import start_durable, stop_durable

URL, ID, JOURNAL = sys.argv[1], sys.argv[2], Path(sys.argv[3])


@DBOS.step()
def step(number: int) -> int:
    with JOURNAL.open("a") as journal:
        journal.write(f"{ID} {number}\n")
    time.sleep(0.15)
    return number


@DBOS.workflow()
def add_up(steps: int) -> int:
    return sum(step(number) for number in range(steps))


if __name__ == "__main__":
    durable = start_durable(Settings(database_url=URL), ID or None, every=timedelta(seconds=0.2))
    if "begin" in sys.argv:
        with SetWorkflowID("w"):
            DBOS.start_workflow(add_up, 8)
    while not [done for done in DBOS.list_workflows(status="SUCCESS") if done.workflow_id == "w"]:
        time.sleep(0.1)
        if os.getppid() == 1:
            break
    print(DBOS.retrieve_workflow("w").get_result())
    stop_durable(durable, grace=timedelta(0))
