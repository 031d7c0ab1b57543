"""What the service is measured against, as routes of the same server."""

from __future__ import annotations

import secrets
from typing import Any

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import State

from api.search.geodesic import in_space
from api.search.geometry import MILE_M, longest_chord
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
_INSERT = "insert into bench_row (id, content) values ($1, $2)"


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


@post("/bench/insert/{size:int}", operation_id="benchInsert", summary="A row in a transaction")
async def insert(size: int, request: Request[Any, Any, State]) -> Response[bytes]:
    """So many bytes in one row, durable once it is answered; the body is read and no more."""
    await request.body()
    pool: Pool = request.app.state.database
    row_id = request.app.state.clock.new_id()
    async with pool.transaction() as conn:
        await conn.execute(_INSERT, row_id, secrets.token_bytes(size))
    return Response(b'{"id":"%b"}' % str(row_id).encode(), media_type=MediaType.JSON)
