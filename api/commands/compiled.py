"""Where compiled code is kept between starts."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from api.settings import process_environment, set_in_environment

VARIABLE = "NUMBA_CACHE_DIR"


def keep_compiled_code(data_dir: Path) -> None:
    """Have the search kernel compiled once, not at every start.

    numba keeps compiled code beside the source. An installation that this user cannot write to
    has no such place, and then the data folder has one. To be called before numba is imported,
    which reads the variable then; child processes inherit it.
    """
    if process_environment().get(VARIABLE) or _can_write_beside("api.search"):
        return
    folder = data_dir / "compiled"
    folder.mkdir(parents=True, exist_ok=True)
    set_in_environment(VARIABLE, str(folder))


def _can_write_beside(package: str) -> bool:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        return False
    folder = Path(found.submodule_search_locations[0])
    cache = folder / "__pycache__"
    return os.access(cache if cache.exists() else folder, os.W_OK | os.X_OK)
