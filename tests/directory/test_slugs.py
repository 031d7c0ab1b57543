"""Slugs: ASCII, and one for each clinic."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory.slugs import LONGEST, clinic_slug, free_slugs, organization_slug, slug_of


@pytest.mark.parametrize(
    ("parts", "slug"),
    [
        (("Kadelyx", "Phoenix", "US-AZ"), "kadelyx-phoenix-az"),
        (("O'Neil & Søn's Clinic", "St. John’s", "US-FL"), "oneil-and-sons-clinic-st-johns-fl"),
        (("Łódź Straße", "Zürich", "GB-ENG"), "lodz-strasse-zurich-eng"),
        (("北京", "Phoenix", "US-AZ"), "phoenix-az"),
    ],
)  # fmt: skip
def test_clinics(parts: tuple[str, str, str], slug: str) -> None:
    assert clinic_slug(*parts) == slug


def test_organizations_in_other_scripts_are_told_apart() -> None:
    assert organization_slug("Innerwell") == organization_slug("INNERWELL ")
    assert organization_slug("北京") != organization_slug("東京")


@given(st.text(max_size=200))
def test_a_slug_is_always_fit_for_a_url(text: str) -> None:
    slug = slug_of(text)
    assert len(slug) <= LONGEST
    assert slug == "" or re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)


names = st.sampled_from(["a", "a-2", "a-3", "b", "a-2-2"])


@given(st.sets(names), st.lists(names, max_size=12))
async def test_free_slugs_are_always_free_and_different(taken: set[str], bases: list[str]) -> None:
    async def taken_among(candidates: Sequence[str]) -> set[str]:
        return taken & set(candidates)

    free = await free_slugs(bases, taken_among)
    assert not taken & set(free)
    assert len(set(free)) == len(free) == len(bases)
    for base, slug in zip(bases, free, strict=True):
        assert re.fullmatch(re.escape(base) + r"(-\d+)?", slug)


async def test_a_thousand_namesakes_take_few_rounds() -> None:
    rounds = 0
    taken = {"a", *(f"a-{number}" for number in range(2, 1001))}

    async def taken_among(candidates: Sequence[str]) -> set[str]:
        nonlocal rounds
        rounds += 1
        return taken & set(candidates)

    assert await free_slugs(["a", "a"], taken_among) == ["a-1001", "a-1002"]
    assert rounds < 12
