"""A server of one's own for a measurement: `beton serve` in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from beton.bench.desk_asked import Wire
from beton.bench.measured import MeasurementFailed
from beton.settings import PREFIX, Settings

PATIENCE = 60
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """Where it answers, and its process."""

    url: str
    process: int

    def cpu(self) -> float:
        """Seconds of processor that it has used."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def cpu_of_loop(self) -> float:
        """Seconds of processor of its first thread, which answers the requests."""
        fields = Path(f"/proc/{self.process}/task/{self.process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """The most memory that it has had, in bytes."""
        lines = Path(f"/proc/{self.process}/status").read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@contextmanager
def serving(settings: Settings) -> Generator[Served]:
    """`beton serve` over these settings, and nothing of this process's environment."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    told |= {f"{PREFIX}DATA_DIR": str(settings.data_dir), f"{PREFIX}PORT": str(settings.port)}
    # One reader stands for many, and nothing is to be looked for meanwhile.
    told |= {f"{PREFIX}REQUESTS_PER_MINUTE": "1000000000", f"{PREFIX}SWEEP_INTERVAL_MINUTES": "1440"}
    start = "import sys; from beton.cli import main; sys.exit(main(['serve', '--json']))"
    with subprocess.Popen([sys.executable, "-c", start], env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            _until_ready(settings.address, process)
            yield Served(settings.address, process.pid)
        finally:
            process.terminate()
            process.communicate()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _until_ready(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with closing(Wire(url)) as wire:
                if wire.ask("/readyz", {})[0] == 200:
                    return
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise MeasurementFailed(f"The server did not start: {process.communicate()[1][-500:]}")
