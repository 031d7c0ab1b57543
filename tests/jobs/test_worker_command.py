"""`clinicway worker` in a process of its own, beside a service that does none of it, or alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from db.pool import Pool
from db.roles import WORKER
from tests.faults.deployment import run_sql, settled
from tests.jobs.practice import CANARY, PATIENT_ADDRESS, practice, send
from tests.services import ROOT, environment, eventually

LAPSED_OFFERS = """
update offer set remind_at = null, due_at = now() - interval '1 hour' where state = 'open'
"""
LAPSED_REFERRALS = """
update referral set due_at = now() - interval '1 hour' where due_at is not null
"""
EXPIRED_AT = "select max(at) from referral_history where event = 'expired'"
NOT_TOLD = "select count(*) from notice where next_attempt_at is not null"
SECONDS = 5
"""Within which a deadline is acted on, of the workers being back."""


class Worker:
    def __init__(self, dsn: str, folder: Path, *flags: str) -> None:
        self._err = folder / "worker.err"
        with self._err.open("ab") as err:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "api", "worker", "--database-url", dsn),
                    *("--data-dir", str(folder), "--log-format", "json", *flags),
                ],
                cwd=ROOT,
                env=environment(),
                stderr=err,
                stdout=err,
            )

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8")

    def at_work(self, times: int = 1) -> datetime:
        """Waits until it says so; when it said it."""
        eventually(
            lambda: self.err.count('"at work"') >= times or self.process.poll() is not None,
            lambda: self.err,
        )
        assert self.process.poll() is None, self.err
        (*_, line) = [line for line in self.err.splitlines() if '"at work"' in line]
        return datetime.fromisoformat(json.loads(line)["timestamp"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def worker(dsn: str, folder: Path, *flags: str) -> Generator[Worker]:
    made = Worker(dsn, folder, *flags)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait(60)


def sent(dsn: str, folder: Path) -> None:
    """A referral that is offered, by a service with the same keyring."""

    async def sent_here() -> None:
        async with practice(dsn, folder) as here:
            await send(here)

    settled(sent_here())


def ask(dsn: str, question: str) -> Any:
    """As the workers, who see every referral."""

    async def asked() -> object:
        pool = Pool(dsn, size=1, role=WORKER)
        try:
            async with pool.acquire(patience=30) as conn:
                return await conn.fetchval(question)
        finally:
            await pool.close()

    return settled(asked())


def let_it_lapse(dsn: str) -> None:
    """As if the deadline had passed an hour ago, while nobody was at work."""
    ask(dsn, LAPSED_OFFERS)
    ask(dsn, LAPSED_REFERRALS)


def test_what_lapsed_while_nobody_worked_is_done_at_once(clinics_dsn: str, tmp_path: Path) -> None:
    sent(clinics_dsn, tmp_path)
    let_it_lapse(clinics_dsn)
    with worker(clinics_dsn, tmp_path) as first:
        began = first.at_work()
        eventually(lambda: ask(clinics_dsn, EXPIRED_AT) is not None, lambda: first.err)
        assert (ask(clinics_dsn, EXPIRED_AT) - began).total_seconds() < SECONDS
        eventually(lambda: ask(clinics_dsn, NOT_TOLD) == 0, lambda: first.err)
        first.process.kill()
        first.process.wait(60)
    assert list((tmp_path / "mail").glob("*.eml"))
    sent(clinics_dsn, tmp_path)
    with worker(clinics_dsn, tmp_path) as second:
        second.at_work(2)
        eventually(lambda: ask(clinics_dsn, NOT_TOLD) == 0, lambda: second.err)
        assert second.stop() == 0
        assert "Finishing what is under way" in second.err
        assert '"error"' not in second.err
        assert CANARY not in second.err
        assert PATIENT_ADDRESS not in second.err


def test_while_the_database_is_away_it_waits_and_says_so_once(
    server: str, clinics_dsn: str, tmp_path: Path
) -> None:
    name = ask(clinics_dsn, "select current_database()::text")
    sent(clinics_dsn, tmp_path)
    with worker(clinics_dsn, tmp_path) as away:
        away.at_work()
        eventually(lambda: ask(clinics_dsn, NOT_TOLD) == 0, lambda: away.err)
        run_sql(
            server,
            f"alter database {name} allow_connections false",
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'",
        )
        eventually(lambda: '"database out of reach"' in away.err, lambda: away.err)
        # Several rounds of attempts.
        time.sleep(3)
        assert away.err.count('"database out of reach"') == 1
        run_sql(server, f"alter database {name} allow_connections true")
        eventually(lambda: '"database back"' in away.err, lambda: away.err)
        let_it_lapse(clinics_dsn)
        eventually(lambda: ask(clinics_dsn, EXPIRED_AT) is not None, lambda: away.err)
        assert away.process.poll() is None
        assert away.stop() == 0
