"""The clinics that come with the release, and the attribution that goes with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from seeds.catalogue.load import load_catalogue
from seeds.clinics import load_all
from seeds.importers.csv_file import COLUMNS
from seeds.importers.samhsa import code_book
from tests.seeds.importing import Directory, counts

ROOT = Path(__file__).parent.parent.parent


async def test_all_of_them_go_in_at_once_and_again_without_a_change(directory: Directory) -> None:
    first = await load_all(
        directory.database,
        clock=directory.clock,
        places=directory.places,
        catalogue=directory.catalogue,
    )
    assert counts(first) == {"created": 150}
    assert (first.refused, first.doubts, first.gone) == ([], [], [])
    again = await load_all(
        directory.database,
        clock=directory.clock,
        places=directory.places,
        catalogue=directory.catalogue,
    )
    assert counts(again) == {"unchanged": 150}
    profiles = (await directory.profiles()).values()
    assert Counter(profile.country for profile in profiles) == {"US": 105, "GB": 45}
    for profile in profiles:
        assert profile.source.name
        assert profile.source.licence
        assert profile.source.retrieved_on is not None
        assert profile.unverified
        assert profile.verified_at is None
        assert profile.location is not None
        assert profile.location.uncertainty_m
        assert profile.location.flags == []
        assert profile.time_zone is not None


async def test_english_pain_services_say_how_old_they_are_and_offer_nothing_unstated(
    directory: Directory,
) -> None:
    await load_all(
        directory.database,
        clock=directory.clock,
        places=directory.places,
        catalogue=directory.catalogue,
    )
    services = [p for p in (await directory.profiles()).values() if p.country == "GB"]
    assert all(service.state == "GB-ENG" for service in services)
    assert all(service.time_zone == "Europe/London" for service in services)
    assert all("2014" in " ".join(service.unverified) for service in services)
    assert all(service.offerings == [] for service in services)
    assert all("pain-service" in service.programmes for service in services)
    names = {service.name for service in services}
    assert "Pain Management Solutions Limited" not in names
    assert "Pain Management Solutions" not in names


def test_the_notice_carries_every_attribution_line() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8").splitlines()
    attributions = {source.attribution for source in load_catalogue().sources if source.attribution}
    assert len(attributions) >= 5
    assert attributions - set(notice) == set()


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    for section in range(1, 10):
        assert f"\n   {section}. " in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_the_page_on_importing_describes_every_column_and_every_code() -> None:
    page = (ROOT / "docs" / "importing.md").read_text("utf-8")
    described = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    book = code_book()
    codes = {*book.payers, *book.ages, *book.languages, *book.programmes}
    assert {*COLUMNS.values(), *codes, *book.treatments.values()} == described
