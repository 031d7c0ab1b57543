"""Whether the same patient has an open referral for the same condition, without names to look at.

A fingerprint is a keyed hash of one patient and one condition. Who has the database and not the
keyring can neither compute one nor try out names. It is 16 bytes: 4 that tell which key of the
keyring made it, and 12 of HMAC-SHA-256.

Fingerprints are stored under the active key and looked for under every key of the keyring, so a
rotation breaks no look-up. They are needed only while a referral is open.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from datetime import date
from typing import Final

import msgspec

from api.keyring import Keyring, Purpose

TAG_BYTES: Final = 4
BYTES: Final = 16

_DIACRITICS: Final = frozenset(map(chr, range(0x300, 0x370)))
# Letters with a stroke and joined letters are not taken apart by Unicode, but are by typists.
_PLAIN: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


class Fingerprints(msgspec.Struct, frozen=True, kw_only=True):
    """Of one patient and the conditions of one referral."""

    stored: list[bytes]
    """To be kept with the referral: one for each condition, under the active key."""
    sought: list[bytes]
    """To look for in others: those, and the same under every other key of the keyring."""

    def lock_numbers(self) -> list[int]:
        """Numbers for advisory locks, in the order to take them in: of two requests for the same
        patient and condition, one waits for the other, also while a rotation is under way."""
        return sorted({int.from_bytes(each[-8:], signed=True) for each in self.sought})


def fingerprints_of(
    keyring: Keyring, *, given_name: str, family_name: str, birth_date: date, codes: Iterable[str]
) -> Fingerprints:
    """`codes` are those of the referral's conditions, in the catalogue's spelling."""
    patient = (normalised(family_name), normalised(given_name), birth_date.isoformat())
    conditions = sorted(set(codes))
    by_key = [
        [_fingerprint(key_id, key, (*patient, code)) for code in conditions]
        # The active key comes first.
        for key_id, key in keyring.every(Purpose.FINGERPRINT).items()
    ]
    return Fingerprints(stored=by_key[0], sought=[each for made in by_key for each in made])


def tag_of(key_id: str) -> bytes:
    """What the fingerprints of that key of the keyring begin with."""
    return hashlib.sha256(b"clinicway/fingerprint/" + key_id.encode()).digest()[:TAG_BYTES]


def normalised(name: str) -> str:
    """One spelling for the ways in which a name is typed.

    Compatibility forms become plain ones (NFKC), case is folded, accents on letters go, strokes
    and ligatures become the letters they look like, and everything that is neither letter, mark
    nor digit goes, spaces and hyphens included: `Mary-Ann O'Neíll` is `maryannoneill`. Vowel
    signs of other scripts stay. `Müller` is `muller`, not `mueller`; a nickname is another name.
    A name without a letter is left as it is, but for case and forms.
    """
    before, folded = "", name
    while folded != before:
        # Folding can bring up what has to be decomposed, and the other way round.
        before, folded = folded, unicodedata.normalize("NFKD", folded).casefold()
    letters = "".join(c for c in folded if c not in _DIACRITICS and _belongs(c))
    return unicodedata.normalize("NFKC", (letters or folded).translate(_PLAIN))


def _belongs(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _fingerprint(key_id: str, key: bytes, parts: tuple[str, ...]) -> bytes:
    # JSON keeps the parts apart whatever is in them.
    message = msgspec.json.encode(parts)
    return tag_of(key_id) + hmac.digest(key, message, "sha256")[: BYTES - TAG_BYTES]
