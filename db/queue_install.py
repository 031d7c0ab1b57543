"""pgqueuer's own tables, installed and upgraded by its own generator, after our migrations."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from db.connection import value
from db.roles import WORKER

if TYPE_CHECKING:
    from db.connection import Connection

_GRANTS: Final = f"""
grant select, insert, update, delete on pgqueuer to {WORKER};
grant select, insert, update, delete on pgqueuer_log to {WORKER};
grant usage on sequence pgqueuer_id_seq to {WORKER};
-- Empty: to the library, a table that it may not read is none.
grant select on pgqueuer_statistics to {WORKER};
"""
# A transaction that notifies holds one lock of the whole server while it commits, so that commits
# stand in a row: measured, half as many referrals a second. The workers ask every 0.2 s instead.
_NO_NOTIFICATIONS: Final = "alter table pgqueuer disable trigger tg_pgqueuer_changed"
_INSTALLED: Final = """
select coalesce(obj_description(to_regclass('pgqueuer'), 'pg_class'), '')
"""


async def install_queue(conn: Connection) -> bool:
    """Bring the queue's tables to the installed release of the library; whether that was needed.

    What is there is kept. Run it again after a failure: it goes on where it stopped. The caller
    holds the lock of the migrations.
    """
    # The release that has been here is noted on its table, so that a start need not load the
    # library, and ask the catalogue about each of its columns, to learn that nothing is to be done.
    ours = sha256((_GRANTS + _NO_NOTIFICATIONS).encode()).hexdigest()[:8]
    release = f"pgqueuer {version('pgqueuer')}, set up by clinicway migrate ({ours})"
    if await value(conn, str, _INSTALLED) == release:
        return False
    from db.queue_schema import statements_to_install

    # One by one: some of an upgrade's statements cannot share a transaction.
    for statement in await statements_to_install(conn):
        await conn.execute(statement)
    async with conn.transaction():
        await conn.execute(_NO_NOTIFICATIONS)
        await conn.execute(_GRANTS)
        await conn.execute(f"comment on table pgqueuer is '{release}'")
    return True
