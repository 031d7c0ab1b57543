"""Keyed hashes of Idempotency-Keys and of requests."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from api.keyring import PINNED_ID, Keyring, Purpose
from api.keyring_file import text_of
from api.referrals.sealing.digests import key_digest, request_digest, same_digest
from tests.keyrings import fixed_document, fixed_keyring

KEYS = fixed_keyring()
BODIES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(BODIES, BODIES)
def test_two_bodies_have_one_digest_only_if_they_say_the_same(one: object, other: object) -> None:
    same = msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
    assert same_digest(request_digest(KEYS, "x", one), request_digest(KEYS, "x", other)) == same


def test_the_order_of_members_does_not_count_and_the_operation_does() -> None:
    one = request_digest(KEYS, "createReferral", {"a": 1, "b": {"c": 2, "d": 3}})
    assert one == request_digest(KEYS, "createReferral", {"b": {"d": 3, "c": 2}, "a": 1})
    assert one != request_digest(KEYS, "createServiceRequest", {"a": 1, "b": {"c": 2, "d": 3}})


def test_the_same_key_of_another_sender_is_another_key() -> None:
    assert key_digest(KEYS, "a", "bc") != key_digest(KEYS, "ab", "c")
    assert key_digest(KEYS, "a", "b") != key_digest(KEYS, "b", "b")


def test_a_rotation_changes_nothing_while_requests_are_repeated() -> None:
    before = fixed_document("old")
    kept = {Purpose.IDEMPOTENCY.value: text_of(Keyring(before).active(Purpose.IDEMPOTENCY)[1])}
    # Written down by the rotation, it outlives the key that it was derived from.
    for ids in (("old", "new"), ("new", "old"), ("new",)):
        after = Keyring(msgspec.structs.replace(fixed_document(*ids), pinned=kept))
        assert key_digest(after, "a", "b") == key_digest(Keyring(before), "a", "b")
        assert request_digest(after, "x", {}) == request_digest(Keyring(before), "x", {})
        assert after.active(Purpose.IDEMPOTENCY)[0] == PINNED_ID
