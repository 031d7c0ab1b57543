"""Each notice reaches whom it is for at least once, under one id, and says nothing of anybody."""

from __future__ import annotations

import asyncio
import logging
from email.message import EmailMessage
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from api.notices.mail import NOTICE_HEADER, NotSent, Outcome, Server, SmtpMailer
from api.notices.sending import DELAYS
from api.referrals.tracking import tracking_url
from tests.jobs.practice import (
    CANARY,
    PATIENT_ADDRESS,
    REFERRER_ADDRESS,
    Practice,
    document,
    send,
)
from tests.notices.smtp_server import smtp_server

CLINIC_ADDRESS = "intake@clinic.example"


async def clinic_has_address(here: Practice) -> None:
    async with here.owner.acquire() as conn:
        await conn.execute("update clinic set email = $1", CLINIC_ADDRESS)


async def outcomes(here: Practice, audience: str) -> set[str]:
    return set(await here.column("select outcome from notice where audience::text = $1", audience))


async def all_sent(here: Practice) -> None:
    notices = here.notices()
    while await notices.send_due():
        pass


class FailingMailer:
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.tried: list[str] = []

    async def send(self, message: EmailMessage) -> None:
        self.tried.append(message[NOTICE_HEADER])
        raise NotSent(self.outcome)


class ThrowingMailer:
    """Fails in a way that nobody thought of, with all of the mail in the error."""

    async def send(self, message: EmailMessage) -> None:
        raise RuntimeError(CANARY + message.as_string())


class StuckMailer:
    """Hands the mail over and then never comes back, as a process that is killed."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.go_on = asyncio.Event()

    async def send(self, message: EmailMessage) -> None:
        self.taken.append(message[NOTICE_HEADER])
        await self.go_on.wait()


async def test_everybody_is_told_and_shown_where_to_read(here: Practice) -> None:
    await clinic_has_address(here)
    referral = await send(here, says=document(notify=True))
    offer = await here.ask("select id from offer where referral_id = $1", referral)
    await all_sent(here)
    base, keyring = here.services.link_base, here.services.keyring
    links = {
        REFERRER_ADDRESS: f"{base}/v1/referrals/{referral}",
        CLINIC_ADDRESS: f"{base}/v1/offers/{offer}",
        PATIENT_ADDRESS: tracking_url(keyring, base, referral),
    }
    mails = here.mails()
    assert {mail["To"] for mail in mails} == set(links)
    for mail in mails:
        assert links[mail["To"]] in mail.get_content()
    ids = {str(each) for each in await here.column("select id from notice")}
    assert {mail[NOTICE_HEADER] for mail in mails} == ids
    assert await here.column("select distinct attempts from notice") == [1]


async def test_the_keys_address_comes_before_the_one_in_the_referral(here: Practice) -> None:
    async with here.owner.acquire() as conn:
        await conn.execute(
            "insert into api_key (id, name, scopes, secret_hash, keyring_id, created_by, "
            "created_at, principal, email, revoked_at) "
            "select key, 'desk', '{}', '', 'k', 'test', now() + after, 'surgery', email, revoked "
            "from (values ('one', interval '0', 'old@desk.example', null::timestamptz), "
            "('two', interval '1s', 'new@desk.example', null), "
            "('three', interval '2s', 'revoked@desk.example', now())) as k (key, after, email, "
            "revoked)"
        )
    await send(here)
    await all_sent(here)
    assert {mail["To"] for mail in here.mails()} == {"new@desk.example"}


async def test_without_an_address_it_is_given_up_and_said_so(here: Practice) -> None:
    await send(here, says=document(referrer_email=None))
    await all_sent(here)
    assert here.mails() == []
    assert await outcomes(here, "referrer") == {"no-address"}
    assert await here.ask("select count(*) from notice where next_attempt_at is not null") == 0


async def test_a_patient_who_was_not_asked_is_told_nothing(here: Practice) -> None:
    await send(here, says=document(notify=False))
    await all_sent(here)
    assert PATIENT_ADDRESS not in {mail["To"] for mail in here.mails()}


async def test_after_erasure_nobody_is_written_to_from_the_referral(here: Practice) -> None:
    await send(here, says=document(notify=True))
    await here.run("update sealed_key set wrapped = null, erased_at = now()")
    await all_sent(here)
    assert here.mails() == []
    assert await outcomes(here, "patient") == {"no-address"}


async def test_a_server_that_is_away_is_tried_again_and_then_given_up(here: Practice) -> None:
    await send(here)
    mailer = FailingMailer(Outcome.UNREACHABLE)
    notices = here.notices(mailer)
    rounds = 0
    while await here.ask("select count(*) from notice where next_attempt_at is not null"):
        rounds += 1
        while await notices.send_due():
            pass
        waits = await here.ask(
            "select max(extract(epoch from next_attempt_at - now()))::float8 from notice"
        )
        assert waits is None or 0 < waits <= DELAYS[rounds - 1]
        await here.run(
            "update notice set next_attempt_at = now() where next_attempt_at is not null"
        )
    assert rounds == len(DELAYS) + 1
    assert len(mailer.tried) == rounds * len(set(mailer.tried))
    assert notices.given_up == len(set(mailer.tried))
    assert await outcomes(here, "referrer") == {"unreachable"}


async def test_what_a_server_refuses_for_good_is_not_tried_again(here: Practice) -> None:
    await send(here)
    async with smtp_server() as server:
        server.answer = lambda said: "550 nobody" if said == "RCPT" else None
        notices = here.notices(SmtpMailer(Server.from_url(server.url)))
        while await notices.send_due():
            pass
    assert await outcomes(here, "referrer") == {"refused"}
    assert await here.ask("select count(*) from notice where next_attempt_at is not null") == 0


async def test_killed_between_sending_and_noting_it_is_sent_again_as_the_same(
    here: Practice,
) -> None:
    referral = await send(here)
    stuck = StuckMailer()
    killed = asyncio.create_task(here.notices(stuck).send_due(referral))
    count = await here.ask("select count(*) from notice where audience = 'referrer'")
    async with asyncio.timeout(30):
        while len(stuck.taken) < count:  # noqa: ASYNC110 (it is another task that takes them)
            await asyncio.sleep(0.01)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    # Nobody else takes them while the lease runs.
    await all_sent(here)
    assert here.mails() == []
    await here.run("update notice set next_attempt_at = now() where next_attempt_at is not null")
    await all_sent(here)
    assert {mail[NOTICE_HEADER] for mail in here.mails()} == set(stuck.taken)
    assert await outcomes(here, "referrer") == {"sent"}


async def test_who_wakes_up_late_writes_nothing_down(here: Practice) -> None:
    await send(here)
    stuck = StuckMailer()
    frozen = asyncio.create_task(here.notices(stuck).send_due())
    async with asyncio.timeout(30):
        while not stuck.taken:  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.01)
    await here.run("update notice set next_attempt_at = now() where next_attempt_at is not null")
    refusing = here.notices(FailingMailer(Outcome.DEFERRED))
    await refusing.send_due()
    stuck.go_on.set()
    await frozen
    assert await outcomes(here, "referrer") == {"deferred"}
    assert await here.ask("select count(*) from notice where sent_at is not null") == 0


async def test_two_processes_send_each_notice_once(here: Practice) -> None:
    for _ in range(5):
        await send(here)
    senders = [here.notices() for _ in range(4)]
    while any(await asyncio.gather(*(each.send_due() for each in senders))):
        pass
    assert await here.column("select distinct attempts from notice") == [1]


async def test_webhooks_hear_of_it_once_under_the_notice(here: Practice) -> None:
    async with here.owner.transaction() as conn:
        await conn.execute(
            "insert into api_key (id, name, scopes, secret_hash, keyring_id, created_by, "
            "created_at, principal) values ('k', 'desk', '{referrals:write}', '', 'k', 'test', "
            "now(), 'surgery')"
        )
        await conn.execute("alter table webhook_subscription no force row level security")
        await conn.execute(
            "insert into webhook_subscription (id, principal, url, secret, secret_keyring_id) "
            "values ($1, 'surgery', 'https://desk.example/', '', 'k')",
            UUID(int=7),
        )
    referral = await send(here)
    failing = here.notices(FailingMailer(Outcome.DEFERRED))
    await failing.send_due(referral)
    await here.run("update notice set next_attempt_at = now() where next_attempt_at is not null")
    await all_sent(here)
    sources = await here.column("select source from webhook_delivery order by source")
    told = await here.column("select id from notice where audience = 'referrer' order by id")
    assert sources == told
    payloads = await here.column("select payload from webhook_delivery")
    assert any('"referral.offered"' in payload for payload in payloads)
    assert CANARY not in "".join(payloads)


async def test_nothing_of_the_patient_is_in_mails_queue_or_logs(
    here: Practice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await clinic_has_address(here)
    referral = await send(here, says=document(notify=True))
    sweeper = here.sweeper(notices=here.notices(ThrowingMailer()))
    with capture_logs() as said:
        await sweeper.notices()
        await here.run(
            "update notice set next_attempt_at = now() where next_attempt_at is not null"
        )
        await here.let_time_pass(referral, hours=73)
        await sweeper.deadlines()
        await all_sent(here)
    assert "notice not sent" in {line["event"] for line in said}
    logged = f"{said}\n{caplog.text}"
    mails = b"".join(path.read_bytes() for path in here.mail.iterdir()).decode()
    tables = [
        await here.ask(f"select coalesce(json_agg(t)::text, '') from {table} as t")
        for table in ("pgqueuer", "pgqueuer_log", "notice", "webhook_delivery")
    ]
    assert len(here.mails()) > 5
    for text in (mails, *tables, logged):
        assert CANARY not in text
        assert "+16025550123" not in text
    assert PATIENT_ADDRESS not in "".join((*tables, logged))
