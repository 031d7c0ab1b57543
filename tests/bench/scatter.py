"""Made-up clinics in any number, spread over the map as the real facilities are.

Each one takes its place from a row of SAMHSA's mental-health directory, moved by up to 30 km, and
keeps that row's payers, languages, ages and programmes. Everything else is drawn: names, offerings,
conditions, waits. All of them say that they are examples, in their name and in their source.

One clinic in 1,000 has the rare pair of condition and route, `RARE`; each half of it alone is
common (about one clinic in twelve has the condition, one in sixteen the route).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import count, islice
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Final, TypeVar
from uuid import UUID

import msgspec

from api.clock import Clock
from api.directory.composing import Identity, PreparedClinic, Stored, composed
from api.directory.points import Point, time_zone
from api.directory.profile import profile_json
from api.directory.schemas import (
    AddressWrite,
    ClinicWrite,
    HoursWrite,
    OfferingWrite,
    PriceWrite,
    ProtocolWrite,
    SourceWrite,
)
from api.directory.slugs import clinic_slug, organization_slug
from api.directory.step import Step, locked_step
from api.search.places import Places
from db.pool import Pool
from db.queries.changes import newest_change
from db.queries.clinics import CLINIC_COLUMNS
from db.queries.organizations import insert_organizations, organizations_by_slug
from db.rows import OfferingRow, OrganizationRow
from db.states import Accepting, ChangeKind, Drug, PointPrecision, Route, Setting
from seeds.importers import samhsa
from seeds.importers.mapped import Mapped, read_rows
from seeds.importers.report import ImportOptions
from seeds.importers.table import Table

T = TypeVar("T")

FACILITIES: Final = Path(__file__).parent.parent / "data" / "us_samhsa_mh_2022.csv.gz"
SPREAD_KM: Final = 30.0
KM_A_DEGREE: Final = 111.195

RARE_ONE_IN: Final = 1_000
RARE_CONDITION: Final = "phantom-limb"
RARE_ROUTE: Final = Route.SUBCUTANEOUS

# Share of the clinics that have it.
CONDITIONS: Final = {
    "chronic-pain": 0.50,
    "depression": 0.45,
    "treatment-resistant-depression": 0.30,
    "ptsd": 0.30,
    "anxiety": 0.25,
    "fibromyalgia": 0.22,
    "crps": 0.20,
    "migraine": 0.15,
    "diabetic-neuropathy": 0.10,
    RARE_CONDITION: 0.08,
}
OFFERED: Final = (
    (Route.IV, Setting.CLINIC, 0.70),
    (Route.IM, Setting.CLINIC, 0.30),
    (Route.NASAL, Setting.CLINIC, 0.25),
    (Route.SUBLINGUAL, Setting.AT_HOME, 0.20),
    (Route.ORAL, Setting.AT_HOME, 0.08),
    (RARE_ROUTE, Setting.CLINIC, 0.06),
)
ACCEPTING: Final = (
    (Accepting.YES, 0.60),
    (Accepting.UNKNOWN, 0.25),
    (Accepting.NO, 0.10),
    (Accepting.EXISTING_ONLY, 0.05),
)
# fmt: off
_FIRST: Final = (
    "Amber", "Birch", "Bright", "Calm", "Cedar", "Clear", "Coastal", "Copper", "Crescent",
    "Evergreen", "Golden", "Granite", "Harbor", "Hazel", "High", "Juniper", "Lake", "Lantern",
    "Maple", "Meadow", "Northern", "Oak", "Open", "Pine", "Quiet", "River", "Rowan", "Silver",
    "Still", "Stone", "Summit", "Sun", "Thistle", "Valley", "Western", "Willow",
)
_SECOND: Final = (
    "Bridge", "Care", "Center", "Clinic", "Health", "Infusion", "Institute", "Medical", "Medicine",
    "Pain", "Partners", "Path", "Practice", "Recovery", "Relief", "Therapy", "Treatment",
    "Wellness",
)
# fmt: on
_SOURCE: Final = SourceWrite(name="example: made up for measurements", licence="CC0")
_UNVERIFIED: Final = ["This clinic does not exist: it is an example for measurements."]
_WEEKDAYS: Final = [
    HoursWrite(days=["mon", "tue", "wed", "thu", "fri"], opens="09:00", closes="17:00")
]


class Facility(msgspec.Struct, frozen=True):
    """Where a real facility is, and what it reported."""

    profile: ClinicWrite
    lat: float
    lon: float


def facilities(places: Places, path: Path = FACILITIES) -> list[Facility]:
    """The real ones, each at the point of its ZIP code."""
    found: list[Facility] = []
    reader = samhsa.SamhsaReader(samhsa.source_name(path), ImportOptions())
    with Table(path, named=samhsa.NAMED, required=samhsa.REQUIRED) as table:
        for row in read_rows(table, reader.read):
            if not isinstance(row, Mapped) or row.profile.address.postal_code is None:
                continue
            point = places.postal_point("US", row.profile.address.postal_code)
            if point is not None:
                found.append(Facility(row.profile, point.lat, point.lon))
    return found


def is_rare(number: int) -> bool:
    """Whether the clinic of that number, counted from 0, has the rare pair."""
    return number % RARE_ONE_IN == RARE_ONE_IN // 2


def scattered(real: Sequence[Facility], many: int, rng: Random) -> Iterator[PreparedClinic]:
    """That many clinics; the same ones for the same generator."""
    for number in range(many):
        yield _clinic(_one(real, rng), number, rng)


async def write_scattered(
    database: Pool,
    clock: Clock,
    clinics: Iterable[PreparedClinic],
    *,
    rows_a_transaction: int = 10_000,
) -> AsyncIterator[int]:
    """Write new clinics with their changes, giving how many there are after each transaction.

    The rows are those that `write_batch` would write, by COPY, which is twice as fast. Nobody is
    notified: a service that runs meanwhile finds them by its poll.
    """
    done = 0
    left = iter(clinics)
    while part := list(islice(left, rows_a_transaction)):
        async with locked_step(database, clock, "bench") as step:
            await _copy(step, part)
        done += len(part)
        yield done


async def _copy(step: Step, part: Sequence[PreparedClinic]) -> None:
    organizations = await _organizations(step, part)
    seq = await newest_change(step.conn)
    new_id = _ids_from(step.new_id())
    stored: list[Stored] = []
    for number, item in enumerate(part, start=seq + 1):
        address = item.body.address
        identity = Identity(
            id=new_id(),
            slug=clinic_slug(item.body.name, address.city, address.state),
            version=1,
            change_seq=number,
            created_at=step.now,
            updated_at=step.now,
        )
        assert item.body.organization is not None
        organization = organizations[item.body.organization]
        stored.append(composed(item, identity, organization, new_id))
    copy = step.conn.copy_records_to_table
    await copy(
        "directory_change",
        records=(
            (
                each.row.change_seq,
                ChangeKind.UPSERT,
                each.row.id,
                step.now,
                step.actor,
                profile_json(each.row, each.offerings),
            )
            for each in stored
        ),
        columns=("seq", "kind", "clinic_id", "at", "actor", "profile"),
    )
    values_of = attrgetter(*CLINIC_COLUMNS)
    await copy("clinic", records=(values_of(each.row) for each in stored), columns=CLINIC_COLUMNS)
    await copy(
        "offering",
        records=(
            msgspec.structs.astuple(offering) for each in stored for offering in each.offerings
        ),
        columns=OfferingRow.__struct_fields__,
    )


async def _organizations(step: Step, part: Sequence[PreparedClinic]) -> dict[str, OrganizationRow]:
    """The organizations by name; those that are new are made."""
    slugs = {
        name: organization_slug(name)
        for name in dict.fromkeys(item.body.organization or "" for item in part)
    }
    found = await organizations_by_slug(step.conn, list(slugs.values()))
    by_slug = {row.slug: row for row in found}
    made = [
        OrganizationRow(id=step.new_id(), slug=slug, name=name)
        for name, slug in slugs.items()
        if slug not in by_slug
    ]
    await insert_organizations(step.conn, made, step.now)
    by_slug |= {row.slug: row for row in made}
    return {name: by_slug[slug] for name, slug in slugs.items()}


def _ids_from(first: UUID) -> Callable[[], UUID]:
    """Ids of the same millisecond, counted up: making each from the clock would take longer than
    all the rest of its row."""
    numbers = count(first.int & ~((1 << 60) - 1))
    return lambda: UUID(int=next(numbers))


def _clinic(real: Facility, number: int, rng: Random) -> PreparedClinic:
    lat, lon = _moved(real, rng)
    given = real.profile
    accepting = _drawn(ACCEPTING, rng)
    first, second = _one(_FIRST, rng), _one(_SECOND, rng)
    body = ClinicWrite(
        # Two small numbers: a word of its own for each clinic is what no real directory has.
        name=f"Example {first} {second} {number // 1000}-{number % 1000}",
        organization=f"Example {_one(_FIRST, rng)} {_one(_SECOND, rng)} Group",
        address=AddressWrite(
            line1=f"{_whole(1, 9900, rng)} Example Street",
            city=given.address.city,
            state=given.address.state,
            postal_code=given.address.postal_code,
            country="US",
        ),
        # 555-0100 to 555-0199 are set aside for stories.
        phone=f"+1202555{_whole(100, 200, rng):04d}",
        website=f"https://clinic-{number}.example/",
        offerings=_offerings(given.address.state, is_rare(number), rng),
        accepting=accepting,
        wait_days=_whole(1, 90, rng) if accepting is Accepting.YES else None,
        payers=given.payers,
        languages=given.languages,
        age=given.age,
        assesses=["substance_use_history"] if rng.random() < 0.4 else [],
        hours=_WEEKDAYS if rng.random() < 0.5 else [],
        telehealth=given.telehealth,
        programmes=given.programmes,
        source=_SOURCE,
        unverified=_UNVERIFIED,
    )
    return PreparedClinic(
        body=body,
        point=Point(
            lat=lat,
            lon=lon,
            source="example",
            precision=PointPrecision.ADDRESS,
            uncertainty_m=50,
            time_zone=time_zone(lat, lon),
        ),
        provenance={},
    )


def _moved(real: Facility, rng: Random) -> tuple[float, float]:
    """A point evenly drawn from the disc around the real one."""
    distance, angle = SPREAD_KM * math.sqrt(rng.random()), rng.random() * math.tau
    lat = real.lat + distance * math.cos(angle) / KM_A_DEGREE
    lon = real.lon + distance * math.sin(angle) / (KM_A_DEGREE * math.cos(math.radians(real.lat)))
    return round(lat, 6), round((lon + 540) % 360 - 180, 6)


def _offerings(state: str, rare: bool, rng: Random) -> list[OfferingWrite]:
    conditions = {code for code, share in CONDITIONS.items() if rng.random() < share}
    offered = [(route, setting) for route, setting, share in OFFERED if rng.random() < share]
    if not offered:
        offered = [(Route.IV, Setting.CLINIC)]
    routes = {route for route, _ in offered}
    if rare:
        conditions.add(RARE_CONDITION)
        if RARE_ROUTE not in routes:
            offered.append((RARE_ROUTE, Setting.CLINIC))
    elif RARE_ROUTE in routes:
        conditions.discard(RARE_CONDITION)
    treated = [code for code in CONDITIONS if code in conditions]
    return [
        OfferingWrite(
            drug=Drug.KETAMINE,
            route=route,
            setting=setting,
            conditions=treated,
            coverage=[state] if setting is Setting.AT_HOME else [],
            protocol=ProtocolWrite(
                initial_sessions=_whole(3, 10, rng),
                initial_days=_whole(10, 30, rng),
                session_minutes=_whole(8, 26, rng) * 5,
            ),
            price=PriceWrite(amount=f"{_whole(10, 36, rng) * 25}.00", currency="USD"),
        )
        for route, setting in offered
    ]


def _drawn(shares: Sequence[tuple[Accepting, float]], rng: Random) -> Accepting:
    left = rng.random()
    for value, share in shares:
        left -= share
        if left < 0:
            return value
    return shares[-1][0]


def _whole(low: int, end: int, rng: Random) -> int:
    """From `low` to just below `end`. randrange is exact where this is even enough, and slow."""
    return low + int(rng.random() * (end - low))


def _one(among: Sequence[T], rng: Random) -> T:
    return among[int(rng.random() * len(among))]
