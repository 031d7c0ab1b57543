"""Where a page ended: signed, and good only for the question that it was given out for."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import blake2b
from uuid import UUID

import msgspec

from api.errors import InvalidParameter
from api.keyring import Keyring, Purpose

SIGNATURE_BYTES = 16


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page: its rank in the order asked for, then its id.

    `tie` decides between equal ranks, before the id does.
    """

    rank: float | str
    id: UUID
    tie: float = 0.0


_decode = msgspec.msgpack.Decoder(Position).decode


def write_cursor(keys: Keyring, fingerprint: bytes, near: str | None, position: Position) -> str:
    """A cursor for the next page of the question with this fingerprint, asked from this place."""
    body = msgspec.msgpack.encode(position)
    _, key = keys.active(Purpose.CURSOR)
    return _text_of(_sign(key, fingerprint, near, body) + body)


def read_cursor(keys: Keyring, fingerprint: bytes, near: str | None, cursor: str) -> Position:
    """The position in a cursor. Raises `InvalidParameter` for one that was not given out here,
    was changed, or belongs to another question."""
    raw = _bytes_of(cursor)
    signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    if not _is_signed(keys, signature, fingerprint, near, body):
        raise InvalidParameter.named(
            "cursor",
            "take it unchanged from 'next' of an answer, and keep every other parameter the same",
        )
    return _decode(body)


def _text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes_of(text: str) -> bytes:
    """What a text stands for; nothing when it is not the one text that does."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    # The decoder is lenient with padding and with the last letter's spare bits.
    return raw if _text_of(raw) == text else b""


def _is_signed(
    keys: Keyring, signature: bytes, fingerprint: bytes, near: str | None, body: bytes
) -> bool:
    """By any key of the ring: a reader turns the page after the keys were rotated, too."""
    return any(
        hmac.compare_digest(signature, _sign(key, fingerprint, near, body))
        for key in keys.every(Purpose.CURSOR).values()
    )


def _sign(key: bytes, fingerprint: bytes, near: str | None, body: bytes) -> bytes:
    place = b"" if near is None else near.encode()
    # The length keeps the place and the body apart.
    message = b"%b%d:%b%b" % (fingerprint, len(place), place, body)
    # BLAKE2 takes a key by itself (RFC 7693): an HMAC by OpenSSL takes five times as long.
    return blake2b(message, key=key, digest_size=SIGNATURE_BYTES).digest()
