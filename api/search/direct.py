"""The way of a search past the framework, when nothing stands in its way."""

from __future__ import annotations

from typing import Final, Protocol, cast

from litestar.types import ASGIApp, Receive, Scope, Send

from api.errors import Problem
from api.search.encoded import Encoded
from api.search.service import SearchService

PATH: Final = "/v1/clinics"


class Opening(Protocol):
    """Whether the house is open (`asyncio.Event`)."""

    def is_set(self) -> bool: ...


class DirectSearch:
    """Answers `GET /v1/clinics` in front of the application, which takes as long to find and call
    a handler as the search takes.

    The route is the one of `routes.py`: there it is documented, and whatever does not succeed here
    at once is done there from the start — what is wrong with a question, and places that a network
    has to be asked for.
    """

    def __init__(self, app: ASGIApp, search: SearchService, opened: Opening) -> None:
        self._app = app
        self._search = search
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            app = self._answer(scope["query_string"]) or app
            if app is not self._app:
                # What Litestar's router would say, for metrics and logs.
                cast("dict[str, object]", scope)["path_template"] = PATH
        await app(scope, receive, send)

    def _answer(self, query_string: bytes) -> Encoded | None:
        if not self._opened.is_set():
            return None
        try:
            answer = self._search.answer_at_once(query_string)
        except Problem:
            return None
        return None if answer is None else versioned(self._search, answer)


def versioned(search: SearchService, answer: bytes) -> Encoded:
    """The answer as it is sent."""
    return Encoded(answer, [(b"directory-version", b"%d" % search.index.version)])
