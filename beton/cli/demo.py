"""`beton demo`: the whole product on a generated project; nothing leaves this machine, and no key is needed."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from beton.cli.options import FLAG, AsJson
from beton.cli.printing import number, print_json, say, share, share_span, span, table, write
from beton.cli.progress import showing

if TYPE_CHECKING:
    from beton.cli.progress import Progress
    from beton.demo.story import Demo
    from beton.settings import Settings
    from beton.store.store import Store
    from beton.work.deciding import Resource

DEMO_ADMIN = "demo@beton.invalid"
VERDICTS = {True: "clears the bar", False: "does not", None: "cannot tell"}


def command(
    *,
    once: Annotated[bool, FLAG, Parameter(help="End after the story instead of staying up.")] = False,
    world: Annotated[str, Parameter(help="The project: a generated world's name, or a folder with one.")] = "freemium",
    seed: Annotated[int | None, Parameter(help="Which world of its kind. 1 unless given.")] = None,
    port: Annotated[int, Parameter(help="The port on which the service stays up.")] = 8321,
    as_json: AsJson = False,
) -> None:
    """Connect a local PostHog, propose, backtest 90 days, approve one, receive its signals; then stay up until interrupted."""
    began = time.monotonic()
    with ExitStack() as up, showing() as progress:
        directory = Path(up.enter_context(tempfile.TemporaryDirectory(prefix="beton-demo-")))
        told = _tell(world, seed, directory, Telling(progress, quiet=as_json), up, began)
        if as_json:
            print_json(told.summary)
        else:
            write(f"\nDone in {told.summary['seconds']:.0f} s with {told.summary['posthog_queries']} queries to PostHog.")
        if not once:
            _stay(told, port, as_json=as_json)


def _tell(world: str, seed: int | None, directory: Path, telling: Telling, up: ExitStack, began: float) -> Demo:
    from beton.cli.sandbox import missing, open_world

    try:
        from beton.demo.story import tell
    except ImportError as error:
        raise missing(error) from error
    return tell(open_world(world, seed, 1.0, None), directory, telling, up, began=lambda: time.monotonic() - began)


def _stay(told: Demo, port: int, *, as_json: bool) -> None:
    """Serve on: the API over what the story has made, with its simulated clock running."""
    from beton import app

    settings = told.place.settings.model_copy(update={"port": port})
    link, key = _let_in(told.place.store, settings)

    def tell(url: str) -> None:
        if as_json:
            print_json({"url": url, "sign_in": link, "api_key": key, "posthog": told.sandbox_url})
            return
        write(f"\nBeton stays up at {url}")
        write(f"  sign in:      {link}   (works once)")
        write(f"  its PostHog:  {told.sandbox_url}")
        write(f"  API key:      {key}")
        write(f'  try:          curl -H "Authorization: Bearer {key}" {url}/api/v1/hypotheses')
        say("Ctrl-C stops.")

    app.serve(settings, clock=told.clock, tell=tell)


def _let_in(store: Store, settings: Settings) -> tuple[str, str]:
    """A link that signs the demo's admin in, and a key for everything."""
    from beton.cli.opening import link_address
    from beton.roles import Permission, Role
    from beton.store import api_keys, members, sessions

    with store.transaction() as tx:
        members.add(tx, DEMO_ADMIN, Role.ADMIN, actor="demo", name="Demo")
        _, token = sessions.make_link(tx, "sign_in", DEMO_ADMIN, actor="demo")
        _, key = api_keys.issue(tx, "demo", list(Permission), actor="demo")
    return link_address(settings, token), key


class Telling:
    """The story on standard output; nothing but progress where it should be quiet."""

    def __init__(self, progress: Progress, *, quiet: bool) -> None:
        self._shown = progress
        self.quiet = quiet
        self.chapter = 0

    def step(self, title: str) -> None:
        """A numbered headline."""
        self.chapter += 1
        if not self.quiet:
            write(f"\n{self.chapter}. {title}")

    def say(self, text: str) -> None:
        """A line below it."""
        if not self.quiet:
            write(f"   {text}")

    def progress(self, what: str, done: int, total: int) -> None:
        """A bar, or a line now and then."""
        self._shown(what, done, total)

    def results(self, found: list[Resource]) -> None:
        """The proposals in order, each with its intervals and the verdict."""
        if self.quiet:
            return
        columns = ("hypothesis", "fires", "precision", "recall", "lift", "confirmed lift", "verdict")
        table(columns, map(_row, found), right=columns[1:-1])


def _row(one: Resource) -> tuple[str, ...]:
    if one.backtest is None or one.verdict is None:
        return (one.hypothesis.sentence, "", "", "", "", "", "not tested")
    told = one.backtest.result
    later = told["confirmed"]["closed"]
    return (
        one.hypothesis.sentence,
        f"{told['sample_size']:,}",
        share(told["precision"]) + share_span(told["precision_low"], told["precision_high"]),
        share(told["recall"]) + share_span(told["recall_low"], told["recall_high"]),
        number(told["lift_vs_baseline"]) + span(told["lift_vs_baseline_low"], told["lift_vs_baseline_high"]),
        number(later["lift"]) + span(later["lift_low"], later["lift_high"]),
        VERDICTS[one.verdict.clears] + (f" ({', '.join(reason.code for reason in one.verdict.reasons)})" if one.verdict.reasons else ""),
    )
