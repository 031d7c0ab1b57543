"""SIGTERM and its like while the service is starting, before the server takes them over."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Makes every stopping signal unwind the main thread as Ctrl-C does: the default of SIGTERM
    would leave the database running behind us. What nohup ignores stays ignored."""

    def __init__(self) -> None:
        self._holding = False
        self._waiting = False
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._arrived)

    @contextmanager
    def held_back(self) -> Generator[None]:
        """For a step of a second or two that must not be cut in half."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._waiting:
            raise KeyboardInterrupt

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if not self._holding:
            raise KeyboardInterrupt
        self._waiting = True
