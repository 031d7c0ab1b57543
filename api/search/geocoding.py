"""Asks a geocoding service on the network, through geopy's asynchronous adapter."""

# geopy has no annotations; what is used of it is described by the protocols below.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, cast
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import msgspec
from geopy.adapters import AioHTTPAdapter
from geopy.exc import (
    GeocoderAuthenticationFailure,
    GeocoderInsufficientPrivileges,
    GeocoderNotFound,
    GeocoderRateLimited,
)
from geopy.extra.rate_limiter import AsyncRateLimiter
from geopy.geocoders import get_geocoder_for_service

from api.clock import Clock
from api.search.geocoder_answers import sureness
from api.search.place import Place
from api.search.place_text import fold

# The names under which geopy's classes take the one key that most services need.
KEY_PARAMETERS: Final = ("api_key", "apikey", "subscription_key", "access_token", "username")
COUNTRY_CODES: Final = ("us", "gb", "pr", "vi", "gu", "as", "mp")
LONGEST_LABEL: Final = 200

Parameters = Mapping[str, inspect.Parameter]

log = logging.getLogger(__name__)


class Answer(Protocol):
    """What is read of a geopy Location, which has no types of its own."""

    @property
    def latitude(self) -> float: ...
    @property
    def longitude(self) -> float: ...
    @property
    def address(self) -> str: ...
    @property
    def raw(self) -> object: ...


class Service(Protocol):
    """A geopy geocoder on an asynchronous adapter."""

    @property
    def geocode(self) -> Callable[..., Awaitable[Answer | None]]: ...
    async def __aexit__(self, *exception: object) -> None: ...


class GeocoderMisconfigured(ValueError):
    """The service's name, address or key cannot be used; the message names the setting."""


class GeocodingFailed(Exception):
    """The service did not answer, or not with anything usable. Seconds until a retry may help."""

    def __init__(self, reason: str, *, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to use a service. Seconds, and requests a second, throughout."""

    url: str | None = None
    key: str | None = None
    timeout: float = 2.0
    rate: float = 1.0
    user_agent: str = "clinicway"
    cache_size: int = 10_000
    cache_seconds: float = 7 * 86_400.0
    # An address that is unknown today may be on the map tomorrow.
    negative_cache_seconds: float = 3_600.0
    failures_to_pause: int = 5
    pause_seconds: float = 30.0
    longest_pause_seconds: float = 600.0


class NetworkGeocoder:
    """One service with a timeout, a rate limit, a bounded cache and a pause after failures.

    Equal questions asked at the same time are one request. What is asked is never logged.
    """

    def __init__(
        self,
        name: str,
        geocoder: Service,
        options: NetworkOptions,
        *,
        state_at: Callable[[float, float], str | None],
        clock: Clock,
    ) -> None:
        self.name = name
        self._geocoder = geocoder
        self._options = options
        self._state_at = state_at
        self._cache = _Cache(options, clock)
        self._pause = _Pause(options, clock)
        self._asking: dict[str, asyncio.Task[Place | None]] = {}
        self._arguments = _arguments_of(geocoder.geocode)
        limited = AsyncRateLimiter(
            self._send,
            min_delay_seconds=1 / options.rate,
            max_retries=0,
            error_wait_seconds=1 / options.rate,
            swallow_exceptions=False,
        )
        self._limited = cast("Callable[..., Awaitable[Answer | None]]", limited)
        # More than these would time out before their turn.
        self._most_waiting = max(1, math.ceil(options.rate * options.timeout))

    async def find(self, query: str) -> Place | None:
        """The service's best answer inside the United States or the United Kingdom, or None.

        Raises GeocodingFailed.
        """
        key = fold(query)
        known, place = self._cache.get(key)
        if known:
            return place
        task = self._asking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key, query))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # A caller that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Ends open requests and closes the connections."""
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        await self._geocoder.__aexit__(None, None, None)

    def _forget(self, key: str, done: asyncio.Task[Place | None]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # when every caller has left, nobody else retrieves it

    async def _ask(self, key: str, query: str) -> Place | None:
        if (seconds := self._pause.left()) > 0:
            raise GeocodingFailed("paused after failures", retry_after=seconds)
        if len(self._asking) > self._most_waiting:
            raise GeocodingFailed("too many requests wait", retry_after=1 / self._options.rate)
        sent = asyncio.Event()
        try:
            async with asyncio.timeout(self._options.timeout):
                location = await self._limited(query, sent)
            place = self._checked(location)
        except TimeoutError as failure:
            if not sent.is_set():
                # Our own rate limit says nothing about the service.
                wait = 1 / self._options.rate
                raise GeocodingFailed("no turn in time", retry_after=wait) from None
            raise self._failed(failure) from None
        except Exception as failure:
            # geopy's parsers raise KeyError, TypeError and ValueError on answers of another form.
            raise self._failed(failure) from None
        self._pause.succeeded()
        self._cache.put(key, place)
        return place

    async def _send(self, query: str, sent: asyncio.Event) -> Answer | None:
        sent.set()
        return await self._geocoder.geocode(query, **self._arguments)

    def _failed(self, failure: Exception) -> GeocodingFailed:
        # The message of the failure may hold the address that was asked for.
        log.warning("geocoding with %s failed: %s", self.name, type(failure).__name__)
        return GeocodingFailed(type(failure).__name__, retry_after=self._pause.failed(failure))

    def _checked(self, location: Answer | None) -> Place | None:
        """The answer as a Place, or None for one that is elsewhere or as vague as a country.

        Raises ValueError for a point that is none.
        """
        if location is None:
            return None
        lat, lon = float(location.latitude), float(location.longitude)
        if not (math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180):
            raise ValueError("the point is not on Earth")
        if lat == 0 or lon == 0:
            # geopy writes 0 for a coordinate that is missing; a real one has seven decimals.
            raise ValueError("the answer has no point")
        state = self._state_at(lat, lon)
        sure = sureness(location.raw)
        if state is None or sure is None:
            return None
        return Place(
            lat=lat,
            lon=lon,
            label=_label(location.address),
            source=self.name,
            precision=sure.precision,
            uncertainty_m=sure.uncertainty_m,
            country=state[:2],
            state=state,
        )


class _Cache:
    """The answers used most recently, each for its time."""

    def __init__(self, options: NetworkOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Place | None]] = OrderedDict()

    def get(self, key: str) -> tuple[bool, Place | None]:
        entry = self._kept.get(key)
        if entry is None:
            return False, None
        until, place = entry
        if until <= self._clock.monotonic():
            del self._kept[key]
            return False, None
        self._kept.move_to_end(key)
        return True, place

    def put(self, key: str, place: Place | None) -> None:
        options = self._options
        seconds = options.negative_cache_seconds if place is None else options.cache_seconds
        self._kept[key] = (self._clock.monotonic() + seconds, place)
        self._kept.move_to_end(key)
        while len(self._kept) > options.cache_size:
            self._kept.popitem(last=False)


class _Pause:
    """Leaves a failing service alone for a while: at once when it says so, else after several
    failures in a row; the first failure after a pause starts the next one."""

    def __init__(self, options: NetworkOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._failures = 0
        self._until = -math.inf

    def left(self) -> float:
        return self._until - self._clock.monotonic()

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, failure: Exception) -> float:
        """Seconds until another request is worth sending."""
        options = self._options
        self._failures += 1
        seconds = 0.0
        if isinstance(failure, GeocoderRateLimited):
            stated = cast("float | None", failure.retry_after)
            seconds = options.pause_seconds if stated is None else float(stated)
        elif isinstance(failure, GeocoderAuthenticationFailure | GeocoderInsufficientPrivileges):
            seconds = options.longest_pause_seconds
        elif self._failures >= options.failures_to_pause:
            seconds = options.pause_seconds
        seconds = min(seconds, options.longest_pause_seconds)
        self._until = max(self._until, self._clock.monotonic() + seconds)
        return max(seconds, 1 / options.rate)


def build_geocoder(
    name: str,
    options: NetworkOptions,
    *,
    state_at: Callable[[float, float], str | None],
    clock: Clock,
) -> NetworkGeocoder:
    """A geocoder for any service that geopy knows, by geopy's name for it.

    Raises GeocoderMisconfigured, naming the setting to change.
    """
    # geopy logs questions and answers, which may be a patient's address, below this level.
    logging.getLogger("geopy").setLevel(logging.WARNING)
    try:
        service = cast("Callable[..., Service]", get_geocoder_for_service(name))
    except GeocoderNotFound:
        raise GeocoderMisconfigured(
            "CLINICWAY_GEOCODER must be the name of a geopy geocoder, such as nominatim."
        ) from None
    accepted = inspect.signature(service).parameters
    arguments: dict[str, Any] = {
        "timeout": options.timeout,
        "user_agent": options.user_agent,
        "adapter_factory": AioHTTPAdapter,
        **_address(options.url, accepted),
        **_key(options.key, accepted),
    }
    missing = [
        parameter.name
        for parameter in accepted.values()
        if parameter.default is parameter.empty and parameter.name not in arguments
    ]
    if missing:
        wanted = "CLINICWAY_GEOCODER_URL" if missing == ["domain"] else "CLINICWAY_GEOCODER_KEY"
        raise GeocoderMisconfigured(f"This geocoding service needs {wanted}.")
    try:
        geocoder = service(**arguments)
    except (TypeError, ValueError) as error:
        raise GeocoderMisconfigured(
            "geopy refuses the settings CLINICWAY_GEOCODER_URL or CLINICWAY_GEOCODER_KEY"
            " for this service."
        ) from error
    return NetworkGeocoder(name.lower(), geocoder, options, state_at=state_at, clock=clock)


def _address(url: str | None, accepted: Parameters) -> dict[str, Any]:
    if url is None:
        return {}
    if "domain" not in accepted:
        raise GeocoderMisconfigured(
            "This service has a fixed address: unset CLINICWAY_GEOCODER_URL."
        )
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise GeocoderMisconfigured("CLINICWAY_GEOCODER_URL must be an http or https URL.")
    address: dict[str, Any] = {"domain": (parts.netloc + parts.path).rstrip("/")}
    if "scheme" in accepted:
        address["scheme"] = parts.scheme
    if proxy_bypass(parts.hostname):
        # geopy reads the proxy settings of the system, but not its exceptions.
        address["proxies"] = {}
    return address


def _key(key: str | None, accepted: Parameters) -> dict[str, Any]:
    if key is None:
        return {}
    for name in KEY_PARAMETERS:
        if name in accepted:
            return {name: key}
    raise GeocoderMisconfigured("This service takes no key: unset CLINICWAY_GEOCODER_KEY.")


def _arguments_of(geocode: Callable[..., object]) -> dict[str, Any]:
    """What each service is asked beside the text, as far as its class takes it."""
    wanted = {"addressdetails": True, "country_codes": list(COUNTRY_CODES), "language": "en"}
    accepted = inspect.signature(geocode).parameters
    return {name: value for name, value in wanted.items() if name in accepted}


def _label(address: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in address)
    return printable[:LONGEST_LABEL]
