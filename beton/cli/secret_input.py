"""A PostHog key from the outside: a variable, a file, a pipe or a hidden prompt; on the command line only with a warning."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from beton.cli.printing import say
from beton.errors import BadInput

if TYPE_CHECKING:
    from pydantic import SecretStr

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
HOW = "Give --key-env NAME, --key-file PATH, or pipe the key in."


@Parameter(name="*")
@dataclass(frozen=True)
class KeySource:
    """Where the key comes from; without any, from standard input."""

    key_env: Annotated[str | None, Parameter(name="--key-env", help="The name of an environment variable that holds the key.")] = None
    key_file: Annotated[Path | None, Parameter(name="--key-file", help="A file that holds the key.")] = None
    key: Annotated[str | None, Parameter(name="--key", help="The key itself. Other users of this machine can see it in the list of processes.")] = (
        None
    )

    def read(self, host: str) -> SecretStr:
        """The key, never printed. Raises BadInput."""
        from pydantic import SecretStr

        given = [one for one in (self.key_env, self.key_file, self.key) if one is not None]
        if len(given) > 1:
            raise BadInput("The key was given more than once.", fix=HOW)
        text = self._text(host).strip()
        if not text:
            raise BadInput("There is no PostHog key.", code="posthog.key_missing", fix=HOW)
        return SecretStr(text)

    def _text(self, host: str) -> str:
        if self.key_env is not None:
            return os.environ.get(self.key_env, "")
        if self.key_file is not None:
            try:
                return self.key_file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise BadInput(f"--key-file {self.key_file}: {error}", fix=HOW) from error
        if self.key is not None:
            if urlsplit(host).hostname not in LOOPBACK:
                say("Warning: a key on the command line is visible to other users of this machine and stays in the shell's history.")
            return self.key
        return getpass("PostHog personal API key: ") if sys.stdin.isatty() else sys.stdin.readline()
