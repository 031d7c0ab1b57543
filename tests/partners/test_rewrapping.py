"""Webhooks' secrets after a rotation of the keyring: they sign as before, under the new key."""

from __future__ import annotations

from uuid import UUID

from api.keyring import Keyring
from api.partners.webhooks.rewrapping import rewrap_secrets
from api.partners.webhooks.signing import CURRENT, PREVIOUS, SecretBox
from db.pool import Pool
from db.queries.keyring_use import webhook_secrets_to_rewrap
from tests.keyrings import fixed_keyring
from tests.keys.clocks import HandClock

OLD, BOTH, NEW = fixed_keyring("old"), fixed_keyring("old", "new"), fixed_keyring("new")
INSERT = """
insert into webhook_subscription
    (id, principal, url, secret, secret_keyring_id, previous_secret, previous_keyring_id,
     previous_until)
values ($1, 'someone', 'https://receiver.example/', $2, $3, $4, $5,
    case when $4::bytea is not null then now() + interval '1 day' end)
"""


async def subscribe(pool: Pool, keyring: Keyring, *, rotated: bool) -> UUID:
    webhook, box = HandClock().new_id(), SecretBox(keyring)
    key_id, secret = box.seal(webhook, CURRENT, b"now" + webhook.bytes)
    before_id, before = box.seal(webhook, PREVIOUS, b"before") if rotated else (None, None)
    async with pool.transaction() as conn:
        await conn.execute(INSERT, webhook, secret, key_id, before, before_id)
    return webhook


async def secrets_of(pool: Pool, keyring: Keyring, webhook: UUID) -> list[bytes]:
    async with pool.transaction() as conn:
        await conn.become_worker()
        rows = await webhook_secrets_to_rewrap(conn, "no key", None, 100)
    (row,) = [row for row in rows if row.id == webhook]
    found = [SecretBox(keyring).open(row.id, CURRENT, row.secret_keyring_id, row.secret)]
    if row.previous_secret is not None:
        assert row.previous_keyring_id is not None
        found += [
            SecretBox(keyring).open(row.id, PREVIOUS, row.previous_keyring_id, row.previous_secret)
        ]
    return found


async def test_afterwards_the_new_key_alone_opens_them(pool: Pool) -> None:
    webhooks = {await subscribe(pool, OLD, rotated=n % 2 == 0): n % 2 == 0 for n in range(5)}
    await subscribe(pool, BOTH, rotated=True)
    assert await rewrap_secrets(pool, BOTH, SecretBox(BOTH), batch=2) == (5, [])
    for webhook, rotated in webhooks.items():
        expected = [b"now" + webhook.bytes, *([b"before"] if rotated else [])]
        assert await secrets_of(pool, NEW, webhook) == expected
    assert await rewrap_secrets(pool, BOTH, SecretBox(BOTH), batch=2) == (0, [])


async def test_one_that_cannot_be_read_is_named_and_stops_no_other(pool: Pool) -> None:
    lost = await subscribe(pool, fixed_keyring("lost"), rotated=False)
    good = await subscribe(pool, OLD, rotated=False)
    assert await rewrap_secrets(pool, BOTH, SecretBox(BOTH), batch=1) == (1, [lost])
    assert await secrets_of(pool, NEW, good) == [b"now" + good.bytes]
    assert await secrets_of(pool, fixed_keyring("lost"), lost) == [b"now" + lost.bytes]
