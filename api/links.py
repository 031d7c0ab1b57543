"""Where a service that listens somewhere is reached."""

from __future__ import annotations

from typing import Final

ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (compared, not bound)


def reachable(host: str) -> str:
    """Where a service that listens on `host` is reached from this machine."""
    return ANYWHERE.get(host, host)


def served_at(host: str, port: int) -> str:
    """The URL, without a slash at its end, of a service that listens there."""
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
