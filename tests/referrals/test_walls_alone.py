"""Row-level security with nothing before it: who × object × verb over HTTP, when every check that
the application makes of its own lets everybody through.

`trust` says what is switched off. That it is off, a last test shows: without the policies,
everybody may do everything.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec
import pytest

import api.auth
import db.queries.offers
import db.queries.referrals
from api.auth import Caller, Connected
from api.referrals import access, listing, service, views
from api.referrals.lifecycle.clocks import Offer
from api.referrals.lifecycle.events import Referral
from api.referrals.viewing import Sight, Viewer
from tests.referrals.practice import CANARY, Clinic, Json, Practice

# What a key can be right for, and what must be refused to everybody else; each with a version
# that there never is, so that whoever is let through is told 409 or 412 and nothing changes.
BY_REFERRER: Final[dict[str, Json | None]] = {
    "cancel": None,
    "confirm-screening": {"reason": "Whatever."},
    "answer": {"answer": "Whatever."},
    "route": {},
}
BY_OWNER: Final[dict[str, Json | None]] = {
    "schedule": {"at": "2026-12-01T09:30:00-07:00"},
    "no-show": None,
    "start": None,
    "complete": {"outcome": "Whatever."},
    "return": {"reason": "other"},
}
BY_ASKED: Final[dict[str, Json | None]] = {
    "accept": None,
    "decline": {"reason": "other"},
    "ask": {"question": "Whatever?"},
}


class _Everything(frozenset[str]):
    """Scopes, of which no check finds one missing."""

    def __contains__(self, _scope: object) -> bool:
        return True


class _Everybody(str):
    """A principal that every comparison takes for whoever it is compared with."""

    __slots__ = ()

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return False

    __hash__ = str.__hash__


class _Everywhere(tuple[UUID, ...]):
    """Clinics among which every clinic is found."""

    __slots__ = ()

    def __contains__(self, _clinic: object) -> bool:
        return True

    def __bool__(self) -> bool:
        return True


class Trusted(Caller, frozen=True, kw_only=True):
    """A caller who passes every check in Python; PostgreSQL is told who it really is."""

    @property
    def clinics(self) -> tuple[UUID, ...]:
        return _Everywhere(super().clinics)


def trusting(who: Caller) -> Trusted:
    return Trusted(
        key_id=who.key_id,
        scopes=_Everything(who.scopes),
        principal=_Everybody(who.principal),
    )


def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switches off: the guards and scopes of the routes; every comparison of a caller with a
    referrer, an owner or the clinic of an offer; that an offer is over; and what the statements
    themselves say of whose rows they read."""
    recognize, act = api.auth.caller, service.Act

    async def anybody(connection: Connected) -> Caller:
        return trusting(await recognize(connection))

    def acting_for_anybody(*, caller: Caller, **others: Any) -> service.Act:
        return act(caller=trusting(caller), **others)

    def no_question(*_: object) -> bytes:
        return b""

    def sees_all(_referral: Referral, offer: Offer, _now: object) -> Viewer:
        return Viewer(sight=Sight.OWNED, clinic_id=offer.clinic_id)

    # What guards ask, and what the handlers act with.
    monkeypatch.setattr(api.auth, "caller", anybody)
    monkeypatch.setattr(access, "caller", anybody)
    monkeypatch.setattr(access, "Act", acting_for_anybody)
    # Whose a cursor is: it is made of the name, which says to be everybody's and is not text.
    monkeypatch.setattr(listing, "_question", no_question)
    monkeypatch.setattr(views, "viewer_of_offer", sees_all)
    monkeypatch.setattr(service, "viewer_of_offer", sees_all)
    for module in (db.queries.offers, db.queries.referrals):
        statements = {name: _of_anybody(sql) for name, sql in module.SQL.items()}
        monkeypatch.setattr(module, "SQL", statements)


def _of_anybody(sql: str) -> str:
    for whose in (
        "offer.clinic_id = any ($1)",
        "offer.clinic_id = any ($2)",
        "owner_clinic_id = any ($2::uuid[])",
        "referrer = $1",
        "offer.state = 'open'",
        "(offer.due_at is null or offer.due_at > now())",
    ):
        for before in ("where", "and"):
            sql = sql.replace(f"{before} {whose}\n", f"{before} ({whose} or true)\n")
            sql = sql.replace(f"{before} {whose} and", f"{before} ({whose} or true) and")
        if sql.endswith(whose):
            sql = f"{sql.removesuffix(whose)}({whose} or true)"
    return sql


class Stage:
    """A referral that was accepted, after another clinic let it lapse, and one that is offered."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.keys: dict[str, str] = {}
        self.accepted = self.offered = ""
        self.offers: dict[str, str] = {}
        self.webhooks: dict[str, str] = {}

    async def set(self) -> None:
        practice = self.practice
        lapsed, owner, asked, other = [
            await practice.clinic(f"{letter} Clinic") for letter in "ABCD"
        ]
        clinics = {"lapsed": lapsed, "owner": owner, "asked": asked, "another clinic": other}
        sent = await practice.sent(preferences__clinics=[lapsed.id, owner.id])
        self.accepted = sent["id"]
        self.offers["lapsed"] = (await lapsed.offer(sent["id"]))["id"]
        await practice.let_pass(sent["id"], "73 hours")
        await practice.strike(sent["id"])
        self.offers["accepted"] = (await owner.offer(sent["id"]))["id"]
        await self._accept(owner, sent["id"])
        sent = await practice.another(2, preferences__clinics=[asked.id])
        self.offered = sent["id"]
        self.offers["open"] = (await asked.offer(sent["id"]))["id"]
        self.keys = {
            "referrer": practice.key,
            "another referrer": await practice.new_key("referrals:write"),
            **{name: clinic.key for name, clinic in clinics.items()},
            "both": await practice.new_key("referrals:write", f"clinic:{other.id}"),
            "operator": practice.operator,
            "administrator": await practice.new_key("admin"),
        }
        for who, key in self.keys.items():
            made = await practice.call(
                "POST", "/v1/webhooks", {"url": "https://hooks.example.com/"}, key=key
            )
            assert made.status_code == 201, made.text
            self.webhooks[who] = made.json()["id"]

    async def _accept(self, clinic: Clinic, referral: str) -> None:
        answer = await clinic.act(await clinic.offer(referral), "accept")
        assert answer.status_code == 200, answer.text

    async def got(self, who: str, path: str) -> httpx.Response:
        return await self.practice.call("GET", path, key=self.keys[who])

    async def acted(self, who: str, path: str, body: Json | None) -> httpx.Response:
        return await self.practice.call("POST", path, body, key=self.keys[who], match='"0"')

    async def trace(self) -> list[list[tuple[Any, ...]]]:
        tables = ("referral", "offer", "referral_history", "sealed_key", "notice")
        fetch = self.practice.fetch
        return [await fetch(f"select t::text from {table} t order by 1") for table in tables]


@pytest.fixture
async def stage(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(practice)
    await made.set()
    trust(monkeypatch)
    return made


ASKERS: Final = (
    *("referrer", "another referrer", "lapsed", "owner", "asked", "another clinic", "both"),
    *("operator", "administrator"),
)
SEES: Final[dict[str, Collection[str]]] = {
    "accepted": {"referrer", "owner"},
    "offered": {"referrer", "asked"},
}
HAS: Final = {"lapsed": "lapsed", "accepted": "owner", "open": "asked"}
"""Which clinic an offer was made to."""


async def expect(stage: Stage, who: str, *, walls: bool = True) -> None:
    """That somebody gets at what is theirs; and at nothing else, or, without walls, at all."""
    ids = {"accepted": stage.accepted, "offered": stage.offered}

    def check(answer: httpx.Response, mine: bool, *passed: int) -> None:
        asked = (who, answer.request.method, answer.request.url.path, answer.text[:300])
        if mine or not walls:
            assert answer.status_code in passed, asked
        else:
            assert answer.status_code == 404, asked
            assert answer.json()["type"] == "/problems/not-found"
            assert CANARY not in answer.text

    for name, referral in ids.items():
        path = f"/v1/referrals/{referral}"
        check(await stage.got(who, path), who in SEES[name], 200)
        check(await stage.got(who, f"{path}/history"), who in SEES[name], 200)
        for action, body in BY_REFERRER.items():
            answer = await stage.acted(who, f"{path}/{action}", body)
            check(answer, who == "referrer", 409, 412)
        for action, body in BY_OWNER.items():
            answer = await stage.acted(who, f"{path}/{action}", body)
            check(answer, who == "owner" and name == "accepted", 409, 412)
    for name, offer in stage.offers.items():
        answer = await stage.got(who, f"/v1/offers/{offer}")
        check(answer, who == HAS[name], 200)
        if walls and (who, name) == ("lapsed", "lapsed"):
            assert answer.json()["referral"] is None
            assert CANARY not in answer.text
        for action, body in BY_ASKED.items():
            answer = await stage.acted(who, f"/v1/offers/{offer}/{action}", body)
            check(answer, who == HAS[name], 409, 412)
    listed = (await stage.got(who, "/v1/referrals")).json()["items"]
    seen = {name for name in ids if who in SEES[name] or not walls}
    assert {each["id"] for each in listed} == {ids[name] for name in seen}, who
    page = await stage.got(who, "/v1/offers")
    made = {offer for name, offer in stage.offers.items() if HAS[name] == who or not walls}
    assert {each["id"] for each in page.json()["items"]} == made, who
    if walls and who != "owner":
        assert CANARY not in page.text or who == "asked"


@pytest.mark.parametrize("who", ASKERS)
async def test_the_matrix(stage: Stage, who: str) -> None:
    assert set(stage.keys) == set(ASKERS)
    before = await stage.trace()
    await expect(stage, who)
    for other, webhook in stage.webhooks.items():
        status = 200 if other == who else 404
        path = f"/v1/webhooks/{webhook}"
        assert (await stage.got(who, path)).status_code == status
        assert (await stage.got(who, f"{path}/deliveries")).status_code == status
        for action in ("rotate-secret", "enable", "test", "replay"):
            body = {"since": "2026-11-22T00:00:00Z"} if action == "replay" else None
            answer = await stage.acted(who, f"{path}/{action}", body)
            assert answer.status_code == 404 or other == who, (who, other, action, answer.text)
        if other != who:
            answer = await stage.practice.call("DELETE", path, key=stage.keys[who])
            assert answer.status_code == 404
    page = (await stage.got(who, "/v1/webhooks")).json()["items"]
    assert [each["id"] for each in page] == [stage.webhooks[who]]
    assert await stage.trace() == before


@pytest.mark.parametrize("who", ["another referrer", "another clinic", "administrator"])
async def test_without_the_walls_everything_is_let_through(stage: Stage, who: str) -> None:
    """What is switched off above was all there was besides them."""
    for table in ("referral", "offer", "sealed_key", "referral_history", "idempotency"):
        await stage.practice.run(f"alter table {table} no force row level security")
        await stage.practice.run(f"alter table {table} disable row level security")
    await expect(stage, who, walls=False)


def test_a_trusted_caller_is_who_it_is() -> None:
    clinic = UUID("0190a7c2-5f0e-7d4b-9a53-2f6f0f3c1a77")
    scopes = frozenset({f"clinic:{clinic}"})
    who = trusting(Caller(key_id="k", scopes=scopes, principal="somebody"))
    assert (str.__str__(who.principal), list(who.clinics)) == ("somebody", [clinic])
    assert who.has("admin")
    assert msgspec.structs.asdict(who)["key_id"] == "k"
