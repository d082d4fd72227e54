"""How log lines look (for people, or Elastic Common Schema), and what must never be in one."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from ecs_logging import StructlogFormatter

# A mask may hit a harmless number once in a while; a customer's phone number in a log cannot be taken back.
_MASKS = [
    (re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), "[token]"),
    (re.compile(r"(?i)\b(bearer|token|visitor|basic)(\s+)(?=\S*\d)[\w.~+/=:-]{8,}"), r"\1\2[token]"),
    (
        re.compile(
            r"(?i)((?:token|ticket|password|passwd|secret|api[_-]?key|authorization|cookie|signature"
            r"|session\w{0,20}|csrf\w{0,20})"
            r"[\"']?\s*[=:]\s*[\"']?)(?!\[)[^\s\"'&,;}]+"
        ),
        r"\1[secret]",
    ),
    # Random url-safe text with capitals, small letters and digits is a key to something; request ids are not.
    (
        re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[A-Za-z0-9_-]{32,}(?![\w-])"),
        "[token]",
    ),
    (re.compile(r"(?<![\w.+%'-])[\w.+%'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "[email]"),
    (
        re.compile(
            r"(?<![\w.:+-])(?!\d{4}-\d\d-\d\d)"
            r"(?:\+\d(?:[\s().\-/]{0,2}\d){6,14}|\(?0\d(?:[\s()\-/]{0,2}\d){6,13}"
            r"|\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}|\d{10,15})(?![\w.]\w|\w)"
        ),
        "[phone]",
    ),
]
_SECRET_KEYS = re.compile(
    r"(?i)token|ticket|password|secret|authorization|cookie|phone|e?mail|signature|^body$"
)
# Longer than any line worth reading; a mask over a megabyte of payload would cost more than the line.
MOST_CHARACTERS = 20_000

# Written by this program alone, never with anything from outside; masking them would double the cost of a line.
_OURS = {"timestamp", "level", "logger", "request_id", "method", "route", "status", "ms"}
# ours -> Elastic Common Schema
_ECS_NAMES = {
    "request_id": "http.request.id",
    "method": "http.request.method",
    "status": "http.response.status_code",
    "route": "http.route",
    "user_id": "user.id",
    "logger": "log.logger",
    "level": "log.level",
    "timestamp": "@timestamp",
}


def mask(text: str) -> str:
    """`text` without e-mail addresses, phone numbers and anything that opens a door."""
    text = text[:MOST_CHARACTERS]
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text


def mask_value(value: Any) -> Any:
    """The same for whatever hangs on a log line; values under telling keys go whole."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _mask_item(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    # Rendered here, because a formatter would call str() on it after us.
    return mask(str(value))


def _mask_item(key: Any, value: Any) -> Any:
    if _SECRET_KEYS.search(str(key)) and not isinstance(value, bool | None):
        return "[hidden]"
    return mask_value(value)


class PrivacyFilter(logging.Filter):
    """On the handler, so that it sees the lines of every logger, our own and the libraries'."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            # structlog's; the formatters below mask it once everything has been added to it.
            return True
        try:
            record.msg, record.args = mask(record.getMessage()), ()
        except (TypeError, ValueError):
            # Arguments that don't fit the message: the line is kept, its arguments are not.
            record.msg, record.args = mask(str(record.msg)), ()
        return True


def console_formatter() -> logging.Formatter:
    """Lines for people."""
    return _formatter(
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, sort_keys=False)
    )


def ecs_formatter() -> logging.Formatter:
    """One JSON object per line, named as Elasticsearch expects it."""
    return _formatter(_ecs_names, StructlogFormatter())


def _formatter(*last: Any) -> logging.Formatter:
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _mask_rendered,
            *last,
        ],
    )


def _mask_rendered(logger: Any, name: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Tracebacks quote SQL parameters and addresses; context variables arrive after the filter."""
    return {key: value if key in _OURS else _mask_item(key, value) for key, value in event.items()}


def _ecs_names(logger: Any, name: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    if "ms" in event:
        event["event.duration"] = int(event.pop("ms") * 1_000_000)
    if "user_id" in event:
        event["user_id"] = str(event["user_id"])
    # ECS has a fixed set of names; everything else is a label.
    known = {_ECS_NAMES[key]: event.pop(key) for key in list(event) if key in _ECS_NAMES}
    kept: dict[str, Any] = {
        key: event.pop(key) for key in ("event", "exception", "event.duration") if key in event
    }
    labels = {
        f"labels.{key.replace('.', '_')}": _label(value) for key, value in event.items() if value is not None
    }
    return {**kept, **known, **labels}


def _label(value: Any) -> Any:
    # A label is one value; nested ones with dots in their keys would collide in the index.
    return (
        value
        if isinstance(value, str | bool | int | float)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
