"""Fetches what the pages need and the repository does not hold: htmx, out of a wheel that carries it.

The carrier is never imported and is no dependency of what is installed; only its one file is copied. The place is ignored by git and packed
into wheels.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIER = "django_htmx"
CARRIED = Path("static/django_htmx/htmx-2.min.js")
VENDOR = Path("beton/web/static/vendor")


class AssetsHook(BuildHookInterface):
    """Runs before the project is built or installed as editable."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the files where the server serves them from. Those that are there already are renewed."""
        del version
        target = Path(self.root) / VENDOR / "htmx.min.js"
        found = importlib.util.find_spec(CARRIER)
        if found is None or found.origin is None:
            if target.is_file():  # a source distribution brings it along
                return
            raise RuntimeError(f"htmx cannot be had: install {CARRIER.replace('_', '-')}, whose wheel carries it, and build again.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(found.origin).parent / CARRIED, target)
        build_data["artifacts"].append(f"{VENDOR.as_posix()}/*.js")
