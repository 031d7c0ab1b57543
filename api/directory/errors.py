"""What can keep a profile from being written, beyond what is wrong with the profile itself."""

from __future__ import annotations

from uuid import UUID

from api.errors import Conflict, FieldError, NotFound


class NoSuchClinic(NotFound):
    """There is no clinic under this id, or it was deleted."""

    slug = "no-such-clinic"
    title = "There is no such clinic"

    def __init__(self, detail: str = "There is no clinic with this id.") -> None:
        super().__init__(detail)


class ClinicMerged(Conflict):
    """The clinic was merged into another one, named in `merged_into`: change that one."""

    slug = "clinic-merged"
    title = "The clinic was merged into another one"

    def __init__(self, survivor: UUID, pointer: str | None = None) -> None:
        super().__init__(
            "This clinic was merged into the one in 'merged_into'.",
            errors=[]
            if pointer is None
            else [FieldError(pointer=pointer, message="must be a clinic that was not merged")],
            extra={"merged_into": str(survivor)},
        )


class MergeIntoItself(Conflict):
    """A clinic cannot be merged into itself; `into` names another clinic."""

    slug = "merge-into-itself"
    title = "A clinic cannot be merged into itself"

    def __init__(self) -> None:
        super().__init__(
            "A clinic cannot be merged into itself.",
            errors=[FieldError(pointer="/into", message="must be another clinic")],
        )
