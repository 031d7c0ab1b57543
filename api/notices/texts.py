"""What a notice says: which step happened, and where to read more. Pure.

A mail passes through many hands. So it holds no name, no word about anybody's health and no
advice: the link leads to those who may read.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from db.states import Audience, ReferralEvent

E: TypeAlias = ReferralEvent
Pair: TypeAlias = tuple[ReferralEvent, Audience]

_REFERRER: Final = Audience.REFERRER
_CLINIC: Final = Audience.CLINIC
_PATIENT: Final = Audience.PATIENT


class NoticeText(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    says: str
    """One or more sentences, above the link."""


def _text(subject: str, says: str) -> NoticeText:
    return NoticeText(subject=subject, says=says)


TEXTS: Final[dict[Pair, NoticeText]] = {
    (E.CREATED, _REFERRER): _text(
        "Referral received",
        "We have received your referral. The link shows where it stands, and whether something is "
        "needed from you before it can go on.",
    ),
    (E.CREATED, _PATIENT): _text(
        "A referral was made for you",
        "A referral was made for you, and you agreed to be told how it goes on. We will write to "
        "you at each step.",
    ),
    (E.SCREENING_CONFIRMED, _REFERRER): _text(
        "Referral confirmed", "You have confirmed your referral. A clinic is being looked for."
    ),
    (E.OFFERED, _REFERRER): _text(
        "Referral put to a clinic",
        "Your referral was put to a clinic, or to several if you chose so. We will tell you what "
        "the answer is.",
    ),
    (E.OFFERED, _CLINIC): _text(
        "A referral is waiting for your answer",
        "A referral is offered to your clinic. The link shows what it is about and until when an "
        "answer is expected. You can accept it, decline it, or ask a question.",
    ),
    (E.WAITING, _REFERRER): _text(
        "Referral waiting for a free place",
        "The clinics that can take your referral have no free place right now. It stays with us "
        "and is put to one of them as soon as there is one. You can change or cancel it at any "
        "time.",
    ),
    (E.UNROUTED, _REFERRER): _text(
        "No clinic found for your referral",
        "We could not find a clinic that can take your referral as it stands. The link shows the "
        "reasons and what would help. You can have it routed again.",
    ),
    (E.UNROUTED, _PATIENT): _text(
        "Your referral needs another look",
        "We have not found a clinic for your referral yet. The person who made it knows this and "
        "can have it looked at again. Please ask them if you have questions.",
    ),
    (E.ACCEPTED, _REFERRER): _text(
        "Referral accepted", "A clinic has accepted your referral. The link shows which one."
    ),
    (E.ACCEPTED, _CLINIC): _text(
        "A referral is no longer open",
        "Another clinic was faster: a referral that was offered to your clinic is taken care of. "
        "There is nothing left for you to do. Thank you.",
    ),
    (E.ACCEPTED, _PATIENT): _text(
        "A clinic has accepted your referral",
        "A clinic has accepted your referral and will arrange the first visit.",
    ),
    (E.DECLINED, _REFERRER): _text(
        "A clinic cannot take your referral",
        "A clinic cannot take your referral. The link shows why, and what happens next: where "
        "another clinic can be asked, we ask it.",
    ),
    (E.ASKED, _REFERRER): _text(
        "A clinic has a question about your referral",
        "A clinic has a question before it decides. The time that it has for its answer stands "
        "still until you reply, for a limited time. The link shows the question.",
    ),
    (E.ANSWERED, _REFERRER): _text(
        "Your reply was passed on",
        "Your reply was passed on to the clinic, whose time to decide goes on.",
    ),
    (E.ANSWERED, _CLINIC): _text(
        "A question about a referral was answered",
        "A question about a referral that is offered to your clinic was answered, and the time to "
        "decide goes on. The link shows what is known and until when an answer is expected.",
    ),
    (E.ANSWER_OVERDUE, _REFERRER): _text(
        "A clinic's question was not answered",
        "A clinic's question about your referral was not answered in time, and its time to decide "
        "goes on without a reply.",
    ),
    (E.ANSWER_OVERDUE, _CLINIC): _text(
        "A question about a referral was not answered",
        "A question about a referral that is offered to your clinic was not answered in time. The "
        "time to decide goes on; the link shows until when.",
    ),
    (E.EXPIRED, _REFERRER): _text(
        "A clinic did not answer in time",
        "A clinic did not answer your referral in time. The link shows what happens next: where "
        "another clinic can be asked, we ask it.",
    ),
    (E.EXPIRED, _CLINIC): _text(
        "The time to answer a referral is over",
        "The time to answer a referral that was offered to your clinic is over, and it goes on "
        "without you. There is nothing left for you to do.",
    ),
    (E.CLINIC_CLOSED, _REFERRER): _text(
        "A clinic takes no new patients any more",
        "A clinic that was considering your referral takes no new patients any more. Where "
        "another clinic can be asked, we ask it.",
    ),
    (E.CLINIC_CLOSED, _CLINIC): _text(
        "A referral was withdrawn",
        "The directory says that your clinic takes no new patients at the moment. A referral that "
        "was offered to it has been withdrawn. There is nothing left for you to do.",
    ),
    (E.CLINIC_FULL, _REFERRER): _text(
        "A clinic has no free place this week",
        "A clinic that was considering your referral has no free place left this week. Where "
        "another clinic can be asked, we ask it.",
    ),
    (E.CLINIC_FULL, _CLINIC): _text(
        "A referral was withdrawn",
        "Your clinic has taken as many referrals this week as its entry says that it can. A "
        "referral that was offered to it has been withdrawn. There is nothing left for you to do.",
    ),
    (E.CLINIC_GONE, _REFERRER): _text(
        "A clinic has left the directory",
        "A clinic that your referral was with is no longer in the directory. Where another clinic "
        "can be asked, we ask it.",
    ),
    (E.CLINIC_GONE, _CLINIC): _text(
        "A referral was withdrawn",
        "Your clinic is no longer in the directory. A referral that was offered to it has been "
        "withdrawn. There is nothing left for you to do.",
    ),
    (E.CLINIC_GONE, _PATIENT): _text(
        "Your referral goes to another clinic",
        "The clinic that had accepted your referral is no longer available here. We are looking "
        "for another one.",
    ),
    (E.CLINIC_MERGED, _REFERRER): _text(
        "A clinic is listed under another entry",
        "A clinic that your referral is with was listed twice, and is now listed once. Your "
        "referral goes on there as before.",
    ),
    (E.CLINIC_MERGED, _CLINIC): _text(
        "A referral came with another entry",
        "Another entry of the directory was joined to that of your clinic. A referral that was "
        "with it is with yours now, as it stood.",
    ),
    (E.SCHEDULED, _REFERRER): _text(
        "First visit arranged", "The clinic has arranged the first visit for your referral."
    ),
    (E.SCHEDULED, _PATIENT): _text(
        "Your first visit is arranged",
        "The clinic has arranged your first visit. If you do not know when it is, please ask the "
        "clinic.",
    ),
    (E.NO_SHOW, _REFERRER): _text(
        "First visit did not take place",
        "The first visit for your referral did not take place. The clinic still looks after the "
        "referral and can arrange another one.",
    ),
    (E.NO_SHOW, _PATIENT): _text(
        "Your first visit did not take place",
        "Your first visit did not take place. This happens. The clinic can arrange another one "
        "with you.",
    ),
    (E.STARTED, _REFERRER): _text(
        "The clinic has begun", "The clinic has begun its work on your referral."
    ),
    (E.STARTED, _PATIENT): _text(
        "The clinic has begun", "The clinic has noted that your visits have begun."
    ),
    (E.COMPLETED, _REFERRER): _text(
        "Referral completed",
        "The clinic has completed your referral and written a report for you. The link leads to "
        "it.",
    ),
    (E.COMPLETED, _PATIENT): _text(
        "Your referral is completed",
        "The clinic has completed your referral and reported to the person who made it.",
    ),
    (E.RETURNED, _REFERRER): _text(
        "The clinic has given your referral back",
        "The clinic that had accepted your referral has given it back. The link shows why, and "
        "what happens next: where another clinic can be asked, we ask it.",
    ),
    (E.RETURNED, _PATIENT): _text(
        "Your referral goes to another clinic",
        "The clinic that had accepted your referral cannot go on with it. We are looking for "
        "another one.",
    ),
    (E.CANCELLED, _REFERRER): _text(
        "Referral cancelled", "Your referral was cancelled. Nothing more happens with it."
    ),
    (E.CANCELLED, _CLINIC): _text(
        "A referral was cancelled",
        "A referral that was with your clinic was cancelled by the person who made it. There is "
        "nothing left for you to do.",
    ),
    (E.CANCELLED, _PATIENT): _text(
        "Your referral was cancelled",
        "Your referral was cancelled by the person who made it. Please ask them if you have "
        "questions.",
    ),
    (E.ROUTE_REQUESTED, _REFERRER): _text(
        "Referral is being routed again", "As you asked, a clinic is being looked for again."
    ),
    (E.REMINDED, _REFERRER): _text(
        "A referral is waiting for you",
        "A referral that you sent waits for your confirmation, and no clinic is asked before you "
        "give it. The link shows what is needed.",
    ),
    (E.REMINDED, _CLINIC): _text(
        "A referral is still waiting for your answer",
        "A referral that is offered to your clinic is still waiting, and half of the time to "
        "answer is over. The link shows until when an answer is expected.",
    ),
    (E.ERASED, _REFERRER): _text(
        "What a referral said of its patient was erased",
        "What one of your referrals said of its patient was erased and cannot be read any more. "
        "Its steps can still be seen.",
    ),
}

_TO_SEE: Final = {
    _REFERRER: "See the referral, with your key:",
    _CLINIC: "See it, with your clinic's key:",
    _PATIENT: "See where it stands:",
}
_ENDING: Final = {
    _REFERRER: "You receive this because a referral was sent with your key.",
    _CLINIC: "You receive this because this address stands in your clinic's entry.",
    _PATIENT: "You receive this because you agreed to it when the referral was made. The link is "
    "for you alone.",
}


def body_of(text: NoticeText, audience: Audience, link: str) -> str:
    """The whole text of the mail. Lines are as long as their paragraph."""
    parts = [text.says, f"{_TO_SEE[audience]}\n{link}", f"-- \n{_ENDING[audience]}"]
    return "\n\n".join(parts) + "\n"
