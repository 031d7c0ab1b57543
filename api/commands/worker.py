"""A server process: what granian starts, as often as there are workers."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

from api.logs import configure_logs
from api.settings import Settings

if TYPE_CHECKING:
    from litestar.types import ASGIApp

GRACE_SECONDS: Final = 8.0
"""For requests under way, when the service's main process has died."""


def build_application(settings: Settings) -> ASGIApp:
    """The application of one server process; `settings` name a database."""
    _follow_parent()
    configure_logs(settings.log_level, settings.log_format)
    if settings.log_level == "info":
        # That a worker has started is of no use to the person who waits for the address.
        logging.getLogger("_granian").setLevel(logging.WARNING)
    # Only here, not at the top: the main process imports this module to name the function, and
    # must not pay the time and memory of the compiled search for it.
    from api.commands.wiring import application

    return application(settings)


def _follow_parent() -> None:
    """Stop when the main process is gone, however it went.

    After a kill -9 of it nobody else would: this process would hold the port, and the next start
    would find it taken.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(
            target=_stop_after, args=(parent.sentinel,), name="follow-parent", daemon=True
        ).start()


def _stop_after(sentinel: int) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
