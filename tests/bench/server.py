"""The service as `clinicway serve` starts it, with two routes to compare with.

`/bench/static` answers a ready-made body of about the size of a search answer. `/bench/gist`
answers a search from PostgreSQL: the nearest 20 by a GiST index on points in space (extension
cube), within 50 miles, as the same summaries.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from functools import partial
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.types import ASGIApp

from api.commands.ports import claim_port
from api.commands.serve import make_server
from api.logs import configure_logs
from api.search.geodesic import in_space
from api.search.geometry import MILE_M, longest_chord
from api.settings import Settings, read_settings
from db.pool import Pool

SIZE = 16_000
_STATIC = b'{"items":[' + b"0," * (SIZE // 2) + b"0]}"
_NEAREST = """
select summary, cube_distance(place, cube(array[$1, $2, $3]::float8[])) as chord
from bench_point
where place <@ cube_enlarge(cube(array[$1, $2, $3]::float8[]), $4::float8, 3)
    and cube_distance(place, cube(array[$1, $2, $3]::float8[])) <= $4::float8
order by place <-> cube(array[$1, $2, $3]::float8[])
limit 20
"""


@get("/bench/static", operation_id="benchStatic", summary="A static answer")
async def static() -> Response[bytes]:
    return Response(_STATIC, media_type=MediaType.JSON, headers={"Directory-Version": "0"})


@get("/bench/gist/{lat:float}/{lon:float}", operation_id="benchGist", summary="From PostgreSQL")
async def gist(lat: float, lon: float, request: Request[Any, Any, State]) -> Response[bytes]:
    pool: Pool = request.app.state.database
    reach = longest_chord(50 * MILE_M)
    async with pool.acquire() as conn:
        rows = await conn.fetch(_NEAREST, *in_space(lat, lon), reach)
    body = b",".join(
        b'{"match":"nearby","distance":{"m":%.1f},"clinic":%b}' % (row[1], row[0].encode())
        for row in rows
    )
    return Response(b'{"items":[' + body + b"]}", media_type=MediaType.JSON)


def build(settings: Settings) -> ASGIApp:
    """The application of the one server process."""
    # Only development has pydantic, through a checker of OpenAPI documents; Litestar would load it
    # wherever it is found, and it would be measured as ours.
    sys.modules["pydantic"] = None  # type: ignore[assignment]
    configure_logs(settings.log_level, settings.log_format)
    from api.commands.wiring import application

    app = application(settings)
    app.register(static)
    app.register(gist)
    return app


def main() -> None:
    settings = read_settings(dict(os.environ), {})
    settings = msgspec.structs.replace(settings, log_level="error")
    multiprocessing.set_start_method("spawn", force=True)
    claimed = claim_port(settings.host, settings.port)
    try:
        server = make_server(settings, claimed)
        server.serve(target_loader=partial(build, settings), wrap_loader=False)
    finally:
        claimed.release()


if __name__ == "__main__":
    main()
