"""Every fact has a source, every figure its bounds, and every name in an article its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

import pytest

from seeds.catalogue.load import entries, load_article_clinics, load_catalogue
from seeds.catalogue.shapes import ArticleListings, Catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def listings() -> ArticleListings:
    return load_article_clinics()


def named_sources(value: object) -> Iterator[str]:
    """The source of every fact in a document, however deep; the entry's own list is left out."""
    if isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from named_sources(inner)
    elif isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            if key == "source" and isinstance(inner, str):
                yield inner
            elif key != "sources":
                yield from named_sources(inner)


def json_of(catalogue: Catalogue) -> list[object]:
    documents: list[object] = [json.loads(document) for _, _, document in entries(catalogue)]
    return documents


def test_every_fact_names_a_source_that_exists(catalogue: Catalogue) -> None:
    known = {source.code for source in catalogue.sources}
    named = set(named_sources(json_of(catalogue)))
    assert named
    assert named <= known


def test_an_entry_lists_the_sources_of_its_facts(catalogue: Catalogue) -> None:
    for kind, code, document in entries(catalogue):
        entry = json.loads(document)
        if "sources" not in entry:
            assert kind in {"source", "protocol"}
            continue
        assert entry["sources"], f"{kind} {code} has no source"
        # A crisis line is the word of whoever answers it, not of the entry's sources.
        entry.pop("crisis_lines", None)
        assert set(named_sources(entry)) <= set(entry["sources"]), f"{kind} {code}"


def test_each_of_the_five_articles_is_used_and_names_its_file(catalogue: Catalogue) -> None:
    articles = {s.code: s for s in catalogue.sources if s.kind == "article"}
    assert len(articles) == 5
    assert set(articles) <= set(named_sources(json_of(catalogue)))
    assert len({article.file for article in articles.values()} - {None}) == 5


def test_every_data_set_has_a_licence_and_every_licence_asking_for_credit_gets_it(
    catalogue: Catalogue,
) -> None:
    for source in (s for s in catalogue.sources if s.kind == "data_set"):
        assert source.licence, source.code
        if "OGL" in source.licence or "CC BY" in source.licence or "SAMHSA" in source.title:
            assert source.attribution, source.code


def test_lists_of_sources_exist(catalogue: Catalogue) -> None:
    known = {source.code for source in catalogue.sources}
    for kind, code, document in entries(catalogue):
        listed = set(json.loads(document).get("sources", ()))
        assert listed <= known, f"{kind} {code}"


# Figures

UNIT_OF = {"H": "hours", "M": "months", "D": "days", "W": "weeks"}


@pytest.mark.parametrize(
    ("code", "source", "least", "greatest"),
    [
        ("acute-pain", "healingmaps-ketamine-pain", "PT48H", "PT72H"),
        ("crps", "innerwell-chronic-pain", "P1M", "P3M"),
        ("neuropathic-pain", "kadelyx-chronic-pain", "P7D", "P30D"),
        ("phantom-limb", "kadelyx-chronic-pain", None, "P6M"),
    ],
)
def test_how_long_relief_lasts(
    catalogue: Catalogue, code: str, source: str, least: str | None, greatest: str
) -> None:
    (entry,) = [c for c in catalogue.conditions if c.code == code]
    assert (source, least, greatest) in [(r.source, r.min, r.max) for r in entry.relief]


def test_a_relief_has_a_length_and_its_unit_agrees_with_it(catalogue: Catalogue) -> None:
    for entry in catalogue.conditions:
        for relief in entry.relief:
            assert relief.max_unit is not None, entry.code
            for length, unit in ((relief.min, relief.min_unit), (relief.max, relief.max_unit)):
                if length is not None:
                    assert UNIT_OF[length[-1]] == unit, entry.code


def test_least_is_never_above_greatest(catalogue: Catalogue) -> None:
    for condition in catalogue.conditions:
        for share in condition.prevalence:
            assert share.max_percent is not None, condition.code
            assert (share.min_percent or 0) <= share.max_percent, condition.code
    for protocol in catalogue.protocols:
        for measure in protocol.measures:
            bounds = [b for b in (measure.min, measure.max) if b is not None]
            assert bounds, protocol.code
            assert bounds == sorted(bounds), protocol.code


# Who the articles name


def test_only_a_clinic_with_a_place_is_a_clinic(listings: ArticleListings) -> None:
    (kadelyx,) = listings.clinics
    address = kadelyx.profile.address
    assert (kadelyx.profile.name, address.city, address.state, address.country) == (
        "Kadelyx",
        "Phoenix",
        "US-AZ",
        "US",
    )
    assert [directory.name for directory in listings.directories] == ["HealingMaps"]
    assert {organization.name for organization in listings.organizations} == {
        "Innerwell",
        "Eulas",
        "Field Trip Health",
        "The Pain Specialty Group",
        "Practice of John M. Thurston, MD",
    }


def test_a_clinics_profile_says_what_is_not_known(listings: ArticleListings) -> None:
    for clinic in listings.clinics:
        profile = clinic.profile
        assert profile.verified_at is None
        assert profile.source.licence == "facts only"
        assert profile.source.retrieved_on is not None
        assert profile.location is None
        assert {"location", "phone", "website", "offerings", "payers"} <= set(profile.unverified)


def test_who_the_articles_name_stands_on_known_codes(
    listings: ArticleListings, catalogue: Catalogue
) -> None:
    articles = {source.code for source in catalogue.sources if source.kind == "article"}
    named = (*listings.clinics, *listings.organizations, *listings.directories)
    assert {entry.article for entry in named} <= articles
    assert all(entry.says for entry in named)
    codes = {condition.code for condition in catalogue.conditions}
    for clinic in listings.clinics:
        for offering in clinic.profile.offerings:
            assert set(offering.conditions) <= codes
