"""A small HTTP server with the answers and the ways to fail of a Nominatim instance."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, str, dict[str, str]]
Behaviour = Callable[[str], Awaitable[Reply]]


def result(
    lat: object = "33.5101", lon: object = "-112.0317", **fields: object
) -> list[dict[str, object]]:
    """One result in Nominatim's jsonv1 form: a house in Phoenix unless told otherwise."""
    return [
        {
            "place_id": 1,
            "lat": lat,
            "lon": lon,
            "class": "place",
            "type": "house",
            "place_rank": 30,
            "addresstype": "place",
            "display_name": "100, East Example Road, Phoenix, Arizona, 85016, United States",
            "boundingbox": ["33.5100", "33.5102", "-112.0318", "-112.0316"],
            **fields,
        }
    ]


async def good(_: str) -> Reply:
    return 200, json.dumps(result()), {}


def always(status: int, body: str, **headers: str) -> Behaviour:
    async def behave(_: str) -> Reply:
        return status, body, headers

    return behave


def answering(results: object) -> Behaviour:
    return always(200, json.dumps(results))


def slow(seconds: float) -> Behaviour:
    async def behave(query: str) -> Reply:
        await asyncio.sleep(seconds)
        return await good(query)

    return behave


class NominatimServer:
    """Listens on a free port of 127.0.0.1 and keeps what was asked, and by whom."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = good
        self.asked: list[str] = []
        self.paths: list[str] = []
        self.agents: list[str] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> NominatimServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        _, port = self._server.sockets[0].getsockname()
        return f"http://127.0.0.1:{port}/geo"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            target = urlsplit(head.split(" ", 2)[1])
            query = parse_qs(target.query).get("q", [""])[0]
            self.paths.append(target.path)
            self.asked.append(query)
            self.agents += [
                line.partition(":")[2].strip()
                for line in head.splitlines()
                if line.lower().startswith("user-agent:")
            ]
            status, body, headers = await self.behaviour(query)
            lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json"]
            lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            lines += [f"Content-Length: {len(body.encode())}", "Connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + body.encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
