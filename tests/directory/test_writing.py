"""The log: one change a write, without gaps, in commit order, whatever is written at once."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.directory.composing import Stored
from api.directory.profile import profile_json
from api.directory.step import locked_step
from api.directory.writing import Outcome, load, write_batch
from db.errors import AlreadyThere
from db.pool import Limits, Pool
from db.queries.changes import changes_after, live_profiles, newest_change
from db.rows import ChangeRow
from db.states import ChangeKind, ClinicStatus
from tests.directory.clinics import FULL, body, clinic, prepared
from tests.directory.conftest import Service
from tests.keys.clocks import HandClock


async def log_of(pool: Pool) -> list[ChangeRow]:
    async with pool.acquire() as conn:
        return await changes_after(conn, 0, 10_000)


async def holds(pool: Pool) -> None:
    """What must be true of the log and the clinics after any write."""
    changes = await log_of(pool)
    assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
    newest = {change.clinic_id: change for change in changes}
    async with pool.acquire() as conn:
        stored = await load(conn)
        live = {row.clinic_id: row.profile for row in await live_profiles(conn, None, 10_000)}
    assert {each.row.id for each in stored} == set(newest)
    for each in stored:
        change = newest[each.row.id]
        assert each.row.change_seq == change.seq
        upserts = [c for c in changes if c.clinic_id == each.row.id]
        assert each.row.version == len(upserts)
        if each.row.status is ClinicStatus.ACTIVE:
            assert change.profile == profile_json(each.row, each.offerings)
            assert live.pop(each.row.id) == change.profile
        else:
            assert change.profile is None
    assert live == {}


async def test_a_batch_is_written_whole(pool: Pool, clock: HandClock) -> None:
    profiles = [clinic(FULL, name=f"Clinic {number % 7}") for number in range(50)]
    async with locked_step(pool, clock, "import:test") as step:
        made = await write_batch(step, [prepared(profile) for profile in profiles])
        assert step.newest == 50
    assert [each.outcome for each in made] == [Outcome.CREATED] * 50
    await holds(pool)
    assert len({each.stored.row.slug for each in made}) == 50
    assert len({each.stored.row.organization_id for each in made}) == 1
    changed = [
        replace(prepared(profile, each.stored), body=replace(profile, wait_days=number % 2 or 7))
        for number, (profile, each) in enumerate(zip(profiles, made, strict=True))
    ]
    async with locked_step(pool, clock, "import:test") as step:
        again = await write_batch(step, changed)
    outcomes = [each.outcome for each in again]
    assert outcomes == [Outcome.UNCHANGED, Outcome.CHANGED] * 25
    assert len(await log_of(pool)) == 75
    await holds(pool)


async def test_what_is_read_back_is_what_was_written(pool: Pool, clock: HandClock) -> None:
    async with locked_step(pool, clock, "import:test") as step:
        made = await write_batch(step, [prepared(clinic(FULL))])
        found = await load(step.conn, ids=[made[0].stored.row.id])
    assert _comparable(found[0]) == _comparable(made[0].stored)
    async with locked_step(pool, clock, "import:test") as step:
        again = await write_batch(step, [prepared(clinic(FULL), found[0])])
    assert again[0].outcome is Outcome.UNCHANGED
    assert len(await log_of(pool)) == 1


def _comparable(stored: Stored) -> Stored:
    decoded = msgspec.json.decode(stored.row.hours)
    return replace(stored, row=replace(stored.row, hours=str(decoded)))


async def test_an_import_key_is_given_out_once(pool: Pool, clock: HandClock) -> None:
    item = replace(prepared(clinic()), import_key="test:1", import_hash=b"1")
    async with locked_step(pool, clock, "import:test") as step:
        made = await write_batch(step, [item])
    with pytest.raises(AlreadyThere):
        async with locked_step(pool, clock, "import:test") as step:
            await write_batch(step, [item])
    assert len(await log_of(pool)) == 1
    # A person's change leaves the key with the clinic.
    amended = prepared(clinic(name="Renamed"), made[0].stored)
    async with locked_step(pool, clock, "key:1") as step:
        after = await write_batch(step, [amended])
    assert after[0].stored.row.import_key == "test:1"
    assert after[0].stored.row.import_hash == b"1"


async def test_a_step_that_fails_leaves_no_gap(pool: Pool, clock: HandClock) -> None:
    async def interrupted() -> None:
        async with locked_step(pool, clock, "test") as step:
            await write_batch(step, [prepared(clinic())])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await interrupted()
    async with pool.acquire() as conn:
        assert await newest_change(conn) == 0
    async with locked_step(pool, clock, "test") as step:
        await write_batch(step, [prepared(clinic())])
    await holds(pool)


async def test_twenty_writers_at_once_leave_no_gap(dsn: str, clock: HandClock) -> None:
    pool = Pool(dsn, size=20, limits=Limits(acquire=30.0, lock=30.0))
    seen: list[list[int]] = []
    done = asyncio.Event()

    async def write(number: int) -> None:
        for turn in range(5):
            async with locked_step(pool, clock, f"writer:{number}") as step:
                items = [
                    prepared(clinic(name=f"Clinic {number} {turn}")) for _ in range(1 + turn % 2)
                ]
                made = await write_batch(step, items)
            if turn % 2:
                async with locked_step(pool, clock, f"writer:{number}") as step:
                    changed = prepared(clinic(name="Renamed"), made[0].stored)
                    await write_batch(step, [changed])

    async def read() -> None:
        while not done.is_set():
            seen.append([change.seq for change in await log_of(pool)])

    await pool.open()
    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(number) for number in range(20)))
    done.set()
    await reading
    # Whoever reads sees a whole beginning of the log: what has number N comes after all before.
    for numbers in seen:
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(await log_of(pool)) == 20 * (7 + 2)
    await holds(pool)
    await pool.close()


async def test_twenty_callers_with_one_version_change_it_once(service: Service) -> None:
    profile = await service.created(FULL)
    path = f"/v1/clinics/{profile['id']}"
    calls = [service.call("PATCH", path, {"wait_days": 100 + n}, match='"1"') for n in range(20)]
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*calls)])
    assert statuses == [200] + [412] * 19
    await holds(service.pool)


async def test_creations_at_once_get_slugs_of_their_own(service: Service) -> None:
    made = await asyncio.gather(*(service.created(FULL) for _ in range(10)))
    assert len({each["slug"] for each in made}) == 10
    await holds(service.pool)


verbs = st.lists(
    st.tuples(
        st.sampled_from(["create", "replace", "amend", "same", "delete", "merge"]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(verbs)
async def test_each_accepted_write_has_exactly_one_change(
    service: Service, steps: list[tuple[str, int, int]]
) -> None:
    """A merge has one more when the survivor gained something. The index is at the same version
    and serves what the log says."""
    made: list[str] = [(await service.created(FULL))["id"]]
    for verb, first, second in steps:
        before = await log_of(service.pool)
        one, other = made[first % len(made)], made[second % len(made)]
        answer = await _do(service, verb, one, other, first, second)
        if verb == "create":
            made.append(answer.json()["id"])
        new = (await log_of(service.pool))[len(before) :]
        kinds = [(change.kind, str(change.clinic_id)) for change in new]
        if answer.status_code >= 400:
            assert kinds == []
        elif verb == "delete":
            assert kinds == [(ChangeKind.DELETE, one)]
        elif verb == "merge":
            assert kinds[-1] == (ChangeKind.MERGE, one)
            assert kinds[:-1] in ([], [(ChangeKind.UPSERT, other)])
        elif kinds:
            assert kinds == [(ChangeKind.UPSERT, answer.json()["id"])]
            assert new[0].profile == answer.text
        assert int(answer.headers.get("Directory-Version", len(before) + len(new))) == len(
            before
        ) + len(new)
    await holds(service.pool)
    for clinic_id in made:
        read = await service.call("GET", f"/v1/clinics/{clinic_id}", key="")
        async with service.pool.acquire() as conn:
            profiles = {
                str(row.clinic_id): row.profile for row in await live_profiles(conn, None, 10_000)
            }
        assert read.text == profiles.get(clinic_id, read.text)
        assert (read.status_code == 200) >= (clinic_id in profiles)


async def _do(service: Service, verb: str, one: str, other: str, first: int, second: int) -> Any:
    path = f"/v1/clinics/{one}"
    match verb:
        case "create":
            return await service.call("POST", "/v1/clinics", body(FULL, phone=None))
        case "replace":
            sent = body(FULL, wait_days=first, payers=[])
            return await service.call("PUT", path, sent, match="*")
        case "amend":
            return await service.call("PATCH", path, {"wait_days": second}, match="*")
        case "same":
            return await service.call("PATCH", path, {}, match="*")
        case "delete":
            return await service.call("DELETE", path, match="*")
        case _:
            return await service.call("POST", f"{path}/merge", {"into": other}, match="*")
