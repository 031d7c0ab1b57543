"""Where a word could be found that should be nowhere, in every shape that it could have there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote


def shapes(word: str) -> frozenset[bytes]:
    """The word as it would stand in a text, an address, a mail or a dump; in lower case, for what
    is searched is folded, too."""
    found: set[bytes] = set()
    for form in {word, word.swapcase(), word.upper(), word.lower(), word[::-1]}:
        raw = form.encode()
        found |= {raw, raw.hex().encode(), form.encode("latin-1", "ignore")}
        found |= {quote(form).encode(), json.dumps(form)[1:-1].encode()}
        # As in a mail, as Python shows bytes, and as PostgreSQL and others do.
        for escaped in ("={:02X}", "\\x{:02x}", "\\{:03o}"):
            found.add("".join(_escaped(each, escaped) for each in raw).encode())
            found.add("".join(escaped.format(each) for each in raw).encode())
        for kind in (base64.b64encode, base64.urlsafe_b64encode):
            # Wherever in a longer text it stands: two letters before it shift it.
            for before in range(3):
                encoded = kind(b"\0" * before + raw + b"\0" * 3)
                found.add(encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6])
        found.add(base64.b32encode(raw).rstrip(b"=")[:-1])
        found.add(form.encode("utf-16-le"))
    folded = {each.lower() for each in found}
    assert min(map(len, folded)) >= MIN_LENGTH, "so that none is found by chance"
    return frozenset(folded)


MIN_LENGTH = 7


def _escaped(byte: int, form: str) -> str:
    return chr(byte) if byte < 128 else form.format(byte)


class Words:
    def __init__(self, *words: str, exact: tuple[str, ...] = ()) -> None:
        """`exact` are found as they are only: numbers and dates have no other shape worth it."""
        self._shapes = {word: shapes(word) for word in words}
        self._shapes |= {word: frozenset({word.lower().encode()}) for word in exact}

    def found_in(self, content: bytes | str) -> list[str]:
        raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        folded = raw.lower()
        return [
            f"{word} as {shape!r} in {folded[max(0, at - 60) : at + 60]!r}"
            for word, forms in self._shapes.items()
            for shape in forms
            if (at := folded.find(shape)) >= 0
        ]

    def found_in_folder(self, folder: Path) -> Mapping[str, list[str]]:
        found = ((str(path), self.found_in(path.read_bytes())) for path in files(folder))
        return {path: words for path, words in found if words}


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
