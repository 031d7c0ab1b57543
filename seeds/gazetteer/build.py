"""Makes the gazetteer's data files from the raw data. Run by hand when the raw data changes:

    python -m seeds.gazetteer.build RAW_DATA_FOLDER

The folder holds `geo/`, `boundaries/` and `facilities/` as described in docs/geocoding.md. The
same input gives the same bytes. What is written, and where each column comes from:

- `us_zips.csv.gz`: ZIP points (US Census 2021 Gazetteer; GeoNames where the census has none).
  The state follows from the outlines (`derive.zip_states`); the city is the one that facilities
  at that ZIP code give as their address, else the one with the strongest pull in the same state.
- `uk_districts.csv.gz`: UK postcode districts with the town of the strongest pull, and nation.
- `uk_postcodes.csv.gz`: full English postcodes.
- `cities.csv.gz`: places with population and time zone (GeoNames).
- `regions.csv`: states, territories and nations with the centre of their people.
- `us_states.topojson`, `uk_nations.topojson`: outlines, copied as they are.

Prints how well the derived states and cities agree with the facilities' addresses.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from api.search.boundaries import Outlines, read_topology
from seeds.gazetteer.derive import (
    City,
    Gravity,
    Point,
    city_uncertainty,
    region_centre,
    spacing_uncertainty,
    zip_states,
)

NATIONS: Final[Mapping[str, str]] = {
    "England": "GB-ENG",
    "Scotland": "GB-SCT",
    "Wales": "GB-WLS",
    "Northern Ireland": "GB-NIR",
}
# GeoNames files the territories as countries of their own.
TERRITORIES: Final = frozenset({"PR", "GU", "AS", "MP", "VI"})
# Armed forces addresses, and states in free association: not places in the United States.
NOT_A_PLACE: Final = ("962", "963", "964", "965", "966", "96939", "9694", "9696", "9697")

# GeoNames' main names where people write another; the others are in also_known_as.csv.
WRITTEN_AS: Final[Mapping[str, str]] = {
    "New York City": "New York",
}

OUTLINES: Final[Mapping[str, str]] = {
    "us_states_simplified20.topojson": "us_states.topojson",
    "uk_nations_ogl.topojson": "uk_nations.topojson",
    "us-atlas.LICENSE": "us_states.topojson.LICENSE",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the gazetteer's data files.")
    parser.add_argument("raw", type=Path, help="folder with geo/, boundaries/ and facilities/")
    raw = parser.parse_args().raw
    target = Path(__file__).parent
    for source, name in OUTLINES.items():
        shutil.copyfile(raw / "boundaries" / source, target / name)
    states = {f"US-{row['abbr']}": row for row in _rows(raw / "geo/us_states.csv")}
    outlines = _outlines(raw, {row["fips"]: code for code, row in states.items()})
    cities = list(_cities(raw))
    addresses = _addresses(raw)
    _write(target / "cities.csv.gz", _city_rows(cities))
    _write(target / "us_zips.csv.gz", _zip_rows(raw, outlines, cities, addresses))
    _write(target / "uk_districts.csv.gz", _district_rows(raw, cities))
    _write(target / "uk_postcodes.csv.gz", _postcode_rows(raw))
    names = {code: row["name"] for code, row in states.items()}
    names |= {code: name for name, code in NATIONS.items()}
    zones = {code: row["time_zones"] for code, row in states.items()}
    _write(target / "regions.csv", _region_rows(names, zones, cities))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return csv.DictReader(io.StringIO(content.decode(), newline=""))


def _write(path: Path, rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode()
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=9, mtime=0)
    path.write_bytes(content)
    print(f"{path.name}: {len(content):,} bytes")


def _outlines(raw: Path, code_of_fips: Mapping[str, str]) -> Outlines:
    states = read_topology((raw / "boundaries/us_states_simplified20.topojson").read_bytes())
    nations = read_topology((raw / "boundaries/uk_nations_ogl.topojson").read_bytes())
    rings = {code_of_fips[shape.id or ""]: rings for shape, rings in states.outlines()}
    rings |= {NATIONS[shape.properties["nation"]]: rings for shape, rings in nations.outlines()}
    return Outlines(rings)


def _cities(raw: Path) -> Iterator[City]:
    for row in _rows(raw / "geo/cities_us_gb_geonames.csv.gz"):
        country, part = row["country"], row["admin1"]
        if country in TERRITORIES:
            country, part = "US", country
        if country not in {"US", "GB"} or not part:
            continue
        yield City(
            WRITTEN_AS.get(row["name"], row["name"].split(",")[0]),
            f"{country}-{part}",
            float(row["latitude"]),
            float(row["longitude"]),
            int(row["population"]),
            row["timezone"],
        )


def _addresses(raw: Path) -> dict[str, Counter[tuple[str, str]]]:
    found: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for row in _rows(raw / "facilities/us_samhsa_mh_2022.csv.gz"):
        found[row["zip"][:5]][(row["city"].strip(), f"US-{row['state']}")] += 1
    return found


def _city_rows(cities: Iterable[City]) -> Iterator[Sequence[object]]:
    yield "name", "region", "lat", "lon", "population", "timezone", "uncertainty_m"
    for city in sorted(cities, key=lambda city: (city.name, city.region, city.lat, city.lon)):
        yield (*city, city_uncertainty(city))


def _zip_rows(
    raw: Path,
    outlines: Outlines,
    cities: Sequence[City],
    addresses: Mapping[str, Counter[tuple[str, str]]],
) -> Iterator[Sequence[object]]:
    points = [
        Point(
            row["zip"],
            round(float(row["latitude"]), 5),
            round(float(row["longitude"]), 5),
            row["source"].startswith("census"),
        )
        for row in _rows(raw / "geo/us_zip_points_combined.csv.gz")
        if not row["zip"].startswith(NOT_A_PLACE)
    ]
    states = zip_states(points, outlines.region_at)
    uncertainty = spacing_uncertainty(points)
    pull = Gravity(cities)
    agreed: Counter[str] = Counter()
    yield "zip", "lat", "lon", "region", "city", "uncertainty_m", "source"
    for point in sorted(points):
        region = states[point.code]
        strongest = pull.city_at(point.lat, point.lon, region)
        city = strongest.name if strongest else ""
        if stated := addresses.get(point.code):
            agreed["zips"] += 1
            agreed["states"] += any(state == region for _, state in stated)
            agreed["cities"] += any(name.casefold() == city.casefold() for name, _ in stated)
            city = stated.most_common(1)[0][0][0]
        source = "census" if point.exact else "geonames"
        yield point.code, point.lat, point.lon, region, city, uncertainty[point.code], source
    print(
        f"of {agreed['zips']:,} ZIP codes with a facility: state as in its address"
        f" {agreed['states']:,}, city of strongest pull as in its address {agreed['cities']:,}"
    )


def _district_rows(raw: Path, cities: Sequence[City]) -> Iterator[Sequence[object]]:
    rows = [
        row for row in _rows(raw / "geo/uk_outcode_points_combined.csv") if row["nation"] in NATIONS
    ]
    points = [
        Point(row["outcode"], float(row["latitude"]), float(row["longitude"]), exact=True)
        for row in rows
    ]
    uncertainty = spacing_uncertainty(points)
    pull = Gravity(cities)
    yield "district", "lat", "lon", "region", "town", "uncertainty_m"
    for row, point in sorted(zip(rows, points, strict=True), key=lambda pair: pair[1]):
        region = NATIONS[row["nation"]]
        strongest = pull.city_at(point.lat, point.lon, region)
        town = strongest.name if strongest else row["town"]
        yield point.code, point.lat, point.lon, region, town, uncertainty[point.code]


def _postcode_rows(raw: Path) -> Iterator[Sequence[object]]:
    yield "postcode", "lat", "lon"
    rows = _rows(raw / "geo/uk_postcodes_from_nhs_ogl_2014.csv.gz")
    for row in sorted(rows, key=lambda row: row["postcode"]):
        yield row["postcode"], float(row["latitude"]), float(row["longitude"])


def _region_rows(
    names: Mapping[str, str], zones: Mapping[str, str], cities: Sequence[City]
) -> Iterator[Sequence[object]]:
    grouped: dict[str, list[City]] = defaultdict(list)
    for city in cities:
        grouped[city.region].append(city)
    yield "code", "name", "lat", "lon", "population", "uncertainty_m", "timezones"
    for code in sorted(names):
        lat, lon, reach = region_centre(grouped[code])
        zone = zones.get(code, "Europe/London")
        people = sum(city.population for city in grouped[code])
        yield code, names[code], round(lat, 4), round(lon, 4), people, reach, zone


if __name__ == "__main__":
    main()
