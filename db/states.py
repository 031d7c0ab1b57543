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
    CLINIC_FULL = "clinic_full"
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


class DeliveryState(StrEnum):
    """Where one message to a webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class DeliveryFault(StrEnum):
    """Why the last attempt to deliver a message to a webhook did not do it."""

    ADDRESS_REFUSED = "address_refused"
    NAME_NOT_FOUND = "name_not_found"
    NOT_REACHED = "not_reached"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    NOT_HTTP = "not_http"
    REDIRECTED = "redirected"
    BAD_STATUS = "bad_status"
    GONE = "gone"
    WEBHOOK_DISABLED = "webhook_disabled"
    KEY_ENDED = "key_ended"
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 (the name of a state)


class DisabledReason(StrEnum):
    """Why nothing more is sent to a webhook."""

    GONE = "gone"


class AuditAction(StrEnum):
    """What the audit trail says was done, once a request."""

    KEY_CREATED = "key_created"
    KEY_ROTATED = "key_rotated"
    KEY_REVOKED = "key_revoked"
    KEYRING_ROTATED = "keyring_rotated"
    REFERRAL_CREATED = "referral_created"
    REFERRAL_READ = "referral_read"
    REFERRALS_LISTED = "referrals_listed"
    HISTORY_READ = "history_read"
    REFERRAL_CANCELLED = "referral_cancelled"
    SCREENING_CONFIRMED = "screening_confirmed"
    QUESTION_ANSWERED = "question_answered"
    REFERRAL_ROUTED = "referral_routed"
    VISIT_SCHEDULED = "visit_scheduled"
    VISIT_MISSED = "visit_missed"
    TREATMENT_STARTED = "treatment_started"
    REFERRAL_COMPLETED = "referral_completed"
    REFERRAL_RETURNED = "referral_returned"
    REFERRAL_ERASED = "referral_erased"
    TRACKING_MADE = "tracking_made"
    OFFER_READ = "offer_read"
    OFFERS_LISTED = "offers_listed"
    OFFER_ACCEPTED = "offer_accepted"
    OFFER_DECLINED = "offer_declined"
    OFFER_ASKED = "offer_asked"


class AuditObject(StrEnum):
    """What it was done to."""

    KEY = "key"
    KEYRING = "keyring"
    REFERRAL = "referral"
    OFFER = "offer"
