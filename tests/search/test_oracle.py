"""Search against brute force: same set, same order, same distances, whatever is asked."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isnan
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from api.directory.schemas import ClinicProfile
from api.search.cursor import Position
from api.search.filters import Filters
from api.search.index import SearchIndex
from api.search.layers import BOXES_A_GROUP, ROWS_A_BOX
from api.search.matches import MatchCache
from api.search.ranking import Point, Ranking, Sort
from tests.search import oracle
from tests.search.profiles import encoded, shipped_catalogue
from tests.search.strategies import clinics, directories, filters, points, radii

ANCESTORS = shipped_catalogue().ancestors
THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STATES = st.sampled_from([None, "US-AZ", "US-CA"])


def loaded(directory: list[ClinicProfile], unordered: int = 0) -> SearchIndex:
    """An index of the clinics, the last few of them written after the rest was ordered."""
    index = SearchIndex(ANCESTORS)
    first = len(directory) - unordered
    index.load([encoded(clinic) for clinic in directory[:first]])
    index.finish_loading(first)
    for number, clinic in enumerate(directory[first:]):
        index.upsert(first + number + 1, encoded(clinic))
    return index


def pages(
    index: SearchIndex,
    wanted: Filters,
    point: Point | None,
    state: str | None,
    radius_m: float | None,
    sort: Sort,
    limit: int,
    box_sizes: tuple[int, int] = (ROWS_A_BOX, BOXES_A_GROUP),
) -> list[tuple[int, float | None, bool]]:
    """All pages put together: (clinic number, distance, at home)."""
    matches = MatchCache(index, box_sizes).find(wanted, state)
    ranking = Ranking(index)
    found: list[tuple[int, float | None, bool]] = []
    after: Position | None = None
    while True:
        page = ranking.page(matches, point, radius_m, sort, after, limit)
        for row, metres, at_home in zip(
            page.rows.tolist(), page.metres.tolist(), page.at_home.tolist(), strict=True
        ):
            distance = None if isnan(metres) else metres
            found.append((index.id_of(row).int, distance, bool(at_home)))
        assert len(page.rows) == limit or not page.more
        if not page.more:
            assert page.total == len(found)
            return found
        after = Position(page.last_rank, index.id_of(int(page.rows[-1])), page.last_tie)


@THOROUGH
@given(directories(), filters(), points, STATES, radii, st.integers(1, 12), st.data())
def test_nearest_first_in_boxes_of_any_size(
    directory: list[ClinicProfile],
    wanted: Filters,
    origin: tuple[float, float],
    state: str | None,
    radius_m: float | None,
    limit: int,
    data: st.DataObject,
) -> None:
    expected = oracle.answers(directory, wanted, origin, state, radius_m)
    for clinic in directory:
        # Nobody can tell the two sides of the radius apart closer than the oracle's own rounding.
        if radius_m is not None and clinic.lat is not None:
            assume(abs(oracle.distance(origin, clinic) - radius_m) > 0.002)
    index = loaded(directory, data.draw(st.integers(0, len(directory)), label="unordered"))
    answers = [
        pages(index, wanted, Point(*origin), state, radius_m, Sort.DISTANCE, limit, sizes)
        for sizes in ((1, 2), (2, 2), (ROWS_A_BOX, BOXES_A_GROUP))
    ]
    assert answers[0] == answers[1] == answers[2]
    assert {number for number, _, _ in answers[0]} == set(expected)
    distances = [metres for _, metres, _ in answers[0] if metres is not None]
    assert distances == sorted(distances)
    for number, metres, at_home in answers[0]:
        true_metres, match = expected[number]
        assert metres == pytest.approx(true_metres, abs=0.002)
        assert at_home == (match == "at_home")


@THOROUGH
@given(directories(), filters(), st.sampled_from([Sort.NAME, Sort.WAIT]), st.integers(1, 5))
def test_by_name_and_by_wait(
    directory: list[ClinicProfile], wanted: Filters, sort: Sort, limit: int
) -> None:
    index = loaded(directory)
    found = pages(index, wanted, None, None, None, sort, limit)
    expected = oracle.answers(directory, wanted, None, None, None)
    by_number = {clinic.id.int: clinic for clinic in directory}

    def rank(number: int) -> tuple[object, int]:
        clinic = by_number[number]
        if sort is Sort.WAIT:
            return (float("inf") if clinic.wait_days is None else clinic.wait_days), number
        return clinic.name.lower().replace("é", "e"), number

    assert [number for number, _, _ in found] == sorted(expected, key=rank)


@THOROUGH
@given(directories(), points, radii, st.integers(1, 5))
def test_equal_waits_are_nearest_first(
    directory: list[ClinicProfile],
    origin: tuple[float, float],
    radius_m: float | None,
    limit: int,
) -> None:
    found = pages(loaded(directory), Filters(), Point(*origin), "US-AZ", radius_m, Sort.WAIT, limit)
    waits = {clinic.id.int: clinic.wait_days for clinic in directory}
    for (one, near, _), (other, far, _) in pairwise(found):
        assert near is not None
        assert far is not None
        first, second = (inf if waits[n] is None else waits[n] or 0 for n in (one, other))
        assert first < second or (first == second and near <= far + 1.0 + far / 100)


@settings(THOROUGH, max_examples=60)
@given(directories(most=20), points, st.integers(1, 4), st.data())
def test_what_stays_is_on_one_page_exactly_while_others_come_and_go(
    directory: list[ClinicProfile], origin: tuple[float, float], limit: int, data: st.DataObject
) -> None:
    """Between the pages, clinics are written and taken out; the others are seen once each."""
    index = SearchIndex(ANCESTORS, most_unordered=data.draw(st.integers(0, 6)))
    index.load([encoded(clinic) for clinic in directory])
    index.finish_loading(len(directory))
    stable = {clinic.id.int for clinic in directory if clinic.lat is not None}
    seen: list[int] = []
    after: Position | None = None
    seq = len(directory)
    while True:
        matches = MatchCache(index).find(Filters(), "US-AZ")
        page = Ranking(index).page(matches, Point(*origin), None, Sort.DISTANCE, after, limit)
        seen += [index.id_of(row).int for row in page.rows.tolist()]
        if not page.more:
            break
        after = Position(page.last_rank, index.id_of(int(page.rows[-1])), page.last_tie)
        seq += 1
        touched = data.draw(st.sampled_from([clinic.id.int for clinic in directory] + [200_000]))
        stable.discard(touched)
        if data.draw(st.booleans(), label="take out"):
            index.delete(seq, UUID(int=touched))
        else:
            index.upsert(seq, encoded(data.draw(clinics(touched))))
    assert len([number for number in seen if number in stable]) == len(stable)
    assert stable <= set(seen)


@settings(THOROUGH, max_examples=100)
@given(st.data())
def test_an_index_after_any_writes_equals_one_loaded_afresh(data: st.DataObject) -> None:
    index = SearchIndex(ANCESTORS, most_unordered=data.draw(st.integers(0, 10)))
    live: dict[int, ClinicProfile] = {}
    merged: dict[int, int] = {}
    for seq in range(1, data.draw(st.integers(1, 40)) + 1):
        number = data.draw(st.integers(1, 12))
        step = data.draw(st.sampled_from(["write", "write", "delete", "merge"]))
        others = sorted(set(live) - {number})
        if step == "merge" and number in live and others:
            into = data.draw(st.sampled_from(others))
            index.merge(seq, UUID(int=number), UUID(int=into))
            del live[number]
            merged[number] = into
        elif step == "delete":
            index.delete(seq, UUID(int=number))
            live.pop(number, None)
        else:
            clinic = data.draw(clinics(number))
            index.upsert(seq, encoded(clinic))
            live[number] = clinic
            merged.pop(number, None)
        assert index.version == seq
    afresh = loaded(list(live.values()))
    assert {key.int: text for key, text in index.profiles()} == {
        number: encoded(clinic) for number, clinic in live.items()
    }
    for number in live:
        assert index.row_of(f"clinic-{number}") == index.row_of(str(UUID(int=number)))
    wanted, origin = data.draw(filters()), Point(*data.draw(points))
    args = (wanted, origin, "US-AZ", data.draw(radii), Sort.DISTANCE, 5)
    assert pages(index, *args) == pages(afresh, *args)
    for number in merged:
        if number not in live:
            assert index.row_of(str(UUID(int=number))) is None
            assert index.survivor_of(f"clinic-{number}") == index.survivor_of(str(UUID(int=number)))
