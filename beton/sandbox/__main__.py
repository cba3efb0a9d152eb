"""`python -m beton.sandbox --events FILE --port 0 --json`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from beton.sandbox.run import run_sandbox, settings_from_json
from beton.sandbox.settings import ApiKey, LimitSettings, Settings


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and serves until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m beton.sandbox", description="A local server that answers like PostHog.")
    parser.add_argument("--events", action="append", type=Path, default=[], help="Parquet, CSV or JSON lines; repeatable")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--key", default="phx_sandbox", help="the personal API key to accept")
    parser.add_argument("--project", type=int, default=1)
    parser.add_argument("--timezone", default="UTC")
    parser.add_argument("--group", action="append", default=[], help="a group type, in index order; repeatable")
    parser.add_argument("--prefix", default="", help="a path in front of /api")
    parser.add_argument("--self-hosted", action="store_true", help="120 queries an hour instead of 2400")
    parser.add_argument("--no-throttling", action="store_true", help="no request throttles and no read budget")
    parser.add_argument("--settings", help="all settings as JSON; the other options are then ignored")
    parser.add_argument("--json", action="store_true", help="print one JSON line with url, project_id and api_key when ready")
    parser.add_argument("--leash", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(arguments)
    settings = settings_from_json(options.settings) if options.settings else _settings(options)
    if not options.json:
        print(f"PostHog sandbox, project {settings.project_id}, key {settings.keys[0].value}", file=sys.stderr)
    run_sandbox(settings, announce=sys.stdout, leash=sys.stdin if options.leash else None)


def _settings(options: argparse.Namespace) -> Settings:
    limits = LimitSettings(self_hosted=options.self_hosted)
    if options.no_throttling:
        limits = replace(limits, throttling=False, budget_enforced=False)
    return Settings(
        host=options.host,
        port=options.port,
        path_prefix=options.prefix,
        keys=(ApiKey(options.key),),
        limits=limits,
        project_id=options.project,
        timezone=options.timezone,
        group_types=tuple(options.group),
        events=tuple(options.events),
    )


if __name__ == "__main__":
    main()
