"""Time that a test moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.clock import SystemClock


class HandClock:
    """Stands still until it is moved; ids are real."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 16, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def new_id(self) -> UUID:
        return SystemClock().new_id()

    def pass_time(self, seconds: float) -> None:
        self._passed += seconds
