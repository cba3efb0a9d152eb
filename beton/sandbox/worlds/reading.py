"""Where specs come from: the built-in worlds, or a stranger's `world.yaml`."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml
from pydantic import ValidationError

from beton.sandbox.worlds.spec import WorldRefused, WorldSpec


def world_names() -> list[str]:
    """The built-in worlds."""
    return sorted(one.name.removesuffix(".yaml") for one in _built_in().iterdir() if one.name.endswith(".yaml"))


def read_spec(where: str | Path) -> WorldSpec:
    """A built-in world by its name, or a stranger's by its file or the folder that holds its `world.yaml`."""
    if str(where) in world_names():
        return parse_spec((_built_in() / f"{where}.yaml").read_text(), str(where))
    path = Path(where)
    path = path / "world.yaml" if path.is_dir() else path
    if not path.is_file():
        raise WorldRefused(f"there is no world {str(where)!r}; the built-in ones are {', '.join(world_names())}, or give a folder with a world.yaml")
    return parse_spec(path.read_text(), str(path))


def parse_spec(text: str, source: str = "world.yaml") -> WorldSpec:
    try:
        return WorldSpec.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise WorldRefused(f"{source}: not readable as YAML: {error}") from error
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc'])) or 'world'}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        raise WorldRefused(f"{source}: " + "; ".join(told)) from error


def _built_in() -> Traversable:
    return resources.files("beton.sandbox.worlds")
