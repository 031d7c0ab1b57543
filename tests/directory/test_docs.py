"""docs/profiles.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from api.directory.merging import FILLED
from api.directory.provenance import CLAIMS

PAGE = Path(__file__).parents[2].joinpath("docs", "profiles.md").read_text("utf-8")


def test_the_fields_that_a_survivor_takes_over() -> None:
    assert re.findall(r"^- `(\w+)`$", PAGE, re.MULTILINE) == list(FILLED)


def test_the_claims() -> None:
    said = re.search(r"^(.*) are claims", PAGE, re.MULTILINE)
    assert said is not None
    assert re.findall(r"`(\w+)`", said[1]) == list(CLAIMS)
