"""Physicians and clinics at work on a service that is killed under them, and what they were told.

Everybody retries until there is an answer, as a real client does, and notes only what was
acknowledged: that is what the service is held to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any

import httpx

from tests.faults.deployment import profile

Json = dict[str, Any]
CALM = 0.02
"""Seconds between two calls of one person: two cores serve all of this and the tests."""
TO_BE_TRIED_AGAIN = {408, 429, 503}


def example_referral(number: int) -> Json:
    """A made-up patient, another one for each number."""
    return {
        "patient": {
            "given_name": f"Example {number}",
            "family_name": "Patient",
            "birth_date": "1980-02-03",
            "phone": "+16025550123",
            "email": "patient@example.org",
            "near": "85016",
            "state": "US-AZ",
        },
        "conditions": ["crps"],
        "icd10": ["G90.50"],
        "reason": "Made up for a test.",
        "prior_treatments": [],
        "medications": [],
        "screening": {
            "uncontrolled_hypertension": False,
            "unstable_heart_disease": False,
            "active_psychosis": False,
            "pregnancy": False,
            "breastfeeding": False,
            "severe_liver_disease": False,
            "substance_use_history": False,
            "immediate_suicide_risk": False,
        },
        "preferences": {
            "routes": ["iv"],
            "settings": ["clinic"],
            "max_distance": "50mi",
            "payer": None,
            "language": None,
            "clinics": [],
            "exclude": [],
        },
        "urgency": "routine",
        "mode": "sequential" if number % 3 else "broadcast",
        "consent": {"given": True, "at": "2026-11-22T09:00:00-07:00"},
    }


def example_clinic(number: int, capacity: int | None) -> Json:
    """One that takes what `example_referral` asks for."""
    offering = {"drug": "ketamine", "route": "iv", "setting": "clinic", "conditions": ["crps"]}
    return profile(
        f"Example clinic {number}",
        offerings=[offering],
        accepting="yes",
        weekly_capacity=capacity,
        email=f"clinic{number}@example.org",
    )


def idempotency_key(number: int) -> str:
    return f"example-{number}"


def send(client: httpx.Client, number: int) -> httpx.Response:
    """Always the same request for the same number."""
    return client.post(
        "/v1/referrals",
        json=example_referral(number),
        headers={"Idempotency-Key": idempotency_key(number)},
    )


@dataclass
class Told:
    """What was acknowledged to whom."""

    sent: dict[str, str] = field(default_factory=dict[str, str])
    """Idempotency-Key and the referral's id."""
    accepted: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Referral and the clinics that were told that it is theirs."""
    given_back: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    cancelled: set[str] = field(default_factory=set[str])
    completed: set[str] = field(default_factory=set[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def answers(self) -> int:
        return len(self.sent) + len(self.accepted) + len(self.cancelled) + len(self.completed)


class Practice:
    """Some referrers and the staff of some clinics, each a thread with a key of its own."""

    def __init__(self, url: str, referrer_keys: list[str], clinic_keys: dict[str, str]) -> None:
        """`clinic_keys` by the clinic's id."""
        self.told = Told()
        self.unexpected: list[str] = []
        self._url = url
        self.referrers = referrer_keys
        self._clinic_keys = clinic_keys
        self._numbers = count(1)
        self._over = threading.Event()

    @contextmanager
    def at_work(self) -> Generator[Practice]:
        with ThreadPoolExecutor(16) as threads:
            people: list[Future[None]] = [
                threads.submit(self._refer, key, seed) for seed, key in enumerate(self.referrers)
            ]
            people += [
                threads.submit(self._decide, clinic, key, seed)
                for seed, (clinic, key) in enumerate(self._clinic_keys.items())
            ]
            try:
                yield self
            finally:
                self._over.set()
            for each in people:
                each.result()
        assert self.unexpected == []

    def wait_for_more(self, answers: int, *, within: float) -> None:
        """They are being answered, or are so again."""
        before, deadline = self.told.answers, time.monotonic() + within
        while self.told.answers < before + answers:
            assert time.monotonic() < deadline, "nobody is answered"
            assert self.unexpected == []
            time.sleep(0.05)

    # --- referrers ---

    def _refer(self, key: str, seed: int) -> None:
        random = Random(seed)
        with self._client(key) as client:
            while not self._over.is_set():
                number = next(self._numbers)
                answer = self._until_answered(partial(send, client, number))
                if answer is None:
                    return
                if self._is(answer, 201):
                    with self.told.lock:
                        self.told.sent[idempotency_key(number)] = answer.json()["id"]
                if random.random() < 0.1:
                    self._cancel_one(client, random)
                self._answer_questions(client)

    def _cancel_one(self, client: httpx.Client, random: Random) -> None:
        with self.told.lock:
            sent = list(self.told.sent.values())
        if not sent:
            return
        referral = random.choice(sent)
        if self._act(client, f"/v1/referrals/{referral}", "cancel", {}):
            with self.told.lock:
                self.told.cancelled.add(referral)

    def _answer_questions(self, client: httpx.Client) -> None:
        for item in self._items(client, "/v1/referrals?state=info_requested&limit=5"):
            self._act(client, f"/v1/referrals/{item['id']}", "answer", {"answer": "Made up."})

    # --- clinics ---

    def _decide(self, clinic: str, key: str, seed: int) -> None:
        random = Random(1000 + seed)
        with self._client(key) as client:
            while not self._over.is_set():
                items = self._items(client, "/v1/offers?state=open&limit=20")
                for item in random.sample(items, min(3, len(items))):
                    self._decide_one(client, clinic, item, random)
                self._treat_one(client, clinic, random)
                time.sleep(CALM)

    def _decide_one(self, client: httpx.Client, clinic: str, item: Json, random: Random) -> None:
        path, chance = f"/v1/offers/{item['id']}", random.random()
        if chance < 0.5:
            if self._act(client, path, "accept", {}):
                with self.told.lock:
                    self.told.accepted.setdefault(item["referral"]["id"], set()).add(clinic)
        elif chance < 0.7:
            self._act(client, path, "decline", {"reason": "clinical"})
        elif chance < 0.8:
            self._act(client, path, "ask", {"question": "Made up?"})

    def _treat_one(self, client: httpx.Client, clinic: str, random: Random) -> None:
        with self.told.lock:
            own = [r for r, clinics in self.told.accepted.items() if clinic in clinics]
        if not own:
            return
        referral = random.choice(own)
        path, chance = f"/v1/referrals/{referral}", random.random()
        if chance < 0.1:
            if self._act(client, path, "return", {"reason": "unreachable"}):
                with self.told.lock:
                    self.told.given_back.add((referral, clinic))
        elif chance < 0.4:
            self._act(client, path, "schedule", {"at": "2026-12-01T10:00:00-07:00"})
        elif chance < 0.6:
            self._act(client, path, "start", {})
        elif chance < 0.8 and self._act(client, path, "complete", {"outcome": "Made up."}):
            with self.told.lock:
                self.told.completed.add(referral)

    # --- calling ---

    def _act(self, client: httpx.Client, path: str, action: str, body: Json) -> bool:
        """Read, then act on the version that was read; whether it was acknowledged."""
        read = self._once(lambda: client.get(path))
        if read is None or read.status_code != 200 or action not in read.json()["actions"]:
            return False
        done = self._once(
            lambda: client.post(
                f"{path}/{action}", json=body, headers={"If-Match": read.headers["etag"]}
            )
        )
        if done is None or done.status_code in (404, 409, 412):
            # Somebody else was faster, or nobody knows: what is not acknowledged is not held.
            return False
        return self._is(done, 200)

    def _items(self, client: httpx.Client, path: str) -> list[Json]:
        page = self._once(partial(client.get, path))
        if page is None or not self._is(page, 200):
            return []
        items: list[Json] = page.json()["items"]
        return items

    def _is(self, answer: httpx.Response, status: int) -> bool:
        if answer.status_code == status:
            return True
        path = answer.request.url.path
        self.unexpected.append(f"{answer.status_code} {path} {answer.text[:300]}")
        return False

    def _once(self, call: Callable[[], httpx.Response]) -> httpx.Response | None:
        """None when there was no answer, or one that says to come again."""
        with suppress(httpx.TransportError):
            answer = call()
            if answer.status_code not in TO_BE_TRIED_AGAIN:
                return answer
        time.sleep(CALM)
        return None

    def _until_answered(self, call: Callable[[], httpx.Response]) -> httpx.Response | None:
        """None when it is over before there was an answer."""
        while not self._over.is_set():
            answer = self._once(call)
            # The first attempt may still be under way somewhere.
            if answer is not None and "in-flight" not in answer.text:
                return answer
            time.sleep(5 * CALM)
        return None

    def _client(self, key: str) -> httpx.Client:
        return httpx.Client(
            base_url=self._url, headers={"Authorization": f"Bearer {key}"}, timeout=10
        )
