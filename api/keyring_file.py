"""The file of the secret keys: what is in it, and how it is read and replaced as a whole."""

from __future__ import annotations

import base64
import fcntl
import os
import stat
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

KEY_BYTES = 32
VERSION = 1


class KeyringError(Exception):
    """The keyring cannot be used; the message says what a person has to do."""


class Stamp(msgspec.Struct, frozen=True):
    """Tells one state of the file from another without reading it."""

    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key. Its texts are 32 bytes each in URL-safe base64."""

    id: str
    created_at: Annotated[datetime, Meta(tz=True)]
    replaced_at: Annotated[datetime, Meta(tz=True)] | None = None
    """When another key became the active one."""
    secret: str | None = None
    derived: dict[str, str] = {}
    """By purpose, what is kept of a key whose secret was given up."""

    def __repr__(self) -> str:
        return f"KeyEntry({self.id})"


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. New work uses the key `active`; the others stay for what was made with them. They
    stand in the order in which they were made: one after the active one is known everywhere before
    it is used anywhere."""

    version: int
    active: str
    keys: list[KeyEntry]
    pinned: dict[str, str] = {}
    """By purpose, the derived keys that stay the same when the keys are rotated."""

    def __repr__(self) -> str:
        return f"Document({', '.join(key.id for key in self.keys)})"

    def key(self, key_id: str) -> KeyEntry | None:
        return next((key for key in self.keys if key.id == key_id), None)

    def prepared(self) -> KeyEntry | None:
        """The key that the next rotation makes the active one, if there is one already."""
        ids = [key.id for key in self.keys]
        # By their places and not by their times: clocks of machines differ.
        later = self.keys[ids.index(self.active) + 1 :]
        return next((k for k in later if k.replaced_at is None and k.secret is not None), None)


def text_of(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def bytes_of(text: str) -> bytes:
    """Raises ValueError, without the text, for what is not a key."""
    try:
        key = base64.urlsafe_b64decode(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"A key is not {KEY_BYTES} bytes long.")
    return key


def read_document(path: Path) -> tuple[Document, Stamp]:
    """What is in the file, whole. Raises KeyringError, or OSError when it cannot be read."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        _refuse_shared(path, status)
        content = file.read()
    damaged = f"The keyring {path} is damaged: restore it from a backup. "
    try:
        document = msgspec.json.decode(content, type=Document)
    except (ValueError, RecursionError):
        raise KeyringError(damaged + "It is not the JSON that Clinicway wrote.") from None
    if document.version != VERSION:
        raise KeyringError(f"The keyring {path} was written by a newer version of Clinicway.")
    try:
        for text in _texts(document):
            bytes_of(text)
    except ValueError as error:
        raise KeyringError(damaged + str(error)) from None
    active = document.key(document.active)
    if active is None or active.secret is None:
        raise KeyringError(damaged + "The active key is not in it.")
    return document, Stamp.of(status)


def _texts(document: Document) -> Sequence[str]:
    return [
        *document.pinned.values(),
        *(text for key in document.keys for text in key.derived.values()),
        *(key.secret for key in document.keys if key.secret is not None),
    ]


def create_document(path: Path, document: Document) -> None:
    """Leaves the file of another process alone that was faster. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _draft(path, document) as draft:
        # Linking it into place either makes the whole file or, when another process was faster,
        # leaves that one's alone: no process ever sees half a keyring.
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _flush_folder(path.parent)


@contextmanager
def held_for_change(path: Path) -> Generator[Document]:
    """The document, for as long as nobody else changes it. Raises KeyringError, OSError.

    The lock is on the folder: the file itself is replaced by each change. It goes with the
    process, however that ends.
    """
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield read_document(path)[0]
    finally:
        os.close(handle)


def replace_document(path: Path, document: Document) -> None:
    """The file changes at once and as a whole, and keeps its owner and mode. To be called with the
    document held. Raises OSError."""
    before = path.stat()
    with _draft(path, document) as draft:
        # A file of root's that the service's group may read must stay so.
        os.chown(draft, before.st_uid, before.st_gid)
        draft.chmod(stat.S_IMODE(before.st_mode))
        draft.replace(path)
        _flush_folder(path.parent)


@contextmanager
def _draft(path: Path, document: Document) -> Generator[Path]:
    """A private file beside it with that content on the disk; gone at the end unless it moved."""
    # mkstemp makes the file 0600.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_shared(path: Path, status: os.stat_result) -> None:
    """As PostgreSQL treats its private key: ours and 0600, or root's and 0640, which is what an
    orchestrator mounts."""
    ours = status.st_uid == os.geteuid()
    forbidden = 0o077 if ours else 0o027
    if stat.S_IMODE(status.st_mode) & forbidden:
        raise KeyringError(
            f"Other users of this machine may read the keyring {path}. Whoever read it can read "
            f"patients' data and forge API keys. Make it private with: chmod 600 {path}"
        )
    if not ours and status.st_uid != 0:
        raise KeyringError(
            f"The keyring {path} belongs to another user. Run Clinicway as that user or, if it is "
            f"to run as this one, give the file to this one with: chown {os.geteuid()} {path}"
        )
