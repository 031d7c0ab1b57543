"""Referrals that are really sent and routed, and workers whose parts a test can see."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime
from email import policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from api.audit.service import Auditor
from api.clock import SystemClock
from api.directory.catalogue import Catalogue
from api.keyring import Keyring
from api.notices.mail import FolderMailer, Letterhead, Mailer
from api.notices.sending import LEASE_SECONDS, NoticeSender, NoticeServices
from api.partners.webhooks.posting import Poster
from api.partners.webhooks.sending import Sender
from api.referrals.document import Consent, Document, Patient, Point, Preferences, Referrer
from api.referrals.jobs.jobs import Striker
from api.referrals.jobs.responsiveness import EVERY_SECONDS, measure_all
from api.referrals.jobs.sweeper import Sweeper
from api.referrals.lifecycle.clocks import Clocks
from api.referrals.routing import route
from api.referrals.saving import insert
from api.referrals.sealing.sealing import Sealer
from api.referrals.step import Case, ReferralServices, Who
from api.referrals.tracking import tracking_url
from api.referrals.unattended import clinic_changed, clinic_full, strike
from api.search.follower import Follower
from api.search.places import Places
from api.settings import Settings
from db.pool import Pool
from db.referral_rows import KeptAnswer
from db.roles import SERVICE, WORKER
from db.states import ReferralMode, RoleInReferral, Route, Setting, Urgency
from seeds.gazetteer.load import load_gazetteer

CANARY = "Quetzalcoatl"
PATIENT_ADDRESS = "patient.of.the.test@mail.example"
REFERRER_ADDRESS = "desk@surgery.example"
REFERRER = Who(role=RoleInReferral.REFERRER, actor="key:0193a1b2c3d47e5f8a6b7c8d9e0f1a2b")
LETTERHEAD = Letterhead(sender="Clinicway <notices@directory.example>", domain="directory.example")


class Practice(msgspec.Struct, frozen=True, kw_only=True):
    dsn: str
    folder: Path
    services: ReferralServices
    """With the rights of requests."""
    owner: Pool
    """To look at everything, and to move time by moving what is due."""
    worker: Pool

    @property
    def mail(self) -> Path:
        return self.folder / "mail"

    def notices(self, mailer: Mailer | None = None, lease: float = LEASE_SECONDS) -> NoticeSender:
        services = NoticeServices(
            database=self.worker,
            clock=self.services.clock,
            sealer=self.services.sealer,
            mailer=mailer or FolderMailer(self.mail),
            letterhead=LETTERHEAD,
            link_base=self.services.link_base,
            tracking_link=partial(tracking_url, self.services.keyring, self.services.link_base),
        )
        return NoticeSender(services, lease_seconds=lease)

    def at_work(self) -> ReferralServices:
        return msgspec.structs.replace(self.services, database=self.worker)

    def striker(self, strike_with: Callable[[UUID], Awaitable[None]] | None = None) -> Striker:
        return Striker(strike_with or partial(strike, self.at_work()), self.services.clock)

    def sweeper(
        self,
        *,
        striker: Striker | None = None,
        notices: NoticeSender | None = None,
        erase: Callable[[], Awaitable[int]] | None = None,
    ) -> Sweeper:
        async def nothing_to_erase() -> int:
            return 0

        return Sweeper(
            self.worker,
            self.services.clock,
            striker=striker or self.striker(),
            notices=notices or self.notices(),
            webhooks=self.webhooks(),
            clinic_changed=partial(clinic_changed, self.at_work()),
            erase_expired=erase or nothing_to_erase,
            measure=partial(measure_all, self.worker, self.services.database, self.services.clock),
            measure_every=EVERY_SECONDS,
        )

    async def clinic_full(self, clinic_id: UUID) -> None:
        await clinic_full(self.at_work(), clinic_id)

    def webhooks(self) -> Sender:
        return Sender(
            database=self.worker,
            keyring=self.services.keyring,
            clock=self.services.clock,
            poster=Poster(allow_private=True),
        )

    async def ask(self, question: str, *arguments: object) -> Any:
        """The only column of the only row, as the owner of the tables."""
        async with self.owner.transaction() as conn:
            await conn.become_worker()
            return await conn.fetchval(question, *arguments)

    async def column(self, question: str, *arguments: object) -> list[Any]:
        async with self.owner.transaction() as conn:
            await conn.become_worker()
            return [row[0] for row in await conn.fetch(question, *arguments)]

    async def run(self, statement: str, *arguments: object) -> None:
        async with self.owner.transaction() as conn:
            await conn.become_worker()
            await conn.execute(statement, *arguments)

    async def let_time_pass(self, referral_id: UUID, **by: float) -> None:
        """As if everything about the referral had been set that much earlier (`hours=`, …)."""
        span = ", ".join(f"{name} => {amount}" for name, amount in by.items())
        await self.run(
            f"update offer set due_at = due_at - make_interval({span}), "
            f"remind_at = remind_at - make_interval({span}) "
            "where referral_id = $1 and state = 'open'",
            referral_id,
        )
        await self.run(
            f"update referral set due_at = due_at - make_interval({span}), "
            f"answer_by = answer_by - make_interval({span}), "
            f"retry_at = retry_at - make_interval({span}) where id = $1",
            referral_id,
        )

    def mails(self) -> list[EmailMessage]:
        """What lies in the folder, oldest notice first."""
        return [read_mail(path.read_bytes()) for path in sorted(self.mail.glob("*.eml"))]


def read_mail(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


@asynccontextmanager
async def practice(dsn: str, folder: Path) -> AsyncGenerator[Practice]:
    clock = SystemClock()
    owner, requests = Pool(dsn, size=2), Pool(dsn, size=6, role=SERVICE)
    worker = Pool(dsn, size=8, role=WORKER)
    keyring = Keyring.load_or_create(folder / "keyring.json", clock)
    catalogue = Catalogue()
    follower = Follower(requests, dsn, catalogue, 0.05)
    await follower.load()
    following = asyncio.create_task(follower.run())
    services = ReferralServices(
        database=requests,
        clock=clock,
        keyring=keyring,
        sealer=Sealer(keyring),
        auditor=Auditor(keyring, clock),
        follower=follower,
        catalogue=catalogue,
        places=Places(load_gazetteer()),
        clocks=Clocks(),
        link_base=Settings(public_url="https://directory.example").link_base,
    )
    try:
        yield Practice(dsn=dsn, folder=folder, services=services, owner=owner, worker=worker)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        for pool in (worker, requests, owner):
            await pool.close()


def document(*, notify: bool = False, referrer_email: str | None = REFERRER_ADDRESS) -> Document:
    """A patient near Phoenix, who has the canary in every field that takes words."""
    return Document(
        patient=Patient(
            given_name=CANARY, family_name=CANARY, birth_date=date(1980, 2, 3), near="85016",
            phone="+16025550123", email=PATIENT_ADDRESS, state="US-AZ",
        ),
        conditions=["crps"],
        icd10=["G90.50"],
        reason=CANARY,
        prior_treatments=[CANARY],
        medications=[CANARY],
        screening={"pregnancy": False},
        consent=Consent(
            given=True, at=datetime.fromisoformat("2026-11-22T09:00:00-07:00"), notify=notify
        ),
        point=Point(
            lat=33.5, lon=-112.03, label="85016", precision="postal_area", uncertainty_m=3000
        ),
        preferences=Preferences(
            routes=[Route.IV], settings=[Setting.CLINIC], max_distance="2500mi"
        ),
        referrer=Referrer(name=CANARY, email=referrer_email),
    )  # fmt: skip


async def send(
    here: Practice,
    *,
    principal: str = "surgery",
    says: Document | None = None,
    mode: ReferralMode = ReferralMode.SEQUENTIAL,
    urgency: Urgency = Urgency.ROUTINE,
    routed: bool = True,
) -> UUID:
    """What POST /v1/referrals does, without the request. Not `routed`: the service died first."""
    async with here.services.database.transaction() as conn:
        await conn.become_worker()
        now = await conn.fetchval("select now()")
        assert isinstance(now, datetime)
        case = Case.new(
            here.services, conn, now=now, referrer=principal, document=says or document(),
            urgency=urgency, mode=mode, needs_confirmation=False, who=REFERRER,
        )  # fmt: skip
        if routed:
            assert await route(case)
        await insert(case, [case.id.bytes], kept(case))
    return case.id


def kept(case: Case) -> KeptAnswer:
    return KeptAnswer(
        key_hash=case.id.bytes,
        request_hash=b"r",
        sealed=case.key.seal("idempotency", "sealed", case.id, CANARY.encode()),
    )
