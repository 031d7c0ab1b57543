"""What is put together from the seeds and the settings: the places, and the application."""

from __future__ import annotations

from litestar import Litestar
from msgspec.structs import replace

from api.app import create_app
from api.clock import Clock, SystemClock
from api.commands.geocoder import network_geocoder
from api.search.places import Places
from api.settings import Settings
from seeds.gazetteer.load import load_gazetteer


def make_places(settings: Settings, clock: Clock) -> Places:
    """The shipped gazetteer, and the network geocoder of the settings if there is one."""
    gazetteer = load_gazetteer()
    return Places(gazetteer, network_geocoder(settings, gazetteer.state_at, clock))


def application(settings: Settings) -> Litestar:
    """The service on the machine's clock. `settings` name a database."""
    clock = SystemClock()
    return create_app(settings, clock=clock, geocoder=make_places(settings, clock))


def worker_application(settings: Settings, patience: float) -> Litestar:
    """The same without a server in front of it: to do what becomes due and say so. `patience` is
    for what is under way when it is to stop, in seconds."""
    clock = SystemClock()
    return create_app(
        replace(settings, jobs=True),
        clock=clock,
        geocoder=make_places(settings, clock),
        patience=patience,
        report=True,
    )
