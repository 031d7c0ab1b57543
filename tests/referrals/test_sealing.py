"""Sealing: what is sealed opens where it belongs, and nowhere else, and never once it is erased."""

from __future__ import annotations

import traceback
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.keyring import Keyring, Purpose, UnknownKey
from api.referrals.sealing.sealing import (
    DATA_KEY_BYTES,
    FORM,
    NONCE_BYTES,
    OVERHEAD,
    SealBroken,
    Sealer,
    SealErased,
    SealingKey,
)
from db.sealing_rows import SealedKeyRow
from tests.keyrings import fixed_keyring

CANARY = "Canary Quetzalcoatl"
REFERRAL = UUID("019ab3c0-5f00-7000-8000-000000000001")
OTHER = UUID("019ab3c0-5f00-7000-8000-000000000002")
KEYS = fixed_keyring("first")
CONTENTS = st.binary(max_size=200)
PLACES = st.tuples(
    st.sampled_from(["referral", "referral_history", "idempotency"]),
    st.sampled_from(["sealed", "note"]),
    st.uuids() | st.text("0123456789abcdef-/|", min_size=1, max_size=12),
)


def new_key(referral: UUID = REFERRAL, keys: Keyring = KEYS) -> tuple[SealingKey, SealedKeyRow]:
    return Sealer(keys).new_key(referral)


KEY, ROW = new_key()
SEALED = KEY.seal("referral", "sealed", REFERRAL, CANARY.encode())


@given(CONTENTS, PLACES)
def test_what_is_sealed_always_opens_where_it_belongs(
    content: bytes, place: tuple[str, str, UUID | str]
) -> None:
    sealed = KEY.seal(*place, content)
    assert KEY.open(*place, sealed) == content
    assert Sealer(KEYS).open_key(ROW).open(*place, sealed) == content
    assert len(sealed) == len(content) + OVERHEAD


@given(CONTENTS, PLACES, PLACES)
def test_it_never_opens_anywhere_else(
    content: bytes, place: tuple[str, str, UUID | str], other: tuple[str, str, UUID | str]
) -> None:
    sealed = KEY.seal(*place, content)
    if [str(part) for part in place] != [str(part) for part in other]:
        with pytest.raises(SealBroken):
            KEY.open(*other, sealed)


@pytest.mark.parametrize("position", range(len(SEALED)))
def test_a_change_of_any_byte_is_noticed(position: int) -> None:
    for bit in range(8):
        changed = bytearray(SEALED)
        changed[position] ^= 1 << bit
        with pytest.raises(SealBroken):
            KEY.open("referral", "sealed", REFERRAL, bytes(changed))


@given(st.integers(0, len(SEALED) - 1), st.binary(min_size=1, max_size=3))
def test_what_is_cut_or_grown_never_opens(length: int, more: bytes) -> None:
    for changed in (SEALED[:length], SEALED[length + 1 :], SEALED + more, more + SEALED):
        with pytest.raises(SealBroken):
            KEY.open("referral", "sealed", REFERRAL, changed)


@given(st.binary(max_size=80))
def test_what_was_never_sealed_never_opens(content: bytes) -> None:
    for made_up in (content, FORM + content):
        with pytest.raises(SealBroken):
            KEY.open("referral", "sealed", REFERRAL, made_up)


def test_each_referral_has_a_key_of_its_own() -> None:
    other, _ = new_key(OTHER)
    with pytest.raises(SealBroken):
        other.open("referral", "sealed", REFERRAL, SEALED)


def test_a_data_key_moved_to_another_referral_does_not_open() -> None:
    with pytest.raises(SealBroken):
        Sealer(KEYS).open_key(msgspec.structs.replace(ROW, referral_id=OTHER))


def test_a_change_of_any_byte_of_a_data_key_is_noticed() -> None:
    assert ROW.wrapped is not None
    for position in range(len(ROW.wrapped)):
        changed = bytearray(ROW.wrapped)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            Sealer(KEYS).open_key(msgspec.structs.replace(ROW, wrapped=bytes(changed)))


def test_a_value_is_no_data_key_and_the_other_way_round() -> None:
    # Were they not told apart, whoever may write rows could have a key of theirs put to use.
    with pytest.raises(SealBroken):
        Sealer(KEYS).open_key(msgspec.structs.replace(ROW, wrapped=SEALED))
    wrapping = SealingKey(REFERRAL, KEYS.active(Purpose.SEALING)[1], lambda n: bytes(n))
    short = wrapping.seal("sealed_key", "wrapped", REFERRAL, b"k" * (DATA_KEY_BYTES - 1))
    with pytest.raises(SealBroken, match="not one"):
        Sealer(KEYS).open_key(msgspec.structs.replace(ROW, wrapped=short))


def test_the_same_words_are_never_sealed_the_same_way() -> None:
    sealed = {KEY.seal("referral", "sealed", REFERRAL, b"same") for _ in range(100)}
    assert len({each[1 : 1 + NONCE_BYTES] for each in sealed}) == 100
    assert len({each[1 + NONCE_BYTES :] for each in sealed}) == 100


def test_randomness_is_taken_from_where_it_is_given() -> None:
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes([len(asked)]) * size

    key, row = Sealer(KEYS, entropy).new_key(REFERRAL)
    sealed = key.seal("referral", "sealed", REFERRAL, b"")
    assert asked == [DATA_KEY_BYTES, NONCE_BYTES, NONCE_BYTES]
    assert sealed[1 : 1 + NONCE_BYTES] == b"\3" * NONCE_BYTES
    # A fixed vector: were the form to change, nothing stored would open any more.
    assert sealed.hex() == "0103030303030303030303030323c7ddb1b38e6504c1fa71ba017d2d82"
    assert Sealer(KEYS).open_key(row).open("referral", "sealed", REFERRAL, sealed) == b""


def test_an_erased_key_opens_nothing() -> None:
    erased = msgspec.structs.replace(ROW, wrapped=None)
    with pytest.raises(SealErased):
        Sealer(KEYS).open_key(erased)
    with pytest.raises(SealErased):
        Sealer(KEYS).rewrapped(erased, "first")


def test_rewrapping_changes_the_wrapping_and_nothing_else() -> None:
    rotated = fixed_keyring("first", "second")
    sealer = Sealer(rotated)
    wrapped = sealer.rewrapped(ROW, "second")
    row = msgspec.structs.replace(ROW, keyring_id="second", wrapped=wrapped)
    # With the old key gone, and with it still there; also what was opened before.
    for keys in (fixed_keyring("second"), rotated):
        opened = Sealer(keys).open_key(row)
        assert opened.open("referral", "sealed", REFERRAL, SEALED) == CANARY.encode()
    assert KEY.open("referral", "sealed", REFERRAL, SEALED) == CANARY.encode()


def test_a_backup_opens_with_the_keyring_of_its_time_only() -> None:
    assert Sealer(fixed_keyring("first")).open_key(ROW).referral_id == REFERRAL
    with pytest.raises(UnknownKey):
        Sealer(fixed_keyring("second")).open_key(ROW)


def test_a_keyring_with_the_same_id_and_another_key_opens_nothing() -> None:
    with pytest.raises(SealBroken):
        Sealer(fixed_keyring("second")).open_key(msgspec.structs.replace(ROW, keyring_id="second"))


def test_no_failure_and_nothing_printed_holds_a_word_or_a_key() -> None:
    said = [repr(KEY), repr(ROW), str(ROW), repr(Sealer(KEYS))]
    assert ROW.wrapped is not None
    wrong: list[tuple[SealedKeyRow, str, bytes]] = [
        (ROW, "note", SEALED),
        (ROW, "sealed", SEALED[:-1]),
        (ROW, "sealed", CANARY.encode()),
        (msgspec.structs.replace(ROW, referral_id=OTHER), "sealed", SEALED),
        (msgspec.structs.replace(ROW, wrapped=None), "sealed", SEALED),
        (msgspec.structs.replace(ROW, keyring_id=CANARY), "sealed", SEALED),
    ]
    for row, column, sealed in wrong:
        try:
            Sealer(KEYS).open_key(row).open("referral", column, REFERRAL, sealed)
        except (SealBroken, SealErased, UnknownKey) as error:
            said += [str(error), repr(error), *traceback.format_exception(error)]
    assert len(said) > len(wrong)
    key = KEYS.active(Purpose.SEALING)[1]
    for secret in (CANARY, "Quetzalcoatl", repr(SEALED), repr(ROW.wrapped), repr(key), key.hex()):
        assert not any(secret in text for text in said)
