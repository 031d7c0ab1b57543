"""The clinics that the articles of the catalogue name, with what the articles say of them."""

from __future__ import annotations

from collections.abc import Iterator

from seeds.catalogue.load import load_article_clinics
from seeds.importers.fields import row_key
from seeds.importers.mapped import Mapped

GROUP = "article:"


def read_articles() -> Iterator[Mapped]:
    """`line` counts the clinics of articles.toml, since TOML has no rows."""
    for number, clinic in enumerate(load_article_clinics().clinics, start=1):
        profile = clinic.profile
        yield Mapped(
            line=number,
            key=row_key(f"article:{clinic.article}", (profile.name,), (profile.address.city,)),
            profile=profile,
        )
