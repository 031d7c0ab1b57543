"""Who is asking, told to PostgreSQL for the length of a transaction: row-level security reads it.

`clinicway.principal` is the identity that outlives the rotation of a key, `clinicway.clinics` the
array of clinics that the caller speaks for. Both are empty until set, and then no row of a
referral is in sight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from db.connection import Connection

_ASK_AS: Final = """
select
    set_config('clinicway.principal', $1::text, true),
    set_config('clinicway.clinics', $2::text, true)
"""


async def ask_as(
    conn: Connection, *, principal: str | None = None, clinics: Sequence[UUID] = ()
) -> None:
    """Say who is asking, until the transaction ends; what an earlier call said is replaced.

    A referrer's verb names only the principal and a clinic's verb only the clinics, so that the
    policies hold verbs apart, too. Inside a transaction only: outside one it is forgotten at once.
    """
    named = "{" + ",".join(str(clinic) for clinic in clinics) + "}"
    await conn.execute(_ASK_AS, principal or "", named)
