"""Whose request it is: the peer, or whom trusted proxies vouch for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rates.proxies import Networks, client_finder, visitor

PROXIES = Networks("10.0.0.0/8, 2001:db8:aaaa::/48, 192.0.2.1")
find = client_finder(PROXIES)


def headers(*lines: str) -> list[tuple[bytes, bytes]]:
    pairs = (line.partition(": ") for line in ("Host: x", *lines))
    return [(name.lower().encode(), value.encode("latin-1")) for name, _, value in pairs]


@pytest.mark.parametrize(
    ("peer", "lines", "client"),
    [
        # Nobody who is not trusted is believed.
        ("203.0.113.9", ["X-Forwarded-For: 198.51.100.7"], "203.0.113.9"),
        ("203.0.113.9", ["Forwarded: for=198.51.100.7"], "203.0.113.9"),
        ("2001:db8:bbbb::1", ["X-Forwarded-For: 198.51.100.7"], "2001:db8:bbbb::1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("", ["X-Forwarded-For: 198.51.100.7"], ""),
        # The proxy appends; what stood there before is the client's own word.
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["X-Forwarded-For: 1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7, 10.9.9.9, 192.0.2.1"], "198.51.100.7"),
        ("10.0.0.1", ["X-Forwarded-For: 10.1.1.1, 10.9.9.9"], "10.1.1.1"),
        ("::ffff:10.0.0.1", ["X-Forwarded-For: 198.51.100.7"], "198.51.100.7"),
        ("2001:db8:aaaa::5", ["X-Forwarded-For: 2001:DB8:0:0::7"], "2001:db8::7"),
        ("10.0.0.1", ["X-Forwarded-For: ::ffff:198.51.100.7"], "198.51.100.7"),
        # With a port, as some proxies write it.
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["X-Forwarded-For: [2001:db8::7]:4711"], "2001:db8::7"),
        # What cannot be read counts as whoever reported it.
        ("10.0.0.1", ["X-Forwarded-For: unknown"], "10.0.0.1"),
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7, what, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7,"], "10.0.0.1"),
        ("10.0.0.1", ["X-Forwarded-For: 0x7f000001"], "10.0.0.1"),
        # RFC 7239.
        ("10.0.0.1", ["Forwarded: for=198.51.100.7;proto=https"], "198.51.100.7"),
        ("10.0.0.1", ['Forwarded: by=10.0.0.1; For="[2001:db8::7]:4711"'], "2001:db8::7"),
        ("10.0.0.1", ['Forwarded: for="1.1.1.1", for=198.51.100.7'], "198.51.100.7"),
        ("10.0.0.1", ['Forwarded: for="a,b;c\\"d", for=198.51.100.7'], "198.51.100.7"),
        ("10.0.0.1", ["Forwarded: for=198.51.100.7, for=_hidden"], "10.0.0.1"),
        ("10.0.0.1", ["Forwarded: for=198.51.100.7, proto=https"], "10.0.0.1"),
        ("10.0.0.1", ['Forwarded: for="198.51.100.7'], "10.0.0.1"),
        # One of two is invented by the client.
        ("10.0.0.1", ["X-Forwarded-For: 198.51.100.7", "Forwarded: for=1.1.1.1"], "10.0.0.1"),
        (
            *("10.0.0.1", ["X-Forwarded-For: 198.51.100.7", "Forwarded: for=198.51.100.7"]),
            "198.51.100.7",
        ),
    ],
)
def test_the_client_is_the_last_that_is_not_trusted(
    peer: str, lines: list[str], client: str
) -> None:
    assert find(peer, headers(*lines)) == client


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80))
def test_whatever_a_client_sends_first_changes_nothing(sent: str) -> None:
    """The proxy appends to the line that came."""
    for line in (f"X-Forwarded-For: {sent}, 198.51.100.7", f"X-Forwarded-For: {sent},198.51.100.7"):
        assert find("10.0.0.1", headers(line)) == "198.51.100.7"
    assert find("203.0.113.9", headers(f"X-Forwarded-For: {sent}")) == "203.0.113.9"
    assert find("203.0.113.9", headers(f"Forwarded: {sent}")) == "203.0.113.9"


@given(st.binary(max_size=60))
def test_any_header_of_a_trusted_proxy_gives_some_client(sent: bytes) -> None:
    for name in (b"x-forwarded-for", b"forwarded"):
        assert find("10.0.0.1", [(name, sent)])


def test_a_long_list_is_read_from_its_end() -> None:
    line = "X-Forwarded-For: " + "1.1.1.1, " * 10_000 + "198.51.100.7"
    assert find("10.0.0.1", headers(line)) == "198.51.100.7"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.10", False),
        ("203.0.113.9", "::ffff:203.0.113.9", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_an_ipv6_address_counts_as_its_network(one: str, other: str, same: bool) -> None:
    assert (visitor(one) == visitor(other)) is same


def test_networks_are_read_and_written() -> None:
    assert str(Networks("10.0.0.0/8,::1")) == "10.0.0.0/8, ::1/128"
    assert Networks(str(PROXIES)) == PROXIES
    assert len({PROXIES, Networks(str(PROXIES))}) == 1
    for wrong in ("", "10.0.0.1/8", "example", "10.0.0.0/8;::1"):
        with pytest.raises(ValueError, match=r".*"):
            Networks(wrong)
