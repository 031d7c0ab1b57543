"""NPPES, the register of US providers: the full replacement file, one row an NPI.

Organizations (entity type 2) that are chosen by taxonomy code or by name become clinics at their
practice location. A taxonomy says what an organization is, not what it gives: no offering is
inferred. The file is some gigabytes; it is read in constant memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from api.directory import values
from seeds.importers.contacts import Contacts
from seeds.importers.mapped import Mapped, PassedOver, profile_of
from seeds.importers.report import ImportOptions, NotImportable, Refused
from seeds.importers.table import Row, Table

NAMED = "NPPES provider file"
GROUP = "npi:"

NPI = "NPI"
ENTITY = "Entity Type Code"
LEGAL_NAME = "Provider Organization Name (Legal Business Name)"
OTHER_NAME = "Provider Other Organization Name"
OTHER_NAME_KIND = "Provider Other Organization Name Type Code"
LINE1 = "Provider First Line Business Practice Location Address"
LINE2 = "Provider Second Line Business Practice Location Address"
CITY = "Provider Business Practice Location Address City Name"
STATE = "Provider Business Practice Location Address State Name"
POSTAL_CODE = "Provider Business Practice Location Address Postal Code"
COUNTRY = "Provider Business Practice Location Address Country Code (If outside U.S.)"
PHONE = "Provider Business Practice Location Address Telephone Number"
DEACTIVATED = "NPI Deactivation Date"
REACTIVATED = "NPI Reactivation Date"
TAXONOMIES = tuple(f"Healthcare Provider Taxonomy Code_{n}" for n in range(1, 16))

REQUIRED = (
    NPI, ENTITY, LEGAL_NAME, LINE1, CITY, STATE, POSTAL_CODE, PHONE, DEACTIVATED, TAXONOMIES[0],
)  # fmt: skip
COLUMNS: Mapping[str, str] = {
    "name": LEGAL_NAME,
    "organization": LEGAL_NAME,
    "phone": PHONE,
    "address.line1": LINE1,
    "address.line2": LINE2,
    "address.city": CITY,
    "address.state": STATE,
    "address.postal_code": POSTAL_CODE,
}

# Pain medicine in its five specialties, and pain clinics (NUCC provider taxonomy).
PAIN = (
    "208VP0000X", "208VP0014X", "207LP2900X", "2081P2900X", "2084P2900X", "261QP3300X",
)  # fmt: skip

_ORGANIZATION = "2"
# Kind of other name: doing business as.
_TRADE_NAME = "3"
_ABBREVIATIONS = frozenset(
    (
        "LLC", "LLP", "PLLC", "PC", "PA", "PLC", "INC", "MD", "DO", "DDS", "NP", "CRNA", "VA",
        "US", "USA", "II", "III", "IV", "TMS", "ER", "SC", "PS", "APC",
    )
)  # fmt: skip
_SMALL = frozenset({"of", "the", "and", "for", "at", "in", "by", "on"})


class NppesReader:
    """Maps the chosen rows of one file: those with one of the taxonomies, or with one of the names
    in theirs. Without either, pain medicine and pain clinics are chosen."""

    def __init__(self, table: Table, options: ImportOptions) -> None:
        self._names = tuple(name.upper() for name in options.names)
        chosen = options.taxonomies or (() if options.names else PAIN)
        for code in chosen:
            if len(code) != 10 or not code.isalnum() or not code.isascii():
                raise NotImportable("A taxonomy code has ten letters and digits, as 208VP0000X.")
        self._taxonomies = frozenset(code.upper() for code in chosen)
        columns = table.columns
        self._entity = columns[ENTITY]
        self._codes = [columns[name] for name in TAXONOMIES if name in columns]
        self._called = [columns[name] for name in (LEGAL_NAME, OTHER_NAME) if name in columns]
        self._retrieved_on = options.retrieved_on and options.retrieved_on.isoformat()
        self._source_name = options.source_name or "NPPES, National Provider Identifier register"

    def read(self, row: Row) -> Mapped | PassedOver:
        """Raises `Refused`."""
        npi = row.get(NPI)
        if row.get(DEACTIVATED) and not row.get(REACTIVATED):
            return PassedOver(line=row.line, key=None)
        if not self._chosen(row.cells):
            return PassedOver(line=row.line, key=f"{GROUP}{npi}")
        try:
            values.npi(npi)
        except values.Unfit as unfit:
            raise Refused(f"{NPI}: {unfit.message}") from None
        if row.get(COUNTRY).upper() not in ("", "US"):
            raise Refused(f"{COUNTRY}: the practice is outside the United States")
        contacts = Contacts()
        name, organization = _names(row)
        fields: dict[str, object] = {
            "name": name,
            "organization": organization,
            "address": {
                "line1": _read_aloud(row.get(LINE1)) or None,
                "line2": _read_aloud(row.get(LINE2)) or None,
                "city": _read_aloud(row.get(CITY)),
                "state": f"US-{row.get(STATE).upper()}",
                "postal_code": _zip_code(row.get(POSTAL_CODE)),
                "country": "US",
            },
            "phone": contacts.phone(PHONE, row.get(PHONE), "US"),
            "source": {
                "name": self._source_name,
                "url": f"https://npiregistry.cms.hhs.gov/provider-view/{npi}",
                "retrieved_on": self._retrieved_on,
                "licence": "public domain",
            },
            "unverified": [
                f"Reported to NPPES by the organization itself, under NPI {npi}; nobody checks it.",
                "Chosen by its specialty or name: whether it gives ketamine is not known.",
            ],
        }
        return Mapped(
            line=row.line,
            key=f"{GROUP}{npi}",
            profile=profile_of(fields, COLUMNS),
            doubts=tuple(contacts.doubts),
        )

    def _chosen(self, cells: list[str]) -> bool:
        if cells[self._entity] != _ORGANIZATION:
            return False
        if any(cells[at] in self._taxonomies for at in self._codes):
            return True
        return any(name in cells[at].upper() for name in self._names for at in self._called)


def _names(row: Row) -> tuple[str, str]:
    """The site's name, by which people know it, and the legal one."""
    legal = _read_aloud(row.get(LEGAL_NAME))
    if row.get(OTHER_NAME_KIND) == _TRADE_NAME and row.get(OTHER_NAME):
        return _read_aloud(row.get(OTHER_NAME)), legal
    return legal, legal


def _zip_code(text: str) -> str:
    if len(text) not in (5, 9, 10) or not text[:5].isdigit():
        raise Refused(f"{POSTAL_CODE}: must have five or nine digits")
    return text[:5]


def _read_aloud(text: str) -> str:
    """The register shouts; a text all in capitals is set in ordinary ones."""
    if not text.isupper():
        return text
    written = [_word(word, first=at == 0) for at, word in enumerate(text.split(" "))]
    return " ".join(written)


def _word(word: str, *, first: bool) -> str:
    bare = word.strip(".,()&-")
    if bare.replace(".", "") in _ABBREVIATIONS or any(sign.isdigit() for sign in bare):
        return word
    if bare.lower() in _SMALL and not first:
        return word.lower()
    if len(bare) <= 2 and bare not in ("ST", "DR"):
        return word
    return "-".join(part.capitalize() for part in word.split("-"))
