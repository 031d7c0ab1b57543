"""One message posted: over TLS to the checked address, and whatever the other side does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from api.partners.webhooks import posting
from api.partners.webhooks.guard import Target, require_public
from api.partners.webhooks.posting import Answer, Poster
from db.states import DeliveryFault
from tests.partners.webhooks.receiver import Receiver, certified, receiving, status, talking

HEADERS = {"webhook-id": "1"}


async def posted(
    url: str,
    *,
    allow_private: bool = True,
    seconds: float = 10.0,
    names: dict[str, Sequence[str]] | None = None,
    asked: list[str] | None = None,
) -> Answer:
    async def lookup(host: str, port: int) -> Sequence[str]:
        if asked is not None:
            asked.append(host)
        if host not in (names or {}):
            raise OSError("no such name")
        return (names or {})[host]

    async with Poster(allow_private=allow_private, lookup=lookup, seconds=seconds) as poster:
        return await poster.post(url, HEADERS, "{}")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (200, None),
        (204, None),
        (299, None),
        (301, DeliveryFault.REDIRECTED),
        (304, DeliveryFault.REDIRECTED),
        (400, DeliveryFault.BAD_STATUS),
        (404, DeliveryFault.BAD_STATUS),
        (410, DeliveryFault.GONE),
        (503, DeliveryFault.BAD_STATUS),
    ],
)
async def test_the_status_alone_says_whether_it_was_taken(
    receiver: Receiver, number: int, fault: DeliveryFault | None
) -> None:
    receiver.then(number)
    assert await posted(receiver.url) == Answer(status=number, fault=fault)
    assert receiver.taken[0].path == "/hook?token=t"
    assert receiver.taken[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(receiver: Receiver, number: int) -> None:
    async with receiving() as elsewhere:
        receiver.then(status(number, Location=elsewhere.url))
        assert (await posted(receiver.url)).fault is DeliveryFault.REDIRECTED
        assert elsewhere.taken == []
    assert len(receiver.taken) == 1


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await posted(receiver.url)).status == 204
        assert proxy.taken == []


async def test_a_slow_answer_is_cut(receiver: Receiver) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    receiver.then(never)
    assert (await posted(receiver.url, seconds=0.3)).fault is DeliveryFault.TIMED_OUT


async def test_an_endless_head_is_cut() -> None:
    async with talking(b"HTTP/1.1 200 OK\r\nX: ", for_ever=True) as url:
        assert (await posted(url)).fault is DeliveryFault.NOT_HTTP


async def test_interim_answers_without_end_are_cut() -> None:
    async with talking(b"HTTP/1.1 100 Continue\r\n\r\n" * 100) as url:
        assert (await posted(url)).fault is not None


async def test_an_endless_body_is_not_read() -> None:
    async with talking(b"HTTP/1.1 200 OK\r\n\r\n", for_ever=True) as url:
        assert await posted(url) == Answer(status=200)


async def test_a_body_that_would_unpack_to_gigabytes_is_not_unpacked() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"
    async with talking(head) as url:
        assert await posted(url) == Answer(status=200)


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 huh\r\n\r\n"])
async def test_what_does_not_speak_http_is_told_apart(raw: bytes) -> None:
    async with talking(raw) as url:
        fault = (await posted(url)).fault
    assert fault in (DeliveryFault.NOT_HTTP, DeliveryFault.NOT_REACHED)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    assert (await posted(f"http://127.0.0.1:{port}/")).fault is DeliveryFault.NOT_REACHED


async def test_an_unknown_name() -> None:
    assert (await posted("https://hooks.example.com/")).fault is DeliveryFault.NAME_NOT_FOUND
    names: dict[str, Sequence[str]] = {"hooks.example.com": []}
    answer = await posted("https://hooks.example.com/", names=names)
    assert answer.fault is DeliveryFault.NAME_NOT_FOUND


async def test_the_name_in_the_certificate_is_checked_on_the_checked_address(
    tmp_path: Path,
) -> None:
    server, client = certified(tmp_path, "hooks.example.com")

    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with receiving(server) as receiver:
        async with Poster(allow_private=True, lookup=lookup, tls=client) as poster:
            right = await poster.post(f"https://hooks.example.com:{receiver.port}/", HEADERS, "{}")
            wrong = await poster.post(f"https://other.example.com:{receiver.port}/", HEADERS, "{}")
        async with Poster(allow_private=True, lookup=lookup) as stranger:
            untrusted = await stranger.post(
                f"https://hooks.example.com:{receiver.port}/", HEADERS, "{}"
            )
    assert right == Answer(status=204)
    assert wrong == untrusted == Answer(fault=DeliveryFault.TLS_FAILED)
    assert len(receiver.taken) == 1
    assert receiver.taken[0].headers["host"].startswith("hooks.example.com")


async def test_an_ipv6_address_in_brackets_is_reached_over_tls(tmp_path: Path) -> None:
    server, client = certified(tmp_path, "::1")
    async with (
        receiving(server, host="::1") as receiver,
        Poster(allow_private=True, tls=client) as poster,
    ):
        answer = await poster.post(receiver.url, HEADERS, "{}")
    assert answer == Answer(status=204)
    assert receiver.taken[0].path == "/hook?token=t"
    assert receiver.taken[0].headers["host"] == f"[::1]:{receiver.port}"


async def test_a_public_ipv6_address_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[tuple[str, int]] = []

    def no_route(_: Poster, info: tuple[object, object, object, object, tuple[str, int]]) -> None:
        connected.append((info[4][0], info[4][1]))
        raise OSError("no route")

    monkeypatch.setattr(Poster, "_socket", no_route)
    answer = await posted("https://[2606:4700:4700::1111]/x", allow_private=False)
    assert answer.fault is DeliveryFault.NOT_REACHED
    assert connected == [("2606:4700:4700::1111", 443)]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["fe80::1%lo"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["2606:4700:4700::1111", "fd00::1"],
    ],
)
async def test_a_name_that_leads_inside_is_refused(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def note(_: Poster, info: object) -> None:
        made.append(info)

    monkeypatch.setattr(Poster, "_socket", note)
    names: dict[str, Sequence[str]] = {"hooks.example.com": addresses}
    answer = await posted("https://hooks.example.com/", allow_private=False, names=names)
    assert answer.fault is DeliveryFault.ADDRESS_REFUSED
    assert made == []


async def test_what_the_system_says_of_a_name_is_checked(receiver: Receiver) -> None:
    # "localhost" is refused by its form; this name has one of the addresses of this machine.
    def form_is_fine(_url: str, *, allow_private: bool) -> Target:
        return Target(scheme="http", host="localhost", port=receiver.port, path="/")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posting, "read_target", form_is_fine)
        async with Poster(allow_private=False) as poster:
            refused = await poster.post("https://x.example.com/", HEADERS, "{}")
        async with Poster(allow_private=True) as poster:
            taken = await poster.post("https://x.example.com/", HEADERS, "{}")
    assert refused.fault is DeliveryFault.ADDRESS_REFUSED
    assert taken.status == 204
    assert len(receiver.taken) == 1


async def test_a_name_is_asked_for_once_and_that_answer_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name server that answers with a public address first and a private one after that."""
    rebinding = iter([["9.9.9.9"], ["127.0.0.1"], ["127.0.0.1"]])
    connected: list[str] = []

    def no_route(_: Poster, info: tuple[object, object, object, object, tuple[str, int]]) -> None:
        require_public([info[4][0]])
        connected.append(info[4][0])
        raise OSError("no route")

    async def lookup(host: str, port: int) -> Sequence[str]:
        return next(rebinding)

    monkeypatch.setattr(Poster, "_socket", no_route)
    async with Poster(allow_private=False, lookup=lookup) as poster:
        first = await poster.post("https://hooks.example.com/", HEADERS, "{}")
        second = await poster.post("https://hooks.example.com/", HEADERS, "{}")
    assert first.fault is DeliveryFault.NOT_REACHED
    assert second.fault is DeliveryFault.ADDRESS_REFUSED
    assert connected == ["9.9.9.9"]


async def test_the_address_is_looked_at_when_its_socket_is_made(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number is never looked up: were its form taken for good, the socket would still refuse."""

    def form_is_fine(_url: str, *, allow_private: bool) -> Target:
        return Target(scheme="http", host="127.0.0.1", port=receiver.port, path="/")

    monkeypatch.setattr(posting, "read_target", form_is_fine)
    answer = await posted("https://hooks.example.com/", allow_private=False)
    assert answer.fault is DeliveryFault.ADDRESS_REFUSED
    assert receiver.taken == []


async def test_the_form_is_checked_again_before_sending(receiver: Receiver) -> None:
    """A webhook that was made while private addresses were allowed gets nothing afterwards."""
    answer = await posted(receiver.url, allow_private=False)
    assert answer.fault is DeliveryFault.ADDRESS_REFUSED
    assert receiver.taken == []
