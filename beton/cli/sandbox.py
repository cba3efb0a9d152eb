"""`beton sandbox`: a local server that answers like PostHog, with events of a file or of a generated world."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.options import FLAG, MANY, AsJson, instant
from beton.cli.printing import say
from beton.errors import BadInput

if TYPE_CHECKING:
    from beton.sandbox.worlds import World


def sandbox(
    *,
    events: Annotated[Sequence[Path], MANY, Parameter(help="A file of events (Parquet, CSV, JSON lines). Repeatable.")] = (),
    world: Annotated[str | None, Parameter(help="A generated world: its name, or a folder with world.yaml or events.parquet.")] = None,
    seed: Annotated[int | None, Parameter(help="Which world of its kind. 1 unless given.")] = None,
    scale: Annotated[float, Parameter(help="Multiplies the number of units of a generated world.")] = 1.0,
    as_of: Annotated[str | None, Parameter(name="--as-of", help="The instant at which a generated world ends.")] = None,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port to listen on; 0 takes any free one.")] = 8322,
    key: Annotated[str, Parameter(help="The personal API key to accept.")] = "phx_sandbox",
    project: Annotated[int, Parameter(help="The project's number.")] = 1,
    timezone: Annotated[str, Parameter(help="The project's time zone.")] = "UTC",
    group: Annotated[Sequence[str], MANY, Parameter(help="A group type, in the order of its numbers. Repeatable.")] = (),
    self_hosted: Annotated[bool, FLAG, Parameter(help="Throttle as a self-hosted PostHog does.")] = False,
    no_throttling: Annotated[bool, FLAG, Parameter(name="--no-throttling", help="No request throttles and no read budget.")] = False,
    leash: Annotated[bool, FLAG, Parameter(help="Stop when standard input ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a local PostHog until interrupted. Prints its address, project and key when it answers."""
    try:
        from beton.sandbox.load import UnreadableEvents
        from beton.sandbox.run import run_sandbox
        from beton.sandbox.settings import ApiKey, LimitSettings, Settings
    except ImportError as error:
        raise missing(error) from error
    limits = LimitSettings(self_hosted=self_hosted)
    limits = replace(limits, throttling=False, budget_enforced=False) if no_throttling else limits
    files = [path for path in events if not path.is_file()]
    if files:
        raise BadInput(f"--events {files[0]}: there is no such file.")
    with _world_events(world, seed, scale, as_of) as (made, types):
        settings = Settings(
            host=host,
            port=port,
            keys=(ApiKey(key),),
            limits=limits,
            project_id=project,
            timezone=timezone,
            group_types=tuple(group) or types,
            events=(*events, *made),
        )
        signal.signal(signal.SIGTERM, _end)
        try:
            run_sandbox(settings, announce=sys.stdout if as_json else _Told(), leash=sys.stdin if leash else None)
        except ImportError as error:
            raise missing(error) from error
        except UnreadableEvents as error:
            raise BadInput(f"--events: {error}.", fix="Give Parquet, CSV or JSON lines with person_id, event and timestamp.") from error
        except OSError as error:
            raise BadInput(f"The sandbox cannot listen on {host}:{port}: {error.strerror}.", fix="Choose another --port; 0 takes any.") from error


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
    """The server stops by itself and passes the signal on; by default it would end this process with the world's files left behind."""
    raise SystemExit(128 + number)


class _Told(StringIO):
    """Turns the line that says where the sandbox is into lines for people."""

    def write(self, text: str) -> int:
        import orjson

        if text.strip():
            told = orjson.loads(text)
            lines = (f"url         {told['url']}", f"project id  {told['project_id']}", f"key         {told['api_key']}")
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        return len(text)


def missing(error: ImportError) -> BadInput:
    """The extra with the local PostHog is not there."""
    return BadInput(f"The sandbox is not installed: {error}.", code="sandbox.missing", fix="Run: pip install 'beton[sandbox]'")


@contextmanager
def _world_events(name: str | None, seed: int | None, scale: float, as_of: str | None) -> Generator[tuple[tuple[Path, ...], tuple[str, ...]]]:
    """The files of a world, written for as long as they are needed, and its group types."""
    until = instant(as_of)
    if name is None:
        if seed is not None or until is not None or scale != 1.0:
            raise BadInput("--seed, --scale and --as-of describe a --world.")
        yield (), ()
        return
    with TemporaryDirectory(prefix="beton-world-") as folder:
        say("Generating the world…")
        world = open_world(name, seed, scale, until)
        world.write(Path(folder))
        types = (world.spec.seats.group,) if world.spec is not None and world.spec.seats else ()
        yield (Path(folder) / "events.parquet",), types


def open_world(name: str, seed: int | None, scale: float, until: datetime | None) -> World:
    """A generated world by its name, or the one in a folder."""
    from beton.sandbox.worlds import WorldRefused, generate, load_world, world_names

    given: dict[str, Any] = {"scale": scale} | ({} if until is None else {"as_of": until})
    try:
        if name in world_names():
            return generate(name, 1 if seed is None else seed, **given)
        if Path(name).is_dir():
            return load_world(Path(name), seed, **given)
    except WorldRefused as error:
        raise BadInput(f"--world {name}: {error}.") from error
    raise BadInput(f"--world {name}: there is no such world or folder.", fix=f"There are: {', '.join(world_names())}.")
