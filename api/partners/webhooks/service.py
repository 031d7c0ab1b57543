"""Making, listing, rotating and ending webhooks. Nothing here commits, and each transaction has
said who is asking (`ask_as`): row-level security shows a caller its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from api.auth import Caller
from api.clock import Clock
from api.errors import FieldError, InvalidBody
from api.keyring import Keyring
from api.partners.webhooks.errors import (
    NoSuchWebhook,
    TooManyWebhooks,
    WebhookDisabled,
    url_refused,
)
from api.partners.webhooks.guard import UrlRefused, read_target
from api.partners.webhooks.queueing import queue_test
from api.partners.webhooks.schemas import ReplayWrite, WebhookWrite
from api.partners.webhooks.signing import CURRENT, PREVIOUS, SecretBox, SecretUnreadable
from db.connection import Connection
from db.queries.webhooks import (
    count_subscriptions,
    delete_subscription,
    deliveries_among,
    delivery_by_id,
    enable_subscription,
    hold_principal,
    insert_subscription,
    lock_own_subscription,
    lock_secret,
    page_of_deliveries,
    page_of_subscriptions,
    replace_secret,
    replay_deliveries,
    subscription_by_id,
)
from db.states import DeliveryState
from db.webhook_rows import DeliveryRow, SubscriptionRow

MOST_WEBHOOKS: Final = 20
OVERLAP_SECONDS: Final = 24 * 3600.0
"""For which the secret before a rotation signs, too."""


class Webhooks:
    """What it takes to look after webhooks: the keyring, ids, and where they may lead."""

    def __init__(self, keyring: Keyring, clock: Clock, *, allow_private: bool) -> None:
        self._box = SecretBox(keyring)
        self._clock = clock
        self._allow_private = allow_private

    async def create(
        self, conn: Connection, caller: Caller, written: WebhookWrite
    ) -> tuple[SubscriptionRow, bytes]:
        """A new webhook and its secret. Raises InvalidBody, TooManyWebhooks."""
        try:
            read_target(written.url, allow_private=self._allow_private)
        except UrlRefused as error:
            raise url_refused(error) from None
        await hold_principal(conn, caller.principal)
        if await count_subscriptions(conn, caller.principal) >= MOST_WEBHOOKS:
            raise TooManyWebhooks(MOST_WEBHOOKS)
        webhook, secret = self._clock.new_id(), self._box.new_secret()
        keyring_id, sealed = self._box.seal(webhook, CURRENT, secret)
        row = await insert_subscription(
            conn,
            subscription_id=webhook,
            principal=caller.principal,
            clinics=caller.clinics,
            url=written.url,
            description=written.description,
            events=None if written.events is None else sorted(set(written.events)),
            secret=sealed,
            keyring_id=keyring_id,
        )
        return row, secret

    async def rotate(
        self, conn: Connection, caller: Caller, webhook: UUID
    ) -> tuple[SubscriptionRow, bytes]:
        """A new secret; the one before signs beside it for a day. One that is older than that
        signs no more, at once. Raises NoSuchWebhook."""
        old = await lock_secret(conn, webhook, caller.principal)
        if old is None:
            raise NoSuchWebhook
        secret = self._box.new_secret()
        keyring_id, sealed = self._box.seal(webhook, CURRENT, secret)
        try:
            before = self._box.open(webhook, CURRENT, old.secret_keyring_id, old.secret)
        except SecretUnreadable:
            # Nothing could be signed with it any more; the new one is what helps.
            before = secret
        previous_keyring_id, previous = self._box.seal(webhook, PREVIOUS, before)
        row = await replace_secret(
            conn,
            webhook,
            secret=sealed,
            keyring_id=keyring_id,
            previous_secret=previous,
            previous_keyring_id=previous_keyring_id,
            overlap_seconds=OVERLAP_SECONDS,
        )
        return row, secret

    async def send_test(self, conn: Connection, caller: Caller, webhook: UUID) -> DeliveryRow:
        """Queue a message that says nothing. Raises NoSuchWebhook, WebhookDisabled.

        The rest of the transaction runs as the worker, which alone may queue.
        """
        await _working(conn, caller, webhook)
        at = self._clock.now()
        await conn.become_worker()
        delivery = await queue_test(
            conn,
            webhook=webhook,
            principal=caller.principal,
            at=at,
            new_id=self._clock.new_id,
        )
        row = await delivery_by_id(conn, delivery, webhook)
        assert row is not None, "just written"
        return row


async def read_webhook(conn: Connection, caller: Caller, webhook: UUID) -> SubscriptionRow:
    """Raises NoSuchWebhook."""
    row = await subscription_by_id(conn, webhook, caller.principal)
    if row is None:
        raise NoSuchWebhook
    return row


async def list_webhooks(
    conn: Connection, caller: Caller, *, before: UUID | None, limit: int
) -> tuple[list[SubscriptionRow], UUID | None]:
    """Up to `limit` webhooks, newest first, and the id to go on from when there are more."""
    found = await page_of_subscriptions(conn, caller.principal, before=before, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def remove(conn: Connection, caller: Caller, webhook: UUID) -> None:
    """Delete a webhook and the log of its deliveries. Raises NoSuchWebhook."""
    if not await delete_subscription(conn, webhook, caller.principal):
        raise NoSuchWebhook


async def enable(conn: Connection, caller: Caller, webhook: UUID) -> SubscriptionRow:
    """Send again to a webhook whose receiver was gone. Raises NoSuchWebhook."""
    row = await enable_subscription(conn, webhook, caller.principal)
    if row is None:
        raise NoSuchWebhook
    return row


async def list_deliveries(
    conn: Connection,
    caller: Caller,
    webhook: UUID,
    *,
    state: DeliveryState | None,
    before: UUID | None,
    limit: int,
) -> tuple[list[DeliveryRow], UUID | None]:
    """As `list_webhooks`. Raises NoSuchWebhook."""
    await read_webhook(conn, caller, webhook)
    found = await page_of_deliveries(conn, webhook, state=state, before=before, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def replay(conn: Connection, caller: Caller, webhook: UUID, wanted: ReplayWrite) -> int:
    """Queue deliveries once more, under the same ids; how many.

    Raises NoSuchWebhook, WebhookDisabled, InvalidBody for ids that are not of this webhook.
    """
    await _working(conn, caller, webhook)
    await _require_known(conn, webhook, wanted.deliveries)
    state = None if wanted.only is None else DeliveryState(wanted.only)
    return await replay_deliveries(
        conn, webhook, state=state, since=wanted.since, ids=wanted.deliveries
    )


async def _working(conn: Connection, caller: Caller, webhook: UUID) -> None:
    """Lock a webhook that messages are sent to. Raises NoSuchWebhook, WebhookDisabled."""
    row = await lock_own_subscription(conn, webhook, caller.principal)
    if row is None:
        raise NoSuchWebhook
    if row.disabled_at is not None:
        raise WebhookDisabled


async def _require_known(conn: Connection, webhook: UUID, ids: Sequence[UUID]) -> None:
    known = set(await deliveries_among(conn, webhook, ids))
    errors = [
        FieldError(pointer=f"/deliveries/{place}", message="must be a delivery of this webhook")
        for place, each in enumerate(ids)
        if each not in known
    ]
    if errors:
        raise InvalidBody("A delivery is not one of this webhook.", errors=errors[:50])
