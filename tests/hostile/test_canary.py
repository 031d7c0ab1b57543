"""Words that stand for a patient, in every field and header there is, through a whole life.

The service is the real one and says as much as it can: every line of its log, every request, and
PostgreSQL every statement with its parameters. Afterwards the words are looked for everywhere.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from db.connection import Connection
from db.embedded import find_running, place
from tests.directory.clinics import FULL
from tests.faults.deployment import ask_sql, caller, database, run_sql
from tests.hostile.traces import Words, files
from tests.services import Service, clinicway, data_folder, eventually, serving

Json = dict[str, Any]

WORD: Final = "Xanthoquillwort"
ACCENTED: Final = "Ürgränôvèlle"
MAILBOX: Final = f"{WORD.lower()}@mail.example"
EXACT: Final = ("1931-02-27", "5550187", "M79.7QK9", "33.517311", "-112.039171", "5550193")
"""A birth date, the ends of two numbers, a code and a place."""
WORDS: Final = Words(WORD, ACCENTED, exact=EXACT)
SCREENING: Final = {
    name: name == "pregnancy"
    for name in (
        *("uncontrolled_hypertension", "unstable_heart_disease", "active_psychosis", "pregnancy"),
        *("breastfeeding", "severe_liver_disease", "substance_use_history"),
        "immediate_suicide_risk",
    )
}
REFERRAL: Final[Json] = {
    "patient": {
        "given_name": ACCENTED,
        "family_name": WORD,
        "birth_date": "1931-02-27",
        "phone": "+16025550187",
        "email": MAILBOX,
        "near": "33.517311,-112.039171",
        "state": "US-AZ",
    },
    "conditions": ["crps"],
    "icd10": ["M79.7QK9"],
    "reason": f"{WORD}: {ACCENTED}\n{WORD}",
    "prior_treatments": [WORD, f"{ACCENTED} twice"],
    "medications": [f"{WORD} 20 mg"],
    "screening": SCREENING,
    "preferences": {"routes": ["iv"], "max_distance": "50mi", "language": "en"},
    "consent": {"given": True, "at": "2026-11-22T09:00:00-07:00", "notify": True},
    "referrer": {
        "name": f"Dr. {WORD}",
        "organization": f"{ACCENTED} & Partners",
        "phone": "+16025550193",
        "email": f"desk.{MAILBOX}",
    },
    "duplicate_reason": f"Another {WORD}",
}
SAID: Final = f"{WORD} {ACCENTED}"
TALKATIVE: Final = (
    *("--log-level", "debug", "--log-format", "json", "--access-log", "true"),
    *("--demonstration", "false", "--webhook-allow-private", "true"),
    *("--public-url", "https://directory.example", "--max-body-bytes", "65536"),
)
EVERYTHING_IS_LOGGED: Final = (
    "log_statement = 'all'",
    "log_parameter_max_length = -1",
    "log_parameter_max_length_on_error = -1",
    "log_min_error_statement = 'debug5'",
    "log_error_verbosity = 'verbose'",
)

_numbers = count(1)


@contextmanager
def receiver() -> Generator[tuple[str, list[bytes]]]:
    """Takes every webhook: its address, and what it has taken, everything of a request."""
    taken: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append(f"{self.path}\n{self.headers}\n".encode() + body)
            self.send_response(204)
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Not to the test's own output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Life:
    """Everybody who has to do with the patients, and everything that they were answered."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.refused: list[httpx.Response] = []
        self.told: list[httpx.Response] = []
        self.referrer = service.key("referrals:write")
        self.clinics: list[tuple[str, str]] = []
        """Ids and keys."""
        with caller(service, service.key("directory:write")) as client:
            for name in ("First Example Clinic", "Second Example Clinic"):
                profile = {**FULL, "name": name, "weekly_capacity": None}
                made = client.post("/v1/clinics", json=profile)
                assert made.status_code == 201, made.text
                clinic = made.json()["id"]
                self.clinics.append((clinic, service.key(f"clinic:{clinic}")))

    def ask(
        self,
        key: str,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        **headers: str,
    ) -> httpx.Response:
        sent = {
            **({"Authorization": f"Bearer {key}"} if key else {}),
            "If-Match": "*",
            # What browsers and proxies send of their own accord.
            "User-Agent": f"{WORD}/1.0",
            "Referer": f"https://practice.example/patients/{WORD}",
            "Cookie": f"patient={WORD}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        if content is None and body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = httpx.request(
            method, self.service.url + path, headers=sent, content=content, timeout=30
        )
        assert answer.status_code < 500, answer.text
        (self.told if answer.is_success else self.refused).append(answer)
        return answer

    def done(self, *args: Any, **more: Any) -> Json:
        answer = self.ask(*args, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def send(self, **changes: Any) -> Json:
        first_clinic = {**REFERRAL["preferences"], "clinics": [self.clinics[0][0]]}
        body = {**REFERRAL, "preferences": first_clinic, **changes}
        name = f"{WORD}-{next(_numbers)}"
        return self.done(self.referrer, "POST", "/v1/referrals", body, Idempotency_Key=name)

    def step(self, referral: str, action: str, body: Json | None = None, clinic: int = -1) -> Json:
        key = self.referrer if clinic < 0 else self.clinics[clinic][1]
        return self.done(key, "POST", f"/v1/referrals/{referral}/{action}", body)

    def offer_step(self, referral: str, action: str, clinic: int, body: Json | None = None) -> Json:
        key = self.clinics[clinic][1]
        seen = self.done(key, "GET", f"/v1/referrals/{referral}")
        [offer] = [each["id"] for each in seen["offers"] if each["state"] == "open"]
        return self.done(key, "POST", f"/v1/offers/{offer}/{action}", body)

    def subscribe(self, url: str) -> None:
        for key in (self.referrer, *(key for _, key in self.clinics)):
            self.done(key, "POST", "/v1/webhooks", {"url": url})


def whole_life(life: Life) -> list[str]:
    """Every step that there is, with something said at each that takes it; the referrals."""
    treated = life.send()
    assert treated["state"] == "screening"
    first = treated["id"]
    life.step(first, "confirm-screening", {"reason": SAID})
    life.offer_step(first, "ask", 0, {"question": SAID})
    life.step(first, "answer", {"answer": SAID})
    life.offer_step(first, "decline", 0, {"reason": "other", "note": SAID})
    life.offer_step(first, "accept", 1)
    life.step(first, "schedule", {"at": "2027-01-11T09:30:00-07:00"}, clinic=1)
    life.step(first, "no-show", clinic=1)
    life.step(first, "schedule", {"at": "2027-01-12T09:30:00-07:00"}, clinic=1)
    life.step(first, "start", clinic=1)
    life.step(first, "complete", {"outcome": SAID}, clinic=1)

    fine = {**SCREENING, "pregnancy": False}
    returned = life.send(screening=fine)["id"]
    life.offer_step(returned, "accept", 0)
    life.step(returned, "return", {"reason": "other", "note": SAID}, clinic=0)
    life.step(returned, "cancel")

    at_once = life.send(screening=fine, mode="broadcast", urgency="urgent")["id"]
    life.offer_step(at_once, "accept", 0)

    here = {**REFERRAL["preferences"], "max_distance": "0.01mi"}
    nobody = life.send(screening=fine, preferences=here)
    assert nobody["state"] == "unrouted"
    life.step(nobody["id"], "route", {"preferences": {"max_distance": "any", "language": None}})
    return [first, returned, at_once, nobody["id"]]


def looked_at(life: Life, referrals: list[str]) -> str:
    """Everything that shows referrals, as everybody; what was shown."""
    shown: list[str] = []
    for key in (life.referrer, *(key for _, key in life.clinics)):
        paths = ["/v1/referrals", "/v1/offers", "/v1/webhooks"]
        for referral in referrals:
            paths += [f"/v1/referrals/{referral}", f"/v1/referrals/{referral}/history"]
        shown += [life.ask(key, "GET", path).text for path in paths]
    run = {**REFERRAL, "preferences": {"max_distance": "any"}}
    life.done(life.referrer, "POST", "/v1/referrals/matches", run)
    return "\n".join(shown)


def everything_refused(life: Life, closed: str) -> None:
    """Each kind of refusal there is, with the words in what was sent."""
    referrer, clinic = life.referrer, life.clinics[0][1]
    path, cancel = "/v1/referrals", f"/v1/referrals/{closed}/cancel"
    patient = REFERRAL["patient"]
    bodies: list[Json] = [
        # The name of a field is repeated if it could be one: otherwise no mistake could be found.
        {**REFERRAL, f"{WORD} {WORD}": WORD},
        {**REFERRAL, ACCENTED: 1},
        {**REFERRAL, "unknown": {WORD: ACCENTED}},
        {**REFERRAL, "patient": {**patient, SAID: ACCENTED}},
        {**REFERRAL, "patient": {**patient, "near": f"{WORD}, AZ"}},
        {**REFERRAL, "patient": {**patient, "near": "Springfield", "family_name": WORD}},
        {**REFERRAL, "patient": {**patient, "phone": WORD}},
        {**REFERRAL, "patient": {**patient, "email": SAID}},
        {**REFERRAL, "patient": {**patient, "birth_date": WORD}},
        {**REFERRAL, "patient": {**patient, "birth_date": "2931-02-27"}},
        {**REFERRAL, "patient": {**patient, "state": WORD}},
        {**REFERRAL, "conditions": [WORD.lower()]},
        {**REFERRAL, "icd10": [WORD]},
        {**REFERRAL, "urgency": WORD},
        {**REFERRAL, "mode": ACCENTED},
        {**REFERRAL, "reason": f"{WORD}\0"},
        {**REFERRAL, "medications": [WORD, WORD * 20]},
        {**REFERRAL, "preferences": {"payer": WORD.lower(), "language": WORD}},
        {**REFERRAL, "consent": {"given": WORD, "at": WORD}},
        {**REFERRAL, "consent": {**REFERRAL["consent"], "given": False}},
        {**REFERRAL, "screening": {**SCREENING, "immediate_suicide_risk": True}},
        {**REFERRAL, "screening": {SAID: True}},
        {**REFERRAL, "duplicate_reason": None},
        {**REFERRAL, "referrer": {"name": SAID, "registration": {"system": "npi", "value": WORD}}},
    ]
    for body in bodies:
        for at in (path, f"{path}/matches"):
            answer = life.ask(
                referrer, "POST", at, body, X_Note=WORD, Idempotency_Key=f"{WORD}-same"
            )
            assert answer.status_code in (400, 409, 422) or at != path, answer.text
    whole = json.dumps(REFERRAL, ensure_ascii=False)
    for content in (
        whole[:-2].encode(),
        whole.encode("latin-1"),
        whole.encode("utf-16"),
        f'{{"{SAID}": "{WORD}", {whole[1:]}'.encode(),
        f'{{"{SAID}": "{WORD}", "{SAID}": 1, {whole[1:]}'.encode(),
        whole.replace('"crps"', f'"{WORD}\\ud800"').encode(),
        (WORD * 20_000).encode(),
        b"",
    ):
        answer = life.ask(
            referrer, "POST", path, content=content, X_Note=WORD, Idempotency_Key=f"{WORD}-same"
        )
        assert answer.status_code in (400, 413)
    life.ask(referrer, "POST", path, content=whole.encode(), Content_Type=f"text/{WORD}")
    life.ask(referrer, "POST", path, REFERRAL)
    life.ask(referrer, "POST", path, REFERRAL, Idempotency_Key=f"{WORD} {WORD}")
    # The same name for something else.
    twice = f"{WORD}-twice"
    life.done(referrer, "POST", path, REFERRAL, Idempotency_Key=twice)
    changed = {**REFERRAL, "reason": WORD}
    other = life.ask(referrer, "POST", path, changed, Idempotency_Key=twice)
    assert other.status_code == 422

    for key, method, where, body, expected in (
        (referrer, "POST", f"/v1/referrals/{closed}/answer", {"answer": SAID}, 409),
        (referrer, "POST", f"/v1/referrals/{closed}/confirm-screening", {"reason": SAID}, 409),
        (clinic, "POST", f"/v1/referrals/{closed}/complete", {"outcome": SAID}, 404),
        (clinic, "POST", f"/v1/referrals/{WORD}/return", {"reason": "other", "note": SAID}, 404),
        (clinic, "POST", f"/v1/offers/{closed}/ask", {"question": SAID}, 404),
        (clinic, "POST", f"/v1/offers/{closed}/ask", {"question": 1, SAID: WORD}, 400),
        (referrer, "POST", f"/v1/offers/{closed}/ask", {"question": SAID}, 403),
        ("", "POST", path, REFERRAL, 401),
        (WORD, "POST", path, REFERRAL, 401),
        (referrer, "GET", f"{path}/{WORD}", None, 404),
        (referrer, "GET", f"{path}?q={WORD}", None, 400),
        (referrer, "GET", f"{path}?{WORD}%20{WORD}=1", None, 400),
        (referrer, "GET", f"{path}?state={WORD}", None, 400),
        (referrer, "GET", f"{path}?cursor={WORD}", None, 400),
        (referrer, "PUT", f"{path}/{closed}", REFERRAL, 405),
        (referrer, WORD.upper(), path, REFERRAL, 405),
        ("", "GET", f"/v1/track/{WORD}", None, 404),
        ("", "GET", f"/{WORD}/{WORD}?{WORD}", None, 404),
    ):
        answer = life.ask(key, method, where, body)
        assert answer.status_code == expected, (where, answer.text)
    stale = life.ask(referrer, "POST", cancel, If_Match=f'"{WORD}"')
    assert stale.status_code == 409
    assert life.ask(referrer, "POST", cancel, If_Match=WORD).status_code == 400


def dumped(dsn: str) -> Iterator[tuple[str, str]]:
    """Every row of every table there is, as text, with bytes in hexadecimal."""

    async def read(conn: Connection) -> list[tuple[str, str]]:
        tables = await conn.fetch(
            "select table_schema, table_name from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema not like 'pg\\_%'"
        )
        found: list[tuple[str, str]] = []
        for schema, table in tables:
            rows = await conn.fetch(f'select t::text from "{schema}"."{table}" as t')
            found.append((table, "\n".join(str(row) for (row,) in rows)))
        return found

    yield from database(dsn, read)


@pytest.fixture
def talkative() -> Iterator[Service]:
    with data_folder() as folder:
        with serving(folder, *TALKATIVE) as service:
            dsn = find_running(service.announced().data_dir)
            assert dsn is not None
            # For the sessions of the next service: it is not for PostgreSQL to hold its tongue.
            run_sql(dsn, *(f"alter database clinicway set {each}" for each in EVERYTHING_IS_LOGGED))
            assert service.stop() == 0
        with serving(folder, *TALKATIVE) as service:
            yield service.announced()


@pytest.mark.slow
def test_the_words_are_nowhere(talkative: Service) -> None:
    folder = talkative.data_dir
    dsn = find_running(folder)
    assert dsn is not None
    with receiver() as (hook, webhooks):
        life = Life(talkative)
        life.subscribe(f"{hook}?token=t")
        referrals = whole_life(life)
        everything_refused(life, closed=referrals[0])
        shown = looked_at(life, referrals)
        # Whom it concerns has read it, so it was there to be lost.
        assert len(WORDS.found_in(shown)) >= 2 + len(EXACT)
        tracked = [
            life.ask("", "GET", str(answer.json()["tracking_url"]).partition(".example")[2]).text
            for answer in life.told
            if answer.request.method == "POST" and answer.request.url.path == "/v1/referrals"
        ]
        erased = clinicway(
            *("referrals", "erase", "--force", "--data-dir", str(folder), *referrals)
        )
        assert erased.returncode == 0, erased.stderr
        unsent = "select count(*) from notice where sent_at is null and given_up_at is null"
        eventually(lambda: ask_sql(dsn, unsent) == 0, lambda: talkative.err)
        waiting = "select count(*) from webhook_delivery where state = 'pending'"
        eventually(lambda: ask_sql(dsn, waiting) == 0, lambda: talkative.err)

    assert len(webhooks) > 20
    assert len(tracked) > 4
    places = {
        "what commands say": erased.stdout + erased.stderr,
        "webhooks": b"\n\n".join(webhooks),
        "tracking": "\n".join(tracked),
        "metrics": talkative.get("/metrics").text,
        "refusals": "\n".join(answer.text for answer in life.refused),
        "headers": "\n".join(str(answer.headers) for answer in life.told + life.refused),
        "history of what was erased": life.ask(
            life.referrer, "GET", f"/v1/referrals/{referrals[0]}/history"
        ).text,
        **{f"table {table}": text for table, text in dumped(dsn)},
    }
    assert {f"table {name}" for name in NOT_EMPTY} <= {name for name in places if places[name]}
    assert {400, 401, 403, 404, 405, 409, 413, 415, 422} <= {
        answer.status_code for answer in life.refused
    }
    assert talkative.stop() == 0
    home = place.known_home(folder.resolve())
    # PostgreSQL has told everything that reached it.
    assert referrals[0] in (home / "postgres.log").read_text("utf-8", "replace")
    assert '"route": "/v1/referrals/{referral}"' in talkative.err
    places |= mails(folder)
    found = {name: words for name, content in places.items() if (words := WORDS.found_in(content))}
    assert found == {}
    assert any(each.stat().st_size > 1_000_000 for each in files(home / "postgres" / "pg_wal"))
    for root in {folder.resolve(), home.resolve()}:
        assert dict(without_mails(WORDS.found_in_folder(root), folder)) == {}


NOT_EMPTY: Final = (
    *("referral", "offer", "referral_history", "idempotency", "notice", "audit_entry"),
    *("webhook_delivery", "webhook_subscription", "pgqueuer_log"),
)


def mails(folder: Path) -> dict[str, bytes]:
    """What is in them, as files and as read; the patient's address stands where mails go."""
    found: dict[str, bytes] = {}
    to_the_patient = 0
    for path in (folder / "mail").glob("*.eml"):
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        to_the_patient += mail["to"] == MAILBOX
        del mail["to"]
        body = mail.get_body()
        assert body is not None
        found[f"mail {path.name}"] = mail.as_bytes() + str(body.get_content()).encode()
    assert to_the_patient > 5
    return found


def without_mails(found: Any, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Mails were looked into on their own."""
    for path, words in found.items():
        if Path(path).parent != folder.resolve() / "mail":
            yield path, words


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("word", [WORD, ACCENTED])
def test_it_would_be_found(word: str, before: int) -> None:
    said = b"x" * before + word.encode() + b" and more"
    mail = EmailMessage()
    mail.set_content(f"Concerning {word}", cte="quoted-printable")
    for leak in (
        said,
        said.swapcase(),
        said.decode()[::-1],
        said.hex(),
        repr(said),
        json.dumps({"reason": word}),
        quote(said),
        base64.b64encode(said),
        base64.urlsafe_b64encode(said),
        mail.as_bytes(),
    ):
        assert WORDS.found_in(leak), leak
    assert not WORDS.found_in(base64.b64encode(b"nothing of the kind is said here"))
