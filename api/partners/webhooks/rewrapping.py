"""After a rotation of the keyring: the webhooks' signing secrets sealed with its new key."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from msgspec.structs import replace

from api.keyring import Keyring, Purpose
from api.partners.webhooks.signing import CURRENT, PREVIOUS, SecretBox, SecretUnreadable
from db.pool import Pool
from db.queries.keyring_use import replace_webhook_secrets, webhook_secrets_to_rewrap
from db.sealing_rows import WebhookSecretsRow

BATCH: Final = 100


async def rewrap_secrets(
    database: Pool, keyring: Keyring, box: SecretBox, *, batch: int = BATCH
) -> tuple[int, list[UUID]]:
    """How many webhooks were done, and those whose secret the keyring does not open: they are left
    as they are. Can be stopped at any moment and begun again. Raises DatabaseError."""
    active, _ = keyring.active(Purpose.WEBHOOK)
    done, unreadable, after = 0, list[UUID](), None
    while True:
        async with database.transaction() as conn:
            await conn.become_worker()
            page = await webhook_secrets_to_rewrap(conn, active, after, batch)
            for row in page:
                try:
                    sealed = _rewrapped(box, row)
                except SecretUnreadable:
                    unreadable.append(row.id)
                    continue
                await replace_webhook_secrets(conn, sealed)
                done += 1
        if not page:
            return done, unreadable
        after = page[-1].id


def _rewrapped(box: SecretBox, row: WebhookSecretsRow) -> WebhookSecretsRow:
    """Raises SecretUnreadable."""
    secret = box.open(row.id, CURRENT, row.secret_keyring_id, row.secret)
    keyring_id, sealed = box.seal(row.id, CURRENT, secret)
    rewrapped = replace(row, secret=sealed, secret_keyring_id=keyring_id)
    if row.previous_secret is None or row.previous_keyring_id is None:
        return rewrapped
    previous = box.open(row.id, PREVIOUS, row.previous_keyring_id, row.previous_secret)
    keyring_id, sealed = box.seal(row.id, PREVIOUS, previous)
    return replace(rewrapped, previous_secret=sealed, previous_keyring_id=keyring_id)
