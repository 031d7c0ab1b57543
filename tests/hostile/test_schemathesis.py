"""Schemathesis against the real server: data made from the document, right and wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from openapi.__main__ import COMMITTED
from tests.hostile.operations import OPERATIONS
from tests.services import PATIENCE, Service, environment

# Not positive_data_acceptance: a schema cannot say that a time lies ahead, that a place is known or
# that two fields go together. Not missing_required_header: it does not know 428.
CHECKS = (
    "not_a_server_error",
    "response_schema_conformance",
    "content_type_conformance",
    "status_code_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
ON_WHAT_IS_THERE = """
[parameters]
"path.key" = "{clinic}"
"header.If-Match" = "*"

[[operations]]
include-path = "/v1/regions/{{code}}"
parameters = {{ "path.code" = "US-AZ" }}

[[operations]]
include-path = "/v1/conditions/{{code}}"
parameters = {{ "path.code" = "crps" }}
"""


def run(
    target: Service, key: str, folder: Path, config: str, *flags: str
) -> subprocess.CompletedProcess[str]:
    file = folder / "schemathesis.toml"
    file.write_text(config, "utf-8")
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            *("--config-file", str(file), "run", str(COMMITTED), "--url", target.url),
            *("--header", f"Authorization: Bearer {key}"),
            *("--checks", ",".join(CHECKS), "--seed", "1", "--max-examples", "15"),
            *("--no-shrink", "--continue-on-failure", "--output-sanitize", "true", *flags),
        ],
        cwd=folder,
        env=environment(NO_COLOR="1", PYTHONUTF8="1"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.slow
def test_every_operation(target: Service, key: str, tmp_path: Path) -> None:
    done = run(target, key, tmp_path, "")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {len(OPERATIONS)}" in done.stdout
    assert_enough(done.stdout)


@pytest.mark.slow
def test_operations_on_what_is_there(
    target: Service, operator: httpx.Client, key: str, tmp_path: Path
) -> None:
    clinic = operator.get("/v1/clinics?q=ketamine&limit=1").json()["items"][0]["clinic"]["id"]
    config = ON_WHAT_IS_THERE.format(clinic=clinic)
    flags = ("--phases", "coverage,fuzzing", "--exclude-method", "DELETE")
    done = run(target, key, tmp_path, config, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    # All of it was done to one clinic, which is still in order.
    assert operator.get(f"/v1/clinics/{clinic}").status_code == 200
    assert_enough(done.stdout)


def assert_enough(said: str) -> None:
    passed = re.search(r"(\d+) generated, (\d+) passed", said)
    assert passed is not None, said
    assert int(passed[2]) > 1000
