"""Matching is compiled once, for every kind of need."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_is_compiled_after_compile_ahead() -> None:
    """In a process of its own, since compiled code stays as long as its process."""
    script = """
from datetime import UTC, datetime
from uuid import UUID
from api.referrals.matching import candidate_kernel as kernel
from api.referrals.matching.candidates import compile_ahead, find_candidates
from db.states import Route, Setting, Urgency
from tests.referrals.directories import wanted
from tests.referrals.test_candidates import AT_HOME, IV, MOMENT, PHOENIX, clinic, loaded

def compiled():
    functions = (kernel.join, kernel.judge, kernel.measure, kernel.walk)
    return [len(each.signatures) for each in functions]

compile_ahead(datetime(2026, 11, 22, tzinfo=UTC))
before = compiled()
index = loaded([clinic(n, *PHOENIX, offerings=(*IV, *AT_HOME)) for n in range(1, 30)])
index.upsert(2, index.profile(3))
one = frozenset({UUID(int=1)})
for asked in (
    {}, {"near": PHOENIX}, {"near": PHOENIX, "limit_m": 80467},
    {"near": (33, -112), "limit_m": 1.5},
    {"near": PHOENIX, "urgency": Urgency.URGENT, "state": "US-AZ", "age": 3, "payer": "va"},
    {"near": PHOENIX, "language": "es", "flags": frozenset({"pregnancy", "substance_use_history"})},
    {"near": PHOENIX, "limit_m": 9.0, "preferred": one, "excluded": one, "tried": one},
    {"routes": frozenset({Route.IV}), "settings": frozenset({Setting.CLINIC})},
):
    find_candidates(index, wanted(["crps", "depression"], **asked).need, MOMENT).matches({})
assert before == compiled() == [1, 1, 1, 1], (before, compiled())
"""
    subprocess.run([sys.executable, "-c", script], check=True)
