"""Who is held out: a fixed share of the units, chosen by a keyed hash, so that the choice can be repeated and nobody can steer it.

The hash is uniform and has nothing to do with behaviour, so that those held out and those routed differ by chance and by routing alone (Fisher 1935).
A unit keeps its place: the same share gives the same answer, a larger one adds to those held out and lets none of them go.
"""

from __future__ import annotations

LARGEST_SHARE = 0.2
"""More would cost sales more than the answer is worth (numbers section 12: 10 to 20 %)."""

_BITS = 64


def is_held(digest: bytes, share: float) -> bool:
    """Whether the unit with this keyed digest (at least 8 bytes) belongs to the share that is held out, 0 to `LARGEST_SHARE`."""
    if not 0 <= share <= LARGEST_SHARE:
        raise ValueError(f"a holdout is between 0 and {LARGEST_SHARE}")
    if len(digest) * 8 < _BITS:
        raise ValueError("a digest has at least 8 bytes")
    return int.from_bytes(digest[: _BITS // 8]) < share * 2**_BITS
