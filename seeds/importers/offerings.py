"""Offerings written in one cell.

    iv/clinic: crps + fibromyalgia, sessions 6, days 21, minutes 40, monitoring 30,
        maintenance 30, price 450.00 USD/session | esketamine nasal/clinic: depression

An offering is `[drug] route/setting`, then after a colon the conditions joined by `+`, then details
after commas; offerings are separated by `|`. `in US-AZ + US-NM` is where an at-home offering may
be delivered. Nothing after the setting is needed.
"""

from __future__ import annotations

import re

from seeds.importers.fields import several, shown
from seeds.importers.report import Refused

_WHAT = re.compile(r"(?:(\w+) +)?(\w+) ?/ ?(\w+)")
_PRICE = re.compile(r"(\d+(?:\.\d+)?) ([A-Za-z]{3})(?: ?/ ?([a-z]+))?")
_DETAILS = {
    "sessions": "initial_sessions",
    "days": "initial_days",
    "minutes": "session_minutes",
    "monitoring": "monitoring_minutes",
    "maintenance": "maintenance_days",
}


def read_offerings(text: str, column: str) -> list[dict[str, object]]:
    """The offerings of a cell, as `OfferingWrite` is written. Raises `Refused`."""
    return [
        _offering(part, f"{column}: offering {number}")
        for number, part in enumerate(several(text, "|"), start=1)
    ]


def _offering(text: str, where: str) -> dict[str, object]:
    first, *details = [part.strip() for part in text.split(",")]
    head, _, conditions = first.partition(":")
    what = _WHAT.fullmatch(head.strip().lower())
    if what is None:
        raise Refused(f"{where}: an offering must begin with route/setting, such as iv/clinic")
    offering: dict[str, object] = {
        "drug": what[1] or "ketamine",
        "route": what[2],
        "setting": what[3],
        "conditions": several(conditions.lower(), "+"),
    }
    protocol: dict[str, int] = {}
    for detail in details:
        name, _, value = detail.partition(" ")
        if name == "in":
            offering["coverage"] = several(value.upper(), "+")
        elif name == "price":
            offering["price"] = _price(value.strip(), where)
        elif name in _DETAILS:
            if not re.fullmatch(r"\d{1,6}", value.strip(), re.ASCII):
                raise Refused(f"{where}: {name} must be followed by a whole number")
            protocol[_DETAILS[name]] = int(value)
        else:
            known = ", ".join([*_DETAILS, "price", "in"])
            raise Refused(
                f"{where}: {shown(name)} is no detail; one must begin with one of {known}"
            )
    if protocol:
        offering["protocol"] = protocol
    return offering


def _price(text: str, where: str) -> dict[str, str]:
    found = _PRICE.fullmatch(text)
    if found is None:
        raise Refused(f"{where}: a price must be written like 450.00 USD/session")
    return {"amount": found[1], "currency": found[2].upper(), "per": found[3] or "session"}
