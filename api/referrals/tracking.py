"""The link by which a patient sees where the referral stands, without a word about health. Pure.

The token is the referral's id, encrypted with a key of the keyring (AES-SIV, RFC 5297): the same
id gives the same token, and nobody without the key can make one or tell what it stands for.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, assert_never
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from api.keyring import Keyring, Purpose
from db.states import ReferralState

_CONTEXT: Final = [b"clinicway/tracking/1"]
TOKEN_LENGTH: Final = 43


def token_of(keyring: Keyring, referral_id: UUID) -> str:
    _, key = keyring.active(Purpose.TRACKING)
    sealed = AESSIV(key).encrypt(referral_id.bytes, _CONTEXT)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def tracking_url(keyring: Keyring, link_base: str, referral_id: UUID) -> str:
    return f"{link_base}/v1/track/{token_of(keyring, referral_id)}"


def referral_of_token(keyring: Keyring, token: str) -> UUID | None:
    """None for a token that no key of the keyring made."""
    sealed = _bytes_of(token)
    if sealed is None:
        return None
    for key in keyring.every(Purpose.TRACKING).values():
        try:
            return UUID(bytes=AESSIV(key).decrypt(sealed, _CONTEXT))
        except InvalidTag:
            continue
    return None


def _bytes_of(token: str) -> bytes | None:
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # The decoder is lenient with the last letter's spare bits.
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == token else None


def said(state: ReferralState, *, visit_booked: bool) -> tuple[str, str]:
    """What has happened and what comes next, for the patient. Neither names a clinic or a
    treatment: a link is easily seen by others."""
    match state:
        case ReferralState.SCREENING:
            return (
                "Your referral was received.",
                "Your doctor is asked to look at something once more before it goes on.",
            )
        case ReferralState.MATCHING:
            return (
                "Your referral was received.",
                "A place is being looked for. You need not do anything.",
            )
        case ReferralState.OFFERED:
            return (
                "A place has been asked whether it can see you.",
                "It has until the time shown to answer. If it does not, the next one is asked.",
            )
        case ReferralState.INFO_REQUESTED:
            return (
                "A place that was asked has a question.",
                "Your doctor is asked to answer it. You need not do anything.",
            )
        case ReferralState.ACCEPTED:
            return (
                "A place has agreed to see you.",
                "It will get in touch with you to arrange a first visit.",
            )
        case ReferralState.SCHEDULED if not visit_booked:
            return (
                "The first visit did not take place.",
                "Please get in touch with the place where you were expected, to arrange another.",
            )
        case ReferralState.SCHEDULED:
            return (
                "A first visit has been arranged.",
                "If you cannot come, please tell the place where you are expected.",
            )
        case ReferralState.IN_TREATMENT:
            return (
                "You have been seen.",
                "The place that sees you tells you what comes next.",
            )
        case ReferralState.COMPLETED:
            return (
                "This referral has been completed.",
                "Your doctor has had a report. Please turn to your doctor with any question.",
            )
        case ReferralState.UNROUTED:
            return (
                "No place has been found yet.",
                "Your doctor knows, and can change what is looked for. Please ask your doctor.",
            )
        case ReferralState.CANCELLED:
            return (
                "This referral was ended by your doctor.",
                "Please ask your doctor if that comes as a surprise to you.",
            )
        case _:
            assert_never(state)
