"""Telling the person at the terminal that the service answers, once it does."""

from __future__ import annotations

import http.client
import threading
from typing import Final

import msgspec
from rich.console import Console

EXAMPLE: Final = "/v1/clinics?near=90045&radius=25mi&route=iv"
ASK_EVERY_SECONDS: Final = 0.1
SAY_WHY_AFTER: Final = 200
"""Attempts, about 20 seconds: what is still starting by then says what it waits for."""
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared, not bound)


class _Health(msgspec.Struct):
    status: str = "starting"


class Announcement:
    """Asks the service until it is ready, then prints where it is. Runs in a thread of its own."""

    def __init__(self, address: str, port: int, console: Console, progress: Console) -> None:
        self._host = ANYWHERE.get(address, address)
        self._port = port
        self._console = console
        self._progress = progress
        self._over = threading.Event()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> None:
        threading.Thread(target=self._run, name="announce", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        attempts = 0
        while not self._over.wait(ASK_EVERY_SECONDS):
            attempts += 1
            status, body = self._ask("/health/ready")
            # The example is asked as well: a first answer is worth more than a promise of one.
            if status == 200 and self._ask(EXAMPLE)[0] == 200:
                if not self._over.is_set():
                    self._print()
                return
            if attempts == SAY_WHY_AFTER:
                self._say(self._progress, f"Not ready yet. {_reason(status, body)}")

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=5.0)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def _print(self) -> None:
        url = self.url
        for line in (
            f"Clinicway answers on {url}",
            f"  documentation     {url}/docs",
            f"  OpenAPI document  {url}/openapi.json",
            "",
            "Try:",
            f"  curl '{url}{EXAMPLE}'",
        ):
            self._say(self._console, line)

    @staticmethod
    def _say(console: Console, line: str) -> None:
        # Soft wrap: an address that is broken over two lines cannot be copied.
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _reason(status: int, body: bytes) -> str:
    if status == 0:
        return "The server process is still starting."
    try:
        found = msgspec.json.decode(body, type=_Health)
    except msgspec.DecodeError:
        return f"It answers with status {status}."
    return f"The service says that it is {found.status}."
