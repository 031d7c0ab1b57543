"""What the referral routes refuse."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from api.errors import Conflict, FieldError, InvalidParameter, NotFound, Problem
from db.states import ReferralState


class NoSuchReferral(NotFound):
    """There is no referral with that id, or it is not one that this key may see."""

    def __init__(self) -> None:
        super().__init__("There is no referral with this id that this key may see.")


class NoSuchOffer(NotFound):
    """There is no offer with that id, or it was not made to a clinic of this key."""

    def __init__(self) -> None:
        super().__init__("There is no offer with this id that this key may see.")


class NothingToTrack(NotFound):
    """The link belongs to no referral, or to one whose patient's data were erased."""

    def __init__(self) -> None:
        super().__init__("This link shows nothing. Ask the practice that gave it to you.")


class IdempotencyKeyMissing(InvalidParameter):
    """Sending a referral needs the header `Idempotency-Key`: a text of your own, a new one for each
    referral. Repeat the request with the same key when no answer came: it is done once."""

    slug = "idempotency-key-missing"
    title = "Name the request with an Idempotency-Key"

    def __init__(self) -> None:
        super().__init__(
            "Send the header Idempotency-Key: 1 to 255 visible ASCII characters, new for each "
            "referral.",
            errors=[
                FieldError(
                    parameter="Idempotency-Key",
                    message="must be 1 to 255 visible ASCII characters, such as a UUID",
                )
            ],
        )


class IdempotencyKeyReused(Problem):
    """The key came before with another body. A key belongs to one request: make a new one."""

    status = 422
    slug = "idempotency-key-reused"
    title = "This Idempotency-Key came with another body before"

    def __init__(self) -> None:
        super().__init__("Take a new Idempotency-Key for another request.")


class RequestInFlight(Conflict):
    """A request with the same Idempotency-Key is being worked on. Repeat it after `Retry-After`:
    the answer will be the one of the first."""

    slug = "request-in-flight"
    title = "The same request is being worked on"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key has not ended yet. Repeat it in a moment.",
            headers={"Retry-After": "1"},
        )


class ImmediateRisk(Problem):
    """The screening says that the patient is at immediate risk of suicide. A referral takes too
    long for that, so it is not taken and nothing of it is kept. `crisis_lines` names whom to call,
    at any hour. Send the referral when the answer has changed."""

    status = 422
    slug = "immediate-risk"
    title = "This patient needs help now, not a referral"

    def __init__(self, crisis_lines: Sequence[object]) -> None:
        super().__init__(
            "The screening says that the patient is at immediate risk of suicide. Please stay with "
            "them, or make sure that somebody does, and call one of the lines below: people answer "
            "there at any hour, and they help you, too. The referral was not taken, and nothing of "
            "it was kept.",
            extra={"crisis_lines": list(crisis_lines)},
        )


class DuplicateReferral(Conflict):
    """You have an open referral for this patient and one of these conditions; `existing` names it.
    Go on with that one, or send this one again with a `duplicate_reason` and a new
    Idempotency-Key."""

    slug = "duplicate-referral"
    title = "There is an open referral for this patient and condition"

    def __init__(self, existing: UUID) -> None:
        super().__init__(
            "You sent a referral for this patient and condition before, and it is still open. Go "
            "on with that one, or say in `duplicate_reason` why there is to be another.",
            errors=[
                FieldError(
                    pointer="/duplicate_reason",
                    message="is needed for a second one of the same patient and condition",
                )
            ],
            extra={"existing": existing},
        )


class NotPossibleNow(Conflict):
    """The referral, or the offer, is in a state in which this cannot happen, for example because
    somebody else was faster. `state` is the referral's state, and `actions` names what you may do
    with it now."""

    slug = "not-possible-now"
    title = "This is not possible now"

    def __init__(self, why: str, state: ReferralState, actions: Sequence[str]) -> None:
        super().__init__(
            _WHY.get(why, f"A referral in the state '{state}' does not allow this."),
            extra={"state": state, "actions": list(actions)},
        )


_WHY = {
    "offer-closed": "This offer is not open any more.",
    "offer-lapsed": "The time to answer this offer is over.",
    "no-visit": "No visit is booked: book one with /schedule first.",
    "too-many-questions": "No more questions can be asked about this offer. Accept or decline it.",
}


class NoCapacity(Conflict):
    """The clinic has taken as many referrals this week as its profile says it can. It may change
    `weekly_capacity` in its profile and accept then, or decline."""

    slug = "no-capacity"
    title = "The clinic has no place left this week"

    def __init__(self, state: ReferralState, actions: Sequence[str]) -> None:
        super().__init__(
            "The clinic has taken as many referrals this week as its profile allows. Change "
            "weekly_capacity in the profile and accept then, or decline.",
            extra={"state": state, "actions": list(actions)},
        )


class PatientErased(Problem):
    """What the referral said of its patient was erased for good, so nothing that needs it can be
    done any more."""

    status = 410
    slug = "patient-erased"
    title = "What this referral said of its patient was erased"

    def __init__(self) -> None:
        super().__init__("What this referral said of its patient was erased.")
