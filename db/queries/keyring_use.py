"""The statements of db/sql/keyring_use.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import one_row, rows
from db.sealing_rows import KeyUseRow, PatientKeyUseRow, WebhookSecretsRow
from db.statements import statements

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection

SQL = statements("keyring_use")


async def read_key_use(conn: Connection, keyring_id: str) -> KeyUseRow:
    return await one_row(conn, KeyUseRow, SQL["read_key_use"], keyring_id)


async def read_patient_key_use(
    conn: Connection, keyring_id: str, tag: bytes, until: datetime | None
) -> PatientKeyUseRow:
    """`tag` is what the key's fingerprints begin with; `until` when it stopped being active."""
    return await one_row(
        conn, PatientKeyUseRow, SQL["read_patient_key_use"], keyring_id, tag, until
    )


async def webhook_secrets_to_rewrap(
    conn: Connection, active: str, after: UUID | None, limit: int
) -> list[WebhookSecretsRow]:
    """Rows that are locked until the transaction ends."""
    return await rows(
        conn, WebhookSecretsRow, SQL["webhook_secrets_to_rewrap"], active, after, limit
    )


async def replace_webhook_secrets(conn: Connection, row: WebhookSecretsRow) -> None:
    await conn.execute(
        SQL["replace_webhook_secrets"],
        row.id,
        row.secret,
        row.secret_keyring_id,
        row.previous_secret,
        row.previous_keyring_id,
    )
