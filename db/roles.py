"""The two roles that statements run as. Neither can log in, and neither owns anything.

The login of the connection address owns the tables and is a member of both: a connection takes
one of them on, and is then held to its grants and to row-level security.
"""

from __future__ import annotations

from typing import Final

SERVICE: Final = "clinicway_service"
"""Requests: what the caller of the moment may see and do."""
WORKER: Final = "clinicway_worker"
"""Jobs, and what follows from a step that was allowed."""

ROLES: Final = (SERVICE, WORKER)

# What an administrator of the server runs, when the login may not do it itself.
MAKE_ROLES: Final = f"create role {SERVICE} nologin; create role {WORKER} nologin;"
GRANT_ROLES: Final = f"grant {SERVICE}, {WORKER} to …;"
