"""Several processes with one keyring, rotated, reduced and retired at any moment: what one of them
makes the others always take."""

from __future__ import annotations

import shutil
import tempfile
from datetime import date
from pathlib import Path
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from api.commands.keyring import SETTLE_SECONDS
from api.keyring import Keyring, Purpose
from api.keyring_rotation import SETTLE, activate_key, prepare_key, reduce_key, remove_key
from api.referrals.sealing.digests import key_digest
from api.referrals.sealing.fingerprints import Fingerprints, fingerprints_of
from api.referrals.sealing.sealing import Sealer
from api.search.cursor import Position, read_cursor, write_cursor
from db.sealing_rows import SealedKeyRow
from tests.keys.clocks import HandClock

REFERRAL = UUID("019ab3c0-5f00-7000-8000-000000000001")
LAST = Position("rank", REFERRAL)
PROCESSES = st.integers(0, 2)


class Keyrings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cw-"))
        self.path = self.folder / "keyring.json"
        self.clock = HandClock()
        self.processes = [Keyring.load_or_create(self.path, self.clock) for _ in range(3)]
        self.digest = key_digest(self.processes[0], "someone", "key")
        self.prepared: tuple[str, float] | None = None
        self.old: list[str] = []
        self.rows: list[SealedKeyRow] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(seconds=st.floats(0, 4))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_time(seconds)

    @rule()
    def much_time_passes(self) -> None:
        self.clock.pass_time(SETTLE.total_seconds())

    @precondition(lambda self: self.prepared is None)
    @rule()
    def a_key_is_prepared(self) -> None:
        self.prepared = (prepare_key(self.path, self.clock)[0], self.clock.monotonic())

    @precondition(
        lambda self: (
            self.prepared is not None
            and self.clock.monotonic() - self.prepared[1] >= SETTLE_SECONDS
        )
    )
    @rule()
    def it_becomes_the_active_one(self) -> None:
        assert self.prepared is not None
        self.old.append(Keyring.load(self.path, self.clock).active(Purpose.SEALING)[0])
        activate_key(self.path, self.clock, self.prepared[0])
        self.prepared = None

    @precondition(lambda self: len(self.old) > 0)
    @rule(reduce=st.booleans())
    def the_oldest_key_goes(self, reduce: bool) -> None:
        """With everything rewrapped, as the command sees to it."""
        self.clock.pass_time(SETTLE.total_seconds())
        active = Keyring.load(self.path, self.clock).active(Purpose.SEALING)[0]
        sealer = Sealer(self.processes[0])
        self.rows = [
            SealedKeyRow(
                referral_id=REFERRAL, keyring_id=active, erased_at=None,
                wrapped=sealer.rewrapped(row, active),
            )
            for row in self.rows
        ]  # fmt: skip
        if reduce:
            reduce_key(self.path, self.old.pop(0), self.clock.now(), list(Purpose))
        else:
            remove_key(self.path, self.old.pop(0), self.clock.now())

    @rule(process=PROCESSES)
    def one_of_them_starts_again(self, process: int) -> None:
        self.processes[process] = Keyring.load(self.path, self.clock)

    @rule(one=PROCESSES, other=PROCESSES)
    def what_one_seals_the_other_opens(self, one: int, other: int) -> None:
        key, row = Sealer(self.processes[one]).new_key(REFERRAL)
        sealed = key.seal("referral", "sealed", REFERRAL, b"words")
        opened = Sealer(self.processes[other]).open_key(row)
        assert opened.open("referral", "sealed", REFERRAL, sealed) == b"words"
        self.rows.append(row)

    @rule(one=PROCESSES, other=PROCESSES)
    def where_one_ended_the_other_goes_on(self, one: int, other: int) -> None:
        cursor = write_cursor(self.processes[one], b"question", None, LAST)
        assert read_cursor(self.processes[other], b"question", None, cursor) == LAST

    @rule(one=PROCESSES, other=PROCESSES)
    def the_patient_of_one_is_known_to_the_other(self, one: int, other: int) -> None:
        first, second = self._fingerprints(one), self._fingerprints(other)
        assert set(first.stored) <= set(second.sought)
        assert set(first.lock_numbers()) & set(second.lock_numbers())

    def _fingerprints(self, process: int) -> Fingerprints:
        return fingerprints_of(
            self.processes[process], given_name="Ana", family_name="Ruiz",
            birth_date=date(1980, 2, 3), codes=["crps"],
        )  # fmt: skip

    @rule(process=PROCESSES)
    def a_repeated_request_is_recognised(self, process: int) -> None:
        # No invariant: all of them would look at the file at the same moments.
        assert key_digest(self.processes[process], "someone", "key") == self.digest

    @invariant()
    def everything_that_was_sealed_opens(self) -> None:
        for row in self.rows[-3:]:
            for process in self.processes:
                Sealer(process).open_key(row)


TestKeyrings = Keyrings.TestCase
TestKeyrings.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
