"""Today's members of the cohorts that live hypotheses name."""

from __future__ import annotations

from collections.abc import Iterable

from backtest import ReadPlan, Window
from backtest.taxonomy import Taxonomy
from beton.posthog.client import PostHogClient
from beton.work.backtesting import reader_for
from beton.work.live_state import Live


async def members_of(client: PostHogClient, taxonomy: Taxonomy, lives: Iterable[Live]) -> dict[str, frozenset[str]]:
    """Cohort to the ids of its members; nothing is asked where no hypothesis names one."""
    cohorts = frozenset().union(*(one.cohorts for one in lives))
    if not cohorts:
        return {}
    plan = ReadPlan("person", Window(0, 1), cohorts=cohorts)
    return {cohort: frozenset(who) for cohort, who in (await reader_for(client, plan, taxonomy).cohorts()).items()}
