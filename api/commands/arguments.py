"""What the command line takes. Every setting is a flag of `serve`, made from its field."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from api.settings import SETTINGS, Setting

# What else than `serve` needs to know.
DATABASE: Final = ("data_dir", "database_url")
KEYRING: Final = (*DATABASE, "keyring")
KEYS: Final = (*DATABASE, "keyring", "environment", "key_overlap_hours")
IMPORT: Final = (
    *DATABASE, "geocoder", "geocoder_url", "geocoder_key", "geocoder_timeout", "geocoder_rate",
    "claim_days",
)  # fmt: skip
WORKER: Final = (
    *DATABASE, "keyring", "public_url", "host", "port", "log_level", "log_format",
    "index_poll_seconds", "clock_urgent", "clock_soon", "clock_routine", "clock_answer",
    "retention", "smtp_url", "mail_from", "webhook_allow_private", "pool_size",
)  # fmt: skip
DOCTOR: Final = tuple(setting.name for setting in SETTINGS)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="clinicway",
        description="Clinic directory and referral service for ketamine therapy.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"clinicway {_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, "serve", "run the service", (setting.name for setting in SETTINGS))
    _add(commands, "worker", "do what becomes due, without answering requests", WORKER)
    _add(commands, "migrate", "bring the database to this version", DATABASE)
    _add_import(commands)
    _add_keys(commands)
    _add_keyring(commands)
    _add_referrals(commands)
    _add_audit(commands)
    bench = _add(commands, "bench", "measure the service (from a checkout only)", ())
    bench.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="for tests.bench")
    _add(commands, "doctor", "look for what is wrong and say what to do", DOCTOR)
    return top


def _version() -> str:
    try:
        return version("clinicway")
    except PackageNotFoundError:
        # `python -m api` works in a checkout that was never installed.
        return "from a checkout"


def flags_of(arguments: argparse.Namespace) -> Mapping[str, str]:
    """The settings that were given as flags, by name."""
    given: dict[str, object] = vars(arguments)
    names = {setting.name for setting in SETTINGS}
    return {name: str(text) for name, text in given.items() if name in names and text is not None}


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    name: str,
    summary: str,
    settings: Iterable[str],
) -> argparse.ArgumentParser:
    made = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    wanted = set(settings)
    for setting in SETTINGS:
        if setting.name in wanted:
            _add_setting(made, setting)
    return made


def _add_setting(to: argparse.ArgumentParser, setting: Setting) -> None:
    default = "" if setting.default in (None, False) else f"; {setting.default} if not set"
    to.add_argument(
        setting.flag,
        dest=setting.name,
        metavar="VALUE",
        # A switch may stand alone: --access-log is --access-log true.
        nargs="?" if setting.is_switch else None,
        const="true" if setting.is_switch else None,
        help=f"{setting.description} ({setting.variable}{default})".replace("%", "%%"),
    )


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (as above)
    made = _add(commands, "import", "load clinics from a file; can be repeated safely", IMPORT)
    made.add_argument("kind", choices=["samhsa", "csv", "nppes"], help="form of the file")
    made.add_argument("file", metavar="FILE", help="plain or gzip")
    made.add_argument("--source-name", metavar="NAME", help="what the data set is called")
    made.add_argument(
        "--retrieved-on", metavar="DATE", type=_date, help="when it was fetched, as in 2026-11-22"
    )
    made.add_argument(
        "--service",
        dest="services",
        action="append",
        default=[],
        metavar="CODE",
        help="samhsa: only rows that report this service code (repeat for several)",
    )
    made.add_argument(
        "--taxonomy",
        dest="taxonomies",
        action="append",
        default=[],
        metavar="CODE",
        help="nppes: only rows with one of these taxonomy codes",
    )
    made.add_argument(
        "--name",
        dest="names",
        action="append",
        default=[],
        metavar="TEXT",
        help="nppes: only rows whose name contains one of these texts",
    )
    made.add_argument(
        "--geocode",
        action="store_true",
        help="ask the geocoding service of the settings for every new address",
    )


def _add_keys(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (as above)
    keys = commands.add_parser("keys", help="make, list, rotate and revoke API keys")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = _add(actions, "create", "print a new key, and nothing else, on standard output", KEYS)
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        required=True,
        metavar="SCOPE",
        help="referrals:write, directory:write, admin or clinic:ID (repeat for several)",
    )
    create.add_argument("--name", required=True, help="what the key is for")
    create.add_argument(
        "--expires-days", type=float, metavar="DAYS", help="when it stops; never, if left out"
    )
    create.add_argument(
        "--email",
        metavar="ADDRESS",
        help="where notices to the key's holder go; nowhere, if left out",
    )
    listing = _add(actions, "list", "list the keys, newest first", KEYS)
    listing.add_argument("--ended", action="store_true", help="revoked and expired ones, too")
    rotate = _add(actions, "rotate", "print a key that replaces another one", KEYS)
    rotate.add_argument("id", metavar="ID")
    revoke = _add(actions, "revoke", "end a key everywhere within 30 seconds", KEYS)
    revoke.add_argument("id", metavar="ID", help="its id, or the whole key")


def _add_keyring(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (as above)
    keyring = commands.add_parser("keyring", help="list, rotate and retire the secret keys")
    actions = keyring.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add(actions, "list", "list the keys of the keyring", KEYRING)
    rotate = _add(actions, "rotate", "make a new active key and seal everything with it", KEYRING)
    rotate.add_argument(
        "--prepare", action="store_true", help="only put the new key into the file, unused"
    )
    _add(actions, "rewrap", "seal with the active key what an older one sealed", KEYRING)
    retire = _add(actions, "retire", "remove an old key that nothing needs any more", KEYRING)
    retire.add_argument("id", metavar="ID")
    retire.add_argument(
        "--reduce", action="store_true", help="keep only the parts of it that are still needed"
    )


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (as above)
    audit = commands.add_parser("audit", help="verify the audit trail, or write down its end")
    actions = audit.add_subparsers(dest="action", required=True, metavar="ACTION")
    known = (*DATABASE, "keyring")
    verify = _add(actions, "verify", "go over every entry; exits with 1 if one is wrong", known)
    verify.add_argument(
        "--anchor", type=Path, metavar="FILE", help="what `audit anchor` printed some time ago"
    )
    _add(actions, "anchor", "print where the trail ends, to be kept elsewhere", known)


def _add_referrals(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (as above)
    referrals = commands.add_parser("referrals", help="erase what referrals say of their patients")
    actions = referrals.add_subparsers(dest="action", required=True, metavar="ACTION")
    erase = _add(actions, "erase", "make patients of closed referrals unreadable for good", KEYRING)
    erase.add_argument("ids", nargs="+", metavar="ID")
    erase.add_argument(
        "--force", action="store_true", help="cancel those that are still open, and erase them"
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a date such as 2026-11-22") from None
