"""Every setting of the service, read once and passed down from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from api.durations import Period, Span
from api.links import served_at
from api.rates.proxies import Networks

PREFIX = "CLINICWAY_"
_MEBIBYTE = 1024 * 1024
_SMTP_URL = (
    r"^smtps?://([^\s/?#@]+@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
    r"(:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))?/?$"
)
_MAILBOX = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"
_MAIL_FROM = rf"^({_MAILBOX}|[A-Za-z0-9 ._'-]+ <{_MAILBOX}>)$"


def _text(
    description: str, *, right: str, pattern: str | None = None, secret: bool = False
) -> Meta:
    return Meta(
        description=description,
        # In Python `$` also matches before a line break at the end.
        pattern=None if pattern is None else pattern.removesuffix("$") + r"\Z",
        extra={"right": right, "secret": secret},
    )


def _span(description: str) -> Meta:
    right = (
        "an ISO 8601 duration above zero and up to 3650 days, of weeks, days, hours, minutes and "
        "seconds, such as PT4H or P5D"
    )
    return _text(description, right=right)


def _number(description: str, *, right: str, ge: float, le: float) -> Meta:
    return Meta(description=description, ge=ge, le=le, extra={"right": right, "secret": False})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator can choose. Field `pool_size` is the variable `CLINICWAY_POOL_SIZE` and the
    flag `--pool-size`; docs/settings.md lists them all."""

    host: Annotated[
        str, _text("Address to listen on", right="a host name or IP address", pattern=r"^\S+$")
    ] = "127.0.0.1"
    port: Annotated[
        int, _number("Port to listen on", right="a whole number from 1 to 65535", ge=1, le=65535)
    ] = 8000
    data_dir: Annotated[
        Path,
        _text(
            "Folder of the embedded PostgreSQL, the keyring and compiled code",
            right="the path of a folder",
        ),
    ] = Path(".clinicway")
    database_url: (
        Annotated[
            str,
            _text(
                "PostgreSQL 15 or later to use in place of the embedded one, one host or several",
                right="a URL like postgresql://user:password@host:5432/database",
                pattern=r"^postgres(ql)?://\S+$",
                secret=True,
            ),
        ]
        | None
    ) = None
    workers: Annotated[
        int, _number("Server processes", right="a whole number from 1 to 256", ge=1, le=256)
    ] = 1
    pool_size: Annotated[
        int,
        _number(
            "Database connections of one process",
            right="a whole number from 1 to 1000",
            ge=1,
            le=1000,
        ),
    ] = 10
    keyring: (
        Annotated[
            Path,
            _text(
                "File of the secret keys; without it, keyring.json in the data folder",
                right="the path of a file",
            ),
        ]
        | None
    ) = None
    geocoder: (
        Annotated[
            str,
            _text(
                "geopy service to ask for what the gazetteer does not know, such as nominatim",
                right="the name of a geopy geocoder, such as nominatim or google",
                pattern=r"^[A-Za-z][A-Za-z0-9_-]*$",
            ),
        ]
        | None
    ) = None
    geocoder_url: (
        Annotated[
            str,
            _text(
                "Address of that service, when it is not its public one",
                right="an http or https URL",
                pattern=r"^https?://\S+$",
            ),
        ]
        | None
    ) = None
    geocoder_key: (
        Annotated[
            str,
            _text(
                "Key for that service", right="a key without spaces", pattern=r"^\S+$", secret=True
            ),
        ]
        | None
    ) = None
    geocoder_timeout: Annotated[
        float,
        _number(
            "Seconds to wait for that service before the gazetteer answers alone",
            right="a number of seconds from 0.01 to 60",
            ge=0.01,
            le=60,
        ),
    ] = 2.0
    geocoder_rate: Annotated[
        float,
        _number(
            "Requests a second that one process may send to that service",
            right="a number from 0.01 to 1000",
            ge=0.01,
            le=1000,
        ),
    ] = 1.0
    public_url: (
        Annotated[
            str,
            _text(
                "Base of the links that are handed out; without it, http://host:port as served",
                right="an http or https URL without a query, such as https://directory.example",
                pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
            ),
        ]
        | None
    ) = None
    environment: Annotated[
        str,
        _text(
            "Name inside API keys (cw_live_…), to tell the keys of one deployment from another's",
            right="1 to 12 lower-case letters and digits",
            pattern=r"^[a-z0-9]{1,12}$",
        ),
    ] = "live"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _text("Least severe log line that is written", right="one of debug, info, warning, error"),
    ] = "info"
    log_format: Annotated[
        Literal["console", "json"],
        _text("Form of the log lines", right="either console or json"),
    ] = "console"
    access_log: Annotated[bool, _text("Whether each request is logged", right="true or false")] = (
        False
    )
    index_poll_seconds: Annotated[
        float,
        _number(
            "Seconds between two looks at the log of changes, for when a notification was lost",
            right="a number of seconds from 0.01 to 60",
            ge=0.01,
            le=60,
        ),
    ] = 1.0
    max_body_bytes: Annotated[
        int,
        _number(
            "Largest request body, in bytes",
            right="a whole number from 1024 to 104857600",
            ge=1024,
            le=100 * _MEBIBYTE,
        ),
    ] = _MEBIBYTE
    claim_days: Annotated[
        int,
        _number(
            "Days that a clinic's word on accepting patients, wait and capacity stands",
            right="a whole number of days from 1 to 3650",
            ge=1,
            le=3650,
        ),
    ] = 30
    stale_days: Annotated[
        int,
        _number(
            "Days after which a profile that nobody verified is listed as stale",
            right="a whole number of days from 1 to 3650",
            ge=1,
            le=3650,
        ),
    ] = 180
    cache_answers: Annotated[
        int,
        _number(
            "Encoded search answers that one process keeps; 0 keeps none",
            right="a whole number from 0 to 1000000",
            ge=0,
            le=1_000_000,
        ),
    ] = 4096
    rate_key: Annotated[
        int,
        _number(
            "Requests a minute with one API key, over all processes; 0 for any number",
            right="a whole number from 0 to 1000000000",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 12_000
    rate_address: Annotated[
        int,
        _number(
            "Requests a minute from one address without a good key; 0 for any number",
            right="a whole number from 0 to 1000000000",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 12_000
    rate_failures: Annotated[
        int,
        _number(
            "Requests a minute from one address with a bad key; 0 for any number",
            right="a whole number from 0 to 1000000000",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 60
    trusted_proxies: (
        Annotated[
            Networks,
            _text(
                "Proxies whose word on the client's address is taken (X-Forwarded-For, Forwarded)",
                right="addresses or networks separated by commas, such as 10.0.0.0/8, ::1",
            ),
        ]
        | None
    ) = None
    demonstration: Annotated[
        bool,
        _text(
            "Whether a service with a PostgreSQL of its own gets two example clinics, and keys to "
            "try referrals with",
            right="true or false",
        ),
    ] = True
    key_overlap_hours: Annotated[
        float,
        _number(
            "Hours that an API key goes on working after it was rotated",
            right="a number of hours from 0 to 720",
            ge=0,
            le=720,
        ),
    ] = 24.0

    clock_urgent: Annotated[Span, _span("Time that a clinic has to answer an urgent referral")] = (
        Span("PT4H")
    )
    clock_soon: Annotated[
        Span, _span("Time that a clinic has to answer a referral of urgency soon")
    ] = Span("PT24H")
    clock_routine: Annotated[Span, _span("Time that a clinic has to answer a routine referral")] = (
        Span("PT72H")
    )
    clock_answer: Annotated[
        Span, _span("Time that a referrer has to answer a clinic's question")
    ] = Span("P5D")
    retention: (
        Annotated[
            Period,
            _text(
                "Time after which what a closed referral says of its patient is erased; without "
                "it, never",
                right="an ISO 8601 duration above zero and up to 200 years, such as P7Y or P18M",
            ),
        ]
        | None
    ) = None

    jobs: Annotated[
        bool,
        _text(
            "Whether the server processes also do what becomes due; if not, `clinicway worker` "
            "must",
            right="true or false",
        ),
    ] = True
    smtp_url: (
        Annotated[
            str,
            _text(
                "Mail server for notices; without it they are files in the folder mail of the data "
                "folder",
                right="an address like smtp://user:password@mail.example:587, or smtps://… for TLS "
                "from the start",
                pattern=_SMTP_URL,
                secret=True,
            ),
        ]
        | None
    ) = None
    mail_from: (
        Annotated[
            str,
            _text(
                "Whom notices come from; needed with a mail server",
                right="a mail address such as notices@directory.example, or one with a name such "
                "as Clinicway <notices@directory.example>",
                pattern=_MAIL_FROM,
            ),
        ]
        | None
    ) = None

    webhook_allow_private: Annotated[
        bool,
        _text(
            "Whether webhooks may lead to http and to private addresses: for tests on one machine",
            right="true or false",
        ),
    ] = False

    @property
    def keyring_path(self) -> Path:
        return self.keyring or self.data_dir / "keyring.json"

    @property
    def link_base(self) -> str:
        """What the path of a link is put behind: no slash at its end."""
        return (self.public_url or served_at(self.host, self.port)).rstrip("/")

    def __repr__(self) -> str:
        # Tracebacks and logs print settings: what is secret stays out of them.
        shown = (
            f"{s.name}={'***' if s.secret else repr(getattr(self, s.name))}"
            for s in SETTINGS
            if not (s.secret and getattr(self, s.name) is None)
        )
        return f"Settings({', '.join(shown)})"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One field of Settings, as the command line, the docs and the error messages show it."""

    name: str
    variable: str
    flag: str
    description: str
    right: str
    """What a usable value is, to follow the words "must be"."""
    default: object
    type: object
    secret: bool

    @property
    def is_switch(self) -> bool:
        return isinstance(self.default, bool)


def _settings() -> tuple[Setting, ...]:
    hints = get_type_hints(Settings, include_extras=True)
    found: list[Setting] = []
    for field in msgspec.structs.fields(Settings):
        meta = _meta(hints[field.name])
        extra = meta.extra or {}
        found.append(
            Setting(
                name=field.name,
                variable=PREFIX + field.name.upper(),
                flag="--" + field.name.replace("_", "-"),
                description=str(meta.description),
                right=str(extra["right"]),
                default=field.default,
                type=hints[field.name],
                secret=bool(extra["secret"]),
            )
        )
    return tuple(found)


def _meta(hint: object) -> Meta:
    """The Meta of `Annotated[T, Meta]` or of `Annotated[T, Meta] | None`."""
    for part in (hint, *get_args(hint)):
        for item in getattr(part, "__metadata__", ()):
            if isinstance(item, Meta):
                return item
    raise TypeError("a setting carries its description in a Meta")


SETTINGS = _settings()
