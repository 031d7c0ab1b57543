"""What stops the built-in PostgreSQL, said to the person who can do something about it."""

from __future__ import annotations


class EmbeddedPostgresError(Exception):
    """The built-in PostgreSQL cannot be used; the message is a sentence and what to do."""
