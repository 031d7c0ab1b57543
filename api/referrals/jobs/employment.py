"""The workers of a process, put together from the settings, with what is theirs alone: a small
pool with the worker's rights, and the client of the webhooks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from msgspec.structs import replace
from prometheus_client.registry import Collector

from api.notices.mail import FolderMailer, Letterhead, Mailer, Server, SmtpMailer
from api.notices.sending import NoticeSender, NoticeServices
from api.partners.webhooks.posting import Poster
from api.partners.webhooks.sending import Sender
from api.referrals.jobs.jobs import Striker, handlers
from api.referrals.jobs.responsiveness import EVERY_SECONDS, measure_all
from api.referrals.jobs.sweeper import Sweeper
from api.referrals.jobs.workers import Workers
from api.referrals.sealing.erasure import erase_expired
from api.referrals.step import ReferralServices
from api.referrals.tracking import tracking_url
from api.referrals.unattended import clinic_changed, clinic_full, strike
from api.settings import Settings
from db.pool import Limits, Pool
from db.roles import WORKER

POOL_SIZE: Final = 12
"""Four referrals, eight notices; what is open for longer than a moment are two claims. Connections
are made when they are needed."""
# A job can wait longer for a connection than a request. Whoever holds a claim sits in an open
# transaction meanwhile, for as long as what was claimed takes.
_LIMITS: Final = Limits(acquire=10.0, idle_in_transaction=60.0)
MAIL_FOLDER: Final = "mail"
NO_SENDER: Final = "clinicway@localhost"


class Jobs:
    """To be opened and closed on the event loop that the rest of the process runs on."""

    def __init__(
        self, settings: Settings, services: ReferralServices, *, report: bool = False
    ) -> None:
        """`services` are those of requests: only their database is another one here. With
        `report`, a line a minute says what was done."""
        dsn = settings.database_url
        assert dsn is not None, "the command line settles which database it is"
        self._report = report
        self._pool = Pool(
            dsn, size=POOL_SIZE, limits=_LIMITS, application="clinicway worker", role=WORKER
        )
        self._poster = Poster(allow_private=settings.webhook_allow_private)
        self._opened = AsyncExitStack()
        mine = replace(services, database=self._pool)
        striker = Striker(partial(strike, mine), services.clock)
        notices = NoticeSender(
            NoticeServices(
                database=self._pool,
                clock=services.clock,
                sealer=services.sealer,
                mailer=_mailer(settings),
                letterhead=_letterhead(settings),
                link_base=services.link_base,
                tracking_link=partial(tracking_url, services.keyring, services.link_base),
            )
        )
        webhooks = Sender(
            database=self._pool,
            keyring=services.keyring,
            clock=services.clock,
            poster=self._poster,
        )
        sweeper = Sweeper(
            self._pool,
            services.clock,
            striker=striker,
            notices=notices,
            webhooks=webhooks,
            clinic_changed=partial(clinic_changed, mine),
            erase_expired=partial(erase_expired, mine, settings.retention),
            measure=partial(measure_all, self._pool, services.database, services.clock),
            measure_every=EVERY_SECONDS,
        )
        self._workers = Workers(
            dsn,
            sweeper=sweeper,
            striker=striker,
            notices=notices,
            handlers=handlers(striker, notices, webhooks, partial(clinic_full, mine)),
        )

    async def open(self, ready: asyncio.Event) -> None:
        """Work begins when `ready` is set: the directory is loaded."""
        await self._pool.open()
        self._opened.push_async_callback(self._pool.close)
        await self._opened.enter_async_context(self._poster)
        self._workers.start(ready, report=self._report)

    async def close(self, patience: float) -> None:
        """Let what is under way end for that many seconds; the rest is done by whoever comes."""
        await self._workers.stop(patience)
        await self._opened.aclose()

    def metrics(self) -> Collector:
        return self._workers.metrics()


def _mailer(settings: Settings) -> Mailer:
    if settings.smtp_url is None:
        return FolderMailer(settings.data_dir / MAIL_FOLDER)
    return SmtpMailer(Server.from_url(settings.smtp_url))


def _letterhead(settings: Settings) -> Letterhead:
    sender = settings.mail_from or f"Clinicway <{NO_SENDER}>"
    return Letterhead(sender=sender, domain=sender.rpartition("@")[2].rstrip(">"))
