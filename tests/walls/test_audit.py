"""The audit trail only grows, and whoever changes it all the same is found out."""

from __future__ import annotations

import asyncio

import pytest

from api.audit.chain import LANES, Anchor, Fault, lane_of
from api.audit.verifying import BATCH
from api.keyring import Keyring
from api.keyring_rotation import activate_key, prepare_key
from db.connection import value, values
from db.errors import StatementFailed
from db.pool import Pool
from tests.conftest import execute
from tests.keys.clocks import HandClock
from tests.walls.trails import Trail

ONE = "one"
LANE = lane_of(ONE)
OTHER = next(name for name in map(str, range(1000)) if lane_of(name) != LANE)
HERE = f"where lane = {LANE}"

CUT = (
    f"delete from audit_entry {HERE} and number > 4",
    # The lane's row as far as it can be put back without its mac.
    f"""
    update audit_lane set entries = 4,
        last_mac = (select mac from audit_entry {HERE} and number = 4) {HERE}
    """,
)
TAKE_OVER = f"""
insert into audit_entry select (jsonb_populate_record(
    entry, jsonb_build_object('lane', {LANE}, 'number', 7, 'id', gen_random_uuid())
)).* from audit_entry as entry where lane = {lane_of(OTHER)} limit 1
"""


async def test_a_trail_that_nobody_touched_verifies(trail: Trail) -> None:
    assert (await trail.faults()) == []
    await trail.add(ONE, 3)
    await trail.add(OTHER, 2, as_worker=True)
    report = await trail.report()
    assert (report.findings, report.entries, report.looked_at) == ([], 5, 5)
    assert report.is_complete
    assert len(report.lanes) == LANES


@pytest.mark.parametrize(
    ("statements", "faults"),
    [
        ([f"update audit_entry set actor = 'key:x' {HERE} and number = 3"], {("altered", 3, 3)}),
        (
            [f"update audit_entry set at = at - interval '1 day' {HERE} and number = 3"],
            {("altered", 3, 3)},
        ),
        ([f"update audit_entry set outcome = '{{ }}' {HERE} and number = 1"], {("altered", 1, 1)}),
        (
            [f"update audit_entry set mac = sha256(mac) {HERE} and number = 3"],
            {("altered", 3, 3), ("altered", 4, 4)},
        ),
        (
            [f"update audit_entry set keyring_id = 'x' {HERE} and number = 3"],
            {("unknown_key", 3, 3)},
        ),
        ([f"delete from audit_entry {HERE} and number = 3"], {("missing", 3, 3)}),
        ([f"delete from audit_entry {HERE} and number < 3"], {("missing", 1, 2)}),
        # Taken out, and the gap closed.
        (
            [
                f"delete from audit_entry {HERE} and number = 3",
                f"update audit_entry set number = number - 1 {HERE} and number = 4",
                f"update audit_entry set number = number - 1 {HERE} and number = 5",
                f"update audit_entry set number = number - 1 {HERE} and number = 6",
            ],
            {("altered", 3, 3), ("altered", 4, 4), ("altered", 5, 5), ("truncated", 6, 6)},
        ),
        # Two entries that have changed places.
        (
            [
                f"update audit_entry set number = 100 {HERE} and number = 3",
                f"update audit_entry set number = 3 {HERE} and number = 4",
                f"update audit_entry set number = 4 {HERE} and number = 100",
            ],
            {("altered", 3, 3), ("altered", 4, 4), ("altered", 5, 5)},
        ),
        ([f"delete from audit_entry {HERE} and number > 4"], {("truncated", 5, 6)}),
        # Cut off, and the lane's row put back to what it said then.
        (
            [*CUT],
            {("lane_altered", 4, 4)},
        ),
        (
            [f"update audit_lane set entries = 7 {HERE}"],
            {("lane_altered", 7, 7), ("truncated", 7, 7)},
        ),
        (
            [f"delete from audit_entry {HERE}", f"delete from audit_lane {HERE}"],
            {("lane_altered", 0, 0)},
        ),
        # An entry of another lane put in.
        (
            [TAKE_OVER],
            {("altered", 7, 7), ("lane_altered", 6, 6)},
        ),
    ],
)
async def test_what_was_done_to_it_is_found(
    trail: Trail, statements: list[str], faults: set[tuple[str, int, int]]
) -> None:
    await trail.add(ONE, 6)
    await trail.add(OTHER)
    assert await trail.faults() == []
    await trail.tamper(*statements)
    report = await trail.report()
    assert {(f.fault.value, f.first, f.last) for f in report.findings} == faults
    assert {f.lane for f in report.findings} == {LANE}


async def test_going_on_after_a_cut_does_not_cover_it_up(trail: Trail) -> None:
    """The next entry signs a new end of the lane; it also says that the old one was not ours."""
    await trail.add(ONE, 6)
    await trail.tamper(*CUT)
    await trail.add(ONE, 3)
    assert await trail.faults() == [(Fault.LANE_ALTERED, 5, 5)]
    # Nor does removing the lane altogether.
    other = lane_of(OTHER)
    await trail.add(OTHER)
    await trail.tamper(
        f"delete from audit_entry where lane = {other}",
        f"delete from audit_lane where lane = {other}",
    )
    await trail.add(OTHER)
    assert (Fault.LANE_ALTERED, 1, 1) in await trail.faults()


async def test_an_older_copy_put_back_as_a_whole_misses_its_anchor(trail: Trail) -> None:
    await trail.add(ONE, 2)
    await trail.tamper(
        "create table kept_entry as table audit_entry", "create table kept_lane as table audit_lane"
    )
    await trail.add(ONE, 4)
    end = next(lane for lane in (await trail.report()).lanes if lane.lane == LANE)
    anchors = {LANE: Anchor(lane=LANE, entries=end.entries, mac=end.last_mac)}
    assert (await trail.report(anchors=anchors)).findings == []
    await trail.tamper(
        "delete from audit_entry",
        "delete from audit_lane",
        "insert into audit_lane table kept_lane",
        "insert into audit_entry table kept_entry",
    )
    assert await trail.faults() == []
    found = (await trail.report(anchors=anchors)).findings
    assert [(f.fault, f.first, f.last) for f in found] == [(Fault.TRUNCATED, 3, 6)]
    await trail.add(ONE, 4)
    found = (await trail.report(anchors=anchors)).findings
    assert [(f.fault, f.first) for f in found] == [(Fault.ANCHOR_MISSED, 6)]


async def test_a_part_is_verified_from_the_entry_before_it(trail: Trail) -> None:
    await trail.add(ONE, 8)
    report = await trail.report(recent=3)
    assert (report.findings, report.looked_at, report.entries) == ([], 3, 8)
    assert not report.is_complete
    await trail.tamper(f"update audit_entry set actor = 'x' {HERE} and number = 2")
    assert await trail.faults(recent=3) == []
    assert await trail.faults() == [(Fault.ALTERED, 2, 2)]
    await trail.tamper(f"update audit_entry set actor = 'x' {HERE} and number = 6")
    assert await trail.faults(recent=3) == [(Fault.ALTERED, 6, 6)]
    await trail.tamper(f"delete from audit_entry {HERE} and number = 5")
    assert (Fault.MISSING, 5, 5) in await trail.faults(recent=3)


async def test_a_trail_longer_than_what_is_read_at_once(trail: Trail) -> None:
    await trail.add(ONE, BATCH + 20)
    assert (await trail.report()).looked_at == BATCH + 20
    await trail.tamper(f"update audit_entry set actor = 'x' {HERE} and number = {BATCH + 1}")
    assert await trail.faults() == [(Fault.ALTERED, BATCH + 1, BATCH + 1)]


async def test_requests_at_once_stand_in_the_chain_one_after_the_other(trail: Trail) -> None:
    # The very first entries, too: sixteen lanes are made by whoever comes first.
    await asyncio.gather(*(trail.add(name, 5) for name in (ONE, ONE, OTHER, OTHER, "third")))
    report = await trail.report()
    assert (report.findings, report.entries) == ([], 25)


async def test_an_entry_is_rolled_back_with_what_it_tells_of(trail: Trail) -> None:
    await trail.add(ONE)

    async def failing() -> None:
        async with trail.service.transaction() as conn:
            await trail.record(conn, ONE)
            raise LookupError

    with pytest.raises(LookupError):
        await failing()
    report = await trail.report()
    assert (report.findings, report.entries) == ([], 1)


@pytest.mark.parametrize("role", ["clinicway_service", "clinicway_worker"])
@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set actor = 'x'",
        "delete from audit_entry",
        "truncate audit_entry",
        "delete from audit_lane",
        "alter table audit_entry disable trigger all",
        "drop table audit_entry",
    ],
)
async def test_neither_role_can_change_an_entry(trail: Trail, role: str, statement: str) -> None:
    await trail.add(ONE)
    pool = Pool(trail.dsn, size=1, role=role)
    async with pool.acquire() as conn:
        with pytest.raises(StatementFailed) as caught:
            await conn.execute(statement)
    await pool.close()
    assert caught.value.sqlstate == "42501"


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set actor = 'x'",
        "delete from audit_entry where false",
        "truncate audit_entry",
    ],
)
async def test_nor_can_an_owner_who_is_no_superuser(trail: Trail, statement: str) -> None:
    await trail.add(ONE)
    owner = f"owner_{trail.clock.new_id().hex}"
    await execute(
        trail.dsn,
        f"create role {owner} nologin",
        f"grant usage on schema public to {owner}",
        f"alter table audit_entry owner to {owner}",
    )
    pool = Pool(trail.dsn, size=1, role=owner)
    async with pool.acquire() as conn:
        with pytest.raises(StatementFailed) as caught:
            await conn.execute(statement)
        assert caught.value.sqlstate == "42501"
        assert await value(conn, int, "select count(*) from audit_entry") == 1
    await pool.close()
    await execute(trail.dsn, f"reassign owned by {owner} to current_user", f"drop owned by {owner}")
    await execute(trail.dsn, f"drop role {owner}")


async def test_another_keyring_verifies_nothing(trail: Trail) -> None:
    await trail.add(ONE, 2)
    other = Keyring.load_or_create(trail.keyring_path.with_name("other.json"), HandClock())
    trail.auditor = type(trail.auditor)(other, trail.clock)
    assert {fault for fault, _, _ in await trail.faults()} == {Fault.UNKNOWN_KEY}


async def test_a_rotated_keyring_goes_on_verifying(trail: Trail) -> None:
    await trail.add(ONE, 2)
    new, _ = prepare_key(trail.keyring_path, trail.clock)
    activate_key(trail.keyring_path, trail.clock, new)
    trail.keyring.look()
    await trail.add(ONE, 2)
    report = await trail.report()
    assert (report.findings, report.entries) == ([], 4)
    async with trail.service.acquire() as conn:
        signed = await values(
            conn, str, f"select keyring_id from audit_entry {HERE} order by number"
        )
    assert signed[1] != signed[2] == signed[3] == new


async def test_a_flood_of_invented_entries_does_not_hold_up_a_request(trail: Trail) -> None:
    await trail.add(ONE, 2)
    await trail.tamper(
        f"""
        insert into audit_entry select (jsonb_populate_record(
            entry, jsonb_build_object('number', entry.number + more, 'id', gen_random_uuid())
        )).* from audit_entry as entry, generate_series(1, {3 * BATCH}) as more
        {HERE} and number = 2
        """
    )
    report = await trail.report(recent=1)
    assert report.looked_at <= BATCH
    assert (Fault.ALTERED, 3, 3) in [(f.fault, f.first, f.last) for f in report.findings]
