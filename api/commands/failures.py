"""What ends a command early, said in a sentence."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from api.commands.ports import PortError
from api.environment import SettingsError
from api.keyring_file import KeyringError
from db.embedded import EmbeddedPostgresError
from db.errors import DatabaseError, DatabaseUnavailable
from db.migrate import MigrationError

FAILED: Final = 1
WRONGLY_CALLED: Final = 2


class CommandError(Exception):
    """Printed as it is, without a traceback; `code` is what the process exits with."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.code = code


@contextmanager
def told_in_a_sentence() -> Generator[None]:
    """Turns the failures that a person can do something about into CommandError."""
    try:
        yield
    except (SettingsError, PortError) as error:
        raise CommandError(str(error), WRONGLY_CALLED) from error
    except (EmbeddedPostgresError, MigrationError, KeyringError) as error:
        raise CommandError(str(error)) from error
    except DatabaseUnavailable as error:
        # The address is not repeated: it can hold a password.
        raise CommandError(
            f"{error}. Check that PostgreSQL runs and that CLINICWAY_DATABASE_URL names the right "
            "host, database, user and password; `clinicway doctor` looks for the reason."
        ) from error
    except DatabaseError as error:
        raise CommandError(f"The database refused: {error}") from error
