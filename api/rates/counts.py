"""Counting in fixed windows of a minute: what this process knows of each name. Pure.

A limit holds over all processes because each tells the others what it has counted (`sharing`) and
takes what it heard for the truth. Between two tellings it goes by what it last heard and has
counted since. Nothing here waits for anything.
"""

from __future__ import annotations

import hmac
import sys
from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Final, Literal, TypeAlias

import msgspec

from api.clock import Clock

Kind: TypeAlias = Literal["key", "address", "failures"]

WINDOW_SECONDS: Final = 60
MOST_NAMES: Final = 20_000
"""Names that one process counts at a time, in 6 MB or so. Another one takes the place of the one
that came least, and its count: nobody is ever counted too little."""
_PART_KEPT_QUIET: Final = 200
_PART_THAT_HURRIES: Final = 40
_NEVER: Final = sys.maxsize


class Bucket:
    """One name in one window."""

    __slots__ = ("count", "ends", "limit", "name", "opened", "tell_at", "told", "waits")

    def __init__(self, limit: Limit, name: str, *, opened: int, ends: float, begin: int) -> None:
        self.limit = limit
        self.name = name
        self.opened = opened
        """When its window began, in seconds since 1970."""
        self.ends = ends
        """When its window is over, on the monotonic clock."""
        self.count = begin
        """Of all processes, as far as it is known here."""
        self.told = begin
        """How many of these need no telling: the others know of them, or they are another's."""
        self.tell_at = begin + limit.quiet
        """The count from which on there is something to tell, or reason to tell it at once."""
        self.waits = False
        """Whether it is among those to be told."""

    @property
    def is_over(self) -> bool:
        return self.count > self.limit.most

    @property
    def left(self) -> int:
        return max(0, self.limit.most - self.count)

    def seconds_left(self, at: float) -> int:
        """Whole seconds after which the next window has begun, at least 1."""
        return max(1, ceil(self.ends - at))


class Report(msgspec.Struct, frozen=True):
    """What a bucket had counted when it was told."""

    bucket: Bucket
    counted: int

    @property
    def news(self) -> int:
        return self.counted - self.bucket.told


class Limit:
    """One kind of limit: `most` in a window for each name. At least 1."""

    def __init__(
        self,
        kind: Kind,
        most: int,
        *,
        clock: Clock,
        key: Callable[[], bytes],
        most_names: int = MOST_NAMES,
    ) -> None:
        self.kind: Kind = kind
        self.most = most
        self.policy = f'"{kind}";q={most};w={WINDOW_SECONDS}'.encode()
        self.form = f'"{kind}";r=%d;t=%d'.encode()
        # An ordinary visitor stays below this in each process and is never told of: half a percent
        # of the limit for each further process is what that may cost in exactness.
        self.quiet = max(1, most // _PART_KEPT_QUIET)
        # Who is that fast is told of at once: what others let through in the meantime is then a
        # part of the limit, not of the speed.
        self.hurried = max(1, most // _PART_THAT_HURRIES)
        self.refused = 0
        self.on_hurry: Callable[[], None] = _nobody_waits
        self._clock = clock
        self._key = key
        self._most_names = most_names
        self._opened = 0
        self._ends = float("-inf")
        self._buckets: dict[str, Bucket] = {}
        self._in_turn: deque[str] = deque()
        self._least = 1
        self._to_tell: list[Bucket] = []

    def __len__(self) -> int:
        return len(self._buckets)

    def count(self, name: str, at: float) -> Bucket:
        """One more of that name; the bucket says where it stands. `at` is monotonic time."""
        if at >= self._ends:
            self.turn(at)
        bucket = self._buckets.get(name) or self._admitted(name)
        bucket.count += 1
        if bucket.count >= bucket.tell_at:
            self._has_news(bucket)
        return bucket

    def is_over(self, name: str, at: float) -> bool:
        """Whether the next one of that name would be too many."""
        if at >= self._ends:
            self.turn(at)
        bucket = self._buckets.get(name)
        return bucket is not None and bucket.count >= self.most

    def take_back(self, bucket: Bucket) -> None:
        """One less: it turned out to be another's."""
        bucket.count -= 1

    def turn(self, at: float) -> None:
        """Begin the window of this moment, if the last one is over."""
        if at < self._ends:
            return
        seconds = self._clock.now().timestamp()
        opened = int(seconds // WINDOW_SECONDS) * WINDOW_SECONDS
        self._ends = at + (opened + WINDOW_SECONDS - seconds)
        if opened != self._opened:
            # It is the same one when the wall clock runs slower than the monotonic one.
            self._opened = opened
            self._buckets, self._in_turn, self._least, self._to_tell = {}, deque(), 1, []

    def reports(self) -> list[Report]:
        """What there is to tell, each thing once: give it to `heard` or `not_heard` then."""
        told, self._to_tell = self._to_tell, []
        for bucket in told:
            bucket.waits = False
            bucket.tell_at = _NEVER
        return [Report(bucket, bucket.count) for bucket in told]

    def heard(self, report: Report, total: int) -> None:
        """The count of all processes, this one's report included."""
        bucket = report.bucket
        since = bucket.count - report.counted
        # Less than was counted here means that the database has lost its count, as an unlogged
        # table does in a crash. What is known stays known.
        bucket.told = max(total, report.counted)
        bucket.count = bucket.told + since
        self._go_on(bucket)

    def not_heard(self, report: Report) -> None:
        self._go_on(report.bucket)

    def hidden(self, bucket: Bucket) -> bytes:
        """The name as the database sees it: nobody without the keyring can tell whose it is, or
        that two of different windows are one's."""
        words = f"{self.kind}\0{bucket.opened}\0{bucket.name}"
        return hmac.digest(self._key(), words.encode(), "sha256")[:16]

    def _has_news(self, bucket: Bucket) -> None:
        if bucket.waits:
            bucket.tell_at = _NEVER
            self.on_hurry()
        else:
            bucket.waits = True
            bucket.tell_at = bucket.told + self.hurried
            self._to_tell.append(bucket)

    def _go_on(self, bucket: Bucket) -> None:
        if bucket.told >= self.most or bucket.opened != self._opened:
            # Refused until its window ends, whatever comes; or its window has ended.
            return
        bucket.tell_at = bucket.told + 1
        if bucket.count >= bucket.tell_at:
            self._has_news(bucket)

    def _admitted(self, name: str) -> Bucket:
        begin = 0 if len(self._buckets) < self._most_names else self._room()
        bucket = Bucket(self, name, opened=self._opened, ends=self._ends, begin=begin)
        self._buckets[name] = bucket
        self._in_turn.append(name)
        return bucket

    def _room(self) -> int:
        """The count of the bucket that made room: one of those that came least.

        The Space-Saving algorithm (Metwally, Agrawal, El Abbadi: Efficient computation of frequent
        and top-k elements in data streams, ICDT 2005). Who came often is never dropped, and with
        `n` requests among `k` names nobody begins higher than `n / k`.
        """
        while True:
            least = sys.maxsize
            for _ in range(len(self._in_turn)):
                name = self._in_turn.popleft()
                count = self._buckets[name].count
                if count <= self._least:
                    del self._buckets[name]
                    return count
                self._in_turn.append(name)
                least = min(least, count)
            self._least = least


def _nobody_waits() -> None:
    pass
