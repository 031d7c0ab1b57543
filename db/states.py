"""Closed sets of names, the same in Python, in PostgreSQL and in the API.

A test compares each of them with the enum type of the same name in the database.
"""

from __future__ import annotations

from enum import StrEnum


class Drug(StrEnum):
    KETAMINE = "ketamine"
    ESKETAMINE = "esketamine"


class Route(StrEnum):
    IV = "iv"
    IM = "im"
    SUBCUTANEOUS = "subcutaneous"
    NASAL = "nasal"
    ORAL = "oral"
    SUBLINGUAL = "sublingual"


class Setting(StrEnum):
    CLINIC = "clinic"
    AT_HOME = "at_home"


class Accepting(StrEnum):
    """Whether a clinic takes new patients (Plan-Net: newpt, nopt, existptonly, existptfam)."""

    YES = "yes"
    NO = "no"
    EXISTING_ONLY = "existing_only"
    EXISTING_AND_FAMILY = "existing_and_family"
    UNKNOWN = "unknown"


class ClinicStatus(StrEnum):
    ACTIVE = "active"
    MERGED = "merged"
    DELETED = "deleted"


class ChangeKind(StrEnum):
    UPSERT = "upsert"
    DELETE = "delete"
    MERGE = "merge"


class PointPrecision(StrEnum):
    """How exact a stored or found point is, best first."""

    EXACT = "exact"
    ADDRESS = "address"
    POSTAL_UNIT = "postal_unit"
    POSTAL_AREA = "postal_area"
    CITY = "city"
    STATE = "state"
