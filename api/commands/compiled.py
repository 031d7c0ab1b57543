"""Where compiled code is kept between starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from api.environment import process_environment, set_in_environment

VARIABLE: Final = "NUMBA_CACHE_DIR"
SOURCE: Final = Path(__file__).parents[1] / "search"


def keep_compiled_code(data_dir: Path, *, beside: Path = SOURCE) -> None:
    """Have the search kernel compiled once, not at every start.

    numba keeps compiled code beside the source. An installation that this user cannot write to
    has no such place, and then the data folder has one. To be called before numba is imported,
    which reads the variable then; child processes inherit it.
    """
    if process_environment().get(VARIABLE) or _can_write_in(beside):
        return
    folder = data_dir / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    set_in_environment(VARIABLE, str(folder))


def _can_write_in(folder: Path) -> bool:
    cache = folder / "__pycache__"
    return os.access(cache if cache.exists() else folder, os.W_OK | os.X_OK)
