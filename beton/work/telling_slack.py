"""What became of a signal, written into the message in Slack where somebody clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beton.routing.blocks import with_standing
from beton.routing.outcomes import Outcome
from beton.routing.slack import SlackSettings, answer
from beton.routing.webhook import open_client
from beton.work.coming_back import Way


async def tell_standing(way: Way, response_url: str, standing: str, blocks: Sequence[Any]) -> Outcome | None:
    """Change the message. Slack's answer changes nothing here: what was clicked is written down already."""
    if not isinstance(way.settings, SlackSettings):
        return None
    body = {"replace_original": True, "text": standing, "blocks": with_standing(blocks, standing)}
    async with open_client() as client:
        return await answer(response_url, body, way.settings, client=client, clock=way.place.clock)
