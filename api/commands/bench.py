"""`clinicway bench`: the measurements, which are part of the checkout and not of the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from api.commands.failures import CommandError


def run_bench(checkout: Path, arguments: Sequence[str]) -> int:
    """Raises CommandError outside a checkout."""
    if not (checkout / "tests" / "bench" / "__main__.py").exists():
        raise CommandError(
            "The measurements are not part of the installed package. Clone the repository and run "
            "`make bench` in it."
        )
    command = [sys.executable, "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=checkout, check=False).returncode  # noqa: S603 (ours)
