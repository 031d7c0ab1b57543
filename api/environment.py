"""Settings out of the environment and the flags of the command line: the only place that reads
either."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from api.durations import Period, Span
from api.rates.proxies import Networks
from api.settings import PREFIX, SETTINGS, Setting, Settings


class SettingsError(ValueError):
    """Settings that cannot be used. Names each variable and what would be right, never the value:
    some of them are secrets."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(f"{name} must be {right}." for name, right in problems.items()))


def process_environment() -> Mapping[str, str]:
    """The environment of this process: the only place that reads it."""
    return dict(os.environ)


def set_in_environment(name: str, value: str) -> None:
    """Tell a library, here and in child processes, what it reads from the environment only."""
    os.environ[name] = value


def read_settings(environ: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """Settings from variables named `CLINICWAY_…` and from flags named by field, which win.

    An empty variable counts as not set. Relative paths are taken from the working directory.
    Raises SettingsError, naming everything that is wrong at once.
    """
    values: dict[str, object] = {}
    problems: dict[str, str] = {}
    for setting in SETTINGS:
        if setting.name in flags:
            raw, named = flags[setting.name], setting.flag
        else:
            raw, named = environ.get(setting.variable, ""), setting.variable
        if raw == "" and setting.name not in flags:
            continue
        try:
            values[setting.name] = _decode(raw, setting)
        except msgspec.ValidationError:
            problems[named] = setting.right
    if not problems and "smtp_url" in values and "mail_from" not in values:
        mail_from = next(each for each in SETTINGS if each.name == "mail_from")
        problems[mail_from.variable] = mail_from.right
    if problems:
        raise SettingsError(problems)
    values.setdefault("data_dir", _path(str(Settings().data_dir)))
    return msgspec.structs.replace(Settings(), **values)


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables that look like settings and are none, each with the setting it resembles."""
    # Compared without the prefix, which alone would make every pair look alike.
    known = {setting.name.upper(): setting.variable for setting in SETTINGS}
    found: dict[str, str | None] = {}
    for name in sorted(environ):
        rest = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and rest not in known:
            near = difflib.get_close_matches(rest, known, n=1, cutoff=0.7)
            found[name] = known[near[0]] if near else None
    return found


def _decode(raw: str, setting: Setting) -> object:
    return msgspec.convert(raw, setting.type, strict=False, dec_hook=_decode_own)


def _decode_own(kind: type, value: object) -> object:
    """The types that msgspec does not know. What they refuse with ValueError, it refuses."""
    if isinstance(value, str):
        if kind is Path and value.strip() and "\0" not in value:
            return _path(value)
        if kind is Span:
            return Span(value)
        if kind is Period:
            return Period(value)
        if kind is Networks:
            return Networks(value)
    raise ValueError("not what this setting takes")


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        # ~somebody, and there is nobody of that name.
        raise ValueError("no such home") from None
