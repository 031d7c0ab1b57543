"""What was measured of a clinic's answers: shown, kept by every write, written by nobody."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from api.directory.composing import PreparedClinic
from api.directory.points import stored_point
from api.directory.profile import read_provenance, written
from api.directory.step import locked_step
from api.directory.writing import Outcome, load, write_batch
from db.queries.changes import newest_change
from tests.directory.clinics import FULL, SMALL, body
from tests.directory.conftest import Service

MEASURED: dict[str, Any] = {
    "answers": 7,
    "median_hours": 5.5,
    "acceptance": 0.4286,
    "decline_reasons": {"capacity": 2, "payer": 1, "language": 1},
}


async def measured(service: Service, clinic_id: str, found: object) -> Outcome:
    """Written as the job does that measures."""
    async with locked_step(service.pool, service.clock, "responsiveness") as step:
        [stored] = await load(step.conn, ids=[UUID(clinic_id)])
        prepared = PreparedClinic(
            body=written(stored.row, stored.offerings),
            point=stored_point(stored.row),
            provenance=read_provenance(stored.row.provenance),
            existing=stored,
            responsiveness=None if found is None else msgspec.json.encode(found).decode(),
        )
        [result] = await write_batch(step, [prepared])
        seq = await newest_change(step.conn)
    seen = 0
    while seen < seq:
        answer = await service.call("GET", "/v1/clinics", key="")
        seen = int(answer.headers["Directory-Version"])
    return result.outcome


async def profile_of(service: Service, clinic_id: str) -> dict[str, Any]:
    return (await service.call("GET", f"/v1/clinics/{clinic_id}", key="")).json()


async def test_it_is_shown_and_every_write_keeps_it(service: Service) -> None:
    clinic_id = (await service.created(FULL))["id"]
    assert (await profile_of(service, clinic_id))["responsiveness"] is None
    assert await measured(service, clinic_id, MEASURED) is Outcome.CHANGED
    profile = await profile_of(service, clinic_id)
    assert profile["responsiveness"] == MEASURED
    # In the order of the reasons' enum, whatever order PostgreSQL keeps.
    assert list(profile["responsiveness"]["decline_reasons"]) == ["capacity", "payer", "language"]
    path = f"/v1/clinics/{clinic_id}"
    await service.call("PATCH", path, {"wait_days": 3}, match="*")
    await service.call("PUT", path, body(SMALL, name="Renamed"), match="*")
    after = await profile_of(service, clinic_id)
    assert after["name"] == "Renamed"
    assert after["responsiveness"] == MEASURED
    assert await measured(service, clinic_id, MEASURED) is Outcome.UNCHANGED
    assert await measured(service, clinic_id, None) is Outcome.CHANGED
    assert (await profile_of(service, clinic_id))["responsiveness"] is None


async def test_nobody_can_write_it(service: Service) -> None:
    answer = await service.call("POST", "/v1/clinics", FULL | {"responsiveness": MEASURED})
    assert answer.status_code == 400
    clinic_id = (await service.created(FULL))["id"]
    answer = await service.call(
        "PATCH", f"/v1/clinics/{clinic_id}", {"responsiveness": MEASURED}, match="*"
    )
    assert answer.status_code == 400


async def test_the_history_names_it_and_a_list_leaves_it_out(service: Service) -> None:
    clinic_id = (await service.created(FULL))["id"]
    await measured(service, clinic_id, MEASURED)
    history = (await service.call("GET", f"/v1/clinics/{clinic_id}/history")).json()
    assert history["items"][0]["fields"] == ["responsiveness"]
    listed = (await service.call("GET", "/v1/clinics", key="")).json()
    assert "responsiveness" not in listed["items"][0]["clinic"]
