"""What PostHog's watcher would think of a receiver: its arithmetic over measured answers.

Read in PostHog's source (github.com/PostHog/posthog, `nodejs/src/cdp/services/monitoring/hog-watcher.service.ts`, and the defaults of its
configuration): a bucket of 10,000 tokens for each destination, refilled by 10 a second. An answer that took more than 100 ms costs
`20 * (ms - 100) / (5000 - 100)` of them. Below 80 % a destination is degraded, at none it is switched off. Earlier servers took 100 tokens for a
failure besides; here every answer that is not 2xx costs them, which is stricter than any version that was read.
"""

from __future__ import annotations

from collections.abc import Iterable

BUCKET = 10_000.0
REFILL = 10.0
COST, LOWER_MS, UPPER_MS = 20, 100, 5000
FAILED = 100
DEGRADED = 0.8


def cost_of(ms: float, status: int) -> int:
    """Tokens that one answer costs."""
    slow = round(COST * max(ms - LOWER_MS, 0) / (UPPER_MS - LOWER_MS))
    return slow + (0 if 200 <= status < 300 else FAILED)


def lowest(answers: Iterable[tuple[float, float, int]]) -> float:
    """The lowest share of tokens that is ever left. An answer is: seconds since the beginning at which it came, milliseconds that it took, status."""
    tokens, at, least = BUCKET, 0.0, BUCKET
    for came, ms, status in sorted(answers):
        tokens = min(BUCKET, tokens + REFILL * (came - at)) - cost_of(ms, status)
        at, least = came, min(least, tokens)
    return max(least, 0) / BUCKET
