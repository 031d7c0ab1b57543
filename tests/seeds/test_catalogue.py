"""The catalogues hold to the verified codes, to their tree and to the fixed names."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files

import msgspec
import pytest

from api.directory.catalogue_schemas import Condition, IcdCode, ScreeningFlag, SnomedCode
from db.states import Drug, Route, Setting
from seeds.catalogue.load import entries, load_catalogue
from seeds.catalogue.shapes import Catalogue

# The referral form asks for these eight and no others.
SCREENING_ANSWERS = {
    "uncontrolled_hypertension",
    "unstable_heart_disease",
    "active_psychosis",
    "pregnancy",
    "breastfeeding",
    "severe_liver_disease",
    "substance_use_history",
    "immediate_suicide_risk",
}
# Contraindications of the code list that no article names.
LEFT_OUT = {"raised-intracranial-pressure", "aneurysm", "allergy"}
# Codes of the list that stand on a screening flag only.
FLAG_ONLY = {"suicidal-ideation"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def code_list(name: str) -> list[dict[str, str]]:
    text = files("seeds.catalogue").joinpath("codes", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def coded(catalogue: Catalogue) -> tuple[Condition | ScreeningFlag, ...]:
    return (*catalogue.conditions, *catalogue.screening_flags)


def icd_codes(catalogue: Catalogue) -> Iterator[IcdCode]:
    for entry in coded(catalogue):
        yield from entry.icd10cm


def snomed_codes(catalogue: Catalogue) -> Iterator[SnomedCode]:
    for entry in (*coded(catalogue), *catalogue.routes):
        yield from entry.snomed


def plain(phrase: str) -> str:
    """A phrase as a search compares it: lower case, hyphens and spaces alike."""
    return re.sub(r"[\s\-_]+", " ", phrase).strip().casefold()


def names_of(condition: Condition) -> set[str]:
    return {plain(name) for name in (condition.code, condition.label, *condition.synonyms)}


def ancestors(catalogue: Catalogue, code: str) -> list[str]:
    parents = {condition.code: condition.parent for condition in catalogue.conditions}
    chain: list[str] = []
    parent = parents[code]
    while parent is not None:
        assert parent not in chain, f"{code} is its own ancestor"
        chain.append(parent)
        parent = parents[parent]
    return chain


# Codes


def test_every_icd_code_is_verified_under_its_official_description(catalogue: Catalogue) -> None:
    verified = {(row["code"], row["description"]) for row in code_list("icd10cm.csv")}
    used = {(code.code, code.description) for code in icd_codes(catalogue)}
    assert used - verified == set()


def test_every_snomed_code_is_verified_under_its_name(catalogue: Catalogue) -> None:
    verified = {(row["code"], row["display"]) for row in code_list("snomed.csv")}
    used = {(code.code, code.display) for code in snomed_codes(catalogue)}
    assert used - verified == set()


def test_no_verified_code_is_lost(catalogue: Catalogue) -> None:
    icd = {row["code"] for row in code_list("icd10cm.csv") if row["asked_for"] not in LEFT_OUT}
    assert icd - {code.code for code in icd_codes(catalogue)} == set()
    snomed = {row["code"] for row in code_list("snomed.csv")}
    assert snomed - {code.code for code in snomed_codes(catalogue)} == set()


def test_what_no_source_names_is_no_flag(catalogue: Catalogue) -> None:
    left_out = {row["code"] for row in code_list("icd10cm.csv") if row["asked_for"] in LEFT_OUT}
    assert left_out
    assert left_out & {code.code for code in icd_codes(catalogue)} == set()


def test_every_condition_of_the_code_lists_is_a_condition(catalogue: Catalogue) -> None:
    rows = [*code_list("icd10cm.csv"), *code_list("snomed.csv")]
    asked_for = {row["asked_for"] for row in rows if row["kind"] == "condition"}
    codes = {condition.code for condition in catalogue.conditions}
    assert asked_for - codes == FLAG_ONLY


def test_an_icd_code_stands_on_one_condition_only(catalogue: Catalogue) -> None:
    used = Counter(code.code for entry in catalogue.conditions for code in entry.icd10cm)
    assert [code for code, times in used.items() if times > 1] == []


def test_treatment_resistant_depression_claims_no_icd_code(catalogue: Catalogue) -> None:
    (entry,) = [c for c in catalogue.conditions if c.code == "treatment-resistant-depression"]
    assert entry.icd10cm == ()
    assert entry.note is not None
    assert "no ICD-10-CM code" in entry.note


def test_the_catalogue_says_that_uk_codes_differ(catalogue: Catalogue) -> None:
    (source,) = [source for source in catalogue.sources if source.code == "icd10cm-2026"]
    for note in (catalogue.conditions_note, source.note):
        assert note is not None
        assert "UK" in note
        assert "differs" in note


def test_codes_come_with_the_list_they_are_from(catalogue: Catalogue) -> None:
    for entry in coded(catalogue):
        assert ("icd10cm-2026" in entry.sources) == bool(entry.icd10cm), entry.code
        assert ("snomed-conditions" in entry.sources) == bool(entry.snomed), entry.code
    for route in catalogue.routes:
        assert len(route.snomed) == 1
        assert "snomed-routes" in route.sources


# The tree and the words


def test_parents_exist_and_no_condition_is_its_own_ancestor(catalogue: Catalogue) -> None:
    codes = {condition.code for condition in catalogue.conditions}
    parents = {c.parent for c in catalogue.conditions if c.parent is not None}
    assert parents <= codes
    for code in codes:
        assert code not in ancestors(catalogue, code)


@pytest.mark.parametrize(
    ("code", "chain"),
    [
        ("diabetic-neuropathy", ["neuropathic-pain", "chronic-pain"]),
        ("crps-1", ["crps", "chronic-pain"]),
        ("crps-2", ["crps", "chronic-pain"]),
        ("low-back-radiculopathy", ["low-back-pain", "musculoskeletal-pain", "chronic-pain"]),
        ("chronic-migraine", ["migraine", "headache", "chronic-pain"]),
        ("postoperative-pain", ["acute-pain"]),
        ("treatment-resistant-depression", ["depression", "mental-health"]),
    ],
)
def test_parents_of(catalogue: Catalogue, code: str, chain: list[str]) -> None:
    assert ancestors(catalogue, code) == chain


def test_the_conditions_fit_one_machine_word(catalogue: Catalogue) -> None:
    assert len(catalogue.conditions) <= 60


def test_no_name_means_two_conditions(catalogue: Catalogue) -> None:
    used = Counter(name for condition in catalogue.conditions for name in names_of(condition))
    assert [name for name, times in used.items() if times > 1] == []


@pytest.mark.parametrize("kind", ["conditions", "routes", "settings", "drugs", "payers"])
def test_no_synonym_is_listed_twice(catalogue: Catalogue, kind: str) -> None:
    used = Counter(
        plain(synonym) for entry in getattr(catalogue, kind) for synonym in entry.synonyms
    )
    assert used
    assert [synonym for synonym, times in used.items() if times > 1] == []


@pytest.mark.parametrize(
    ("phrase", "code"),
    [
        ("nerve pain", "neuropathic-pain"),
        ("RSD", "crps"),
        ("reflex sympathetic dystrophy", "crps"),
        ("CRPS", "crps"),
        ("shingles pain", "post-herpetic-neuralgia"),
        ("back pain", "low-back-pain"),
        ("chronic back pain", "low-back-pain"),
        ("phantom pain", "phantom-limb"),
        ("causalgia", "crps-2"),
    ],
)
def test_a_patients_words_find_the_condition(catalogue: Catalogue, phrase: str, code: str) -> None:
    found = [c.code for c in catalogue.conditions if phrase in c.synonyms]
    assert found == [code]


def test_back_pain_finds_the_kind_with_nerve_involvement_too(catalogue: Catalogue) -> None:
    children = [c.code for c in catalogue.conditions if c.parent == "low-back-pain"]
    assert children == ["low-back-radiculopathy"]


# The fixed names


def test_routes_settings_and_drugs_are_the_fixed_ones_in_order(catalogue: Catalogue) -> None:
    assert [entry.code for entry in catalogue.routes] == [route.value for route in Route]
    assert [entry.code for entry in catalogue.settings] == [s.value for s in Setting]
    assert [entry.code for entry in catalogue.drugs] == [drug.value for drug in Drug]


def test_the_eight_screening_flags_and_what_each_does(catalogue: Catalogue) -> None:
    flags = {flag.code: flag for flag in catalogue.screening_flags}
    assert set(flags) == SCREENING_ANSWERS
    passing = {code for code, flag in flags.items() if not flag.stops_routing}
    assert passing == {"substance_use_history"}
    assert flags["substance_use_history"].handling == "assessing_clinics"
    refused = {code for code, flag in flags.items() if flag.handling == "refuse"}
    assert refused == {"immediate_suicide_risk"}
    for flag in flags.values():
        assert flag.why, flag.code
        assert flag.question.count("?") == 1, flag.code


def test_a_risk_of_suicide_shows_where_to_get_help_now(catalogue: Catalogue) -> None:
    (flag,) = [f for f in catalogue.screening_flags if f.code == "immediate_suicide_risk"]
    lines = {(line.country, line.number) for line in flag.crisis_lines}
    assert lines == {("US", "988"), ("GB", "999"), ("GB", "116 123")}


def test_esketamine_is_never_for_the_home(catalogue: Catalogue) -> None:
    (drug,) = [drug for drug in catalogue.drugs if drug.code == "esketamine"]
    rules = {rule.code: rule.source for rule in drug.rules}
    assert rules == {
        "esketamine-not-at-home": "fda-spravato-rems",
        "esketamine-rems-certified-site": "fda-spravato-rems",
    }


def test_protocols_speak_of_known_routes_and_settings(catalogue: Catalogue) -> None:
    assert {p.route for p in catalogue.protocols} - {None} <= {r.code for r in catalogue.routes}
    settings = {setting.code for setting in catalogue.settings}
    assert {p.setting for p in catalogue.protocols} - {None} <= settings
    phases = {protocol.phase for protocol in catalogue.protocols}
    assert {"starting", "middle", "maintenance", "session", "monitoring", "follow_up"} <= phases


def test_payers_hold_the_fixed_ones(catalogue: Catalogue) -> None:
    codes = {payer.code for payer in catalogue.payers}
    fixed = {"private_insurance", "medicare", "medicaid", "va", "self_pay", "nhs"}
    assert fixed | {"military", "state_financed"} <= codes


# Documents


def test_entries_are_json_objects_under_unique_codes(catalogue: Catalogue) -> None:
    found = entries(catalogue)
    assert len({(kind, code) for kind, code, _ in found}) == len(found)
    for _, code, document in found:
        assert json.loads(document)["code"] == code
    assert {kind for kind, _, _ in found} == {
        "condition",
        "route",
        "setting",
        "drug",
        "screening_flag",
        "protocol",
        "payer",
        "language",
        "source",
    }


def test_entries_keep_the_order_of_the_files(catalogue: Catalogue) -> None:
    codes = [code for kind, code, _ in entries(catalogue) if kind == "condition"]
    assert codes == [condition.code for condition in catalogue.conditions]


def test_a_condition_is_served_with_all_its_keys(catalogue: Catalogue) -> None:
    for kind, _, document in entries(catalogue):
        if kind == "condition":
            assert list(json.loads(document)) == [
                "code",
                "label",
                "parent",
                "synonyms",
                "icd10cm",
                "snomed",
                "evidence",
                "relief",
                "prevalence",
                "note",
                "sources",
            ]


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"code": "x", "label": "X", "synonym": ["y"], "sources": ["z"]}, Condition)
