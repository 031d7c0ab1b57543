"""Settings: read from the environment and from flags, documented, and silent about secrets."""

from __future__ import annotations

import pickle
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.commands.arguments import flags_of, parser
from api.environment import SettingsError, read_settings, unknown_variables
from api.settings import SETTINGS, Setting, Settings

DOCS = Path(__file__).parents[1] / "docs" / "settings.md"
ROW = re.compile(
    r"^\| `(CLINICWAY_\w+)` \| `(--[\w-]+)` \| (.*?) \| (.*) \| (.*) \|$", re.MULTILINE
)


def shown(default: object) -> str:
    match default:
        case None:
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case _:
            return f"`{default}`"


def test_docs_list_every_setting_as_it_is() -> None:
    documented = {
        found[1]: (found[2], found[3].strip(), found[4], found[5])
        for found in ROW.finditer(DOCS.read_text("utf-8"))
    }
    assert documented == {
        setting.variable: (
            setting.flag,
            shown(setting.default),
            setting.description,
            setting.right,
        )
        for setting in SETTINGS
    }


def test_docs_name_no_setting_that_does_not_exist() -> None:
    named = set(re.findall(r"CLINICWAY_[A-Z_]*[A-Z]", DOCS.read_text("utf-8")))
    assert named == {setting.variable for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_a_flag_of_serve(setting: Setting) -> None:
    arguments = parser().parse_args(["serve", setting.flag, "something"])
    assert flags_of(arguments) == {setting.name: "something"}


def test_a_switch_may_stand_alone() -> None:
    flags = flags_of(parser().parse_args(["serve", "--access-log"]))
    assert read_settings({}, flags).access_log is True


def test_nothing_set_gives_the_defaults() -> None:
    settings = read_settings({}, {})
    assert settings.host == "127.0.0.1"
    assert settings.port == 8000
    assert settings.data_dir == Path.cwd() / ".clinicway"
    assert settings.keyring_path == Path.cwd() / ".clinicway" / "keyring.json"
    assert settings.database_url is None


def test_a_flag_wins_over_a_variable_and_an_empty_variable_is_none() -> None:
    environ = {"CLINICWAY_PORT": "8001", "CLINICWAY_DATABASE_URL": "", "CLINICWAY_WORKERS": "2"}
    settings = read_settings(environ, {"port": "8002"})
    assert (settings.port, settings.database_url, settings.workers) == (8002, None, 2)


def test_an_empty_flag_is_not_silently_the_default() -> None:
    with pytest.raises(SettingsError, match=r"--port must be"):
        read_settings({}, {"port": ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("PORT", "nan"),
        ("WORKERS", "0"),
        ("DATABASE_URL", "mysql://host/x"),
        ("DATABASE_URL", "postgresql://a b"),
        ("GEOCODER_RATE", "nan"),
        ("GEOCODER_RATE", "inf"),
        ("GEOCODER_TIMEOUT", "0"),
        ("ENVIRONMENT", "Live_1"),
        ("ENVIRONMENT", "live\n"),
        ("HOST", "127.0.0.1\n"),
        ("LOG_LEVEL", "loud"),
        ("ACCESS_LOG", "perhaps"),
        ("DATA_DIR", " "),
        ("DATA_DIR", "a\0b"),
        ("CLOCK_URGENT", "PT0S"),
        ("CLOCK_SOON", "P1M"),
        ("CLOCK_ROUTINE", "72"),
        ("CLOCK_ANSWER", "-P5D"),
        ("RETENTION", "P0Y"),
        ("RETENTION", "forever"),
        ("PUBLIC_URL", "clinicway.example"),
        ("PUBLIC_URL", "ftp://clinicway.example"),
        ("PUBLIC_URL", "https:///path"),
        ("PUBLIC_URL", "https://user:password@clinicway.example"),
        ("PUBLIC_URL", "https://clinicway.example/?a=b"),
        ("PUBLIC_URL", "https://clinicway.example\n"),
        ("RATE_KEY", "-1"),
        ("RATE_ADDRESS", "1.5"),
        ("RATE_FAILURES", "many"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,,::1"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ],
)
def test_an_unusable_value_is_named_and_not_repeated(name: str, value: str) -> None:
    variable = f"CLINICWAY_{name}"
    with pytest.raises(SettingsError) as caught:
        read_settings({variable: value}, {})
    setting = next(setting for setting in SETTINGS if setting.variable == variable)
    assert str(caught.value) == f"{variable} must be {setting.right}."
    assert caught.value.problems == {variable: setting.right}


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"CLINICWAY_PORT": "x"}, {"workers": "x"})
    assert set(caught.value.problems) == {"CLINICWAY_PORT", "--workers"}


@given(st.sampled_from([s.variable for s in SETTINGS]), st.text(max_size=40))
def test_any_text_is_read_or_refused_in_our_words(variable: str, text: str) -> None:
    right = {setting.variable: setting.right for setting in SETTINGS}[variable]
    refusal = ""
    try:
        read_settings({variable: text}, {})
    except SettingsError as error:
        refusal = str(error)
    assert refusal in ("", f"{variable} must be {right}.")


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        (Settings(), "http://127.0.0.1:8000"),
        (Settings(host="0.0.0.0", port=81), "http://127.0.0.1:81"),
        (Settings(host="::1", port=81), "http://[::1]:81"),
        (Settings(host="::", port=81), "http://[::1]:81"),
        (Settings(host="directory.example", port=81), "http://directory.example:81"),
        (Settings(public_url="https://directory.example"), "https://directory.example"),
        (Settings(public_url="https://directory.example/"), "https://directory.example"),
        (Settings(public_url="https://x.example/ketamine/"), "https://x.example/ketamine"),
    ],
)
def test_links_begin_where_the_service_is_reached(settings: Settings, base: str) -> None:
    assert settings.link_base == base


def test_secrets_stay_out_of_what_is_printed() -> None:
    settings = Settings(database_url="postgresql://u:hunter2@h/d", geocoder_key="hunter3")
    assert "hunter" not in repr(settings)
    assert "port=8000" in repr(settings)


def test_settings_travel_to_server_processes_whole() -> None:
    settings = read_settings({"CLINICWAY_DATABASE_URL": "postgresql://u:p@h/d"}, {"port": "81"})
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_durations_are_lengths_of_time_and_print_as_they_were_written() -> None:
    settings = read_settings({"CLINICWAY_CLOCK_URGENT": "PT90M"}, {"retention": "P7Y6M"})
    assert settings.clock_urgent == timedelta(minutes=90)
    assert settings.clock_routine == timedelta(hours=72)
    assert settings.retention is not None
    assert settings.retention.months == 90
    assert "clock_urgent=Span('PT90M')" in repr(settings)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_misspelt_variable_is_noticed() -> None:
    environ = {"CLINICWAY_PROT": "1", "CLINICWAY_ZZ": "1", "CLINICWAY_HOST": "h", "PATH": "/"}
    assert unknown_variables(environ) == {"CLINICWAY_PROT": "CLINICWAY_PORT", "CLINICWAY_ZZ": None}
