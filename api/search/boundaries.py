"""Which US state or UK nation a point lies in, from simplified outlines.

The outlines are TopoJSON, the form in which they ship and in which the map page reads them.
They are coarse: near a border a point may fall on the wrong side by a few kilometres.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from api.search.border_kernel import NOTHING, Floats, Ints, region_around, region_of

Arc = list[tuple[float, float]]
Ring = list[tuple[float, float]]


class Transform(msgspec.Struct, frozen=True):
    scale: tuple[float, float]
    translate: tuple[float, float]


class Polygon(msgspec.Struct, frozen=True, tag_field="type"):
    arcs: list[list[int]]
    properties: dict[str, str]
    id: str | None = None

    def ring_arcs(self) -> list[list[int]]:
        return self.arcs


class MultiPolygon(msgspec.Struct, frozen=True, tag_field="type"):
    arcs: list[list[list[int]]]
    properties: dict[str, str]
    id: str | None = None

    def ring_arcs(self) -> list[list[int]]:
        return [ring for polygon in self.arcs for ring in polygon]


Geometry = Polygon | MultiPolygon


class Collection(msgspec.Struct, frozen=True):
    geometries: list[Geometry]


class Topology(msgspec.Struct, frozen=True):
    """A quantized TopoJSON file with a single object (https://github.com/topojson)."""

    arcs: list[list[tuple[int, int]]]
    transform: Transform
    objects: dict[str, Collection]

    def outlines(self) -> Iterator[tuple[Geometry, list[Ring]]]:
        arcs = [self._absolute(arc) for arc in self.arcs]
        for collection in self.objects.values():
            for geometry in collection.geometries:
                yield geometry, [_stitch(ring, arcs) for ring in geometry.ring_arcs()]

    def _absolute(self, arc: list[tuple[int, int]]) -> Arc:
        (scale_x, scale_y), (left, bottom) = self.transform.scale, self.transform.translate
        x = y = 0
        points: Arc = []
        for step_x, step_y in arc:
            x, y = x + step_x, y + step_y
            points.append((x * scale_x + left, y * scale_y + bottom))
        return points


def _stitch(indexes: list[int], arcs: Sequence[Arc]) -> Ring:
    ring: Ring = []
    for index in indexes:
        # TopoJSON writes an arc that is walked backwards as the complement of its index.
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        ring.extend(arc[1:] if ring else arc)
    return ring


class Outlines:
    """The outlines of all regions, as flat arrays that the compiled search walks."""

    def __init__(self, rings: Mapping[str, Sequence[Ring]]) -> None:
        self.codes: tuple[str, ...] = tuple(rings)
        flat = [(index, ring) for index, group in enumerate(rings.values()) for ring in group]
        points = np.array([point for _, ring in flat for point in ring], dtype=np.float64)
        self._xs: Floats = np.ascontiguousarray(points[:, 0])
        self._ys: Floats = np.ascontiguousarray(points[:, 1])
        sizes = [0, *(len(ring) for _, ring in flat)]
        self._starts: Ints = np.cumsum(sizes).astype(np.int32)
        self._regions: Ints = np.array([index for index, _ in flat], dtype=np.int32)
        self._boxes: Floats = np.array([_box(ring) for _, ring in flat], dtype=np.float64)

    def region_around(self, south: float, west: float, north: float, east: float) -> str | None:
        """Code of the region that holds the whole box; None when a border may run through it."""
        index = region_around(
            south, west, north, east,
            self._xs, self._ys, self._starts, self._regions, self._boxes,
        )  # fmt: skip
        return None if index == NOTHING else self.codes[index]

    def region_at(self, lat: float, lon: float) -> str | None:
        """ISO 3166-2 code of the region that holds the point, or None."""
        index = region_of(lat, lon, self._xs, self._ys, self._starts, self._regions, self._boxes)
        return None if index == NOTHING else self.codes[index]


def _box(ring: Ring) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return min(xs), min(ys), max(xs), max(ys)


def read_topology(content: bytes) -> Topology:
    """Raises msgspec.ValidationError when the bytes are not a quantized topology."""
    return msgspec.json.decode(content, type=Topology)
