"""The `clinicway` command, also as `python -m api`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from api.clock import SystemClock
from api.commands.arguments import flags_of, parser
from api.commands.failures import CommandError, told_in_a_sentence
from api.environment import process_environment, read_settings, unknown_variables
from api.settings import Settings

# The commands are imported where they are chosen. Server processes import this file again, and
# numba must not be imported before it is known where compiled code is kept.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; what the process is to exit with."""
    arguments = parser().parse_args(argv)
    progress = Console(stderr=True, soft_wrap=True)
    try:
        with told_in_a_sentence():
            environment = process_environment()
            flags = flags_of(arguments)
            if arguments.command == "doctor":
                # Settings that cannot be used are a finding like any other.
                from api.commands.doctor import examine

                return examine(environment, flags, SystemClock(), Console())
            settings = read_settings(environment, flags)
            _warn_of_unknown(unknown_variables(environment), progress)
            return _run(arguments, settings, progress)
    except CommandError as error:
        _say(progress, f"clinicway: {error}")
        return error.code
    except KeyboardInterrupt:
        return 130


def _run(arguments: argparse.Namespace, settings: Settings, progress: Console) -> int:
    clock = SystemClock()
    console = Console()
    match arguments.command:
        case "serve":
            from api.commands.serve import serve

            return serve(settings, clock, console, progress)
        case "worker":
            from api.commands.work import work

            return work(settings, clock, progress)
        case "migrate":
            from api.commands.migrate import migrate_now

            return asyncio.run(migrate_now(settings, progress))
        case "keys":
            from api.commands.database import require_database
            from api.commands.keys import run_keys

            require_database(settings)
            return asyncio.run(run_keys(arguments, settings, clock, console))
        case "keyring":
            from api.commands.database import require_database
            from api.commands.keyring import run_keyring

            require_database(settings)
            return asyncio.run(run_keyring(arguments, settings, clock, console, progress))
        case "audit":
            from api.commands.audit import run_audit
            from api.commands.database import require_database

            require_database(settings)
            return asyncio.run(run_audit(arguments, settings, clock, console))
        case "referrals":
            from api.commands.compiled import keep_compiled_code
            from api.commands.database import require_database

            require_database(settings)
            keep_compiled_code(settings.data_dir)
            from api.commands.referrals import run_referrals

            return asyncio.run(run_referrals(arguments, settings, clock, console))
        case "import":
            from api.commands.compiled import keep_compiled_code
            from api.commands.database import require_database

            require_database(settings)
            keep_compiled_code(settings.data_dir)
            from api.commands.imports import run_file_import

            return asyncio.run(run_file_import(arguments, settings, clock, console, progress))
        case "bench":
            from api.commands.bench import run_bench

            return run_bench(Path(__file__).parents[1], arguments.rest)
        case _:
            raise AssertionError("argparse lets no other command through")


def _warn_of_unknown(names: dict[str, str | None], progress: Console) -> None:
    for name, near in names.items():
        hint = f" Did you mean {near}?" if near else ""
        _say(progress, f"clinicway: {name} is set, but there is no such setting.{hint}")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
