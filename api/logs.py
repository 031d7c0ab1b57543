"""Log lines that say what happened and never what was sent.

Health information can stand in any value: so no query string, no body, no text of an exception
is ever written. A failure is its class, where it was raised, and the request's id.
"""

from __future__ import annotations

import logging
import logging.config
import traceback
from collections.abc import Iterator
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_MOST_FRAMES = 12


def described(error: BaseException) -> dict[str, object]:
    """An exception without its text: classes, places in the code, and the database's own codes."""
    return {**named(error), "at": _frames(error)}


def named(error: BaseException) -> dict[str, object]:
    """The same without the places in the code: for a failure that is nobody's fault."""
    facts: dict[str, object] = {"error": _name(error)}
    if causes := [_name(each) for each in _causes(error)]:
        facts["caused_by"] = causes
    for name in ("sqlstate", "constraint"):
        if (value := getattr(error, name, None)) is not None:
            facts[name] = value
    return facts


class Seldom:
    """At most one line a second, so that an outage under load does not fill the disk."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._held_back = 0

    def due(self, now: float) -> int | None:
        """How many lines were held back since the last one; None when this one is to be, too.
        `now` is in seconds of a monotonic clock."""
        if self._last is not None and now - self._last < 1.0:
            self._held_back += 1
            return None
        self._last = now
        held_back, self._held_back = self._held_back, 0
        return held_back


def _name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def _frames(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-_MOST_FRAMES:]]


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _without_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replaces the traceback that another library asked for: it would print the exception."""
    exc_info = event.pop("exc_info", None)
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info  # pyright: ignore[reportUnknownVariableType] (logging types it loosely)
    if isinstance(error, BaseException):
        event.update(described(error))
    event.pop("exception", None)
    event.pop("stack_info", None)
    return event


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_text,
    ]


def formatter(form: Literal["console", "json"]) -> logging.Formatter:
    """For every record of the process, ours and those of libraries."""
    render: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )


def log_config(level: str, form: str) -> dict[str, Any]:
    """A `logging.config` dictionary, also for granian's `log_dictconfig`. Lines go to stderr."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "api.logs.formatter", "form": form}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "stream": "ext://sys.stderr",
            }
        },
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            "_granian": {"level": level.upper(), "handlers": [], "propagate": True},
            # Their lines at this level repeat URLs, and URLs hold what was asked.
            **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "aiohttp", "geopy")},
        },
    }


def configure_logs(level: str, form: str) -> None:
    """Once in a process, by the composition root."""
    logging.config.dictConfig(log_config(level, form))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
