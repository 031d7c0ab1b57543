"""What the webhook routes refuse."""

from __future__ import annotations

from api.errors import Conflict, FieldError, InvalidBody, NotFound
from api.partners.webhooks.guard import UrlRefused


class NoSuchWebhook(NotFound):
    """There is no webhook with that id, or it belongs to another key."""

    def __init__(self) -> None:
        super().__init__("You have no webhook with this id.")


class TooManyWebhooks(Conflict):
    """A key and those that replaced it may have a limited number of webhooks. Delete one first."""

    slug = "too-many-webhooks"
    title = "There are enough webhooks"

    def __init__(self, most: int) -> None:
        super().__init__(f"One key may have {most} webhooks. Delete one that is not needed.")


class WebhookDisabled(Conflict):
    """The receiver has said that it is gone, so nothing is sent to it. Enable the webhook first."""

    slug = "webhook-disabled"
    title = "The webhook is disabled"

    def __init__(self) -> None:
        super().__init__("This webhook is disabled. Enable it when its receiver is back.")


def url_refused(error: UrlRefused) -> InvalidBody:
    return InvalidBody(
        f"The field 'url' {error}.", errors=[FieldError(pointer="/url", message=str(error))]
    )
