"""The errors that the service answers with, each one RFC 9457 problem type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import msgspec

NOTHING: Mapping[str, object] = MappingProxyType({})
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with the input, and what would be right.

    Exactly one of `pointer` (JSON pointer into the body) and `parameter` (name in the query
    string, path or headers) is set. The message never repeats the value that was sent.
    """

    message: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Exception):
    """An answer other than success. Raised anywhere; `api.problems` turns it into the document.

    Raising rolls the request's transaction back, which a returned error response would not.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, object] = NOTHING,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = extra
        self.headers = headers


class InvalidParameter(Problem):
    """A query parameter, path part or header has a value that cannot be used."""

    status = 400
    slug = "invalid-parameter"
    title = "A parameter is not valid"

    @classmethod
    def named(cls, parameter: str, message: str) -> InvalidParameter:
        return cls(
            f"The parameter '{parameter}' is not valid: {message}",
            errors=[FieldError(parameter=parameter, message=message)],
        )


class UnknownParameter(Problem):
    """A query parameter that the route does not know. It is never ignored: a typo would widen a
    search."""

    status = 400
    slug = "unknown-parameter"
    title = "A parameter is not known"


class InvalidBody(Problem):
    """The body is not what the route takes; `errors` points at each field."""

    status = 400
    slug = "invalid-body"
    title = "The body is not valid"


class RuleViolation(Problem):
    """A profile contradicts itself or a clinical rule; `extra["rules"]` names the rules."""

    status = 400
    slug = "rule-violation"
    title = "The profile breaks a rule"


class Unauthenticated(Problem):
    """The call needs an API key, and none came or it is not known, revoked or expired.

    Send `Authorization: Bearer cw_…`. A revoked key stops working within 30 seconds.
    """

    status = 401
    slug = "unauthenticated"
    title = "A valid API key is needed"


class Forbidden(Problem):
    """The key is valid and its scopes do not cover this call. Ask the operator for another key."""

    status = 403
    slug = "forbidden"
    title = "This key may not do that"


class NotFound(Problem):
    """No such route, or nothing under that id that the caller may see."""

    status = 404
    slug = "not-found"
    title = "There is nothing here"


class MethodNotAllowed(Problem):
    """The route exists and does not take this method; the `Allow` header names those it takes."""

    status = 405
    slug = "method-not-allowed"
    title = "This method does not work here"


class Conflict(Problem):
    """What is stored does not allow this, whatever version is named. Read it again and decide."""

    status = 409
    slug = "conflict"
    title = "The request conflicts with what is stored"


class PreconditionFailed(Problem):
    """The version in `If-Match` is not the stored one. Read the resource, apply the change to what
    it is now, and send it with the new ETag."""

    status = 412
    slug = "stale-version"
    title = "Somebody changed it in the meantime"


class BodyTooSlow(Problem):
    """The body did not arrive in time, or the connection closed before it had. Send it again."""

    status = 408
    slug = "body-too-slow"
    title = "The body did not arrive in time"


class BodyTooLarge(Problem):
    """The body has more bytes than the service takes; nothing of it was used."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"


class UnsupportedMediaType(Problem):
    """A body needs the header `Content-Type: application/json`, UTF-8 as its encoding, and no
    `Content-Encoding`."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body must be JSON in UTF-8"


class PreconditionRequired(Problem):
    """A change needs the header `If-Match` with the ETag of the version that was read, so that
    nobody's change is overwritten unseen."""

    status = 428
    slug = "version-required"
    title = "Say which version you are changing"


class TooManyRequests(Problem):
    """More requests than the service takes from one key or one address in a minute. Wait as long
    as `Retry-After` says; `RateLimit` says on every answer how many are left, and which limit it
    is: that of the `key`, of the `address`, or of `failures`, an address's requests with a key
    that is not good."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"


class Unavailable(Problem):
    """The database cannot be reached or is too busy; the caller may try again."""

    status = 503
    slug = "unavailable"
    title = "Not available right now"

    def __init__(self, detail: str, *, retry_after_seconds: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})
