"""Where messages may go: the form of an address, and which addresses are public."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.partners.webhooks.guard import (
    AddressRefused,
    Target,
    UrlRefused,
    is_public,
    read_target,
    require_public,
)

REFUSED = (
    # not https, or no address at all
    "http://hooks.example.com/", "ftp://hooks.example.com/", "//hooks.example.com/", "https:/x.org",
    "https://", "https:///path", "hooks.example.com", "", " https://hooks.example.com/",
    "https://hooks.example.com/ ", "https://hooks.example.com/\r\nX: y", "https://hooks.example.com/é",
    "https://hooks.example.com/#part", "https://hooks.example.com\\@10.0.0.1/", "data:,x",
    "https://hooks.example.com/" + "x" * 2000,
    # who is user and who is host
    "https://user@hooks.example.com/", "https://user:pass@hooks.example.com/", "https://@x.org/",
    "https://hooks.example.com@127.0.0.1/", "https://127.0.0.1:443@hooks.example.com/",
    # numbers that resolvers take for addresses
    "https://127.1/", "https://127.0.1/", "https://0x7f000001/", "https://0x7f.0.0.1/",
    "https://2130706433/", "https://017700000001/", "https://0177.0.0.1/", "https://127.0.0.01/",
    "https://0/", "https://1.2.3.4.5/", "https://8.8.8.256/", "https://8.8.2056/", "https://x.0x/",
    "https://hooks.example.99/", "https://0X7F000001/", "https://8.8.8.8./", "https://127.0.0.1./",
    # private, shared, local
    "https://127.0.0.1/", "https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://100.100.100.200/",
    "https://0.0.0.0/", "https://224.0.0.1/", "https://239.255.255.250/", "https://240.0.0.1/",
    "https://255.255.255.255/", "https://192.0.2.1/", "https://198.51.100.7/",
    "https://203.0.113.9/", "https://198.18.0.1/", "https://192.88.99.1/", "https://192.0.0.192/",
    "https://168.63.129.16/",
    "https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fec0::1]/",
    "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[ff02::1]/", "https://[ff0e::1]/",
    "https://[2001:db8::1]/", "https://[3fff::1]/", "https://[100::1]/", "https://[5f00::1]/",
    # IPv4 inside of IPv6
    "https://[::ffff:10.0.0.1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:8.8.8.8]/",
    "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[::8.8.8.8]/",
    "https://[2002:7f00:1::]/", "https://[2002:808:808::1]/", "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[64:ff9b:1::808:808]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    # names
    "https://localhost/", "https://a.localhost/", "https://intranet/", "https://hooks..example.com/",
    "https://.example.com/", "https://hooks.example.com./", "https://-x.example.com/",
    "https://x_y.example.com/", "https://hooks.ex%61mple.com/", "https://127.0.0.1%2f.example.com/",
    "https://" + "x" * 64 + ".example.com/", "https://" + "x." * 127 + "example.com/",
    "https://ｈooks.example.com/", "https://127。0。0。1/", "https://[hooks.example.com]/",
    "https://[::1", "https://::1/", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/",
    # ports
    "https://hooks.example.com:0/", "https://hooks.example.com:22/",
    "https://hooks.example.com:80/", "https://hooks.example.com:1023/",
    "https://hooks.example.com:65536/", "https://hooks.example.com:/",
    "https://hooks.example.com:443:443/", "https://hooks.example.com:+443/",
    "https://hooks.example.com:٤٤٣/",
)  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_nothing_is_sent_there(url: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        read_target(url, allow_private=False)
    assert str(refused.value).startswith("must be ")
    assert len(url) < 8 or url not in str(refused.value)
    assert str(refused.value).startswith(("must be a URL ", "must be an https URL "))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://hooks.example.com", ("https", "hooks.example.com", 443, "/")),
        ("HTTPS://Hooks.Example.COM:443/In", ("https", "hooks.example.com", 443, "/In")),
        ("https://hooks.example.com?a=b", ("https", "hooks.example.com", 443, "/?a=b")),
        (
            "https://hooks.example.com:8443/x?u=a@b",
            ("https", "hooks.example.com", 8443, "/x?u=a@b"),
        ),
        ("https://8.8.8.8/", ("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700:4700::1111]:1024/", ("https", "2606:4700:4700::1111", 1024, "/")),
        ("https://[64:ff9b::8.8.8.8]/", ("https", "64:ff9b::808:808", 443, "/")),
        (
            "https://xn--bcher-kva.example/%C3%BC",
            ("https", "xn--bcher-kva.example", 443, "/%C3%BC"),
        ),
        ("https://4chan.org/", ("https", "4chan.org", 443, "/")),
    ],
)
def test_a_public_address_is_taken_apart(url: str, target: tuple[str, str, int, str]) -> None:
    found = read_target(url, allow_private=False)
    assert (found.scheme, found.host, found.port, found.path) == target


def test_on_one_machine_private_addresses_may_be_allowed_and_nothing_odd_is() -> None:
    found = read_target("http://127.0.0.1:8080/hook", allow_private=True)
    assert found == Target(scheme="http", host="127.0.0.1", port=8080, path="/hook")
    assert read_target("http://localhost/", allow_private=True).port == 80
    for url in ("http://127.1/", "http://user@127.0.0.1/", "file:///etc/passwd", "http://x:0/"):
        with pytest.raises(UrlRefused):
            read_target(url, allow_private=True)


NAT64 = ipaddress.ip_network("64:ff9b::/96")
ANY_V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
ANY_V6 = st.one_of(
    st.integers(0, 2**128 - 1),
    st.integers(0x2000 << 112, (0x4000 << 112) - 1),
    st.integers(0, 2**32 - 1).map(lambda low: 0x64FF9B << 96 | low),
    st.integers(0, 2**33 - 1).map(lambda low: 0xFFFF << 32 | low),
).map(IPv6Address)


@given(ANY_V4 | ANY_V6)
@example(IPv4Address("224.0.0.1"))
@example(IPv6Address("ff0e::1"))
def test_what_counts_as_public_is_global_and_one_host(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_private
        assert not address.is_multicast
        assert not address.is_reserved or address in NAT64


@given(ANY_V4)
def test_an_ordinary_global_address_is_public_in_every_python(address: IPv4Address) -> None:
    odd = any(
        address in ipaddress.ip_network(network)
        for network in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
    )
    assert is_public(address) == (address.is_global and not address.is_multicast and not odd)


@given(ANY_V4)
def test_inside_of_ipv6_an_address_is_never_more_public(address: IPv4Address) -> None:
    number = int(address)
    for inside in (
        number,
        0xFFFF << 32 | number,
        0x2002 << 112 | number << 80,
        0x20010000 << 96 | number ^ 0xFFFFFFFF,
    ):
        assert not is_public(IPv6Address(inside))
    assert is_public(IPv6Address(0x64FF9B << 96 | number)) == is_public(address)


@given(st.lists(ANY_V4 | ANY_V6, min_size=1, max_size=4))
def test_one_address_that_is_not_public_spoils_the_name(
    addresses: list[IPv4Address | IPv6Address],
) -> None:
    texts = [str(address) for address in addresses]
    if all(is_public(address) for address in addresses):
        require_public(texts)
    else:
        with pytest.raises(AddressRefused):
            require_public(texts)


@pytest.mark.parametrize("text", ["", "localhost", "fe80::1%eth0", "127.1", "8.8.8.8 "])
def test_what_is_no_address_is_not_public(text: str) -> None:
    with pytest.raises(AddressRefused):
        require_public(["8.8.8.8", text])
