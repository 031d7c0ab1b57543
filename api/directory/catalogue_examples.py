"""Examples for the OpenAPI document, one entry of each catalogue, shortened."""

from __future__ import annotations

from typing import Any, Final

CONDITION: Final[dict[str, Any]] = {
    "code": "crps",
    "label": "Complex regional pain syndrome (CRPS)",
    "parent": "chronic-pain",
    "synonyms": ["CRPS"],
    "icd10cm": [],
    "snomed": [{"code": "128200000", "display": "Complex regional pain syndrome"}],
    "evidence": [
        {
            "statement": "About 69% of patients improved at once after infusions, and "
            "58% still had relief one to three months later.",
            "source": "innerwell-chronic-pain",
            "study": "Systematic review of ketamine infusions for CRPS, not named",
        }
    ],
    "relief": [
        {
            "statement": "One to three months after treatment, 58% of patients still had relief.",
            "source": "innerwell-chronic-pain",
            "study": "Systematic review of ketamine infusions for CRPS, not named",
            "min": "P1M",
            "max": "P3M",
            "min_unit": "months",
            "max_unit": "months",
        }
    ],
    "prevalence": [],
    "note": "HealingMaps calls it chronic regional pain syndrome; the medical name is complex "
    "regional pain syndrome. ICD-10-CM codes exist for the two types only.",
    "sources": ["innerwell-chronic-pain"],
    "children": ["crps-1", "crps-2"],
}
ROUTE: Final[dict[str, Any]] = {
    "code": "nasal",
    "label": "Nasal spray",
    "synonyms": ["spray"],
    "snomed": [{"code": "46713006", "display": "Nasal route"}],
    "facts": [
        {
            "statement": "Works sooner, for a shorter time.",
            "source": "eulas-chronic-pain",
            "study": None,
        }
    ],
    "note": None,
    "sources": ["eulas-chronic-pain"],
}
SETTING: Final[dict[str, Any]] = {
    "code": "at_home",
    "label": "At home",
    "synonyms": ["home"],
    "facts": [
        {
            "statement": "Supervised therapy can also be had at home, where it fits in "
            "with daily life.",
            "source": "innerwell-chronic-pain",
            "study": None,
        }
    ],
    "note": "An at-home offering reaches only the states or nations in which its prescriber "
    "is licensed.",
    "sources": ["innerwell-chronic-pain"],
}
DRUG: Final[dict[str, Any]] = {
    "code": "esketamine",
    "label": "Esketamine",
    "synonyms": ["Spravato"],
    "facts": [
        {
            "statement": "A nasal spray approved in the United States for adults with "
            "treatment-resistant depression.",
            "source": "fda-spravato-label",
            "study": None,
        }
    ],
    "rules": [
        {
            "code": "esketamine-not-at-home",
            "statement": "Esketamine nasal spray is not offered for use at home.",
            "source": "fda-spravato-rems",
            "country": "US",
        }
    ],
    "note": "The articles do not name it. The REMS is a regulation of the United States; the "
    "service holds esketamine nasal spray to the same place of use, never the home, "
    "everywhere.",
    "sources": ["fda-spravato-label"],
}
SCREENING_FLAG: Final[dict[str, Any]] = {
    "code": "pregnancy",
    "label": "Pregnancy",
    "question": "Is the patient pregnant, or could they be?",
    "why": [
        {
            "statement": "Listed among the reasons why ketamine may not be right; the "
            "article gives no cause.",
            "source": "eulas-chronic-pain",
            "study": None,
        }
    ],
    "stops_routing": True,
    "handling": "confirm",
    "icd10cm": [{"code": "Z33.1", "description": "Pregnant state, incidental", "note": None}],
    "snomed": [{"code": "77386006", "display": "Pregnant"}],
    "crisis_lines": [],
    "note": None,
    "sources": ["eulas-chronic-pain"],
}
PROTOCOL: Final[dict[str, Any]] = {
    "code": "starting-innerwell",
    "label": "Initial series",
    "phase": "starting",
    "statement": "A series of first treatments; the article gives no number.",
    "source": "innerwell-chronic-pain",
    "study": None,
    "route": None,
    "setting": None,
    "measures": [],
}
PAYER: Final[dict[str, Any]] = {
    "code": "medicare",
    "label": "Medicare",
    "synonyms": [],
    "country": "US",
    "samhsa_codes": ["MC"],
    "sources": ["samhsa-service-codes-2022"],
}
LANGUAGE: Final[dict[str, Any]] = {
    "code": "es",
    "label": "Spanish",
    "native": "Español",
    "synonyms": [],
    "note": None,
    "sources": ["iana-language-subtags"],
}
SOURCE: Final[dict[str, Any]] = {
    "code": "samhsa-ketamine-2022",
    "kind": "data_set",
    "title": "US facilities that reported ketamine infusion therapy (service code KIT)",
    "publisher": "SAMHSA",
    "author": None,
    "reviewed_by": None,
    "published_on": None,
    "file": "us_samhsa_ketamine_kit_2022.csv",
    "rows": 104,
    "url": None,
    "licence": "public domain",
    "attribution": "Source: SAMHSA, National Directory of Mental Health Treatment Facilities 2022.",
    "note": "Self-reported in 2022 and unverified. A facility's point is that of its ZIP "
    "area, not of its building.",
}


def listed(entry: dict[str, Any]) -> dict[str, Any]:
    """A list that has just this entry."""
    return {"items": [entry], "next": None}
