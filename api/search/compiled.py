"""Functions compiled to machine code at their first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compiles at the first call and keeps the machine code on disk for the next start."""
    compile_it = cast(
        Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]],
        numba.njit(cache=True),
    )
    return compile_it(function)
