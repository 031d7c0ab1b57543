"""Loads the gazetteer from the data files beside this module."""

from __future__ import annotations

import csv
import gzip
import io
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from api.search.boundaries import Outlines, read_topology
from api.search.gazetteer import Gazetteer
from api.search.place_names import CityColumns
from api.search.postal_codes import PostalColumns, Region, UnitColumns

FOLDER: Final = Path(__file__).parent


def load_gazetteer(folder: Path = FOLDER) -> Gazetteer:
    """Reads everything into arrays.

    Raises FileNotFoundError or ValueError when the installation is damaged.
    """
    table = _rows(folder / "regions.csv")
    regions = [
        Region(code, name, float(lat), float(lon), int(people), int(reach))
        for code, name, lat, lon, people, reach, _ in table
    ]
    indexes = {region.code: index for index, region in enumerate(regions)}
    cities = _cities(folder, indexes)
    return Gazetteer(
        regions=regions,
        zips=_postal(folder / "us_zips.csv.gz", indexes),
        districts=_postal(folder / "uk_districts.csv.gz", indexes),
        units=_units(folder),
        cities=cities,
        aliases=_aliases(folder, cities, indexes),
        timezones={*cities.timezones, *(zone for row in table for zone in row[-1].split("|"))},
        outlines=load_outlines(folder),
    )


def load_outlines(folder: Path = FOLDER) -> Outlines:
    """The outlines of all states and nations, by ISO 3166-2 code."""
    by_name = {name: code for code, name, *_ in _rows(folder / "regions.csv")}
    # The outlines' names for two territories differ from the ISO names.
    by_name["Commonwealth of the Northern Mariana Islands"] = "US-MP"
    by_name["United States Virgin Islands"] = "US-VI"
    rings = {
        by_name[shape.properties.get("name") or shape.properties["nation"]]: outline
        for name in ("us_states.topojson", "uk_nations.topojson")
        for shape, outline in read_topology((folder / name).read_bytes()).outlines()
    }
    return Outlines(rings)


def _rows(path: Path) -> list[list[str]]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]


def _columns(path: Path) -> list[tuple[str, ...]]:
    return list(zip(*_rows(path), strict=True))


def _floats(texts: Sequence[str]) -> array[float]:
    return array("d", map(float, texts))


def _shared(texts: Sequence[str]) -> list[str]:
    """The same texts, equal ones as one object: 40,000 ZIP codes lie in 15,000 towns."""
    seen: dict[str, str] = {}
    return [seen.setdefault(text, text) for text in texts]


def _postal(path: Path, indexes: Mapping[str, int]) -> PostalColumns:
    codes, lats, lons, regions, towns, uncertainties, *source = _columns(path)
    return PostalColumns(
        codes=codes,
        regions=array("i", map(indexes.__getitem__, regions)),
        lats=_floats(lats),
        lons=_floats(lons),
        towns=_shared(towns),
        uncertainties=array("i", map(int, uncertainties)),
        exact=bytes(name == "census" for name in source[0]) if source else b"\1" * len(codes),
    )


def _units(folder: Path) -> UnitColumns:
    rows = sorted(
        (int(code.replace(" ", ""), 36), float(lat), float(lon))
        for code, lat, lon in _rows(folder / "uk_postcodes.csv.gz")
    )
    keys, lats, lons = zip(*rows, strict=True)
    return UnitColumns(array("q", keys), array("d", lats), array("d", lons))


def _cities(folder: Path, indexes: Mapping[str, int]) -> CityColumns:
    columns = _columns(folder / "cities.csv.gz")
    names, regions, lats, lons, populations, timezones, uncertainties = columns
    return CityColumns(
        names=_shared(names),
        regions=array("i", map(indexes.__getitem__, regions)),
        lats=_floats(lats),
        lons=_floats(lons),
        populations=array("q", map(int, populations)),
        timezones=_shared(timezones),
        uncertainties=array("i", map(int, uncertainties)),
    )


def _aliases(
    folder: Path, cities: CityColumns, indexes: Mapping[str, int]
) -> list[tuple[str, int]]:
    rows: dict[tuple[str, int], int] = {}
    for row, key in enumerate(zip(cities.names, cities.regions, strict=True)):
        best = rows.setdefault(key, row)
        if cities.populations[row] > cities.populations[best]:
            rows[key] = row
    return [
        (alias, rows[name, indexes[region]])
        for alias, name, region in _rows(folder / "also_known_as.csv")
    ]
