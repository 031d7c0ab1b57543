"""Webhooks over HTTP: each key looks after its own."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.params import Body, PathParameter
from litestar.types import ControllerRouterHandler

from api import auth
from api.auth import Caller
from api.clock import Clock
from api.errors import FieldError, InvalidBody
from api.etags import etag_of
from api.keyring import Keyring
from api.operations import NEEDS_KEY, answers, documented, problems
from api.parameters import read_query
from api.partners.webhooks import examples, service
from api.partners.webhooks.errors import NoSuchWebhook
from api.partners.webhooks.schemas import (
    DeliveriesQuery,
    Delivery,
    DeliveryPage,
    NewWebhook,
    Replayed,
    ReplayWrite,
    Webhook,
    WebhookPage,
    WebhooksQuery,
    WebhookWrite,
)
from api.partners.webhooks.service import Webhooks
from api.partners.webhooks.signing import shown
from api.search.cursor import Position, read_cursor, write_cursor
from api.settings import Settings
from db.asking import ask_as
from db.connection import Connection
from db.pool import Pool
from db.webhook_rows import SubscriptionRow

_TAGS: Final = ["Webhooks"]
WebhookId = Annotated[
    str,
    PathParameter(description="Id of a webhook", examples=[Example(value=examples.WEBHOOK_ID)]),
]

PlainRequest = Request[Any, Any, State]


class _Services:
    """What app.state holds for these routes, with its types."""

    def __init__(self, state: State) -> None:
        self.settings: Settings = state.settings
        self.clock: Clock = state.clock
        self.database: Pool = state.database
        self.keyring: Keyring = state.keyring

    def webhooks(self) -> Webhooks:
        allowed = self.settings.webhook_allow_private
        return Webhooks(self.keyring, self.clock, allow_private=allowed)

    @asynccontextmanager
    async def asked_by(self, caller: Caller) -> AsyncGenerator[Connection]:
        """A transaction in which only what is the caller's is in sight."""
        async with self.database.transaction() as conn:
            await ask_as(conn, principal=caller.principal)
            yield conn


async def any_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Litestar guard: nobody without a key learns what a right body would be."""
    await auth.caller(connection)


@post(
    "/v1/webhooks",
    operation_id="createWebhook",
    summary="Have events sent to an address; the secret is shown this once",
    description=(
        "Messages are those of the key's own referrals, and of the clinics of its scopes "
        "`clinic:<id>`. They follow Standard Webhooks: signed, sent at least once, with a "
        "`webhook-id` that stays the same. They name ids and steps and say nothing about a "
        "patient."
    ),
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    opt=documented(body_example=examples.WRITE, response_headers=["Location", "ETag"]),
    responses=answers(NewWebhook, example=examples.NEW, status=201, description="Made")
    | problems(409, 503),
)
async def create_webhook(
    data: Annotated[WebhookWrite, Body(description="Where to send what")],
    caller: NamedDependency[Caller],
    state: State,
) -> Response[NewWebhook]:
    services = _Services(state)
    async with services.asked_by(caller) as conn:
        row, secret = await services.webhooks().create(conn, caller, data)
    answer = _shown_once(NewWebhook.with_secret(row, shown(secret)), status=201)
    answer.headers["Location"] = f"/v1/webhooks/{row.id}"
    return answer


@get(
    "/v1/webhooks",
    operation_id="listWebhooks",
    summary="List your webhooks, newest first",
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    opt=documented(query=WebhooksQuery),
    responses=answers(WebhookPage, example={"items": [examples.WEBHOOK], "next": None})
    | problems(503),
)
async def list_webhooks(
    request: PlainRequest, caller: NamedDependency[Caller], state: State
) -> WebhookPage:
    query = read_query(request, WebhooksQuery)
    services, question = _Services(state), _question("webhooks", caller.principal)
    before = _before(services.keyring, question, query.cursor)
    async with services.asked_by(caller) as conn:
        rows, last = await service.list_webhooks(conn, caller, before=before, limit=query.limit)
    return WebhookPage(
        items=[Webhook.from_row(row) for row in rows],
        next=_next(services.keyring, question, last),
    )


@get(
    "/v1/webhooks/{webhook:str}",
    operation_id="readWebhook",
    summary="Read one webhook, without its secret",
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    opt=documented(response_headers=["ETag"]),
    responses=answers(Webhook, example=examples.WEBHOOK) | problems(404, 503),
)
async def read_webhook(
    webhook: WebhookId, caller: NamedDependency[Caller], state: State
) -> Response[Webhook]:
    async with _Services(state).asked_by(caller) as conn:
        return _versioned(await service.read_webhook(conn, caller, _id_of(webhook)))


@delete(
    "/v1/webhooks/{webhook:str}",
    operation_id="deleteWebhook",
    summary="Delete a webhook, what is still to be sent to it, and the log of its deliveries",
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    responses=problems(404, 503),
)
async def delete_webhook(webhook: WebhookId, caller: NamedDependency[Caller], state: State) -> None:
    async with _Services(state).asked_by(caller) as conn:
        await service.remove(conn, caller, _id_of(webhook))


@post(
    "/v1/webhooks/{webhook:str}/rotate-secret",
    operation_id="rotateWebhookSecret",
    summary="Replace a webhook's secret; for 24 hours messages are signed with both",
    description=(
        "The new secret is shown this once. `previous_secret_until` says until when the one "
        "before signs, too. Rotated again before that, the oldest of the three signs no more."
    ),
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    status_code=200,
    opt=documented(response_headers=["ETag"]),
    responses=answers(
        NewWebhook, example={**examples.NEW, "previous_secret_until": "2026-11-23T16:00:00Z"}
    )
    | problems(404, 503),
)
async def rotate_secret(
    webhook: WebhookId, caller: NamedDependency[Caller], state: State
) -> Response[NewWebhook]:
    services = _Services(state)
    async with services.asked_by(caller) as conn:
        row, secret = await services.webhooks().rotate(conn, caller, _id_of(webhook))
    return _shown_once(NewWebhook.with_secret(row, shown(secret)), status=200)


@post(
    "/v1/webhooks/{webhook:str}/enable",
    operation_id="enableWebhook",
    summary="Send again to a webhook that was disabled because its receiver was gone",
    description="What happened in between was not queued. What was still to be sent is dead and "
    "can be replayed. Enabling a webhook that works changes nothing.",
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    status_code=200,
    opt=documented(response_headers=["ETag"]),
    responses=answers(Webhook, example=examples.WEBHOOK) | problems(404, 503),
)
async def enable_webhook(
    webhook: WebhookId, caller: NamedDependency[Caller], state: State
) -> Response[Webhook]:
    async with _Services(state).asked_by(caller) as conn:
        return _versioned(await service.enable(conn, caller, _id_of(webhook)))


@post(
    "/v1/webhooks/{webhook:str}/test",
    operation_id="testWebhook",
    summary="Send a message of type webhook.test, whatever types the webhook asks for",
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    status_code=202,
    responses=answers(Delivery, example=examples.TEST, status=202, description="Queued")
    | problems(404, 409, 503),
)
async def test_webhook(
    webhook: WebhookId, caller: NamedDependency[Caller], state: State
) -> Response[Delivery]:
    services = _Services(state)
    async with services.asked_by(caller) as conn:
        row = await services.webhooks().send_test(conn, caller, _id_of(webhook))
    return Response(Delivery.from_row(row), status_code=202)


@post(
    "/v1/webhooks/{webhook:str}/replay",
    operation_id="replayDeliveries",
    summary="Send deliveries once more, dead and delivered ones, under the same ids",
    description=(
        "Name some in `deliveries`, or all that were first queued at `since` or later, or both. "
        "What is pending is on its way and stays as it is."
    ),
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    status_code=202,
    opt=documented(body_example=examples.REPLAY),
    responses=answers(Replayed, example={"queued": 3}, status=202, description="Queued")
    | problems(404, 409, 503),
)
async def replay_deliveries(
    webhook: WebhookId,
    data: Annotated[ReplayWrite, Body(description="What to send once more")],
    caller: NamedDependency[Caller],
    state: State,
) -> Response[Replayed]:
    if data.since is None and not data.deliveries:
        raise InvalidBody(
            "The body must name 'since' or at least one delivery.",
            errors=[FieldError(pointer="", message="must have 'since', 'deliveries' or both")],
        )
    async with _Services(state).asked_by(caller) as conn:
        queued = await service.replay(conn, caller, _id_of(webhook), data)
    return Response(Replayed(queued=queued), status_code=202)


@get(
    "/v1/webhooks/{webhook:str}/deliveries",
    operation_id="listDeliveries",
    summary="List a webhook's deliveries of the last 30 days, newest first",
    tags=_TAGS,
    guards=[any_key],
    security=NEEDS_KEY,
    opt=documented(query=DeliveriesQuery),
    responses=answers(DeliveryPage, example={"items": [examples.DELIVERY], "next": None})
    | problems(404, 503),
)
async def list_deliveries(
    webhook: WebhookId, request: PlainRequest, caller: NamedDependency[Caller], state: State
) -> DeliveryPage:
    query = read_query(request, DeliveriesQuery)
    services, checked = _Services(state), _id_of(webhook)
    question = _question("deliveries", str(checked), str(query.state))
    before = _before(services.keyring, question, query.cursor)
    async with services.asked_by(caller) as conn:
        rows, last = await service.list_deliveries(
            conn, caller, checked, state=query.state, before=before, limit=query.limit
        )
    return DeliveryPage(
        items=[Delivery.from_row(row) for row in rows],
        next=_next(services.keyring, question, last),
    )


def _id_of(text: str) -> UUID:
    """What cannot be an id is nobody's id, and need not reach the database."""
    try:
        return UUID(text)
    except ValueError:
        raise NoSuchWebhook from None


def _question(*parts: str) -> bytes:
    """What a cursor belongs to."""
    return hashlib.blake2b("|".join(parts).encode(), digest_size=16).digest()


def _before(keyring: Keyring, question: bytes, cursor: str | None) -> UUID | None:
    return None if cursor is None else read_cursor(keyring, question, None, cursor).id


def _next(keyring: Keyring, question: bytes, last: UUID | None) -> str | None:
    return None if last is None else write_cursor(keyring, question, None, Position("", last))


def _versioned(row: SubscriptionRow) -> Response[Webhook]:
    webhook = Webhook.from_row(row)
    return Response(webhook, status_code=200, headers={"ETag": etag_of(webhook)})


def _shown_once(webhook: NewWebhook, *, status: int) -> Response[NewWebhook]:
    # That of the webhook as it is read from now on.
    etag = etag_of(msgspec.convert(webhook, Webhook, from_attributes=True))
    return Response(
        webhook, status_code=status, headers={"Cache-Control": "no-store", "ETag": etag}
    )


handlers: Sequence[ControllerRouterHandler] = [
    create_webhook,
    list_webhooks,
    read_webhook,
    delete_webhook,
    rotate_secret,
    enable_webhook,
    test_webhook,
    replay_deliveries,
    list_deliveries,
]
