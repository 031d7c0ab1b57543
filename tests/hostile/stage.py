"""Referrals, offers and webhooks of the operator's own, so that every call has something to be
done to: what comes back is then about the request, and not about what it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from itertools import count
from typing import Any, Final

import httpx

from api.referrals.examples import REFERRAL
from tests.hostile.operations import (
    ANOTHER_CLINIC,
    NOBODY,
    ONE_CLINIC,
    Json,
    Operation,
    call,
)

FLAGGED: Final = {"screening": {**REFERRAL["screening"], "pregnancy": True}}
SOMEWHERE_WITHOUT_A_CLINIC: Final = {
    "patient": {**REFERRAL["patient"], "near": "99762", "state": "US-AK"},
    "preferences": {"max_distance": "1mi"},
}
NEXT_YEAR: Final = "2027-12-01T09:30:00-07:00"

_numbers = count(1)


class Stage:
    """Everything that the operator, who refers and speaks for a clinic, has to act on."""

    def __init__(self, operator: httpx.Client, clinic: str, another_clinic: str) -> None:
        self._operator = operator
        self.clinic = clinic
        """The operator speaks for this one, and not for the other."""
        self.another_clinic = another_clinic
        self._ready: dict[str, str] = {}
        self._webhook = ""
        self._makers: Mapping[str, Callable[[], str]] = {
            "/v1/referrals/{referral}": self.offered,
            "/v1/referrals/{referral}/history": self.offered,
            "/v1/referrals/{referral}/cancel": self.offered,
            "/v1/referrals/{referral}/confirm-screening": self.flagged,
            "/v1/referrals/{referral}/answer": self.asked,
            "/v1/referrals/{referral}/route": self.unrouted,
            "/v1/referrals/{referral}/schedule": self.accepted,
            "/v1/referrals/{referral}/no-show": self.scheduled,
            "/v1/referrals/{referral}/start": self.scheduled,
            "/v1/referrals/{referral}/complete": self.started,
            "/v1/referrals/{referral}/return": self.accepted,
            "/v1/offers/{offer}": self.offer,
            "/v1/offers/{offer}/accept": self.offer,
            "/v1/offers/{offer}/decline": self.offer,
            "/v1/offers/{offer}/ask": self.offer,
            "/v1/track/{token}": self.token,
            "/v1/webhooks/{webhook}": self.webhook,
            "/v1/webhooks/{webhook}/deliveries": self.webhook,
            "/v1/webhooks/{webhook}/enable": self.webhook,
            "/v1/webhooks/{webhook}/replay": self.webhook,
            "/v1/webhooks/{webhook}/rotate-secret": self.webhook,
            "/v1/webhooks/{webhook}/test": self.webhook,
        }

    @property
    def paths(self) -> Collection[str]:
        """Where there is always something to act on."""
        return self._makers.keys()

    def id_for(self, path: str) -> str:
        """Of something with which the calls of that path are possible; of nothing for paths that
        name neither a referral nor a webhook."""
        if path not in self._makers:
            return NOBODY
        if path not in self._ready:
            self._ready[path] = self._makers[path]()
        return self._ready[path]

    def target(self, operation: Operation) -> str:
        return operation.at(self.id_for(operation.path))

    def call(
        self,
        client: httpx.Client,
        operation: Operation,
        *,
        raw_query: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """A call in which everything is right that is not given; possible, each time anew."""
        if content is None and operation.body is not None:
            content = json.dumps(operation.body).encode()
        answer = call(
            client,
            operation,
            target=self.target(operation),
            raw_query=raw_query,
            headers=headers,
            content=None if content is None else self.named(content),
        )
        if answer.is_success and operation.method != "GET":
            self._ready.pop(operation.path, None)
        return answer

    def named(self, content: bytes) -> bytes:
        """With clinics that are there in the place of those that stand for them."""
        content = content.replace(ONE_CLINIC.encode(), self.clinic.encode())
        return content.replace(ANOTHER_CLINIC.encode(), self.another_clinic.encode())

    # --- referrals, each of another patient ---

    def sent(self, **changes: Any) -> Json:
        patient = {**REFERRAL["patient"], **changes.pop("patient", {})}
        preferences = {**REFERRAL["preferences"], "clinics": [self.clinic]}
        body = {
            **REFERRAL,
            **changes,
            "patient": {**patient, "given_name": f"Example {next(_numbers)}"},
            "preferences": {**preferences, **changes.pop("preferences", {})},
        }
        name = {"Idempotency-Key": f"stage-{next(_numbers)}"}
        answer = self._operator.post("/v1/referrals", json=body, headers=name)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def offered(self) -> str:
        return self._in_state("offered", self.sent())

    def flagged(self) -> str:
        return self._in_state("screening", self.sent(**FLAGGED))

    def unrouted(self) -> str:
        return self._in_state("unrouted", self.sent(**SOMEWHERE_WITHOUT_A_CLINIC))

    def asked(self) -> str:
        sent = self.sent()
        self._do(f"/v1/offers/{self._offer_of(sent)}/ask", {"question": "Which hand?"})
        return sent["id"]

    def accepted(self) -> str:
        sent = self.sent()
        self._do(f"/v1/offers/{self._offer_of(sent)}/accept")
        return sent["id"]

    def scheduled(self) -> str:
        referral = self.accepted()
        self._do(f"/v1/referrals/{referral}/schedule", {"at": NEXT_YEAR})
        return referral

    def started(self) -> str:
        referral = self.scheduled()
        self._do(f"/v1/referrals/{referral}/start")
        return referral

    def offer(self) -> str:
        return self._offer_of(self.sent())

    def token(self) -> str:
        return str(self.sent()["tracking_url"]).rpartition("/")[2]

    def webhook(self) -> str:
        if not self._webhook:
            body = {"url": "https://hooks.example.com/clinicway"}
            answer = self._operator.post("/v1/webhooks", json=body)
            assert answer.status_code == 201, answer.text
            self._webhook = answer.json()["id"]
        return self._webhook

    def _offer_of(self, sent: Json) -> str:
        [offer] = sent["offers"]
        assert offer["clinic"]["id"] == self.clinic
        return offer["id"]

    def _do(self, path: str, body: Json | None = None) -> None:
        answer = self._operator.post(path, json=body, headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text

    @staticmethod
    def _in_state(state: str, sent: Json) -> str:
        assert sent["state"] == state, sent
        return sent["id"]
