"""Erasing a patient: nothing can be read any more, and both trails still verify."""

from __future__ import annotations

import argparse
import base64
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from rich.console import Console

from api.audit.service import Auditor
from api.audit.verifying import verify
from api.commands.failures import CommandError
from api.commands.referrals import run_referrals
from api.commands.wiring import make_places
from api.directory.catalogue import Catalogue
from api.durations import Period
from api.keyring import Keyring
from api.referrals import details
from api.referrals.chain import verifies
from api.referrals.details import Detail
from api.referrals.document import Consent, Document, Patient, Point
from api.referrals.errors import NoSuchReferral, PatientErased
from api.referrals.lifecycle.clocks import Clocks
from api.referrals.lifecycle.events import Cancelled
from api.referrals.saving import insert, save
from api.referrals.sealing.erasure import (
    BY_COMMAND,
    StillOpen,
    erase_expired,
    erase_referral,
)
from api.referrals.sealing.fingerprints import fingerprints_of
from api.referrals.sealing.sealing import Sealer
from api.referrals.step import Case, ReferralServices, Who, locked
from api.search.follower import Follower
from api.settings import Settings
from db.pool import Pool
from db.queries.history import history_of_referral
from db.referral_rows import HistoryRow, KeptAnswer
from db.states import ReferralEvent, ReferralMode, ReferralState, RoleInReferral, Urgency
from tests.keys.clocks import HandClock

CANARY = "Quetzalcoatl"
REFERRER = Who(role=RoleInReferral.REFERRER, actor="key:0193a1b2c3d47e5f8a6b7c8d9e0f1a2b")
DUMPED = (
    "referral", "offer", "sealed_key", "referral_history", "idempotency", "notice", "audit_entry",
    "audit_lane", "pgqueuer", "pgqueuer_log",
)  # fmt: skip


@pytest.fixture
def services(pool: Pool, dsn: str, tmp_path: Path) -> ReferralServices:
    clock = HandClock(datetime.now(UTC))
    keyring = Keyring.load_or_create(tmp_path / "keyring.json", clock)
    catalogue = Catalogue()
    return ReferralServices(
        database=pool,
        clock=clock,
        keyring=keyring,
        sealer=Sealer(keyring),
        auditor=Auditor(keyring, clock),
        follower=Follower(pool, dsn, catalogue, 1.0),
        catalogue=catalogue,
        places=make_places(Settings(), clock),
        clocks=Clocks(),
        link_base="",
    )


def document() -> Document:
    return Document(
        patient=Patient(
            given_name=CANARY, family_name=CANARY, birth_date=date(1980, 2, 3), near=CANARY,
            email=f"{CANARY}@mail.example",
        ),
        conditions=["crps"],
        screening={},
        consent=Consent(given=True, at=datetime.now(UTC), notify=True),
        point=Point(lat=33.5, lon=-112.0, label=CANARY, precision="city", uncertainty_m=1),
        reason=CANARY,
    )  # fmt: skip


async def sent(services: ReferralServices, *, closed: bool) -> UUID:
    """A referral with something said in its history, and a kept answer."""
    fingerprints = fingerprints_of(
        services.keyring, given_name=CANARY, family_name=CANARY, birth_date=date(1980, 2, 3),
        codes=["crps"],
    )  # fmt: skip
    async with services.database.transaction() as conn:
        await conn.become_worker()
        case = Case.new(
            services, conn, now=datetime.now(UTC), referrer="someone", document=document(),
            urgency=Urgency.ROUTINE, mode=ReferralMode.SEQUENTIAL, needs_confirmation=False,
            who=REFERRER,
        )  # fmt: skip
        answer = case.key.seal("idempotency", "sealed", case.id, CANARY.encode())
        kept = KeptAnswer(key_hash=case.id.bytes, request_hash=b"r", sealed=answer)
        await insert(case, fingerprints.stored, kept)
        if closed:
            case.advance(Cancelled(), REFERRER, Detail(text=CANARY))
            await save(case)
    return case.id


async def erase(services: ReferralServices, referral: UUID, *, force: bool = False) -> bool:
    async with services.database.transaction() as conn:
        return await erase_referral(services, conn, referral, BY_COMMAND, force=force)


async def case_of(services: ReferralServices, referral: UUID) -> Case:
    async with services.database.transaction() as conn:
        await conn.become_worker()
        case = await locked(services, conn, referral)
    assert case is not None
    return case


async def history(services: ReferralServices, referral: UUID) -> list[HistoryRow]:
    async with services.database.transaction() as conn:
        await conn.become_worker()
        return await history_of_referral(conn, referral)


async def everything_stored(services: ReferralServices) -> str:
    """Every row of every table that has to do with referrals, as text."""
    async with services.database.acquire() as conn:
        rows = [
            str(await conn.fetchval(f"select coalesce(json_agg(t)::text, '') from {table} as t"))
            for table in DUMPED
        ]
    return "\n".join(rows)


@pytest.mark.parametrize("force", [False, True])
async def test_erased_nothing_can_be_read_and_everything_verifies(
    services: ReferralServices, force: bool
) -> None:
    referral = await sent(services, closed=not force)
    before = await case_of(services, referral)
    assert before.document.reason == CANARY
    assert await erase(services, referral, force=force)
    after = await case_of(services, referral)
    assert after.is_erased
    assert after.key_row.erased_at is not None
    assert after.referral.state is ReferralState.CANCELLED
    for read in (lambda: after.document, lambda: after.key):
        with pytest.raises(PatientErased):
            read()
    lines = await history(services, referral)
    assert [line.event for line in lines][-2:] == [ReferralEvent.CANCELLED, ReferralEvent.ERASED]
    assert len(lines) == after.referral.version
    assert verifies(services.keyring, lines, after.history_hash, after.referral.version)
    async with services.database.transaction() as conn:
        report = await verify(conn, services.auditor.key_by_id, recent=None)
    assert report.findings == []
    assert report.looked_at == 1


async def test_what_somebody_kept_of_the_key_is_not_in_the_database(
    services: ReferralServices,
) -> None:
    referral = await sent(services, closed=True)
    before = await case_of(services, referral)
    assert before.key_row.wrapped is not None
    wrapped, stored = before.key_row.wrapped.hex(), await everything_stored(services)
    assert wrapped in stored
    fingerprints = await _fingerprints(services, referral)
    assert len(fingerprints) == 1
    assert fingerprints[0].hex() in stored
    await erase(services, referral)
    stored = await everything_stored(services)
    assert wrapped not in stored
    assert fingerprints[0].hex() not in stored
    assert await _fingerprints(services, referral) == []


async def _fingerprints(services: ReferralServices, referral: UUID) -> list[bytes]:
    async with services.database.acquire() as conn:
        found = await conn.fetchval("select fingerprints from referral where id = $1", referral)
    return msgspec.convert(found, list[bytes])


async def test_no_word_about_the_patient_is_ever_in_a_table_or_a_log(
    services: ReferralServices, capfd: pytest.CaptureFixture[str]
) -> None:
    closed, still_open = await sent(services, closed=True), await sent(services, closed=False)
    await erase(services, closed)
    with pytest.raises(StillOpen) as refused:
        await erase(services, still_open)
    stored = await everything_stored(services)
    said = capfd.readouterr()
    for word in (CANARY, CANARY.lower(), base64.b64encode(CANARY.encode()).decode()[:-2]):
        assert word not in stored
        assert word not in said.out + said.err + str(refused.value) + repr(refused.value)
    assert CANARY.encode().hex() not in stored


async def test_a_second_erasure_does_nothing(services: ReferralServices) -> None:
    referral = await sent(services, closed=True)
    assert await erase(services, referral)
    before = await everything_stored(services)
    assert not await erase(services, referral)
    assert not await erase(services, referral, force=True)
    assert await everything_stored(services) == before


async def test_an_open_referral_stays_readable_unless_it_is_forced(
    services: ReferralServices,
) -> None:
    referral = await sent(services, closed=False)
    with pytest.raises(StillOpen):
        await erase(services, referral)
    assert (await case_of(services, referral)).document.reason == CANARY
    with pytest.raises(NoSuchReferral):
        await erase(services, UUID(int=7))


async def test_an_older_copy_of_the_row_brings_the_patient_back(services: ReferralServices) -> None:
    # Which is why erasing is over for good only when the backups of before are gone.
    referral = await sent(services, closed=True)
    row = (await case_of(services, referral)).key_row
    await erase(services, referral)
    async with services.database.transaction() as conn:
        await conn.execute(
            "update sealed_key set wrapped = $2, erased_at = null where referral_id = $1",
            referral,
            row.wrapped,
        )
    assert (await case_of(services, referral)).document.reason == CANARY


async def test_what_is_past_its_retention_is_erased_and_nothing_else(
    services: ReferralServices,
) -> None:
    old = [await sent(services, closed=True) for _ in range(3)]
    young, still_open = await sent(services, closed=True), await sent(services, closed=False)
    await _closed_ago(services, old, timedelta(days=40))
    await _closed_ago(services, [young], timedelta(days=20))
    assert await erase_expired(services, None) == 0
    assert await erase_expired(services, Period("P2M")) == 0
    assert await erase_expired(services, Period("P1M")) == 3
    assert await erase_expired(services, Period("P1M")) == 0
    assert [(await case_of(services, each)).is_erased for each in [*old, young, still_open]] == [
        True, True, True, False, False,
    ]  # fmt: skip
    (line,) = [
        each for each in await history(services, old[0]) if each.event is ReferralEvent.ERASED
    ]
    assert line.actor == "service"


async def _closed_ago(
    services: ReferralServices, referrals: Sequence[UUID], ago: timedelta
) -> None:
    async with services.database.transaction() as conn:
        await conn.become_worker()
        await conn.execute(
            "update referral set closed_at = now() - $2::interval where id = any ($1)",
            list(referrals),
            ago,
        )


async def command(services: ReferralServices, dsn: str, tmp_path: Path, *ids: object) -> str:
    said = Console(file=io.StringIO(), width=500)
    arguments = argparse.Namespace(action="erase", ids=[str(each) for each in ids], force=False)
    settings = Settings(database_url=dsn, keyring=tmp_path / "keyring.json", data_dir=tmp_path)
    code = await run_referrals(arguments, settings, services.clock, said)
    assert isinstance(said.file, io.StringIO)
    return f"{code}\n{said.file.getvalue()}"


async def test_the_command_does_what_it_can_and_says_so(
    services: ReferralServices, dsn: str, tmp_path: Path
) -> None:
    closed, still_open = await sent(services, closed=True), await sent(services, closed=False)
    said = await command(services, dsn, tmp_path, closed, still_open, UUID(int=7))
    assert said.splitlines() == [
        "1",
        f"Erased {closed}.",
        f"The referral {still_open} is not closed: cancel it first, or add --force.",
        f"There is no referral {UUID(int=7)}.",
    ]
    assert (await case_of(services, closed)).is_erased
    said = await command(services, dsn, tmp_path, closed)
    assert said.splitlines() == ["0", f"{closed} was erased before."]
    with pytest.raises(CommandError, match="UUID"):
        await command(services, dsn, tmp_path, CANARY)


async def test_what_was_said_at_a_step_goes_with_the_key(services: ReferralServices) -> None:
    referral = await sent(services, closed=True)
    key = (await case_of(services, referral)).key
    (line,) = [each for each in await history(services, referral) if each.sealed is not None]
    assert line.sealed is not None
    place = details.place_of(referral, line.version)
    said = key.open(details.TABLE, details.COLUMN, place, line.sealed)
    assert details.decoded(said).text == CANARY
    await erase(services, referral)
    assert line in await history(services, referral)
    with pytest.raises(PatientErased):
        _ = (await case_of(services, referral)).key
