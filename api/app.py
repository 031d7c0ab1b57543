"""The only wiring: rooms, services and the edge put together into one application."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar
from litestar.datastructures import State

import api.docs
import api.health
import api.problems
from api.bodies import ServiceRequest
from api.clock import Clock
from api.edge import Edge, refuse_unknown_parameters
from api.health import Pulse, gauges_of
from api.metrics import Gauges, Requests, make_registry
from api.problems import answer_problem
from api.settings import Settings
from db.pool import Pool


def route_handlers() -> Sequence[Any]:
    """Every route of the service, room by room."""
    return [*api.docs.handlers, *api.health.handlers, *api.problems.handlers]


def create_app(
    settings: Settings,
    *,
    clock: Clock,
    geocoder: object,
    database: Pool | None = None,
) -> Litestar:
    """The service, which opens its connections when the server starts it.

    `database` is taken from `settings.database_url` when it is left out; one that is handed in is
    still opened and closed by the application.
    """
    pool = database or _pool_of(settings)
    requests = Requests()
    state = State(
        {
            "settings": settings,
            "clock": clock,
            "places": geocoder,
            "database": pool,
            "pulse": Pulse(pool, clock),
        }
    )
    state.registry = make_registry(requests, Gauges(lambda: gauges_of(state)))
    app = Litestar(
        route_handlers(),
        state=state,
        lifespan=[_services],
        request_class=ServiceRequest,
        request_max_body_size=settings.max_body_bytes,
        before_request=refuse_unknown_parameters,
        exception_handlers={Exception: answer_problem},
        # The document is committed and served by api.docs; logging is api.logs and the edge.
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = Edge(
        app.asgi_handler, clock=clock, requests=requests, access_log=settings.access_log
    )
    return app


def _pool_of(settings: Settings) -> Pool:
    assert settings.database_url is not None, "the command line knows which database it is"
    return Pool(settings.database_url, size=settings.pool_size)


@asynccontextmanager
async def _services(app: Litestar) -> AsyncGenerator[None]:
    pool: Pool = app.state.database
    await pool.open()
    try:
        yield
    finally:
        await pool.close()
