"""The outermost layer of every request: its id, the headers of safety, HEAD, and what is measured.

One plain ASGI function around Litestar, because each further layer costs every search. It takes a
few microseconds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from itertools import count
from typing import Any, Final, cast

import structlog
from litestar import Litestar, Request
from litestar.routes import HTTPRoute
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

from api.clock import Clock
from api.errors import NotFound, Problem, Unavailable
from api.logs import Seldom, described
from api.metrics import Requests, shown_method
from api.operations import PROBLEM_JSON, documentation
from api.parameters import refuse_parameters
from api.problems import InternalError, document, route_of, with_head
from api.rates.gate import UNCOUNTED, Arrival, Gate

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_INT8: Final = range(-(2**63), 2**63)
_POLICY: Final = b"content-security-policy"
_DEFAULT_POLICY: Final = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
_SAFETY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


class AnswerCutShort(Exception):
    """Raised to the server so that it closes the connection: the answer had begun when it failed.
    Carries no text, because the server prints it."""


class _HeadAnswered(Exception):
    """Stops a stream whose caller asked for the headers only."""


class Edge:
    """Wraps the application's ASGI callable. One for each application."""

    def __init__(
        self, app: ASGIApp, *, clock: Clock, requests: Requests, gate: Gate, access_log: bool
    ) -> None:
        self._app = app
        self._gate = gate
        self._monotonic = clock.monotonic
        self._requests = requests
        self._access_log = access_log
        self._unavailable = Seldom()
        # Unique without asking the system for randomness each time: one id a process, then a count.
        self._prefix = clock.new_id().hex
        self._numbers = count(1)
        self._methods: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._monotonic()
        headers = dict(scope["headers"])
        exchange = _Exchange(self._request_id(headers), scope["method"], send)
        cast("dict[str, object]", scope["state"])["request_id"] = exchange.request_id
        if exchange.method == "HEAD":
            # Litestar's GET handlers answer 405 to HEAD: it is answered as GET, less the body.
            scope["method"] = "GET"
        self._requests.in_flight += 1
        try:
            if _has_body(headers):
                receive = exchange.reading(receive)
            if scope["path"] not in UNCOUNTED and not await self._admits(
                scope, headers, exchange, started
            ):
                await exchange.turn_away()
            elif _is_readable(scope["path"]):
                await self._app(scope, receive, self._sender(scope, exchange))
            else:
                await exchange.refuse_path()
        except Exception as error:
            await exchange.fail(error)
        finally:
            self._requests.in_flight -= 1
            self._finish(scope, exchange, self._monotonic() - started)

    async def _admits(
        self, scope: HTTPScope, headers: Mapping[bytes, bytes], exchange: _Exchange, at: float
    ) -> bool:
        """Whether the limits let this request in. It is counted, and `arrival` in the scope's state
        is where authentication says whose it is."""
        key = headers.get(b"authorization")
        arrival = self._gate.arrive(scope["client"], scope["headers"], key, at)
        cast("dict[str, object]", scope["state"])["arrival"] = exchange.arrival = arrival
        return not arrival.is_refused or (key is not None and await arrival.is_let_in_by(key))

    def _sender(self, scope: HTTPScope, exchange: _Exchange) -> Send:
        if exchange.method != "OPTIONS":
            return exchange.send

        async def send(message: Message) -> None:
            # Litestar names only the methods of the handler that was registered first.
            if message["type"] == "http.response.start" and message["status"] == 204:
                methods = self._methods = self._methods or _methods(scope["litestar_app"])
                exchange.allow = methods.get(_nameless(route_of(scope)))
            await exchange.send(message)

        return send

    def _request_id(self, headers: Mapping[bytes, bytes]) -> str:
        sent = headers.get(b"x-request-id")
        if sent is not None and _REQUEST_ID.fullmatch(sent):
            return sent.decode()
        return f"{self._prefix}-{next(self._numbers):x}"

    def _finish(self, scope: HTTPScope, exchange: _Exchange, seconds: float) -> None:
        route = route_of(scope)
        self._requests.observe(route, exchange.method, exchange.status, seconds)
        if exchange.status == 503:
            self._tell_of_outage(scope, exchange, route)
        if self._access_log or (exchange.status >= 500 and exchange.status != 503):
            structlog.get_logger("api.edge").info(
                "request",
                request_id=exchange.request_id,
                method=shown_method(exchange.method),
                route=route,
                status=exchange.status,
                ms=round(seconds * 1000, 3),
            )

    def _tell_of_outage(self, scope: HTTPScope, exchange: _Exchange, route: str) -> None:
        held_back = self._unavailable.due(self._monotonic())
        if held_back is None:
            return
        why = cast("dict[str, dict[str, object]]", scope["state"]).get("unavailable", {})
        structlog.get_logger("api.edge").warning(
            "not available",
            request_id=exchange.request_id,
            method=shown_method(exchange.method),
            route=route,
            status=exchange.status,
            not_shown=held_back,
            **why,
        )


class _Exchange:
    """One request's answer on its way out."""

    __slots__ = (
        "_begun",
        "_body_to_come",
        "_ended",
        "_send",
        "allow",
        "arrival",
        "method",
        "request_id",
        "status",
    )

    def __init__(self, request_id: str, method: str, send: Send) -> None:
        self.request_id = request_id
        self.method = method
        # What a caller saw who hung up before the answer began; nginx's convention.
        self.status = 499
        self._send = send
        self._begun = False
        self._ended = False
        self._body_to_come = False
        self.allow: str | None = None
        self.arrival: Arrival | None = None

    def reading(self, receive: Receive) -> Receive:
        """Takes note of when the request's body has been read to its end."""
        self._body_to_come = True

        async def noting() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                self._body_to_come = False
            return message

        return noting

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            self.status = message["status"]
            headers = [*message["headers"], *_SAFETY, (b"x-request-id", self.request_id.encode())]
            if not any(name == _POLICY for name, _ in headers):
                headers.append(_DEFAULT_POLICY)
            if self.arrival is not None:
                headers += self.arrival.headers()
            if self.allow is not None:
                headers = [each for each in headers if each[0] != b"allow"]
                headers.append((b"allow", self.allow.encode()))
            if self._body_to_come and not any(name == b"connection" for name, _ in headers):
                # The server ends a connection on which it would have to skip the rest of a body.
                # A caller who is told so does not send the next request into the void.
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        elif self.method == "HEAD" and message["type"] == "http.response.body":
            await self._send_nothing_more(more=bool(message.get("more_body", False)))
            return
        await self._send(message)

    async def _send_nothing_more(self, *, more: bool) -> None:
        if not self._ended:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if more:
            raise _HeadAnswered

    async def turn_away(self) -> None:
        assert self.arrival is not None, "only a request that was counted is turned away"
        await self._answer(self.arrival.refusal())

    async def refuse_path(self) -> None:
        await self._answer(NotFound("The path is not readable, so there is nothing there."))

    async def fail(self, error: Exception) -> None:
        """Litestar answers what its handlers raise. What comes here came after the answer had
        begun, or from Litestar itself."""
        if self._ended:
            return
        structlog.get_logger("api.edge").error(
            "answer failed",
            request_id=self.request_id,
            method=shown_method(self.method),
            **described(error),
        )
        if self._begun:
            raise AnswerCutShort from None
        await self._answer(InternalError("The fault has been logged under this request id."))

    async def _answer(self, problem: Problem) -> None:
        body = document(problem, self.request_id)
        headers = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *((name.lower().encode(), text.encode()) for name, text in problem.headers.items()),
        ]
        await self.send(
            {"type": "http.response.start", "status": problem.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _is_readable(path: str) -> bool:
    """Whether the path was UTF-8 and decoded in full: the server replaces what was not, and leaves
    a broken escape as it is. No path of ours holds a percent sign or a control character."""
    return path.isprintable() and "%" not in path and "\ufffd" not in path


def _methods(app: Litestar) -> dict[str, str]:
    """The Allow header for each route template, with the names of path parameters left out."""
    found: dict[str, set[str]] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            found.setdefault(_nameless(route.path_format), set()).update(route.methods)
    return {template: with_head(",".join(methods)) for template, methods in found.items()}


def _nameless(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", template)


class Doors:
    """What every request passes on its way to a handler, and whether the house is open."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        """Set once the directory is loaded; it stays so when the database goes away."""

    async def admit(self, request: Request[Any, Any, Any]) -> None:
        """Litestar's `before_request`, which comes after the guards of a route.

        Raises Unavailable, NotFound, UnknownParameter, InvalidParameter.

        Routes that take query parameters read theirs with `api.parameters.read_query`, which
        refuses what it does not know; for the others it is done here.
        """
        scope = request.scope
        if not self.opened.is_set() and scope["path"].startswith("/v1/"):
            raise Unavailable("The directory is still being loaded.", retry_after_seconds=1)
        for value in scope["path_params"].values():
            if isinstance(value, int) and value not in _INT8:
                raise NotFound("There is nothing under a number that large.")
        if scope["query_string"] and documentation(request.route_handler.opt).query is None:
            refuse_parameters(scope["query_string"])
