"""When a delivery is tried again: ten attempts over a day, sooner at first.

The gaps add up to 23 h 42 min 35 s. Each is varied by a tenth, so that a thousand deliveries that failed together do not return together.
"""

import random
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from beton.routing.outcomes import Outcome

_MINUTE, _HOUR = 60, 3600
GAPS = (0, 5, 30, 2 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 7 * _HOUR, 12 * _HOUR)
"""Seconds before the first, second, … tenth attempt, each counted from the one before it."""

ATTEMPTS = len(GAPS)
JITTER = 0.1
LONGEST_WISH = 86_400.0
"""Seconds: no Retry-After is believed beyond a day, or one header could silence a route for years."""


def next_attempt(attempts_made: int, outcome: Outcome, now: datetime, rng: random.Random) -> datetime | None:
    """When to try again after `attempts_made` attempts, of which `outcome` ended the last; `None` when there is nothing more to try.

    A receiver's Retry-After can make the wait longer than the gap, not shorter, and is never undercut by the jitter.
    """
    if outcome.kind in ("delivered", "gone", "in_doubt") or attempts_made >= ATTEMPTS:
        return None
    wait = GAPS[attempts_made] * rng.uniform(1 - JITTER, 1 + JITTER)
    if outcome.retry_after is not None and outcome.retry_after > wait:
        wait = outcome.retry_after * rng.uniform(1, 1 + JITTER)
    return now + timedelta(seconds=wait)


def seconds_wished(header: str | None, now: datetime) -> float | None:
    """A Retry-After header in seconds from `now`, whether it holds seconds or a date; `None` when it holds neither. At most a day."""
    wish = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", wish):
        return min(float(wish), LONGEST_WISH)
    if not re.fullmatch(r"[A-Za-z0-9 ,:+-]{10,40}", wish):
        return None
    try:
        then = parsedate_to_datetime(wish)
    except (ValueError, OverflowError, IndexError):  # the parser of e-mail dates has its own ways to stumble over a stranger's text
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return min(max((then - now).total_seconds(), 0.0), LONGEST_WISH)
