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


class ReferralState(StrEnum):
    SCREENING = "screening"
    MATCHING = "matching"
    OFFERED = "offered"
    INFO_REQUESTED = "info_requested"
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    IN_TREATMENT = "in_treatment"
    COMPLETED = "completed"
    UNROUTED = "unrouted"
    CANCELLED = "cancelled"


class OfferState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Urgency(StrEnum):
    URGENT = "urgent"
    SOON = "soon"
    ROUTINE = "routine"


class ReferralMode(StrEnum):
    SEQUENTIAL = "sequential"
    BROADCAST = "broadcast"


class DeclineReason(StrEnum):
    """Why a clinic does not take a referral, or gives it back."""

    CAPACITY = "capacity"
    CONDITION = "condition"
    ROUTE = "route"
    CLINICAL = "clinical"
    PAYER = "payer"
    AGE = "age"
    DISTANCE = "distance"
    LANGUAGE = "language"
    INFORMATION = "information"
    UNREACHABLE = "unreachable"
    OTHER = "other"


class ReferralEvent(StrEnum):
    """What happened to a referral. All but `reminded` are steps: a version and a line of history
    each. `reminded` names a notice."""

    CREATED = "created"
    SCREENING_CONFIRMED = "screening_confirmed"
    OFFERED = "offered"
    WAITING = "waiting"
    UNROUTED = "unrouted"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ASKED = "asked"
    ANSWERED = "answered"
    ANSWER_OVERDUE = "answer_overdue"
    EXPIRED = "expired"
    CLINIC_CLOSED = "clinic_closed"
    CLINIC_GONE = "clinic_gone"
    CLINIC_MERGED = "clinic_merged"
    SCHEDULED = "scheduled"
    NO_SHOW = "no_show"
    STARTED = "started"
    COMPLETED = "completed"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    ROUTE_REQUESTED = "route_requested"
    REMINDED = "reminded"
    ERASED = "erased"


class RoleInReferral(StrEnum):
    """As whom somebody acted. The service acts by itself when a clock strikes."""

    REFERRER = "referrer"
    CLINIC = "clinic"
    SERVICE = "service"


class Audience(StrEnum):
    REFERRER = "referrer"
    CLINIC = "clinic"
    PATIENT = "patient"
