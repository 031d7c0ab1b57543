"""What the directory's routes share: who may do what, and the services they use."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from api.auth import caller
from api.clock import Clock
from api.directory.catalogue import Catalogue
from api.directory.errors import NoSuchClinic
from api.keyring import Keyring
from api.search.follower import Follower
from api.search.places import Places
from api.settings import Settings
from db.pool import Pool

WRITE: Final = "directory:write"
VERSION_HEADER: Final = "Directory-Version"

ClinicId = Annotated[
    str,
    PathParameter(
        description="Id of a clinic",
        examples=[Example(value="019ab3c0-5f00-7000-8000-000000000001")],
    ),
]


class DirectoryServices:
    """What app.state holds for these routes, with its types."""

    def __init__(self, state: State) -> None:
        self.settings: Settings = state.settings
        self.clock: Clock = state.clock
        self.database: Pool = state.database
        self.places: Places = state.places
        self.catalogue: Catalogue = state.catalogue
        self.follower: Follower = state.follower
        self.keyring: Keyring = state.keyring


def clinic_id_of(key: str) -> UUID:
    """Raises NoSuchClinic: what cannot be an id is nobody's id."""
    try:
        return UUID(key)
    except ValueError:
        raise NoSuchClinic from None


async def may_edit(
    connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
) -> None:
    """Litestar guard for `/v1/clinics/{key}`: directory:write, or the clinic's own key. Before the
    body is read, like `api.auth.needs`."""
    who = await caller(connection)
    who.require_edit(clinic_id_of(connection.path_params["key"]))
