"""One question to a service on this machine."""

from __future__ import annotations

import http.client
from typing import Final

import msgspec

from api.links import reachable

TIMEOUT_SECONDS: Final = 5.0


class Answer(msgspec.Struct, frozen=True):
    status: int
    """0 when there was no answer."""
    body: bytes

    def member(self, name: str) -> object:
        """A member of the JSON object that was answered; None when there is no such thing."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, object]).get(name)
        except msgspec.DecodeError:
            return None


def ask(host: str, port: int, path: str) -> Answer:
    connection = http.client.HTTPConnection(reachable(host), port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException):
        return Answer(0, b"")
    finally:
        connection.close()
