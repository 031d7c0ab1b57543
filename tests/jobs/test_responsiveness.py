"""How clinics answer is measured from their offers, shown from five answers on, and changed only
when it is another."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from api.directory.schemas import Responsiveness
from api.referrals.jobs.responsiveness import ACTOR, measure_all, measured
from db.states import DeclineReason
from db.work_rows import AnswersRow
from tests.jobs.practice import Practice, send

CLINIC = UUID(int=1)


def row(**fields: object) -> AnswersRow:
    usual = AnswersRow(
        clinic_id=CLINIC, answers=7, median_seconds=19_980.0, accepted=3, declined=1,
        reasons=[DeclineReason.CAPACITY],
    )  # fmt: skip
    return msgspec.structs.replace(usual, **fields)


def test_what_is_shown() -> None:
    assert measured(row()) == Responsiveness(
        answers=7,
        median_hours=5.5,
        acceptance=0.75,
        decline_reasons={DeclineReason.CAPACITY: 1},
    )


@pytest.mark.parametrize("answers", [0, 1, 4])
def test_few_answers_are_not_shown(answers: int) -> None:
    assert measured(row(answers=answers)) is None


def test_who_has_only_asked_has_accepted_no_share() -> None:
    shown = measured(row(accepted=0, declined=0, reasons=[]))
    assert shown is not None
    assert shown.acceptance is None


async def answered(here: Practice, how: list[tuple[str, str | None, timedelta]]) -> UUID:
    """One clinic that was offered that many referrals, and how it answered each and after what."""
    clinic = None
    for state, reason, after in how:
        referral = await send(here)
        clinic = await here.ask("select clinic_id from offer where referral_id = $1", referral)
        await here.run(
            "update offer set state = $2::offer_state, decline_reason = $3::decline_reason, "
            "first_answer_at = opened_at + $4, decided_at = now(), due_at = null "
            "where referral_id = $1",
            referral,
            state,
            reason,
            after,
        )
    assert isinstance(clinic, UUID)
    return clinic


HOUR = timedelta(hours=1)
FIVE: list[tuple[str, str | None, timedelta]] = [
    ("accepted", None, HOUR),
    ("accepted", None, 2 * HOUR),
    ("declined", "capacity", 4 * HOUR),
    ("declined", "capacity", 8 * HOUR),
    ("declined", "age", 16 * HOUR),
]


async def measure(here: Practice) -> int:
    return await measure_all(here.worker, here.services.database, here.services.clock)


async def shown(here: Practice, clinic: UUID) -> object:
    """What stands in the newest profile of the log, which index, feed and matching read."""
    profile = await here.ask(
        "select profile from directory_change where clinic_id = $1 order by seq desc limit 1",
        clinic,
    )
    return msgspec.json.decode(profile)["responsiveness"]


async def test_a_profile_shows_what_happened(here: Practice) -> None:
    clinic = await answered(here, FIVE)
    assert await measure(here) == 1
    assert await shown(here, clinic) == {
        "answers": 5,
        "median_hours": 4.0,
        "acceptance": 0.4,
        "decline_reasons": {"capacity": 2, "age": 1},
    }
    actors = "select actor from directory_change where clinic_id = $1 order by seq desc limit 1"
    assert await here.ask(actors, clinic) == ACTOR


async def test_nothing_is_written_while_nothing_has_changed(here: Practice) -> None:
    await answered(here, FIVE)
    await measure(here)
    before = await here.ask("select max(seq) from directory_change")
    assert await measure(here) == 0
    assert await here.ask("select max(seq) from directory_change") == before


async def test_four_answers_are_nobodys_business(here: Practice) -> None:
    clinic = await answered(here, FIVE[:4])
    assert await measure(here) == 0
    assert await shown(here, clinic) is None


async def test_what_is_older_than_a_year_is_forgotten(here: Practice) -> None:
    clinic = await answered(here, FIVE)
    await measure(here)
    await here.run("update offer set opened_at = opened_at - interval '366 days'")
    assert await measure(here) == 1
    assert await shown(here, clinic) is None


async def test_an_offer_that_lapsed_is_no_answer(here: Practice) -> None:
    clinic = await answered(here, FIVE)
    await here.run(
        "update offer set state = 'expired', first_answer_at = null, decline_reason = null "
        "where decline_reason = 'age'"
    )
    await measure(here)
    assert await shown(here, clinic) is None
