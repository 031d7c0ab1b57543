"""The only wiring: rooms, services and the edge put together into one application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

import api.audit.routes
import api.directory.catalogue_routes
import api.directory.routes
import api.docs
import api.health
import api.keys.routes
import api.partners.webhooks.routes
import api.problems
import api.referrals.routes
import api.search.routes
from api.audit.service import Auditor
from api.auth import Authenticator, caller
from api.bodies import ServiceRequest
from api.clock import Clock
from api.directory.access import DirectoryServices
from api.directory.catalogue import Catalogue
from api.directory.claims import run_claim_expiry
from api.edge import Doors, Edge
from api.health import Pulse, gauges_of
from api.keyring import Keyring
from api.memory import settle
from api.metrics import Gauges, Requests, make_registry
from api.problems import answer_problem
from api.rates.gate import Gate
from api.rates.sharing import Sharing
from api.referrals.jobs.employment import Jobs
from api.referrals.lifecycle.clocks import Clocks
from api.referrals.matching.candidates import compile_ahead
from api.referrals.sealing.sealing import Sealer
from api.referrals.step import ReferralServices
from api.search.direct import DirectSearch
from api.search.follower import Follower
from api.search.places import Places
from api.search.service import SearchService
from api.settings import Settings
from db.pool import Pool
from db.roles import SERVICE

JOBS_SECONDS: Final = 4.0
"""For the jobs under way when a server process stops: less than that process is given."""
_HEAD_START_SECONDS: Final = 5.0


def route_handlers() -> Sequence[Any]:
    """Every route of the service, room by room."""
    return [
        *api.docs.handlers,
        *api.health.handlers,
        *api.problems.handlers,
        *api.keys.routes.handlers,
        *api.audit.routes.handlers,
        *api.partners.webhooks.routes.handlers,
        *api.directory.catalogue_routes.handlers,
        *api.directory.routes.handlers,
        *api.search.routes.handlers,
        *api.referrals.routes.handlers,
    ]


def create_app(
    settings: Settings,
    *,
    clock: Clock,
    geocoder: Places,
    database: Pool | None = None,
    patience: float = JOBS_SECONDS,
    report: bool = False,
) -> Litestar:
    """The service. It opens its connections when the server starts it, and starts without them.

    `settings` name a database and a keyring file, which is made when there is none. `database` is
    a pool to use in place of one made from the settings; the application opens and closes it.
    `patience` is for the jobs under way when it stops, in seconds; with `report`, the workers say
    once a minute what they did. Raises KeyringError.
    """
    dsn = settings.database_url
    assert dsn is not None, "the command line settles which database it is"
    pool = database or Pool(dsn, size=settings.pool_size, role=SERVICE)
    keyring = Keyring.load_or_create(settings.keyring_path, clock)
    catalogue = Catalogue()
    follower = Follower(pool, dsn, catalogue, settings.index_poll_seconds)
    requests = Requests()
    authenticator = Authenticator(
        database=pool, keyring=keyring, clock=clock, environment=settings.environment
    )
    gate = Gate(settings, keyring=keyring, keys=authenticator, clock=clock)
    doors = Doors()
    auditor = Auditor(keyring, clock)
    referrals = ReferralServices(
        database=pool,
        clock=clock,
        keyring=keyring,
        sealer=Sealer(keyring),
        auditor=auditor,
        follower=follower,
        catalogue=catalogue,
        places=geocoder,
        clocks=Clocks(
            urgent=settings.clock_urgent,
            soon=settings.clock_soon,
            routine=settings.clock_routine,
            answer=settings.clock_answer,
        ),
        link_base=settings.link_base,
    )
    jobs = Jobs(settings, referrals, report=report) if settings.jobs else None
    state = State(
        {
            "settings": settings,
            "clock": clock,
            "places": geocoder,
            "database": pool,
            "keyring": keyring,
            "auditor": auditor,
            "authenticator": authenticator,
            "catalogue": catalogue,
            "follower": follower,
            "search": SearchService(
                follower,
                catalogue,
                geocoder,
                clock,
                keys=keyring,
                most_answers=settings.cache_answers,
            ),
            "referrals": referrals,
            "jobs": jobs,
            "jobs_patience": patience,
            "doors": doors,
            "pulse": Pulse(pool, clock),
            "sharing": Sharing(gate.limits, pool, clock),
        }
    )
    collectors = [requests, gate, Gauges(lambda: gauges_of(state))]
    state.registry = make_registry(*collectors, *([] if jobs is None else [jobs.metrics()]))
    app = Litestar(
        route_handlers(),
        state=state,
        lifespan=[_services],
        dependencies={"caller": Provide(caller)},
        request_class=ServiceRequest,
        request_max_body_size=settings.max_body_bytes,
        # Not a guard: for those Litestar copies the handler, which costs more than all the edge.
        before_request=doors.admit,
        exception_handlers={Exception: answer_problem},
        # The document is committed and served by api.docs; logging is api.logs and the edge.
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    app.asgi_handler = Edge(
        DirectSearch(app.asgi_handler, state.search, doors.opened),
        clock=clock,
        requests=requests,
        gate=gate,
        access_log=settings.access_log,
    )
    return app


@asynccontextmanager
async def _services(app: Litestar) -> AsyncGenerator[None]:
    """Opens the pool and starts following the log; the other way round in the end.

    A database that is away delays nothing but the answers that need it: the directory is loaded
    as soon as it is back.
    """
    state = app.state
    await state.database.open()
    settled = asyncio.Event()
    following = asyncio.create_task(_follow(state, settled))
    jobs: Jobs | None = state.jobs
    try:
        if jobs is not None:
            # Not while the matching is compiled, which holds up the answers of the database until
            # it seems to be out of reach.
            await jobs.open(state.doors.opened)
        # So that the first caller of a healthy service is not told to come again.
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_START_SECONDS):
                await settled.wait()
        yield
    finally:
        if jobs is not None:
            await jobs.close(state.jobs_patience)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await state.authenticator.aclose()
        await state.database.close()


async def _follow(state: State, settled: asyncio.Event) -> None:
    """Never returns; to be cancelled. Sets `settled` when the directory is loaded, or when that
    may take any time because the database is away."""
    follower: Follower = state.follower
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follower.run())
        tasks.create_task(state.sharing.run())
        await follower.first_try.wait()
        if not follower.loaded.is_set():
            settled.set()
        await follower.loaded.wait()
        # Seconds at the very first start, when nothing compiled is kept yet: not for a referrer.
        await asyncio.to_thread(compile_ahead, state.clock.now())
        settle()
        state.doors.opened.set()
        settled.set()
        tasks.create_task(run_claim_expiry(DirectoryServices(state)))
