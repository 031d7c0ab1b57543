"""`clinicway worker`: what becomes due, in a process without a server."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from api.clock import Clock
from api.commands.compiled import keep_compiled_code
from api.commands.database import database_address, require_database
from api.commands.interrupts import STOPPING, Interrupts
from api.commands.prepare import update_schema
from api.keyring import Keyring
from api.logs import configure_logs
from api.settings import Settings

STOP_SECONDS: Final = 25.0
"""For what is under way; the connections then take a second or two."""


def work(settings: Settings, clock: Clock, progress: Console) -> int:
    """Runs until SIGTERM, SIGINT or SIGHUP. Raises CommandError, EmbeddedPostgresError,
    MigrationError, KeyringError, and DatabaseUnavailable."""
    configure_logs(settings.log_level, settings.log_format)
    require_database(settings)
    ignored = {each for each in STOPPING if signal.getsignal(each) is signal.SIG_IGN}
    interrupts = Interrupts()
    try:
        with ExitStack() as stack:
            with interrupts.held_back():
                dsn = stack.enter_context(database_address(settings))
            running = replace(settings, database_url=dsn)
            Keyring.load_or_create(running.keyring_path, clock)
            keep_compiled_code(running.data_dir)
            asyncio.run(
                _work(running, progress, [each for each in STOPPING if each not in ignored])
            )
    except KeyboardInterrupt:
        # Before there was anything to finish.
        pass
    return 0


async def _work(settings: Settings, progress: Console, stopping: Sequence[int]) -> None:
    assert settings.database_url is not None
    await update_schema(settings.database_url, progress)
    # Only here: the compiled search behind it must know first where its code is kept.
    from api.commands.wiring import worker_application

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    app = worker_application(settings, STOP_SECONDS)
    for number in stopping:
        loop.add_signal_handler(number, stop.set)
    async with app.lifespan():
        progress.print("Working. Ctrl-C ends it.", highlight=False)
        await stop.wait()
        progress.print("Finishing what is under way …", highlight=False)
    for number in stopping:
        # The database is stopped now, if it is ours; impatience must not cut that short.
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
