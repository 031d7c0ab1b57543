"""The service as `clinicway serve` starts it, with three routes to compare with.

`/bench/static` answers a ready-made body of about the size of a search answer. `/bench/gist`
answers a search from PostgreSQL: the nearest 20 by a GiST index on points in space (extension
cube), within 50 miles, as the same summaries. `/bench/insert` writes one row.
"""

from __future__ import annotations

import multiprocessing
import os
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from api.commands.ports import claim_port
from api.commands.serve import make_server
from api.environment import read_settings
from api.logs import configure_logs
from api.settings import Settings

if TYPE_CHECKING:
    from litestar.types import ASGIApp


def build(settings: Settings) -> ASGIApp:
    """The application of a server process."""
    configure_logs(settings.log_level, settings.log_format)
    from api.commands.wiring import application
    from tests.bench.routes import gist, insert, static

    app = application(settings)
    app.register(static)
    app.register(gist)
    app.register(insert)
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
