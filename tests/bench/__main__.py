"""`make bench`: what the service does, as ratios measured side by side in one run.

Needs wrk. Takes about a quarter of an hour; `--quick` leaves the million clinics out.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from db.embedded import EmbeddedPostgres
from tests.bench.deadlines import all_acted_on_s
from tests.bench.directories import bench_directory, import_rate
from tests.bench.load import wrk_is_there
from tests.bench.referring import declined_p99_ms, measure_dry_runs, measure_sending
from tests.bench.searching import measure_growth, measure_searches
from tests.bench.service import Service
from tests.bench.writing import sight_p99_ms

CLINICS = 100_000
FEWER, MORE = 10_000, 1_000_000


class Line(msgspec.Struct, frozen=True):
    """One row of the table; `reach` is what the figure is to be compared with."""

    what: str
    figure: str
    reach: str
    reached: bool
    detail: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the million clinics")
    chosen = parser.parse_args()
    console = Console()
    if not wrk_is_there():
        console.print("wrk is missing. Install it (Debian: apt-get install wrk) and try again.")
        return 2
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="cw-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with EmbeddedPostgres(folder / "data", supervise=False) as server:
            _measure(server, folder, console, lines, with_million=not chosen.quick)
    _print(lines, console)
    return 0 if all(line.reached for line in lines) else 1


def _measure(
    server: str, folder: Path, console: Console, lines: list[Line], *, with_million: bool
) -> None:
    console.print("Importing the 9,037 rows of SAMHSA's directory …")
    rate = asyncio.run(import_rate(server))
    lines.append(
        Line("import of the 9,037-row file", f"{rate:,.0f} rows/s", "≥ 2,000", rate >= 2000)
    )
    console.print(f"Writing {CLINICS:,} scattered clinics …")
    dsn = asyncio.run(bench_directory(server, "bench_100k", CLINICS))
    with Service(dsn, folder):
        pass  # compiles what is not compiled yet, which is done once a release
    with Service(dsn, folder) as service:
        _searches(service, folder, console, lines)
        _resources(service, lines)
        with Service(dsn, folder) as other:
            p99 = asyncio.run(sight_p99_ms(service, other))
        lines.append(
            Line("a write in one process to its sight in another, p99", f"{p99:.0f} ms",
                 "≤ 200 ms", p99 <= 200)
        )  # fmt: skip
        _dry_runs(service, folder, console, lines)
    with Service(dsn, folder, processes=2) as service:
        _referrals(service, folder, console, lines)
    if with_million:
        _growth(server, folder, console, lines)


def _searches(service: Service, folder: Path, console: Console, lines: list[Line]) -> None:
    console.print("Searching …")
    for result in measure_searches(service, folder):
        a, b = (f"{statistics.median(rates):,.0f}/s" for rates in (result.rates, result.others))
        lines.append(
            Line(result.what, f"{result.ratio:.2f}", f"≥ {result.reach:.2f}",
                 result.ratio >= result.reach, f"{a} ÷ {b}")
        )  # fmt: skip
        console.print(f"  {result.what}: {result.ratio:.2f}")


def _resources(service: Service, lines: list[Line]) -> None:
    memory, start = service.memory_mb(), service.started_in_s
    lines += [
        Line("memory of one process at 100,000 clinics, after the searches", f"{memory:.0f} MB",
             "≤ 400 MB", memory <= 400),
        Line("time from start to first answer at 100,000 clinics", f"{start:.1f} s",
             "≤ 6 s", start <= 6),
    ]  # fmt: skip


def _dry_runs(service: Service, folder: Path, console: Console, lines: list[Line]) -> None:
    console.print("Matching …")
    ratio, runs, searches = measure_dry_runs(service, folder)
    a, b = statistics.median(runs), statistics.median(searches)
    lines.append(
        Line("p50 of a dry run ÷ p50 of a near-me search", f"{ratio:.1f}", "≤ 10", ratio <= 10,
             f"{a:.2f} ms ÷ {b:.2f} ms")
    )  # fmt: skip


def _referrals(service: Service, folder: Path, console: Console, lines: list[Line]) -> None:
    console.print("Sending referrals …")
    p99 = asyncio.run(declined_p99_ms(service))
    sent = measure_sending(service, folder)
    console.print("Letting 1,000 of 100,000 open offers expire …")
    late = asyncio.run(all_acted_on_s(service))
    lines += [
        Line("referrals sent, routed and durable, two processes", f"{sent.rate:,.0f}/s",
             "≥ 150", sent.rate >= 150),
        Line("the same ÷ an insert of as many bytes", f"{sent.ratio:.2f}", "≥ 0.35",
             sent.ratio >= 0.35, f"{sent.rate:,.0f}/s ÷ {sent.inserts:,.0f}/s, {sent.bytes:,} B"),
        Line("a clinic's no to the next one's offer, 1,000 open, p99", f"{p99:.0f} ms",
             "≤ 500 ms", p99 <= 500),
        Line("1,000 deadlines in one second, 100,000 offers open", f"{late:.1f} s", "≤ 10 s",
             late <= 10),
    ]  # fmt: skip


def _growth(server: str, folder: Path, console: Console, lines: list[Line]) -> None:
    console.print(f"Writing {FEWER:,} and {MORE:,} scattered clinics …")
    few = asyncio.run(bench_directory(server, "bench_10k", FEWER))
    many = asyncio.run(bench_directory(server, "bench_1m", MORE))
    with Service(few, folder) as small, Service(many, folder, patience=180) as large:
        ratio, larges, smalls = measure_growth(large, small, folder)
    a, b = statistics.median(larges), statistics.median(smalls)
    lines.append(
        Line("p50 at 1,000,000 clinics ÷ p50 at 10,000", f"{ratio:.2f}", "≤ 1.50", ratio <= 1.5,
             f"{a:.2f} ms ÷ {b:.2f} ms")
    )  # fmt: skip


def _print(lines: list[Line], console: Console) -> None:
    table = Table("what", "figure", "reach", "", "detail")
    for line in lines:
        table.add_row(line.what, line.figure, line.reach, "✓" if line.reached else "✗", line.detail)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
