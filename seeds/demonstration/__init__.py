"""Two clinics that do not exist, for trying referrals on a service of one's own."""

from __future__ import annotations

from importlib.resources import files

import msgspec

from api.directory.schemas import ClinicWrite


class _Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clinic: list[ClinicWrite]


def example_clinics() -> list[ClinicWrite]:
    """In the order in which a referral near 87801 finds them."""
    raw = files("seeds.demonstration").joinpath("clinics.toml").read_bytes()
    return msgspec.toml.decode(raw, type=_Listing).clinic
