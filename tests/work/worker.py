"""A process with the jobs, for tests that kill it: `worker.py WAIT RUN`, or `worker.py BEGIN AS_OF DAYS HYPOTHESIS …`, which prints the run's id.
`worker.py PROPOSE AS_OF DAYS QUESTION` begins a search (the question is JSON). `worker.py SHARE RUN` waits too, and writes its requests into the
book that all processes share.

Its settings come from the environment, as a real worker's do. It ends when the run is over.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime

from beton.posthog.ledger import MemoryLedger
from beton.settings import load_settings
from beton.store import runs
from beton.store.store import open_store
from beton.work.schedules import start_jobs, stop_jobs
from beton.work.workplace import Workplace


def now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    settings = load_settings()
    what, *more = sys.argv[1:]
    # Else a book of its own: in the shared one, the places of a killed process would stay taken for minutes.
    place = Workplace(settings, open_store(settings, now), now, ledger=None if what == "SHARE" else MemoryLedger())
    jobs = start_jobs(place)
    if what == "BEGIN":
        as_of, days, *ids = more
        run_id = jobs.start_backtest(place.connection("shop"), ids, datetime.fromisoformat(as_of), float(days)).id
    elif what == "PROPOSE":
        as_of, days, question = more
        run_id = jobs.start_proposals(place.connection("shop"), json.loads(question), datetime.fromisoformat(as_of), float(days)).id
    else:
        (run_id,) = more
    print(run_id, flush=True)
    over = False
    while not over and os.getppid() != 1:
        time.sleep(0.1)
        with place.store.reading() as tx:
            over = runs.get(tx, run_id).status.over
    stop_jobs(jobs)
