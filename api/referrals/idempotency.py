"""`Idempotency-Key`: the same request again gives the same answer and does nothing twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from api.errors import InvalidParameter
from api.keyring import Keyring
from api.referrals.errors import IdempotencyKeyMissing, IdempotencyKeyReused, PatientErased
from api.referrals.sealing.digests import key_digest, request_digest, same_digest
from api.referrals.sealing.sealing import Sealer, SealErased, SealingKey
from db.connection import Connection
from db.queries.referrals import forget_answers
from db.referral_rows import BeforeSendingRow, KeptAnswer
from db.sealing_rows import SealedKeyRow

TABLE: Final = "idempotency"
COLUMN: Final = "sealed"
KEPT: Final = timedelta(days=3)
"""How long an answer is kept: whoever repeats a request does so within a day."""
AT_ONCE: Final = 1000
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it is sent, and sent again."""

    status: int
    headers: dict[str, str]
    body: msgspec.Raw


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was named by its sender: both the name and what it says, hashed."""

    key_hash: bytes
    request_hash: bytes

    @property
    def lock_number(self) -> int:
        """For the advisory lock that its repetitions find taken."""
        return int.from_bytes(self.key_hash[:8], signed=True)


def request_of(
    keyring: Keyring, principal: str, header: str | None, operation: str, body: msgspec.Struct
) -> Request:
    """Raises IdempotencyKeyMissing, InvalidParameter."""
    if header is None:
        raise IdempotencyKeyMissing
    if not _KEY.fullmatch(header):
        raise InvalidParameter.named("Idempotency-Key", "it must be 1 to 255 visible characters")
    return Request(
        key_hash=key_digest(keyring, principal, header),
        request_hash=request_digest(keyring, operation, body),
    )


def kept(request: Request, key: SealingKey, answer: Answer) -> KeptAnswer:
    """What is stored of the answer: it speaks of the patient, so it is sealed with the rest."""
    sealed = key.seal(TABLE, COLUMN, key.referral_id, msgspec.json.encode(answer))
    return KeptAnswer(key_hash=request.key_hash, request_hash=request.request_hash, sealed=sealed)


def replayed(request: Request, row: BeforeSendingRow, sealer: Sealer) -> Answer | None:
    """The answer that was given before, if any.

    Raises IdempotencyKeyReused, and PatientErased when nobody can read it any more.
    """
    if row.request_hash is None or row.answer is None or row.keyring_id is None:
        return None
    if not same_digest(row.request_hash, request.request_hash):
        raise IdempotencyKeyReused
    assert row.referral_id is not None, "an answer belongs to a referral"
    key = SealedKeyRow(
        referral_id=row.referral_id,
        keyring_id=row.keyring_id,
        wrapped=row.wrapped,
        erased_at=row.erased_at,
    )
    try:
        opened = sealer.open_key(key).open(TABLE, COLUMN, row.referral_id, row.answer)
    except SealErased:
        raise PatientErased from None
    return _decoded(opened)


async def forget_old(conn: Connection, now: datetime) -> int:
    """Deletes a batch of the answers that nobody asks for again, as the worker; how many."""
    return await forget_answers(conn, now - KEPT, AT_ONCE)


_decoded = msgspec.json.Decoder(Answer).decode


def headers_of(referral_id: UUID, version: int, directory_version: int) -> Mapping[str, str]:
    return {
        "Location": f"/v1/referrals/{referral_id}",
        "ETag": f'"{version}"',
        "Directory-Version": str(directory_version),
    }
