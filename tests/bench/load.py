"""Load from wrk against a server on this machine, and what it measured."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

CONNECTIONS = 16
SECONDS = 2
ROUNDS = 5

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_MEDIAN = re.compile(r"50%\s+([\d.]+)(us|ms|s)")
_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

_SCRIPT = """\
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local at = %d
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""

_POST_SCRIPT = """\
local points, body = {}, io.open("%s"):read("a")
for line in io.lines("%s") do points[#points + 1] = line end
local number = %d
local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer %s"}
request = function()
  number = number + 1
  headers["Idempotency-Key"] = "bench-" .. number
  local filled = body:gsub("NUMBER", number):gsub("POINT", points[number %% #points + 1])
  return wrk.format("POST", "%s", headers, filled)
end
"""
_APART = 1_000_000


class LoadFailed(Exception):
    """The measurement means nothing: the server refused, or wrk could not run."""


class Load(msgspec.Struct, frozen=True):
    """`rate` in requests a second, `median_ms` of one request's latency."""

    rate: float
    median_ms: float


def wrk_is_there() -> bool:
    return shutil.which("wrk") is not None


class Paths:
    """Request paths in a file, each taken once before any is taken again."""

    def __init__(self, folder: Path, name: str, paths: Sequence[str]) -> None:
        self._list = folder / f"{name}.txt"
        self._list.write_text("\n".join(paths) + "\n")
        self._script = folder / f"{name}.lua"
        self._count = len(paths)
        self._taken = 0

    def run(self, port: int) -> Load:
        """One round of load, going on where the last one ended."""
        self._script.write_text(_SCRIPT % (self._list, self._taken))
        load = _wrk(port, self._script)
        self._taken = (self._taken + round(load.rate * SECONDS)) % self._count
        return load


class Posts:
    """Requests with a body, no two the same: NUMBER in it is another number and POINT the next
    point each time, and so is the Idempotency-Key."""

    def __init__(
        self, folder: Path, name: str, path: str, key: str, body: bytes, points: Sequence[str]
    ) -> None:
        self._body = folder / f"{name}.json"
        self._body.write_bytes(body)
        self._points = folder / f"{name}.txt"
        self._points.write_text("\n".join(points) + "\n")
        self._script = folder / f"{name}.lua"
        self._key = key
        self._path = path
        self._begun = 0

    def run(self, port: int, seconds: int = SECONDS) -> Load:
        self._script.write_text(
            _POST_SCRIPT % (self._body, self._points, self._begun, self._key, self._path)
        )
        self._begun += _APART
        return _wrk(port, self._script, seconds)


def _wrk(port: int, script: Path, seconds: int = SECONDS) -> Load:
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{port}"],
        capture_output=True, text=True, timeout=seconds + 30, check=False,
    )  # fmt: skip
    rate, median = _RATE.search(done.stdout), _MEDIAN.search(done.stdout)
    if rate is None or median is None or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise LoadFailed(done.stdout + done.stderr)
    return Load(float(rate[1]), float(median[1]) * _UNIT_MS[median[2]])


def side_by_side(
    measured: Callable[[], Load],
    reference: Callable[[], Load],
    of: Callable[[Load], float] = lambda load: load.rate,
) -> tuple[float, list[float], list[float]]:
    """The median over the rounds of measured ÷ reference, each pair taken one right after the
    other so that a change in the machine's speed strikes both; and the figures themselves."""
    measured()
    reference()
    pairs = [(of(measured()), of(reference())) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    return ratio, [a for a, _ in pairs], [b for _, b in pairs]
