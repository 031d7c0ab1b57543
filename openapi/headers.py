"""The headers that operations name in `documented(...)`, each described once."""

from __future__ import annotations

from typing import Final

import msgspec


class Header(msgspec.Struct, frozen=True):
    description: str
    schema: dict[str, object]
    example: object


_TEXT: Final[dict[str, object]] = {"type": "string"}
_WHOLE: Final[dict[str, object]] = {"type": "integer", "minimum": 0}

REQUEST_HEADERS: Final = {
    "If-Match": Header("The ETag of the version that is being changed; `*` for any", _TEXT, '"3"'),
    "If-None-Match": Header("The ETag that the caller holds: 304 when it is current", _TEXT, '"3"'),
    "Idempotency-Key": Header(
        "The caller's own name for this request: repeating it does nothing twice",
        {"type": "string", "minLength": 1, "maxLength": 255},
        "0190a7c2-5f0e-7d4b-9a53-2f6f0f3c1a77",
    ),
}

# If-Match alone is required where it is named; a missing one is answered with 428.
REQUIRED_HEADERS: Final = frozenset({"If-Match", "Idempotency-Key"})

RESPONSE_HEADERS: Final = {
    "X-Request-Id": Header(
        "The id of this request in the log; a well-formed one that was sent is kept",
        _TEXT,
        "0190a7c25f0e7d4b9a532f6f0f3c1a77-1f",
    ),
    "ETag": Header("The version of what is answered", _TEXT, '"3"'),
    "Location": Header("Where the new or moved resource is", _TEXT, "/v1/clinics/example-clinic"),
    "Directory-Version": Header(
        "The number of the newest change that the answer takes into account", _WHOLE, 118
    ),
    "Retry-After": Header("Seconds after which to try again", _WHOLE, 5),
    "RateLimit-Policy": Header(
        "The limit that the request counted against: `q` requests in `w` seconds. A structured "
        "field, as draft-ietf-httpapi-ratelimit-headers has it",
        _TEXT,
        '"address";q=12000;w=60',
    ),
    "RateLimit": Header(
        "How many requests are left under that limit (`r`), for how many seconds (`t`)",
        _TEXT,
        '"address";r=11999;t=42',
    ),
    "Allow": Header("The methods that work here", _TEXT, "GET, HEAD, OPTIONS"),
    "WWW-Authenticate": Header("How to identify oneself", _TEXT, "Bearer"),
    "Last-Modified": Header(
        "When what is answered last changed", _TEXT, "Sun, 22 Nov 2026 09:00:00 GMT"
    ),
}
