"""Whether the process lives, whether it can answer, and what it has been doing."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal, Protocol, cast

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from api.clock import Clock
from api.operations import answers
from db.errors import DatabaseError
from db.pool import Pool

_PATIENCE_SECONDS: Final = 0.5
_FRESH_SECONDS: Final = 1.0


class Index(Protocol):
    """What is asked of the search index here."""

    @property
    def version(self) -> int: ...
    def __len__(self) -> int: ...


class Pulse:
    """Whether the database answers, asked at most once a second however many want to know."""

    def __init__(self, database: Pool, clock: Clock) -> None:
        self._database = database
        self._monotonic = clock.monotonic
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()
        self.beats = False

    async def feel(self) -> bool:
        async with self._asking:
            if self._asked_at is None or self._monotonic() - self._asked_at > _FRESH_SECONDS:
                self.beats = await self._ask()
                self._asked_at = self._monotonic()
            return self.beats

    async def _ask(self) -> bool:
        try:
            async with (
                asyncio.timeout(2 * _PATIENCE_SECONDS),
                self._database.acquire(patience=_PATIENCE_SECONDS) as connection,
            ):
                await connection.execute("select 1")
        except (DatabaseError, TimeoutError):
            return False
        return True


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    status: Literal["live"] = "live"


class IndexState(msgspec.Struct, frozen=True, kw_only=True):
    """The search index of the process that answered."""

    loaded: bool
    version: int | None
    """The directory version it stands at."""
    clinics: int | None


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    reachable: bool


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`: everything works. `degraded`: search and profiles are answered from memory and
    nothing can be changed, since the database is away. `starting`: no search yet."""

    status: Literal["ready", "degraded", "starting"]
    index: IndexState
    database: DatabaseState


def index_of(state: State) -> Index | None:
    """The index of this process, or None before it is loaded."""
    return cast("Index", state.follower.index) if state.doors.opened.is_set() else None


@get(
    "/health/live",
    operation_id="getLiveness",
    summary="Whether the process runs",
    description="Answers 200 for as long as the process can answer at all; asks nothing else.",
    tags=["Service"],
    responses=answers(Liveness, example={"status": "live"}),
)
async def get_liveness() -> Liveness:
    return Liveness()


_READY: Final = {
    "status": "ready",
    "index": {"loaded": True, "version": 118, "clinics": 151},
    "database": {"reachable": True},
}
_STARTING: Final = {
    "status": "starting",
    "index": {"loaded": False, "version": None, "clinics": None},
    "database": {"reachable": False},
}


@get(
    "/health/ready",
    operation_id="getReadiness",
    summary="Whether searches can be answered, and the state of what they need",
    tags=["Service"],
    responses={
        **answers(Readiness, example=_READY, description="Searches are answered"),
        **answers(Readiness, example=_STARTING, status=503, description="No search index yet"),
    },
)
async def get_readiness(request: Request[Any, Any, State]) -> Response[Readiness]:
    state = request.app.state
    index = index_of(state)
    reachable = await cast("Pulse", state.pulse).feel()
    found = Readiness(
        status="starting" if index is None else "ready" if reachable else "degraded",
        index=IndexState(
            loaded=index is not None,
            version=None if index is None else index.version,
            clinics=None if index is None else len(index),
        ),
        database=DatabaseState(reachable=reachable),
    )
    return Response(
        found,
        status_code=503 if index is None else 200,
        headers={"Cache-Control": "no-store"} | ({"Retry-After": "1"} if index is None else {}),
    )


@get(
    "/metrics",
    operation_id="getMetrics",
    summary="Counts and durations for Prometheus",
    description="Of the process that answers. Labels are route templates, never what was sent.",
    tags=["Service"],
    responses=answers(
        str,
        media_type="text/plain",
        description="The Prometheus text format",
        example="# TYPE clinicway_requests_in_flight gauge\nclinicway_requests_in_flight 1.0\n",
    ),
)
async def get_metrics(request: Request[Any, Any, State]) -> Response[bytes]:
    state = request.app.state
    await cast("Pulse", state.pulse).feel()
    body = generate_latest(cast("CollectorRegistry", state.registry))
    return Response(
        body, headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
    )


def gauges_of(state: State) -> dict[str, tuple[str, float | None]]:
    """What /metrics says of the index and the database."""
    index = index_of(state)
    return {
        "clinicway_index_version": (
            "Directory version that the search index stands at",
            None if index is None else index.version,
        ),
        "clinicway_index_clinics": (
            "Clinics in the search index",
            None if index is None else len(index),
        ),
        "clinicway_database_up": (
            "Whether the database answered when it was last asked",
            cast("Pulse", state.pulse).beats,
        ),
    }


handlers: Final = cast("list[Any]", [get_liveness, get_readiness, get_metrics])
