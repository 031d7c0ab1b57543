"""`If-Match`: which version a change is meant for."""

from __future__ import annotations

import re

import msgspec

from api.errors import InvalidParameter, PreconditionFailed, PreconditionRequired

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_LIST = re.compile(rf"\s*{_TAG.pattern}\s*(?:,\s*{_TAG.pattern}\s*)*")


class Expected(msgspec.Struct, frozen=True):
    """The ETags that the caller named; None for `*`, any version."""

    tags: frozenset[str] | None

    def require(self, current: str) -> None:
        """Raises PreconditionFailed."""
        if self.tags is not None and current not in self.tags:
            raise stale()


def expected_version(if_match: str | None) -> Expected:
    """The header as RFC 9110 section 13.1.1 lays it out; weak tags never match a version.

    Raises PreconditionRequired, InvalidParameter.
    """
    if if_match is None:
        raise PreconditionRequired(
            "Send the ETag of the version that you read in the header If-Match."
        )
    if if_match.strip() == "*":
        return Expected(None)
    if not _LIST.fullmatch(if_match):
        raise InvalidParameter.named(
            "If-Match", 'it must be an ETag as the answer gave it, such as "3", or *'
        )
    return Expected(frozenset(_TAG.findall(if_match)))


def stale() -> PreconditionFailed:
    return PreconditionFailed(
        "The profile is not the version named in If-Match any more. Read it and try again."
    )
