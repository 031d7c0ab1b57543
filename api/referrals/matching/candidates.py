"""Finds the clinics to be matched in the search index, at one version of the directory.

    found = find_candidates(index, need, now)
    taken = ...  # from the database: how many each of `found.weeks` has accepted in that week
    matches = found.matches(taken)

What is listed is what would be listed if every clinic were matched one by one: the best that are
asked for are among the candidates, whatever the database says of their capacity. See
docs/matching.md for why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.referrals.matching.candidate_rows import Judged, judged, resolved, rows_of
from api.referrals.matching.matching import Excluded, Matches, match
from api.referrals.matching.nearest import Nearest, away_m
from api.referrals.matching.needs import Answering, AskedCondition, Candidate, Need, Offered
from api.referrals.matching.remedies import suggestions
from api.referrals.matching.scoring import ONE
from api.referrals.matching.weeks import week_of
from api.search.abilities import IndexedAge
from api.search.index import SearchIndex
from db.states import Accepting

MOST_RANKED: Final = 20
MOST_EXCLUDED: Final = 20


class ClinicWeek(msgspec.Struct, frozen=True):
    """A clinic with a weekly capacity, and the Monday that its current week began with."""

    clinic_id: UUID
    week: date


class _Matched(msgspec.Struct, frozen=True, gc=False):
    """The parts of a public profile that matching reads."""

    id: UUID
    name: str
    accepting: Accepting
    wait_days: int | None
    payers: tuple[str, ...]
    languages: tuple[str, ...]
    verified_at: datetime | None
    time_zone: str | None
    offerings: tuple[Offered, ...]
    weekly_capacity: int | None
    age: IndexedAge
    assesses: tuple[str, ...]
    responsiveness: Answering | None = None


_decode = msgspec.json.Decoder(_Matched).decode


class Found:
    """What was found at `version` of the directory. Holds nothing of the index that may change."""

    def __init__(
        self,
        index: SearchIndex,
        need: Need,
        now: datetime,
        most: tuple[int, int],
        able: list[Candidate],
        unable: list[Candidate],
        totals: tuple[int, int],
    ) -> None:
        self.need = need
        self.version = index.version
        self._index = index
        self._now = now
        self._most_ranked, self._most_excluded = most
        self._able = able
        self._unable = unable
        self._totals = totals
        self.weeks = tuple(self._weeks_of(able + unable))

    def _weeks_of(self, candidates: list[Candidate]) -> Iterator[ClinicWeek]:
        for each in candidates:
            if each.week is not None:
                yield ClinicWeek(each.clinic_id, each.week)

    def matches(self, taken: Mapping[UUID, int]) -> Matches:
        """The answer, given how many each clinic of `weeks` has accepted in that week (0 for one
        that is left out)."""
        full = 0
        candidates: list[Candidate] = []
        for each in self._able:
            if len(candidates) - full == self._most_ranked:
                break
            now_taken = taken.get(each.clinic_id, 0)
            full += each.weekly_capacity is not None and now_taken >= each.weekly_capacity
            candidates.append(_with_taken(each, now_taken))
        unable = [_with_taken(each, taken.get(each.clinic_id, 0)) for each in self._unable]
        found = match(self.need, candidates + unable, self._now)
        able_total, unable_total = self._totals
        return msgspec.structs.replace(
            found,
            excluded=tuple(self._listed(found.excluded)),
            ranked_total=able_total - full,
            excluded_total=unable_total + full,
            suggestions=() if found.ranked else suggestions(self._index, self.need, self._now),
        )

    def _listed(self, excluded: tuple[Excluded, ...]) -> Iterator[Excluded]:
        """The nearest, and whoever the referrer has named."""
        for at, each in enumerate(excluded):
            if at < self._most_excluded or each.clinic_id in self.need.named:
                yield each


def find_candidates(
    index: SearchIndex,
    need: Need,
    now: datetime,
    *,
    most_ranked: int = MOST_RANKED,
    most_excluded: int = MOST_EXCLUDED,
) -> Found:
    """The best clinics for the need, as many as are to be ranked and more where capacity may
    matter, and the nearest of the others. `now` is aware."""
    need = resolved(index, need)
    rows = judged(index, need, math.floor(now.timestamp()))
    metres, scores = _with_antipodes(index, need, rows, now)
    weeks = _Weeks(now)
    able = [
        _candidate(index, int(rows.passed[at]), _known(metres[at]), weeks)
        for at in _best_first(index, rows.passed, metres, scores, most_ranked)
    ]
    failed = _nearest_failed(index, need, rows, most_excluded)
    unable = [_candidate(index, row, away, weeks) for row, away in failed.items()]
    totals = (len(rows.passed), max(len(rows.failed), len(unable)))
    return Found(index, need, now, (most_ranked, most_excluded), able, unable, totals)


def compile_ahead(now: datetime) -> None:
    """Has the compiled code ready, which in a fresh installation takes some seconds; what it was
    compiled for is kept on disk. Whoever answers requests calls this before the first one."""
    nowhere = Need(
        conditions=(AskedCondition(code=""),), near=(0.0, 0.0), state="", max_distance_m=1.0
    )
    find_candidates(SearchIndex({}), nowhere, now)


class _Weeks:
    """Weeks by time zone, each worked out once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._kept: dict[str | None, tuple[date, datetime]] = {}

    def of(self, zone: str | None) -> tuple[date, datetime]:
        found = self._kept.get(zone)
        if found is None:
            found = self._kept[zone] = week_of(self._now, zone)
        return found


def _candidate(index: SearchIndex, row: int, away: float | None, weeks: _Weeks) -> Candidate:
    clinic = _decode(index.profile(row))
    week = next_week = None
    if clinic.weekly_capacity is not None:
        week, next_week = weeks.of(clinic.time_zone)
    return Candidate(
        clinic_id=clinic.id,
        name=clinic.name,
        offerings=clinic.offerings,
        distance_m=away,
        accepting=clinic.accepting,
        wait_days=clinic.wait_days,
        weekly_capacity=clinic.weekly_capacity,
        week=week,
        next_week=next_week,
        payers=clinic.payers,
        languages=clinic.languages,
        age_min=clinic.age.min,
        age_max=clinic.age.max,
        assesses=clinic.assesses,
        answering=clinic.responsiveness,
        verified_at=clinic.verified_at,
    )


def _with_taken(candidate: Candidate, taken: int) -> Candidate:
    if not taken:
        return candidate
    return msgspec.structs.replace(candidate, taken=taken)


def _known(metres: float) -> float | None:
    return None if math.isnan(metres) else float(metres)


def _with_antipodes(
    index: SearchIndex, need: Need, rows: Judged, now: datetime
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Geodesics and scores with those that the kernel could not tell: nearly antipodal clinics
    come one by one, since they come hardly ever."""
    metres, scores = rows.metres, rows.scores
    if need.near is None:
        return metres, scores
    unknown = np.isnan(metres) & ~np.isnan(index.points[rows.passed, 0])
    for at in np.flatnonzero(unknown).tolist():
        row = int(rows.passed[at])
        metres[at] = away = away_m(index, need.near, row)
        # Whether it has room this week is not known yet, and is no part of the score.
        candidate = msgspec.structs.replace(
            _candidate(index, row, away, _Weeks(now)), weekly_capacity=None
        )
        [ranked] = match(need, [candidate], now).ranked
        scores[at] = round(ranked.score * ONE)
    return metres, scores


def _best_first(
    index: SearchIndex,
    rows: NDArray[np.int32],
    metres: NDArray[np.float64],
    scores: NDArray[np.int32],
    most: int,
) -> list[int]:
    """Places in `rows` in the order of `match`, up to the `most`-th without a weekly capacity."""
    certain = index.abilities.records["capacity"][rows] < 0
    places = np.arange(len(rows))
    if np.count_nonzero(certain) > most:
        enough = -np.partition(-scores[certain], most - 1)[most - 1]
        places = np.flatnonzero(scores >= enough)
    rows, metres = rows[places], metres[places]
    away = np.where(np.isnan(metres), np.inf, np.floor(metres + 0.5))
    order = np.lexsort((index.ids[rows, 1], index.ids[rows, 0], away, -scores[places]))
    places = places[order]
    ends = np.flatnonzero(np.cumsum(certain[places]) == most)
    return places[: ends[0] + 1 if len(ends) else None].tolist()


def _nearest_failed(
    index: SearchIndex, need: Need, rows: Judged, most: int
) -> dict[int, float | None]:
    """The nearest rows that cannot take it, with their geodesics; those without one last, by id.

    When fewer than `most` were considered, the nearest of all the others join them.
    """
    found: dict[int, float | None] = {}
    if need.near is not None and most > 0:
        nearest = Nearest(index, need.near)
        found |= nearest.among(rows.failed, rows.chords2, most)
        if len(found) < most and need.max_distance_m is not None:
            found |= nearest.beyond(rows, need.max_distance_m, most)
    if len(found) < most:
        left = [row for row in rows.failed.tolist() if row not in found]
        left.sort(key=index.id_of)
        found |= dict.fromkeys(left[: most - len(found)])
    can_take_it = set(rows.passed.tolist()) if need.named else set[int]()
    for row in rows_of(index, need.named):
        if row not in found and row not in can_take_it:
            found[row] = None if need.near is None else away_m(index, need.near, row)
    return found
