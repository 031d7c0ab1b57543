"""What can go wrong between us and PostgreSQL, told apart by what the caller can do about it.

The driver's failures share no base class, and their texts can carry values of a row. Both end
here: outside this package only these classes are seen, and none of them repeats a value.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class DatabaseError(Exception):
    """Anything the database refused or failed to do."""

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class DatabaseUnavailable(DatabaseError):
    """The database cannot serve this now; the same request may succeed later (503, Retry-After).

    When it is raised by a commit the outcome is unknown: settle it by key, never by a blind retry.
    """


class TransactionConflict(DatabaseError):
    """A serialization failure or deadlock: the whole transaction may be run again at once."""


class ConstraintViolated(DatabaseError):
    """A row broke a rule of the schema. `constraint` is the rule's name in the migrations."""

    def __init__(self, message: str, *, sqlstate: str, constraint: str | None) -> None:
        super().__init__(message, sqlstate=sqlstate)
        self.constraint = constraint


class AlreadyThere(ConstraintViolated):
    """A unique or exclusion constraint: such a row exists."""


class ValueRefused(DatabaseError):
    """A value does not fit its column or parameter (range, encoding, form)."""


class StatementFailed(DatabaseError):
    """PostgreSQL refused a statement for a reason that is a fault of ours."""


# Classes of SQLSTATE after which the same request may succeed later.
_PASSING_CLASSES = frozenset({"08", "53", "57", "58"})
_PASSING_STATES = frozenset(
    {
        "25006",  # read_only_sql_transaction: this server is no longer the primary
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "55P03",  # lock_not_available
    }
)
_CONFLICTS = frozenset({"40001", "40P01"})
_TAKEN = frozenset({"23505", "23P01"})

# What a driver call can raise. asyncpg.InterfaceError also covers misuse of the driver, so it
# means "unavailable" only when the connection is gone.
DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def _from_server(error: asyncpg.PostgresError) -> DatabaseError:
    # The attributes are set per instance by the driver and absent on errors it makes up itself.
    state: str = getattr(error, "sqlstate", None) or "XX000"
    constraint: str | None = getattr(error, "constraint_name", None)
    name = type(error).__name__
    if state[:2] in _PASSING_CLASSES or state in _PASSING_STATES:
        return DatabaseUnavailable(f"PostgreSQL cannot serve this now ({name})", sqlstate=state)
    if state in _CONFLICTS:
        return TransactionConflict(f"The transaction lost a race ({name})", sqlstate=state)
    if state[:2] == "23":
        kind = AlreadyThere if state in _TAKEN else ConstraintViolated
        return kind(f"{name}: {constraint}", sqlstate=state, constraint=constraint)
    if state[:2] == "22":
        return ValueRefused(f"A value was refused ({name})", sqlstate=state)
    return StatementFailed(f"A statement was refused ({name})", sqlstate=state)


def _translate(error: Exception, *, lost: bool) -> DatabaseError:
    name = type(error).__name__
    match error:
        case asyncpg.PostgresError():
            return _from_server(error)
        case asyncpg.DataError():
            return ValueRefused(f"A value was refused ({name})")
        case asyncpg.InterfaceError() if not lost:
            return StatementFailed(f"The driver was used wrongly ({name})")
        case _:
            return DatabaseUnavailable(f"The connection to PostgreSQL was lost ({name})")


@contextmanager
def translated(is_lost: Callable[[], bool]) -> Generator[None]:
    """Turn what a driver call raises into one of the classes above.

    The driver's own error is dropped from the chain: its text can carry values of a row.
    """
    try:
        yield
    except DRIVER_ERRORS as error:
        raise _translate(error, lost=is_lost()) from None


# invalid_parameter_value: there is no such role. insufficient_privilege: it is not for this login.
_ROLE_REFUSED = frozenset({"22023", "42501"})


@contextmanager
def connecting(role: str | None = None) -> Generator[None]:
    """While a connection is being made or waited for, every failure means "not now"."""
    try:
        yield
    except DRIVER_ERRORS as error:
        message = f"No connection to PostgreSQL could be had ({type(error).__name__})"
        state: str | None = getattr(error, "sqlstate", None)
        if role is not None and state in _ROLE_REFUSED:
            message += f"; the login may be none that can become {role}, ask `clinicway doctor`"
        raise DatabaseUnavailable(message, sqlstate=state) from None
