"""The text of an API key, and what is stored of it."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from api.keys.tokens import (
    SECRET_BYTES,
    Token,
    new_token,
    parse_token,
    same_secret,
    secret_hash,
)

environments = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
entropy = st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES)


@given(environments, st.uuids(), entropy)
def test_what_is_made_is_always_read_back(environment: str, key_id: UUID, seed: bytes) -> None:
    token = new_token(environment, key_id, lambda _: seed)
    assert parse_token(token.text()) == token
    assert token.text().startswith(f"cw_{environment}_{token.key_id}_")


@given(environments, st.uuids(), entropy, st.integers(0, 80), st.characters())
def test_no_other_text_is_taken_for_the_same_key(
    environment: str, key_id: UUID, seed: bytes, position: int, character: str
) -> None:
    token = new_token(environment, key_id, lambda _: seed)
    text = token.text()
    changed = text[:position] + character + text[position + 1 :]
    if changed != text:
        assert parse_token(changed) != token


@given(st.text(max_size=120))
def test_any_text_is_parsed_or_refused_without_failing(text: str) -> None:
    found = parse_token(text)
    assert found is None or found.text() == text


def test_the_hash_is_hmac_sha_256_of_the_secret() -> None:
    key = b"k" * 32
    assert secret_hash("secret", key) == hmac.new(key, b"secret", hashlib.sha256).digest()
    assert same_secret("secret", key, secret_hash("secret", key))
    assert not same_secret("secres", key, secret_hash("secret", key))
    assert not same_secret("secret", b"l" * 32, secret_hash("secret", key))


def test_a_token_is_not_printed_with_its_secret() -> None:
    assert "hidden" not in repr(Token(environment="live", key_id="0" * 32, secret="hidden"))
