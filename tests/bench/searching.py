"""Searches against a static answer, against PostgreSQL, and against a smaller directory."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from seeds.gazetteer.load import FOLDER
from tests.bench.directories import SAMHSA, SEED
from tests.bench.load import Paths, side_by_side
from tests.bench.scatter import RARE_CONDITION, RARE_ROUTE
from tests.bench.service import Service

POINTS = 30_000
"""Many more than answers are kept for: no point is asked for twice while it could be."""


class Result(msgspec.Struct, frozen=True):
    what: str
    ratio: float
    reach: float
    rates: list[float]
    others: list[float]


def measure_searches(service: Service, folder: Path) -> Iterator[Result]:
    """Each kind of search ÷ a static answer of the same size from the same process."""
    points = list(_points())
    static = Paths(folder, "static", ["/bench/static"])
    kinds = {
        "near by coordinates, 50 mi, 20 summaries ÷ static answer": (
            0.60, [f"/v1/clinics?near={point}" for point in points]),
        "the same with condition, route and payer": (
            0.60,
            [f"/v1/clinics?near={p}&condition=crps&route=iv&payer=medicare" for p in points]),
        "a rare combination (1 in 1,000), any radius": (
            0.40,
            [f"/v1/clinics?near={p}&radius=any&condition={RARE_CONDITION}&route={RARE_ROUTE}"
             for p in points]),
        "near by ZIP code, a new one each time": (
            0.55, [f"/v1/clinics?near={code}" for code in _zips()]),
        "the same query again": (0.85, ["/v1/clinics?near=90045&condition=crps"]),
    }  # fmt: skip
    for number, (what, (reach, paths)) in enumerate(kinds.items()):
        asked = Paths(folder, f"kind{number}", paths)
        ratio, rates, others = side_by_side(
            lambda asked=asked: asked.run(service.port), lambda: static.run(service.port)
        )
        yield Result(what, ratio, reach, rates, others)
    near = Paths(folder, "near", [f"/v1/clinics?near={point}" for point in points])
    gist = Paths(folder, "gist", ["/bench/gist/" + p.replace(",", "/") for p in points])
    ratio, rates, others = side_by_side(
        lambda: near.run(service.port), lambda: gist.run(service.port)
    )
    yield Result("near by coordinates ÷ GiST nearest neighbours", ratio, 2.5, rates, others)


def measure_growth(
    large: Service, small: Service, folder: Path
) -> tuple[float, list[float], list[float]]:
    """The median latency of near-me searches in one directory ÷ that in another."""
    paths = [f"/v1/clinics?near={point}" for point in _points()]
    in_large, in_small = Paths(folder, "large", paths), Paths(folder, "small", paths)
    return side_by_side(
        lambda: in_large.run(large.port),
        lambda: in_small.run(small.port),
        of=lambda load: load.median_ms,
    )


def _points() -> Iterator[str]:
    """Points as people are spread: within about 10 km of a real facility."""
    chance = Random(SEED)
    with gzip.open(SAMHSA, "rt", encoding="utf-8") as file:
        real = [(float(row["latitude"]), float(row["longitude"])) for row in csv.DictReader(file)]
    for _ in range(POINTS):
        lat, lon = chance.choice(real)
        yield f"{lat + chance.uniform(-0.1, 0.1):.5f},{lon + chance.uniform(-0.1, 0.1):.5f}"


def _zips() -> list[str]:
    """ZIP codes in no order."""
    with gzip.open(FOLDER / "us_zips.csv.gz", "rt", encoding="utf-8") as file:
        codes = [row[0] for row in csv.reader(file)][1:]
    Random(SEED).shuffle(codes)
    return codes
