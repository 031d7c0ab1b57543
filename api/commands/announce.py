"""Telling the person at the terminal that the service answers, once it does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from rich.console import Console

from api.commands.ask import Answer, ask
from api.links import reachable, served_at

EXAMPLE: Final = "/v1/clinics?near=90045&radius=25mi&route=iv"
ASK_EVERY_SECONDS: Final = 0.1
SAY_WHY_AFTER: Final = 200
"""Attempts, about 20 seconds: what is still starting by then says what it waits for."""


class Announcement:
    """Asks the service until it is ready, then prints where it is. Runs in a thread of its own."""

    def __init__(
        self,
        address: str,
        port: int,
        more: Sequence[str],
        console: Console,
        progress: Console,
    ) -> None:
        self._host = reachable(address)
        self._port = port
        self._more = more
        self._console = console
        self._progress = progress
        self._over = threading.Event()

    @property
    def url(self) -> str:
        return served_at(self._host, self._port)

    def start(self) -> None:
        threading.Thread(target=self._run, name="announce", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        attempts = 0
        while not self._over.wait(ASK_EVERY_SECONDS):
            attempts += 1
            answer = self._ask("/health/ready")
            # The example is asked as well: a first answer is worth more than a promise of one.
            if answer.status == 200 and self._ask(EXAMPLE).status == 200:
                if not self._over.is_set():
                    self._print()
                return
            if attempts == SAY_WHY_AFTER:
                self._say(self._progress, f"Not ready yet. {_reason(answer)}")

    def _ask(self, path: str) -> Answer:
        return ask(self._host, self._port, path)

    def _print(self) -> None:
        url = self.url
        for line in (
            f"Clinicway answers on {url}",
            f"  documentation     {url}/docs",
            f"  OpenAPI document  {url}/openapi.json",
            "",
            "Try:",
            f"  curl '{url}{EXAMPLE}'",
            *self._more,
        ):
            self._say(self._console, line)

    @staticmethod
    def _say(console: Console, line: str) -> None:
        # Soft wrap: an address that is broken over two lines cannot be copied.
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _reason(answer: Answer) -> str:
    if answer.status == 0:
        return "The server process is still starting."
    return f"The service says that it is {answer.member('status') or 'not'}."
