"""What the key routes refuse."""

from __future__ import annotations

from api.errors import Conflict, NotFound


class NoSuchKey(NotFound):
    """There is no API key with that id."""

    def __init__(self) -> None:
        super().__init__("There is no API key with this id.")


class KeyEnded(Conflict):
    """A key that no longer works cannot be rotated: a new one would revive it."""

    slug = "key-ended"
    title = "The key no longer works"

    def __init__(self) -> None:
        super().__init__("This key was revoked or has expired. Create a new one instead.")


class KeyAlreadyRotated(Conflict):
    """The key has a successor already; `replaced_by` names it."""

    slug = "key-already-rotated"
    title = "The key was rotated already"

    def __init__(self, replaced_by: str) -> None:
        super().__init__(
            "This key was rotated before. Rotate the key that replaced it.",
            extra={"replaced_by": replaced_by},
        )
        self.replaced_by = replaced_by
