"""The lock files hold what pyproject.toml asks for: `make lock` was run after it was changed."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.services import ROOT

PROJECT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["project"]
RUN: list[str] = PROJECT["dependencies"]
DEV: list[str] = PROJECT["optional-dependencies"]["dev"]


def locked(name: str) -> dict[str, str]:
    text = ROOT.joinpath(name).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("line", RUN)
@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_what_the_service_needs_is_locked(file: str, line: str) -> None:
    wanted = Requirement(line)
    assert wanted.specifier.contains(locked(file)[canonicalize_name(wanted.name)])


@pytest.mark.parametrize("line", DEV)
def test_what_the_checks_need_is_locked(line: str) -> None:
    wanted = Requirement(line)
    found = locked("requirements-dev.lock")[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(found, prereleases=True)


def test_both_files_agree() -> None:
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert len(run) > len(RUN)
    assert run.items() <= dev.items()


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_has_hashes_and_no_address_is_named(file: str) -> None:
    text = ROOT.joinpath(file).read_text("utf-8")
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(packages) >= len(locked(file))
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in text
    assert "--index-url" not in text
