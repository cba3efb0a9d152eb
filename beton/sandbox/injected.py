"""What every handler is handed: the sandbox and its query desk."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from beton.sandbox.project import Sandbox
from beton.sandbox.queries import QueryDesk

TheSandbox = NamedDependency[SkipValidation[Sandbox]]
TheDesk = NamedDependency[SkipValidation[QueryDesk]]
