"""Loads the gazetteer from the data files beside this module."""

from __future__ import annotations

import csv
import gzip
import io
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from sys import intern
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
    table = list(_rows(folder / "regions.csv"))
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


def _rows(path: Path) -> Iterator[list[str]]:
    """The rows after the heading, one at a time: all at once they would need 30 MB."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    rows = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""))
    next(rows)
    return rows


def _postal(path: Path, indexes: Mapping[str, int]) -> PostalColumns:
    codes: list[str] = []
    towns: list[str] = []
    regions, uncertainties = array("i"), array("i")
    lats, lons = array("d"), array("d")
    exact = bytearray()
    for code, lat, lon, region, town, uncertainty, *source in _rows(path):
        codes.append(code)
        lats.append(float(lat))
        lons.append(float(lon))
        regions.append(indexes[region])
        towns.append(intern(town))
        uncertainties.append(int(uncertainty))
        exact.append(source != ["geonames"])
    return PostalColumns(codes, regions, lats, lons, towns, uncertainties, bytes(exact))


def _units(folder: Path) -> UnitColumns:
    rows = sorted(
        (int(code.replace(" ", ""), 36), float(lat), float(lon))
        for code, lat, lon in _rows(folder / "uk_postcodes.csv.gz")
    )
    return UnitColumns(
        array("q", [key for key, _, _ in rows]),
        array("d", [lat for _, lat, _ in rows]),
        array("d", [lon for _, _, lon in rows]),
    )


def _cities(folder: Path, indexes: Mapping[str, int]) -> CityColumns:
    names: list[str] = []
    timezones: list[str] = []
    regions, uncertainties = array("i"), array("i")
    lats, lons = array("d"), array("d")
    populations = array("q")
    for name, region, lat, lon, people, zone, reach in _rows(folder / "cities.csv.gz"):
        names.append(intern(name))
        regions.append(indexes[region])
        lats.append(float(lat))
        lons.append(float(lon))
        populations.append(int(people))
        timezones.append(intern(zone))
        uncertainties.append(int(reach))
    return CityColumns(names, regions, lats, lons, populations, timezones, uncertainties)


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
