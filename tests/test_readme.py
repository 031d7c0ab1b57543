"""The README is true: its commands are run in order on a new service, and what it shows comes out.

A block of commands is followed by the block of what it prints, or prints nothing. In the latter,
a line `…` stands for one line or more that were left out; ids and keys are other ones each
time, and nothing else may differ.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from api.settings import SETTINGS
from tests.services import PATIENCE, ROOT, Service, data_folder, environment, serving

README = ROOT.joinpath("README.md").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")]
ADDRESS = "127.0.0.1:8000"
LEFT_OUT = "…"
ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
KEY = re.compile(r"cw_live_(?:[0-9a-f]{32}_[a-z2-7]{32}|…)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(msgspec.Struct, frozen=True):
    commands: str
    shown: str


def examples(page: str) -> list[Example]:
    """The blocks of commands, each with the block that follows it before any other does."""
    found: list[Example] = []
    blocks = [(block[1], block[2]) for block in BLOCK.finditer(page)]
    for (language, text), (next_language, shown) in zip(
        blocks, [*blocks[1:], ("", "")], strict=True
    ):
        if language == "bash":
            found.append(Example(text, "" if next_language == "bash" else shown))
    return found


ALL = examples(README)
STARTED = ALL[0]
TYPED = ALL[1:]
"""The first one starts the service."""


def pattern(shown: str) -> re.Pattern[str]:
    """What the output has to be, with a group for each id."""
    lines: list[str] = []
    for line in shown.splitlines():
        if line == LEFT_OUT:
            lines.append(r"(?:.*\n)+?")
            continue
        between = [escaped(part) for part in ID.split(line)]
        lines.append(f"({ID.pattern})".join(between) + r"\n")
    return re.compile("".join(lines))


def escaped(text: str) -> str:
    """As a pattern; where the README shortens a key, any key may stand."""
    return KEY.pattern.join(re.escape(part) for part in KEY.split(text))


def plain(output: str, service: Service) -> str:
    """The output as the README writes it: its port, and no blanks that nobody sees."""
    lines = output.replace(f"127.0.0.1:{service.port}", ADDRESS).splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with data_folder() as folder, serving(folder) as service:
        yield service.announced()


@pytest.fixture(scope="module")
def printed(service: Service, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block of commands prints, all of them typed into one shell."""
    folder = tmp_path_factory.mktemp("checkout")
    folder.joinpath("seeds").symlink_to(ROOT / "seeds")
    folder.joinpath(".clinicway").symlink_to(service.data_dir)
    command = folder / ".venv" / "bin" / "clinicway"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m api "$@"\n', "utf-8")
    command.chmod(0o755)
    end = "-- this was block"
    script = "".join(f"{{ {example.commands}}}\nprintf '\\n{end} %d\\n' $?\n" for example in TYPED)
    done = subprocess.run(
        ["bash", "-u", "-o", "pipefail"],
        input=script.replace(ADDRESS, f"127.0.0.1:{service.port}"),
        cwd=folder,
        env=environment(CLINICWAY_DATA_DIR=str(service.data_dir), PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    outputs = re.split(rf"\n{end} (\d+)\n", done.stdout)
    assert outputs[1::2] == ["0"] * len(TYPED), done.stderr
    assert outputs.pop() == ""
    return outputs[0::2]


def test_what_the_start_prints(service: Service) -> None:
    assert STARTED.commands == "make run\n"
    assert pattern(STARTED.shown).fullmatch(plain(service.out, service)), service.out


@pytest.mark.parametrize("at", range(len(TYPED)))
def test_what_the_commands_print(at: int, printed: list[str], service: Service) -> None:
    output = plain(printed[at], service)
    assert pattern(TYPED[at].shown).fullmatch(output), f"not as in the README:\n{output}"


def test_an_id_is_the_same_clinic_everywhere(printed: list[str], service: Service) -> None:
    pairs: set[tuple[str, str]] = set()
    for example, output in zip(TYPED, printed, strict=True):
        found = pattern(example.shown).fullmatch(plain(output, service))
        assert found is not None
        pairs |= set(zip(ID.findall(example.shown), found.groups(), strict=True))
    assert len(pairs) == len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs})
    assert len(pairs) >= 3
    assert all(UUID(theirs).version == 7 for _, theirs in pairs)


def test_the_examples_show_something() -> None:
    """A README without examples, or with nothing but `…`, would pass everything above."""
    assert len(TYPED) >= 8
    silent = [example.commands for example in TYPED if not example.shown]
    assert [re.split(r"\W", command)[0] for command in silent] == ["KEY", "key"]
    for example in TYPED:
        if example.shown:
            assert sum(line != LEFT_OUT for line in example.shown.splitlines()) >= 3
    urls = re.findall(rf"http://{re.escape(ADDRESS)}/\S+", "".join(each.commands for each in TYPED))
    assert any("near=90045&radius=25mi&route=iv" in url for url in urls)


@pytest.mark.parametrize(
    "output",
    [
        'a\n"total": 6\nb\nid 01a20188-72bd-7fb7-baab-2c0f6cc475e8\n',
        'a\n"total": 5\nid 01a20188-72bd-7fb7-baab-2c0f6cc475e8\n',
        'a\n"total": 5\nb\nid 01a20188-72bd-4fb7-baab-2c0f6cc475e8\n',
        'a\n"total": 5\nb\nid 01a20188-72bd-7fb7-baab-2c0f6cc475e8\nmore\n',
        'x\na\n"total": 5\nb\nid 01a20188-72bd-7fb7-baab-2c0f6cc475e8\n',
        "",
    ],
    ids=["number", "nothing left out", "form of id", "more after", "more before", "nothing"],
)
def test_what_differs_is_seen(output: str) -> None:
    shown = 'a\n"total": 5\n…\nid 01a20188-72bc-744f-bc79-c117becec147\n'
    same = 'a\n"total": 5\nb\nc\nid 01a20188-72bd-7fb7-baab-2c0f6cc475e8\n'
    assert pattern(shown).fullmatch(same)
    assert not pattern(shown).fullmatch(output)


def test_how_many_clinics_come_from_where(service: Service) -> None:
    counts: Counter[str] = Counter()
    after = ""
    while True:
        page = service.get(f"/v1/clinics?limit=100{after}").json()
        counts.update(item["clinic"]["source_name"] for item in page["items"])
        if page["next"] is None:
            break
        after = f"&cursor={page['next']}"
    said = re.findall(r"^- (\d+) (?:facilities|English|clinic)", README, re.MULTILINE)
    assert sorted(map(int, said)) == sorted(counts.values())
    assert f"with\n{sum(counts.values())} clinics in it" in README


def test_the_targets_of_make_exist() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named >= {"run", "test", "environment"}
    makefile = ROOT.joinpath("Makefile").read_text("utf-8")
    assert named <= set(re.findall(r"^([a-z-]+)[a-z -]*:", makefile, re.MULTILINE))


def test_the_settings_named_exist() -> None:
    for page in PAGES:
        named = set(re.findall(r"\bCLINICWAY_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))
        assert named <= {setting.variable for setting in SETTINGS}, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text("utf-8")):
        assert page.parent.joinpath(link).exists(), link


def test_the_picture_is_one() -> None:
    picture = ROOT / "docs" / "images" / "docs.png"
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size < 200_000


def test_everything_used_is_here() -> None:
    """A missing program would be reported as a difference in the output."""
    for program in ("bash", "curl", "python3", "make"):
        assert shutil.which(program), program
    assert os.name == "posix"


def test_every_page_is_listed() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    decisions = {f"decisions/{path.name}" for path in (ROOT / "docs" / "decisions").glob("*.md")}
    assert {page for page in pages | decisions if f"]({page})" not in listed} == set()
