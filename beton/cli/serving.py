"""`beton serve`, `beton worker` and `beton migrate`: the processes of an installation."""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from beton.cli.opening import opened, set_up_link
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, write

if TYPE_CHECKING:
    from beton.web.injected import Reach


def serve(
    *,
    host: Annotated[str | None, Parameter(help="The address to listen on, in place of BETON_HOST.")] = None,
    port: Annotated[int | None, Parameter(help="The port to listen on, in place of BETON_PORT.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve pages and API, with the jobs in the same process, until interrupted."""
    from beton.settings import load_settings

    given = {"host": host, "port": port}
    settings = load_settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    from beton import app

    def tell(url: str) -> None:
        with opened(settings, create=True) as place:
            link = set_up_link(place)
        if as_json:
            print_json({"url": url, "set_up": link})
            return
        if link:
            say(f"Nobody can sign in yet. The first admin opens this address, which works once: {link}")
        say(f"Beton answers at {url}; Ctrl-C stops.")

    with ExitStack() as ending:
        app.serve(settings, tell=tell, reach=_reach(ending))


def _reach(ending: ExitStack) -> Reach:
    """With the sample project, where the sandbox that serves it is installed."""
    from beton.web.injected import Reach

    reach = Reach()
    if find_spec("chdb") is not None and find_spec("hogql_parser") is not None:
        from beton.demo.sample import Sample

        sample = Sample()
        ending.callback(sample.close)
        reach.sample = sample
    return reach


def worker(*, as_json: AsJson = False) -> None:
    """Run the jobs alone: sweeps, deliveries and queued work, until interrupted."""
    from beton.app import with_a_key, work
    from beton.settings import load_settings

    def tell(executor_id: str, version: str) -> None:
        if as_json:
            print_json({"executor_id": executor_id, "version": version})
        else:
            say(f"Working as {executor_id}; Ctrl-C stops.")

    with opened(with_a_key(load_settings()), create=True) as place:
        work(place, tell=tell)


def migrate(*, as_json: AsJson = False) -> None:
    """Bring the database to the schema of this version. Other commands do so by themselves."""
    with opened(create=True) as place:
        from beton.store.migrate import revisions

        present, _ = revisions(place.store.engine)
    if as_json:
        print_json({"schema": present})
    else:
        write(f"The database has schema {present}.")
