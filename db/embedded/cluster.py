"""Making a cluster, and what is written in it at every start."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from db.embedded.errors import EmbeddedPostgresError
from db.embedded.place import release

if TYPE_CHECKING:
    from db.embedded.place import Place

NAME = "clinicway"
"""Of the database and of the role that owns it."""
UNFINISHED = "postgres.unfinished-"


def ensure_cluster(place: Place) -> None:
    """A cluster with its database, whole or not there at all. Raises `EmbeddedPostgresError`."""
    user = _user_name()
    for left_over in place.home.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    if place.cluster.exists():
        _check_version(place)
    else:
        _create(place)
    _write_access_rules(place, user)


def environment() -> dict[str, str]:
    """For the server's programs: nothing of the caller's locale, and none of its PG variables."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _check_version(place: Place) -> None:
    made_by = (place.cluster / "PG_VERSION").read_text("utf-8").strip()
    ours = release().partition(".")[0]
    if made_by != ours:
        raise EmbeddedPostgresError(
            f"The data in {place.cluster} was made by PostgreSQL {made_by}, and this release "
            f"brings {ours}. Dump it with the release that made it and restore it into a new data "
            "folder, or choose another data folder (--data-dir)."
        )


def _create(place: Place) -> None:
    # Under another name until it is complete, so that an interrupted start leaves no half cluster.
    # A new name each time: the initdb of a killed start may still be writing under the last one.
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place.home))
    try:
        place.account.give(unfinished)
        _run(
            place,
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={NAME}",
            "--encoding=UTF8",
            "--locale=C",
            # Sorts the same on every machine and for ever: no index breaks with a new system.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=scram-sha-256",
            "--set=timezone=UTC",
            "--set=log_timezone=UTC",
            "--no-instructions",
        )
        _run(
            place, "postgres", "--single", "-D", str(unfinished), "template1", feed=_CREATE_DATABASE
        )
        unfinished.rename(place.cluster)
        _sync(place.home)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The database could not be set up in {place.home} ({error.strerror}). "
            "Free some disk space, or choose another data folder (--data-dir)."
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


_CREATE_DATABASE = f"create database {NAME}\n"


def _run(place: Place, program: str, *args: str, feed: str = "") -> None:
    done = subprocess.run(  # noqa: S603 (our own programs, no shell)
        [str(place.programs / program), *args],
        input=feed,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=place.home,
        env=environment(),
        umask=0o077,
        check=False,
        **place.account.run_as(),
    )
    # In single-user mode the server reports a failed statement and still exits with 0.
    if done.returncode == 0 and "ERROR:" not in done.stderr:
        return
    if "No space left on device" in done.stderr + done.stdout:
        raise EmbeddedPostgresError(
            f"The disk is full: the database could not be set up in {place.home}. It needs about "
            "60 MB. Free some space, or choose another data folder (--data-dir)."
        )
    said = [line for line in done.stderr.splitlines() if line.strip()]
    raise EmbeddedPostgresError(
        f"The database could not be set up in {place.home}; {program} said: "
        + (" ".join(said[-3:]) or f"exit status {done.returncode}")
    )


def _user_name() -> str:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise EmbeddedPostgresError(
            f"The user id {uid} has no name on this machine, and PostgreSQL needs one. "
            "Add the user (useradd), run as another one, or set CLINICWAY_DATABASE_URL."
        ) from None


def _write_access_rules(place: Place, user: str) -> None:
    """Only the user who runs Clinicway gets in, only over the socket, as told by the kernel.

    Written at every start, because that user may be root today and the folder's owner tomorrow.
    """
    _write(place, place.cluster / "pg_hba.conf", f"local all {NAME} peer map={NAME}\n")
    _write(place, place.cluster / "pg_ident.conf", f'{NAME} "{user}" {NAME}\n')


def _write(place: Place, path: Path, content: str) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    # O_EXCL: as root we write into a folder of another user, who may have put a link there.
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(content)
        place.account.give(fd)
    unfinished.replace(path)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
