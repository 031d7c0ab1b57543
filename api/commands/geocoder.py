"""The geocoding service of the settings."""

from __future__ import annotations

from collections.abc import Callable

from api.clock import Clock
from api.commands.failures import WRONGLY_CALLED, CommandError
from api.search.geocoding import (
    GeocoderMisconfigured,
    NetworkGeocoder,
    NetworkOptions,
    build_geocoder,
)
from api.settings import Settings


def network_geocoder(
    settings: Settings, state_at: Callable[[float, float], str | None], clock: Clock
) -> NetworkGeocoder | None:
    """None when no service is set up. Raises GeocoderMisconfigured."""
    if settings.geocoder is None:
        return None
    options = NetworkOptions(
        url=settings.geocoder_url,
        key=settings.geocoder_key,
        timeout=settings.geocoder_timeout,
        rate=settings.geocoder_rate,
    )
    return build_geocoder(settings.geocoder, options, state_at=state_at, clock=clock)


def check_geocoder(settings: Settings, clock: Clock) -> None:
    """Find out before anything starts whether the service can be used as it is set up; asks it
    nothing. Raises CommandError."""
    try:
        network_geocoder(settings, lambda _lat, _lon: None, clock)
    except GeocoderMisconfigured as error:
        raise CommandError(str(error), WRONGLY_CALLED) from error
