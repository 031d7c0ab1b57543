"""API keys as they are asked for and as they are shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from db.rows import ApiKeyRow

# In Python `$` also matches before a line break at the end, which JSON Schema's does not.
END = r"$(?!\n)"
SCOPE_PATTERN = (
    r"^(referrals:write|directory:write|admin"
    r"|clinic:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})" + END
)

KeyName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*" + END,
        description="What the key is for, in the words of whoever makes it",
        examples=["Booking desk, Phoenix"],
    ),
]
Scope = Annotated[
    str,
    Meta(
        pattern=SCOPE_PATTERN,
        extra={
            "right": "referrals:write, directory:write, admin, or clinic: and the id of a clinic"
        },
        description=(
            "referrals:write (send referrals), directory:write (any profile), clinic:<id> (that "
            "clinic's profile and offers) or admin (keys and the audit trail). None includes "
            "another."
        ),
        examples=["directory:write", "clinic:0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"],
    ),
]

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
KeyEmail = Annotated[
    str,
    Meta(
        max_length=254,
        pattern=rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})+" + END,
        extra={"right": "an e-mail address, such as desk@hospital.example"},
        description="Where notices to the holder of the key go, such as that a clinic has accepted",
        examples=["desk@hospital.example"],
    ),
]


class KeyState(StrEnum):
    """Whether a key works, and why not."""

    ACTIVE = "active"
    ROTATED = "rotated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeyWrite(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: KeyName
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=50)]
    expires_at: (
        Annotated[datetime, Meta(tz=True, description="When it stops; never, if null")] | None
    ) = None
    email: KeyEmail | None = None


class KeysQuery(msgspec.Struct, frozen=True, kw_only=True):
    ended: Annotated[bool, Meta(description="Whether to list revoked and expired keys, too")] = (
        False
    )
    limit: Annotated[int, Meta(ge=1, le=100, description="Keys on a page")] = 50
    cursor: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=500,
                description="`next` of the page before",
                extra={"right": "what `next` of the page before holds"},
            ),
        ]
        | None
    ) = None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key without its secret. A `rotated` key works until `expires_at`."""

    id: str
    name: str
    scopes: list[str]
    email: Annotated[str | None, Meta(description="Where notices to the key's holder go")]
    state: KeyState
    created_at: datetime
    created_by: str
    last_used_at: Annotated[
        datetime | None, Meta(description="To the minute; null before the first use")
    ]
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: str | None

    @classmethod
    def from_row(cls, row: ApiKeyRow, now: datetime) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            scopes=row.scopes,
            email=row.email,
            state=state_of(row, now),
            created_at=row.created_at,
            created_by=row.created_by,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            replaced_by=row.replaced_by,
        )


class NewKey(Key, frozen=True, kw_only=True):
    """An API key with its secret, which is shown this once and stored nowhere."""

    key: Annotated[
        str,
        Meta(description="Send it as `Authorization: Bearer …`; keep it, it is not shown again"),
    ]

    @classmethod
    def with_secret(cls, row: ApiKeyRow, now: datetime, key: str) -> Self:
        return cls(key=key, **msgspec.structs.asdict(Key.from_row(row, now)))


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Key]
    next: Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last")]


def state_of(row: ApiKeyRow, now: datetime) -> KeyState:
    if row.revoked_at is not None:
        return KeyState.REVOKED
    if row.expires_at is not None and row.expires_at <= now:
        return KeyState.EXPIRED
    return KeyState.ACTIVE if row.replaced_by is None else KeyState.ROTATED
