"""How long the service takes to act on many deadlines at once, among many more open offers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from api.clock import SystemClock
from api.keyring import Keyring
from api.referrals import chain as chains
from api.referrals import details, document
from api.referrals.sealing import sealing
from db.connection import Connection
from db.pool import Limits, Pool
from db.queries.history import history_of_referral
from db.referral_rows import HistoryRow
from db.sealing_rows import SealedKeyRow
from tests.bench.keys import keyring_of
from tests.bench.load import LoadFailed
from tests.bench.service import Service

OPEN: Final = 100_000
DUE: Final = 1_000
AHEAD_SECONDS: Final = 5
_PATIENT: Final = Limits(acquire=10, statement=600, lock=60, idle_in_transaction=600)
_PATIENCE: Final = 120.0
_LOOK_SECONDS: Final = 0.05
_TABLES: Final = ("referral", "sealed_key", "offer", "referral_history")
_TEMPLATES: Final = """
select referral.* from referral
join offer on offer.referral_id = referral.id and offer.state = 'open'
where referral.version = 2
"""
# Spread over the table, within one second, reminded of already.
_SET_DUE: Final = """
with chosen as (
    select id as referral_id, $2::timestamptz + random() * interval '1 second' as due_at
    from (select id from referral where state = 'offered' order by md5(id::text) limit $1) as picked
),
asked as (
    update offer
    set due_at = chosen.due_at, remind_at = null, reminded_at = offer.opened_at
    from chosen
    where offer.referral_id = chosen.referral_id and offer.state = 'open'
    returning offer.id, offer.referral_id, offer.due_at
)
update referral set due_at = asked.due_at from asked where referral.id = asked.referral_id
returning asked.id
"""
_STATE: Final = """
select
    count(*) filter (where state = 'open') as left_open,
    extract(epoch from clock_timestamp() - $2::timestamptz)::double precision as since
from offer where id = any ($1)
"""


async def all_acted_on_s(service: Service) -> float:
    """From the first of 1,000 deadlines, all in one second, until each of them was acted on, by
    the database's clock; 100,000 offers are open meanwhile.

    They are copies of those that are open when this begins, each sealed under a key of its own.
    """
    pool = Pool(service.dsn, size=1, limits=_PATIENT, application="bench")
    async with pool.acquire() as conn:
        await _fill(conn, keyring_of(service))
        # The first of them a moment ahead, so that they are not found while they are being set.
        at = await conn.fetchval(f"select now() + interval '{AHEAD_SECONDS} seconds'")
        assert isinstance(at, datetime)
        due = [row[0] for row in await conn.fetch(_SET_DUE, DUE, at)]
        if len(due) != DUE:
            raise LoadFailed("there are not as many open offers")
        taken = await _all_closed(conn, due, at)
    await pool.close()
    return taken


async def _all_closed(conn: Connection, offers: Sequence[UUID], at: datetime) -> float:
    while True:
        row = await conn.fetchrow(_STATE, offers, at)
        assert row is not None
        since: float = row["since"]
        if row["left_open"] == 0:
            return since
        if since > _PATIENCE:
            raise LoadFailed(f"{row['left_open']} deadlines were not acted on")
        await asyncio.sleep(_LOOK_SECONDS)


async def _fill(conn: Connection, keyring: Keyring) -> None:
    """Copies until there are as many open offers as wanted."""
    copier = Copier(keyring)
    templates: list[Template] = []
    for row in await conn.fetch(_TEMPLATES):
        [key] = await conn.fetch("select * from sealed_key where referral_id = $1", row["id"])
        [offer] = await conn.fetch("select * from offer where referral_id = $1", row["id"])
        history = await history_of_referral(conn, row["id"])
        templates.append(copier.opened(row, key, offer, history))
    if not templates:
        raise LoadFailed("no referral is open")
    open_offers = await conn.fetchval("select count(*) from offer where state = 'open'")
    missing = OPEN - int(str(open_offers))
    for part in range(0, missing, 10_000):
        rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _TABLES}
        many = min(10_000, missing - part)
        for template, _ in zip(chain.from_iterable(repeat(templates)), range(many), strict=False):
            for table, made in copier.copied(template):
                rows[table].append(made)
        async with conn.transaction():
            for table in _TABLES:
                columns = list(rows[table][0])
                await conn.copy_records_to_table(
                    table, records=(tuple(row.values()) for row in rows[table]), columns=columns
                )
    for table in _TABLES:
        await conn.execute(f"vacuum analyze {table}")


class Template(msgspec.Struct, frozen=True):
    """A referral with one open offer: its rows, and what is sealed in them."""

    referral: dict[str, Any]
    offer: dict[str, Any]
    history: list[HistoryRow]
    document: bytes
    details: list[bytes | None]


class Copier:
    """Makes referrals that are another's but for the ids, and that open and verify."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._sealer = sealing.Sealer(keyring)
        self._new_id = SystemClock().new_id

    def opened(
        self,
        referral: asyncpg.Record,
        key: asyncpg.Record,
        offer: asyncpg.Record,
        history: list[HistoryRow],
    ) -> Template:
        cipher = self._sealer.open_key(SealedKeyRow(**dict(key)))
        return Template(
            referral=dict(referral),
            offer=dict(offer),
            history=history,
            document=cipher.open(
                document.TABLE, document.COLUMN, referral["id"], referral["sealed"]
            ),
            details=[
                None if line.sealed is None else cipher.open(
                    details.TABLE,
                    details.COLUMN,
                    details.place_of(line.referral_id, line.version),
                    line.sealed,
                )
                for line in history
            ],
        )  # fmt: skip

    def copied(self, template: Template) -> list[tuple[str, dict[str, Any]]]:
        """Tables and rows."""
        referral_id, offer_id = self._new_id(), self._new_id()
        cipher, key = self._sealer.new_key(referral_id)
        lines: list[HistoryRow] = []
        last = chains.START
        for line, detail in zip(template.history, template.details, strict=True):
            place = details.place_of(referral_id, line.version)
            sealed = None if detail is None else cipher.seal(
                details.TABLE, details.COLUMN, place, detail
            )  # fmt: skip
            made = msgspec.structs.replace(
                line,
                referral_id=referral_id,
                offer_id=line.offer_id and offer_id,
                sealed=sealed,
            )
            lines.append(chains.appended(self._keyring, last, made))
            last = lines[-1].hash
        sealed = cipher.seal(document.TABLE, document.COLUMN, referral_id, template.document)
        changed = {
            "id": referral_id,
            "sealed": sealed,
            "history_hash": last,
            # Of other patients.
            "fingerprints": [
                secrets.token_bytes(len(f)) for f in template.referral["fingerprints"]
            ],
        }
        return [
            ("referral", template.referral | changed),
            ("sealed_key", msgspec.structs.asdict(key)),
            ("offer", template.offer | {"id": offer_id, "referral_id": referral_id}),
            *(("referral_history", _columns(line)) for line in lines),
        ]


def _columns(line: HistoryRow) -> dict[str, Any]:
    columns = msgspec.structs.asdict(line)
    # Read with the line, from the clinic's own row.
    del columns["clinic_name"]
    return columns
