"""A practice that refers and the clinics that are asked: the service over HTTP, on a real
database, with nobody acting by itself unless the test says so."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar

from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.referrals.step import ReferralServices
from api.referrals.unattended import strike
from db.pool import Pool
from tests.directory.clinics import FULL, body
from tests.keys.clocks import HandClock

Json = dict[str, Any]

CANARY = "Canaryzz"
SCREENING: dict[str, bool] = {
    "uncontrolled_hypertension": False,
    "unstable_heart_disease": False,
    "active_psychosis": False,
    "pregnancy": False,
    "breastfeeding": False,
    "severe_liver_disease": False,
    "substance_use_history": False,
    "immediate_suicide_risk": False,
}
REFERRAL: Json = {
    "patient": {
        "given_name": f"Given{CANARY}",
        "family_name": f"Family{CANARY}",
        "birth_date": "1980-02-03",
        "phone": "+16025550123",
        "email": "patient.canaryzz@mail.example",
        "near": "85016",
        "state": "US-AZ",
    },
    "conditions": ["crps"],
    "icd10": ["G90.50"],
    "reason": f"Reason {CANARY}",
    "prior_treatments": [f"Treatment {CANARY}"],
    "medications": [f"Medication {CANARY}"],
    "screening": SCREENING,
    "preferences": {
        "routes": ["iv"],
        "settings": ["clinic"],
        "max_distance": "50mi",
        "payer": "medicare",
        "language": "en",
        "clinics": [],
        "exclude": [],
    },
    "urgency": "routine",
    "mode": "sequential",
    "consent": {"given": True, "at": "2026-11-22T09:00:00-07:00"},
}


def referral(**changes: Any) -> Json:
    """A copy of a referral with other values at `a__b` (for /a/b)."""
    return body(REFERRAL, **changes)


def flags(*raised: str) -> dict[str, bool]:
    return SCREENING | dict.fromkeys(raised, True)


class Clinic:
    """A clinic of the directory with a key of its own."""

    def __init__(self, practice: Practice, profile: Json, key: str) -> None:
        self._practice = practice
        self.id: str = profile["id"]
        self.name: str = profile["name"]
        self.etag = f'"{profile["version"]}"' if "version" in profile else "*"
        self.key = key

    async def offer(self, referral_id: str) -> Json:
        """Its newest offer of that referral."""
        answer = await self._practice.call("GET", "/v1/offers?limit=100", key=self.key)
        assert answer.status_code == 200, answer.text
        for each in reversed(answer.json()["items"]):
            seen = each["referral"]
            if seen is not None and seen["id"] == referral_id:
                return each
        raise LookupError("no open offer")

    async def act(
        self, offer: Json, action: str, said: object = None, *, match: str | None = None
    ) -> httpx.Response:
        tag = f'"{offer["version"]}"' if match is None else match
        return await self._practice.call(
            "POST", f"/v1/offers/{offer['id']}/{action}", said, key=self.key, match=tag
        )

    async def do(
        self, referral_id: str, action: str, said: object = None, *, match: str = "*"
    ) -> httpx.Response:
        return await self._practice.call(
            "POST", f"/v1/referrals/{referral_id}/{action}", said, key=self.key, match=match
        )


class Practice:
    """Everybody who speaks to the service in a test."""

    def __init__(
        self, client: httpx.AsyncClient, app: Litestar, pool: Pool, clock: HandClock
    ) -> None:
        self.client = client
        self.app = app
        self.pool = pool
        """As the owner of the tables: to look behind the service, and to move time."""
        self.clock = clock
        self.keyring: Keyring = app.state.keyring
        self.services: ReferralServices = app.state.referrals
        self.key = ""
        """The referrer's."""
        self.operator = ""

    async def new_key(self, *scopes: str) -> str:
        maker = KeyMaker("live", self.keyring, self.clock)
        async with self.pool.transaction() as conn:
            _, token = await maker.create(conn, name="test", scopes=list(scopes), created_by="test")
        return token.text()

    async def call(
        self,
        method: str,
        path: str,
        said: object = None,
        *,
        key: str | None = None,
        match: str | None = None,
        idempotency: str | None = None,
    ) -> httpx.Response:
        """As the referrer, unless another key is given; "" is nobody."""
        key = self.key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if match is not None:
            headers["If-Match"] = match
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        if said is None:
            return await self.client.request(method, path, headers=headers)
        return await self.client.request(method, path, headers=headers, json=said)

    async def clinic(self, name: str, **changes: Any) -> Clinic:
        """A clinic in Phoenix that could take the referral; `name` orders equal ones."""
        profile = body(FULL, name=name, weekly_capacity=None)
        profile = body(profile, **changes)
        answer = await self.call("POST", "/v1/clinics", profile, key=self.operator)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return Clinic(self, made, await self.new_key(f"clinic:{made['id']}"))

    async def post(self, said: Json | None = None, **changes: Any) -> httpx.Response:
        """A referral with an Idempotency-Key of its own, unless `key` or `idempotency` say so."""
        key, idempotency = changes.pop("key", None), changes.pop("idempotency", None)
        name = idempotency or self.services.clock.new_id().hex
        what = referral(**changes) if said is None else said
        return await self.call("POST", "/v1/referrals", what, key=key, idempotency=name)

    async def sent(self, **changes: Any) -> Json:
        answer = await self.post(**changes)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def another(self, number: int, **changes: Any) -> Json:
        """A referral of another patient."""
        return await self.sent(patient__given_name=f"Given{number}", **changes)

    async def read(self, referral_id: str, *, key: str | None = None) -> Json:
        answer = await self.call("GET", f"/v1/referrals/{referral_id}", key=key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def do(
        self,
        referral_id: str,
        action: str,
        said: object = None,
        *,
        match: str = "*",
        key: str | None = None,
    ) -> httpx.Response:
        return await self.call(
            "POST", f"/v1/referrals/{referral_id}/{action}", said, key=key, match=match
        )

    async def history(self, referral_id: str, *, key: str | None = None) -> Json:
        answer = await self.call("GET", f"/v1/referrals/{referral_id}/history", key=key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def run(self, sql: str, *args: object) -> None:
        async with self.pool.acquire() as conn:
            await conn.execute(sql, *args)

    async def fetch(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        async with self.pool.acquire() as conn:
            return [tuple(record) for record in await conn.fetch(sql, *args)]

    async def let_pass(self, referral_id: str, interval: str) -> None:
        """As if everything of a referral had happened that much earlier."""
        moved = f"- interval '{interval}'"
        await self.run(
            f"update offer set due_at = due_at {moved}, remind_at = remind_at {moved},"
            f" opened_at = opened_at {moved} where referral_id = $1",
            UUID(referral_id),
        )
        await self.run(
            f"update referral set answer_by = answer_by {moved}, retry_at = retry_at {moved},"
            f" due_at = due_at {moved}, updated_at = updated_at {moved} where id = $1",
            UUID(referral_id),
        )

    async def strike(self, referral_id: str) -> None:
        await strike(self.services, UUID(referral_id))


def without_patient(seen: Json) -> Json:
    """A copy for comparing what two answers say otherwise."""
    seen = copy.deepcopy(seen)
    del seen["patient"]
    return seen
