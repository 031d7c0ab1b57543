"""The queue that wakes the workers: pgqueuer's tables, written in the caller's transaction.

The queue is a hint that is acted on at once, never the truth. What has to happen stands in the
domain tables, and whoever looks there finds it when a row of the queue is lost; a row that is
there twice does nothing twice.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection

Entrypoint: TypeAlias = Literal["wake", "notify", "deliver", "full"]

WAKE: Final = "wake"
"""Something is due, or for matching, with the referral of that id."""
NOTIFY: Final = "notify"
"""There are notices to send: those of the referral of that id, or of any."""
DELIVER: Final = "deliver"
"""There are messages to webhooks to send."""
FULL: Final = "full"
"""The clinic of that id has taken its last place of the week, and has open offers perhaps."""

# All of them, since the library takes each one that is not said here from a variable of the
# environment, some of them under names as common as CHANNEL.
QUEUE: Final = DBSettings(
    prefix="",
    db_schema=None,
    channel=Channel("ch_pgqueuer"),
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
    durability=Durability.balanced,
    widen_id=True,
)


_AT_ONCE: Final = timedelta(0)


class Job(msgspec.Struct, frozen=True):
    """Something for a worker. The payload is an id, and says nothing to who reads the queue.

    With `at` it is for later, and then it is not queued: the due column that it comes from
    (`referral.due_at`, `notice.next_attempt_at`, …) is what the workers look at several times a
    second. Leave `at` out for what is to happen as soon as the transaction has committed.
    """

    entrypoint: Entrypoint
    payload: UUID | None = None
    at: datetime | None = None

    @property
    def key(self) -> str | None:
        """What is queued once at most. Without an id there is none: transactions that write the
        same key wait for each other's commit, and a key of all would put them in a row."""
        return None if self.payload is None else f"{self.entrypoint}:{self.payload}"


async def enqueue(conn: Connection, jobs: Sequence[Job]) -> None:
    """Queue what is for now, in the caller's transaction; what is queued already is left as it is.

    One statement, or none. Needs the rights of `db.roles.WORKER`.
    """
    unique = {job.key or index: job for index, job in enumerate(jobs) if job.at is None}
    now = list(unique.values())
    if not now:
        return
    await conn.execute(
        _insert(),
        [0] * len(now),
        [job.entrypoint for job in now],
        [None if job.payload is None else str(job.payload).encode() for job in now],
        [_AT_ONCE] * len(now),
        [job.key for job in now],
        [None] * len(now),
    )


@cache
def _insert() -> str:
    return QueryQueueBuilder(QUEUE).build_enqueue_query("skip")
