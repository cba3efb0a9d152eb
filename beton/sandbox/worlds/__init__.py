"""Generated PostHog projects with planted truth: what causes the outcome in them, and what only looks as if it did, is known."""

from beton.sandbox.worlds.reading import parse_spec, read_spec, world_names
from beton.sandbox.worlds.spec import Delivery, WorldRefused, WorldSpec
from beton.sandbox.worlds.world import World, generate, load_world

__all__ = ["Delivery", "World", "WorldRefused", "WorldSpec", "generate", "load_world", "parse_spec", "read_spec", "world_names"]
