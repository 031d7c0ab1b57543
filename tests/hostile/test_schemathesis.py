"""Schemathesis against the real server: data made from the document, right and wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openapi.__main__ import COMMITTED
from tests.conftest import execute, run_apart
from tests.directory.clinics import FULL
from tests.faults.deployment import WRITER, Deployment, caller, create_database, deployment
from tests.hostile.operations import OPERATIONS
from tests.hostile.stage import Stage
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
"path.referral" = "{referral}"
"path.offer" = "{offer}"
"path.webhook" = "{webhook}"
"path.token" = "{token}"
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


class Apart:
    """A service for these tests alone: they end keys that they find, their own among them."""

    def __init__(self, made: Deployment, service: Service) -> None:
        self._made = made
        self.service = service
        with caller(service, made.key(*WRITER)) as client:
            answers = [
                client.post("/v1/clinics", json={**FULL, "name": name, "weekly_capacity": None})
                for name in ("One Example Clinic", "Another Example Clinic")
            ]
            self.clinics: list[str] = [answer.json()["id"] for answer in answers]

    def key(self) -> str:
        """A new one that opens every door."""
        return self._made.key(*WRITER, "referrals:write", f"clinic:{self.clinics[0]}")


@pytest.fixture(scope="module")
def apart(server: str) -> Iterator[Apart]:
    with (
        deployment(create_database(server, "schemathesis")) as made,
        made.serve(
            "--max-body-bytes", "65536", "--jobs", "false", "--log-format", "json"
        ) as service,
    ):
        yield Apart(made, service.announced())
        assert '"status": 500' not in service.err
    run_apart(execute(server, "drop database schemathesis with (force)"))


@pytest.mark.slow
def test_every_operation(apart: Apart, tmp_path: Path) -> None:
    done = run(apart.service, apart.key(), tmp_path, "")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {len(OPERATIONS)}" in done.stdout
    assert_enough(done.stdout)


@pytest.mark.slow
def test_operations_on_what_is_there(apart: Apart, tmp_path: Path) -> None:
    key = apart.key()
    with caller(apart.service, key) as client:
        stage = Stage(client, apart.clinics[0], apart.clinics[1])
        there = {
            "clinic": apart.clinics[1],
            "referral": stage.accepted(),
            "offer": stage.offer(),
            "webhook": stage.webhook(),
            "token": stage.token(),
        }
        flags = ("--phases", "coverage,fuzzing", "--exclude-method", "DELETE")
        done = run(apart.service, key, tmp_path, ON_WHAT_IS_THERE.format(**there), *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        # All of it was done to one of each, which are still in order, and so is the key.
        assert client.get(f"/v1/clinics/{there['clinic']}").status_code == 200
        history = client.get(f"/v1/referrals/{there['referral']}/history")
        assert history.json()["verified"]
        assert client.get(f"/v1/offers/{there['offer']}").status_code == 200
        assert client.get("/v1/audit").json()["verified"]["intact"]
    assert_enough(done.stdout)


def assert_enough(said: str) -> None:
    passed = re.search(r"(\d+) generated, (\d+) passed", said)
    assert passed is not None, said
    assert int(passed[2]) > 1000
