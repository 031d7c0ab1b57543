"""An answer that is encoded already, sent with nothing in between."""

from __future__ import annotations

from collections.abc import Iterable

from litestar.types import Receive, Scope, Send

_JSON = (b"content-type", b"application/json")


class Encoded:
    """JSON bytes as an ASGI application: what Litestar's Response adds, search does not need, and
    it would cost as much as the search itself."""

    __slots__ = ("_body", "_headers")

    def __init__(self, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._body = body
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        length = (b"content-length", b"%d" % len(self._body))
        headers = [_JSON, length, *self._headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
