"""The search as the rest of the process sees it: from a query string to an encoded answer."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from api.clock import Clock
from api.directory.catalogue import Catalogue
from api.errors import NotFound, Unavailable
from api.keyring import Keyring, Purpose
from api.parameters import decode_query, query_pairs
from api.search.answer import Search
from api.search.follower import Follower
from api.search.index import SearchIndex
from api.search.parameters import SearchParameters
from api.search.place import COORDINATES, GAZETTEER, Place
from api.search.places import Places
from api.search.query import Question, understand

MOST_BYTES_KEPT = 16 * 1024 * 1024
MOST_REMEMBERED = 8192
"""Query strings asked once, by their hashes, before they are forgotten."""


class Moved(Exception):
    """The clinic was merged: `path` is where its survivor is."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class _Versioned(msgspec.Struct):
    version: int


class SearchService:
    """Answers from this process's index alone; the database may be away."""

    def __init__(
        self,
        follower: Follower,
        catalogue: Catalogue,
        places: Places,
        clock: Clock,
        keys: Keyring,
        most_answers: int,
    ) -> None:
        self._follower = follower
        self._places = places
        self._questions = Questions(catalogue, clock)
        self._keys = keys
        self._signed_with, _ = keys.active(Purpose.CURSOR)
        self._search = Search(follower.index, keys)
        self._answers = AnswerCache(most_answers, MOST_BYTES_KEPT)

    @property
    def index(self) -> SearchIndex:
        """The directory at its newest version here. Raises `Unavailable` before it is loaded."""
        if not self._follower.loaded.is_set():
            raise Unavailable("The directory is being loaded.", retry_after_seconds=1)
        return self._follower.index

    def search(self) -> Search:
        if self._search.index is not self.index:
            self._search = Search(self.index, self._keys)
            # Loaded anew after the log was put back: the same number may mean another directory.
            self._answers.clear()
        signing, _ = self._keys.active(Purpose.CURSOR)
        if signing != self._signed_with:
            # The cursors in kept answers are good for as long as the old key is in the keyring.
            self._signed_with = signing
            self._answers.clear()
        return self._search

    async def answer(self, query_string: bytes) -> bytes:
        """The answer to `GET /v1/clinics` as JSON. Raises the problems of `understand` and
        `Places.find`."""
        answer = self.answer_at_once(query_string)
        if answer is not None:
            return answer
        question = self._questions.understand(query_string)
        assert question.asked.near is not None, "without a place there is nothing to wait for"
        origin = await self._places.find(question.asked.near)
        return self._put_together(query_string, question, origin)

    def answer_at_once(self, query_string: bytes) -> bytes | None:
        """As `answer`; None when it takes more to find the place than is known here."""
        search = self.search()
        kept = self._answers.get(search.index.version, query_string)
        if kept is not None:
            return kept
        question = self._questions.understand(query_string)
        origin, near = None, question.asked.near
        if near is not None:
            origin = self._places.find_local(near)
            if origin is None:
                return None
        return self._put_together(query_string, question, origin)

    def _put_together(self, query_string: bytes, question: Question, origin: Place | None) -> bytes:
        answer = self.search().answer(question, origin)
        if _stays_true(question, origin):
            self._answers.put(self.index.version, query_string, answer)
        return answer

    def profile(self, key: str) -> tuple[bytes, int]:
        """A clinic's public profile as JSON and its version, by id or slug.

        Raises `Moved` for a merged clinic and `NotFound` for one that is not there.
        """
        index = self.index
        row = index.row_of(key)
        if row is None:
            survivor = index.survivor_of(key)
            # The survivor may have been deleted since.
            if survivor is not None and index.row_of(str(survivor)) is not None:
                raise Moved(f"/v1/clinics/{survivor}")
            raise NotFound("There is no clinic with this id or slug.")
        profile = index.profile(row)
        return profile, _version_of(profile).version


_version_of = msgspec.json.Decoder(_Versioned).decode


def _stays_true(question: Question, origin: Place | None) -> bool:
    """Whether the answer is good for as long as the directory does not change."""
    if question.asked.open_at == "now":
        return False
    return origin is None or origin.source in (COORDINATES, GAZETTEER)


class Questions:
    """Query strings understood. The same filters are asked from ever new places: what was
    understood of the rest is kept, up to a bound."""

    def __init__(self, catalogue: Catalogue, clock: Clock, most: int = 1024) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[bytes, Question] = OrderedDict()

    def understand(self, query_string: bytes) -> Question:
        """Raises `UnknownParameter` and `InvalidParameter`."""
        near, rest = _near_and_rest(query_string)
        if near is None:
            return self._read(query_string)
        kept = self._kept.get(rest)
        if kept is not None:
            self._kept.move_to_end(rest)
            return kept.near(query_pairs(near)[0][1])
        question = self._read(query_string)
        if question.cursor is None and question.asked.open_at != "now":
            self._kept[rest] = question
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return question

    def _read(self, query_string: bytes) -> Question:
        asked = decode_query(query_string, SearchParameters)
        return understand(asked, self._catalogue, self._clock.now())


def _near_and_rest(query_string: bytes) -> tuple[bytes | None, bytes]:
    """The one parameter `near`, and the query string without it; None when it is not just one."""
    parts = query_string.split(b"&")
    near = [part for part in parts if part.startswith(b"near=")]
    if len(near) != 1:
        return None, query_string
    parts.remove(near[0])
    return near[0], b"&".join(parts)


class AnswerCache:
    """Encoded answers of one directory version, the least lately asked for thrown out first.

    Only what is asked a second time is kept: most points are asked from once, and keeping those
    answers would cost more than it saves.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._version = -1
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._asked: set[int] = set()

    def clear(self) -> None:
        self._version, self._bytes = -1, 0
        self._kept.clear()

    def get(self, version: int, query_string: bytes) -> bytes | None:
        if version != self._version:
            self.clear()
            self._version = version
            self._asked.clear()
        found = self._kept.get(query_string)
        if found is not None:
            self._kept.move_to_end(query_string)
        return found

    def put(self, version: int, query_string: bytes, answer: bytes) -> None:
        if version != self._version or query_string in self._kept:
            return
        asked = hash(query_string)
        if asked not in self._asked:
            if len(self._asked) >= MOST_REMEMBERED:
                self._asked.clear()
            self._asked.add(asked)
            return
        self._kept[query_string] = answer
        self._bytes += len(query_string) + len(answer)
        while self._kept and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            name, dropped = self._kept.popitem(last=False)
            self._bytes -= len(name) + len(dropped)
