"""`python -m openapi write` writes openapi.json anew; `check` fails when it is not what it says."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from openapi.document import written

COMMITTED = Path(__file__).parent / "openapi.json"


def write(path: Path = COMMITTED) -> int:
    path.write_bytes(written())
    return 0


def check(path: Path = COMMITTED) -> int:
    """Prints how the committed document differs from the code; 1 when it does."""
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    difference = list(
        difflib.unified_diff(
            committed.splitlines(),
            written().decode().splitlines(),
            "openapi/openapi.json",
            "the code",
            lineterm="",
        )
    )
    if not difference:
        return 0
    print("\n".join(difference))
    print("openapi/openapi.json is out of step. Write it anew: python -m openapi write")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m openapi", description=__doc__)
    parser.add_argument("action", choices=["write", "check"])
    return write() if parser.parse_args().action == "write" else check()


if __name__ == "__main__":
    sys.exit(main())
