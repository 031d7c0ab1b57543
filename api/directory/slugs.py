"""Short names for addresses on the web: ASCII words joined by hyphens."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

LONGEST: Final = 80
_OTHER = re.compile(r"[^a-z0-9]+")
# Letters that do not come apart into an ASCII letter and an accent.
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "&": " and ",
    }
)
_APOSTROPHES = re.compile("['’]")


def slug_of(*parts: str) -> str:
    """The parts in ASCII, as one slug; empty when nothing of them can be written so."""
    text = _APOSTROPHES.sub("", " ".join(parts)).casefold().translate(_LETTERS)
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", folded).strip("-")[:LONGEST].rstrip("-")


def clinic_slug(name: str, city: str, state: str) -> str:
    """Such as `kadelyx-phoenix-az`; `state` is ISO 3166-2."""
    return slug_of(name, city, state.partition("-")[2])


def organization_slug(name: str) -> str:
    """The same for two spellings of a name; one in another script is told by its digest."""
    return slug_of(name) or hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


async def free_slugs(
    bases: Sequence[str], taken_among: Callable[[Sequence[str]], Awaitable[Collection[str]]]
) -> list[str]:
    """For each base a slug of its own that is not taken: the base, else `base-2`, `base-3`, ….

    `taken_among` says which of some candidates are taken. The numbers asked for double each
    round, so that a name with thousands of namesakes takes few rounds.
    """
    needed = Counter(bases)
    free: dict[str, list[str]] = {base: [] for base in needed}
    asked = dict.fromkeys(needed, 0)
    open_bases = list(needed)
    while open_bases:
        candidates: dict[str, list[str]] = {}
        for base in open_bases:
            first, last = asked[base] + 1, 2 * asked[base] + needed[base]
            asked[base] = last
            candidates[base] = [_numbered(base, number) for number in range(first, last + 1)]
        taken = set(await taken_among([slug for each in candidates.values() for slug in each]))
        given = {slug for slugs in free.values() for slug in slugs}
        for base, slugs in candidates.items():
            for slug in slugs:
                # "x" with a second clinic and a clinic named "x 2" ask for the same slug.
                if slug not in taken and slug not in given and len(free[base]) < needed[base]:
                    free[base].append(slug)
                    given.add(slug)
        open_bases = [base for base in open_bases if len(free[base]) < needed[base]]
    unused = {base: iter(slugs) for base, slugs in free.items()}
    return [next(unused[base]) for base in bases]


def _numbered(base: str, number: int) -> str:
    return base if number == 1 else f"{base}-{number}"
