"""The other commands: keys, migrate, import, doctor, bench."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from api.commands.bench import run_bench
from api.commands.compiled import VARIABLE, keep_compiled_code
from api.commands.failures import CommandError
from api.environment import process_environment, set_in_environment
from tests.conftest import execute, run_apart
from tests.services import ROOT, Service, clinicway, data_folder, eventually, serving
from tests.serving import free_port

SEEDS = ROOT / "seeds" / "clinics"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with data_folder() as folder, serving(folder) as service:
        yield service.announced()


@pytest.fixture
def given(dsn: str, tmp_path: Path) -> Mapping[str, str]:
    """Settings of a database of one's own, and of a port that nobody uses."""
    return {
        "CLINICWAY_DATABASE_URL": dsn,
        "CLINICWAY_DATA_DIR": str(tmp_path / "data"),
        "CLINICWAY_PORT": str(free_port()),
    }


@pytest.mark.slow
def test_a_key_from_the_command_line_works_and_is_revoked_from_it(running: Service) -> None:
    key = running.key("admin", "directory:write")
    assert running.status("/v1/keys", key) == 200
    where = ("--data-dir", str(running.data_dir))
    listed = clinicway("keys", "list", *where)
    assert listed.returncode == 0
    assert key.split("_")[2][:8] in listed.stdout
    assert key.rpartition("_")[2] not in listed.stdout
    # By the whole key, as somebody has it who found it where it should not be.
    revoked = clinicway("keys", "revoke", key, *where)
    assert revoked.returncode == 0
    assert "within 30 seconds" in revoked.stdout
    eventually(lambda: running.status("/v1/keys", key) == 401)


@pytest.mark.parametrize(
    "screen",
    [
        {},
        {"COLUMNS": "30"},
        {"COLUMNS": "80", "TTY_COMPATIBLE": "1"},
        {"COLUMNS": "30", "TTY_COMPATIBLE": "1"},
    ],
    ids=["pipe", "narrow pipe", "terminal", "narrow terminal"],
)
def test_the_list_of_keys_never_shortens_what_is_needed_to_revoke_one(
    given: Mapping[str, str], screen: Mapping[str, str]
) -> None:
    scopes = ("directory:write", "clinic:01900000-0000-7000-8000-000000000000")
    flags = [part for scope in scopes for part in ("--scope", scope)]
    name = "The [/] import desk of the county"
    made = clinicway("keys", "create", "--name", name, *flags, settings=given)
    listed = clinicway("keys", "list", settings={**given, **screen})
    assert listed.returncode == 0, listed.stderr
    row = next(line for line in listed.stdout.splitlines() if made.stdout.split("_")[2] in line)
    assert "…" not in listed.stdout
    if "TTY_COMPATIBLE" not in screen:
        assert name in row
        assert all(scope in listed.stdout for scope in scopes)


@pytest.mark.slow
def test_a_rotated_key_works_beside_its_successor_for_the_overlap(running: Service) -> None:
    old = running.key("admin")
    assert running.status("/v1/keys", old) == 200
    rotated = clinicway(
        *("keys", "rotate", old.split("_")[2], "--data-dir", str(running.data_dir)),
        *("--key-overlap-hours", "0.003"),
    )
    new = rotated.stdout.strip()
    assert rotated.stdout.count("\n") == 1
    assert new.startswith("cw_live_")
    assert running.status("/v1/keys", new) == 200
    assert running.status("/v1/keys", old) == 200
    eventually(lambda: running.status("/v1/keys", old) == 401)
    assert running.status("/v1/keys", new) == 200


def test_what_a_rotation_leaves_working_is_named(given: Mapping[str, str]) -> None:
    made = clinicway("keys", "create", "--scope", "admin", "--name", "x", settings=given)
    old = made.stdout.split("_")[2]
    new = clinicway("keys", "rotate", old, settings=given).stdout.split("_")[2]
    again = clinicway("keys", "rotate", old, settings=given)
    assert again.returncode == 1
    assert new in again.stderr
    ended = clinicway("keys", "revoke", new, settings=given)
    assert f"keys revoke {old}" in " ".join(ended.stdout.split())
    alone = clinicway("keys", "revoke", old, settings=given)
    assert alone.returncode == 0
    assert "Not revoked" not in alone.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--scope", "root", "--name", "x"),
        ("create", "--scope", "clinic:1", "--name", "x"),
        ("create", "--scope", "admin", "--name", ""),
        ("create", "--scope", "admin", "--name", "x", "--expires-days", "0"),
        ("create", "--name", "x"),
        ("create", "--scope", "admin"),
    ],
)
def test_a_key_that_cannot_be_made_prints_no_key(
    given: Mapping[str, str], arguments: tuple[str, ...]
) -> None:
    refused = clinicway("keys", *arguments, settings=given)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "create", "--scope", "admin", "--name", "x"),
        ("keys", "list"),
        ("keys", "rotate", "0" * 32),
        ("keys", "revoke", "0" * 32),
        ("import", "csv", str(SEEDS / "us_samhsa_ketamine_kit_2022.csv")),
    ],
    ids=" ".join,
)
def test_where_no_service_has_a_database_a_command_makes_none(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "data"
    refused = clinicway(*command, "--data-dir", str(folder))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert not folder.exists()
    assert refused.stderr.count("\n") == 1
    for part in (f"data folder {folder}", "where the service runs", "CLINICWAY_DATA_DIR"):
        assert part in refused.stderr


def test_keys_before_the_first_start_but_after_a_migration() -> None:
    with data_folder() as folder:
        where = ("--data-dir", str(folder))
        assert clinicway("migrate", *where).returncode == 0
        made = clinicway("keys", "create", "--scope", "admin", "--name", "x", *where)
        assert re.fullmatch(r"cw_live_\w+\n", made.stdout)
        assert not (folder / "postgres" / "postmaster.pid").exists()


def test_revoking_what_is_not_there_fails_with_a_sentence(given: Mapping[str, str]) -> None:
    refused = clinicway("keys", "revoke", "0" * 32, settings=given)
    assert refused.returncode == 1
    assert refused.stderr == "clinicway: There is no API key with this id.\n"


def test_migrate_twice(empty_dsn: str, tmp_path: Path) -> None:
    settings = {"CLINICWAY_DATABASE_URL": empty_dsn, "CLINICWAY_DATA_DIR": str(tmp_path)}
    first, second = (clinicway("migrate", settings=settings) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Applied" in first.stderr
    assert "up to date" in second.stderr
    run_apart(execute(empty_dsn, "select 1 / count(*) from catalogue_entry"))


def counts(report: str) -> dict[str, int]:
    return {
        found[1].strip(): int(found[2].replace(",", ""))
        for found in re.finditer(r"^\s*([a-z ]+?)\s*[│|]\s*([\d,]+)\s*$", report, re.MULTILINE)
    }


def test_an_import_reports_its_rows_and_can_be_repeated(given: Mapping[str, str]) -> None:
    file = SEEDS / "us_samhsa_ketamine_kit_2022.csv"
    first = clinicway("import", "samhsa", str(file), settings=given)
    assert first.returncode == 0, first.stderr
    found = counts(first.stdout)
    assert found["read"] == found["created"] == 104
    again = counts(clinicway("import", "samhsa", str(file), settings=given).stdout)
    assert again["read"] == again["unchanged"] == 104
    assert again["created"] == again["changed"] == again["refused"] == 0


def test_a_refused_row_is_listed_with_its_line_and_the_rest_goes_in(
    given: Mapping[str, str], tmp_path: Path
) -> None:
    lines = (SEEDS / "us_samhsa_ketamine_kit_2022.csv").read_text("utf-8").splitlines()
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join([*lines[:3], "not,a,row", lines[3]]) + "\n", "utf-8")
    report = clinicway("import", "samhsa", str(bad), settings=given)
    assert report.returncode == 1, "a timer that imports is to notice"
    assert report.stderr.count("clinicway:") == 0
    found = counts(report.stdout)
    assert (found["created"], found["refused"]) == (3, 1)
    assert re.search(r"^  line 4: \S+", report.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", ["missing.csv", "", "folder", "other.csv"])
def test_a_file_that_cannot_be_read_fails(
    given: Mapping[str, str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    refused = clinicway("import", "samhsa", str(tmp_path / name), settings=given)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr
    assert refused.stderr.rstrip().splitlines()[-1].startswith("clinicway: ")


def examined(settings: Mapping[str, str], *flags: str) -> tuple[int, list[str], str]:
    """Exit code, what is wrong, everything."""
    done = clinicway("doctor", *flags, settings=settings)
    wrong = [line[2:] for line in done.stdout.splitlines() if line.startswith("✗ ")]
    assert "Traceback" not in done.stderr
    return done.returncode, wrong, done.stdout


def test_the_doctor_finds_a_running_service_well(running: Service) -> None:
    code, wrong, said = examined(
        {}, "--data-dir", str(running.data_dir), "--port", str(running.port)
    )
    assert (code, wrong) == (0, [])
    assert "a Clinicway service answers there" in said
    assert "The service is ready" in said


def test_the_doctor_does_not_take_the_service_of_another_folder_for_ours(
    running: Service, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    code, wrong, said = examined({}, "--data-dir", str(folder), "--port", str(running.port))
    assert (code, len(wrong)) == (1, 1), said
    assert wrong[0].startswith(f"Port {running.port}: ")
    assert wrong[0].endswith(f"does not use the data folder {folder}")
    assert "ready" not in said


def test_the_doctor_finds_nothing_wrong_before_the_first_start(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    code, wrong, _ = examined({}, "--data-dir", str(folder), "--port", str(free_port()))
    assert (code, wrong) == (0, [])
    assert not folder.parent.exists()


def test_the_doctor_names_each_thing_that_is_wrong(
    given: Mapping[str, str], running: Service, tmp_path: Path
) -> None:
    keyring = tmp_path / "keyring.json"
    shutil.copy(running.data_dir / "keyring.json", keyring)
    keyring.chmod(0o644)
    code, wrong, said = examined(
        {
            **given,
            "CLINICWAY_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d",
            "CLINICWAY_KEYRING": str(keyring),
            "CLINICWAY_GEOCODER": "nosuchservice",
            "CLINICWAY_PROT": "8000",
        }
    )
    assert code == 1
    for what in ("CLINICWAY_PROT", "Keyring", "Geocoding service", "The database does not answer"):
        assert any(line.startswith(what) for line in wrong), said
    assert len(wrong) == 4
    assert "hunter2" not in said
    assert f"chmod 600 {keyring}" in said


def test_the_doctor_sees_a_schema_that_is_behind(given: Mapping[str, str], empty_dsn: str) -> None:
    code, wrong, said = examined({**given, "CLINICWAY_DATABASE_URL": empty_dsn})
    assert code == 1
    assert len(wrong) == 1
    assert wrong[0].startswith("Schema at migration 0 of ")
    assert "clinicway migrate" in said


def test_the_doctor_sees_a_port_that_is_not_ours(given: Mapping[str, str], tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", given["CLINICWAY_PORT"]],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: any(line.startswith("Port") for line in examined(given)[1]))
    finally:
        other.kill()
        other.wait()


def test_unusable_settings_are_a_finding_of_the_doctor() -> None:
    code, wrong, said = examined({"CLINICWAY_PORT": "http"})
    assert code == 1
    assert wrong == ["CLINICWAY_PORT cannot be used"]
    assert "a whole number from 1 to 65535" in said


def test_measuring_needs_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Clone the repository"):
        run_bench(tmp_path, [])


def test_without_a_command_the_usage_is_shown() -> None:
    shown = clinicway()
    assert shown.returncode == 2
    assert "usage: clinicway" in shown.stderr


@pytest.fixture
def no_cache_chosen() -> Iterator[None]:
    before = process_environment().get(VARIABLE)
    os.environ.pop(VARIABLE, None)
    yield
    os.environ.pop(VARIABLE, None)
    if before is not None:
        set_in_environment(VARIABLE, before)


@pytest.mark.usefixtures("no_cache_chosen")
def test_compiled_code_stays_beside_a_source_that_can_be_written_to(tmp_path: Path) -> None:
    keep_compiled_code(tmp_path)
    assert VARIABLE not in process_environment()


@pytest.mark.usefixtures("no_cache_chosen")
def test_compiled_code_goes_to_the_data_folder_otherwise(tmp_path: Path) -> None:
    keep_compiled_code(tmp_path, beside=tmp_path / "not-there")
    assert process_environment()[VARIABLE] == str(tmp_path / "compiled")
    assert (tmp_path / "compiled").is_dir()


@pytest.mark.usefixtures("no_cache_chosen")
def test_a_choice_of_the_operator_stands(tmp_path: Path) -> None:
    set_in_environment(VARIABLE, "/elsewhere")
    keep_compiled_code(tmp_path, beside=tmp_path / "not-there")
    assert process_environment()[VARIABLE] == "/elsewhere"
