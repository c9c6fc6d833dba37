"""Log lines: JSON, one object per line, that say that something happened and never what was in it.

Three nets, one behind the other:

1. `EVENTS` lists each event with the fields it may have; any other field is dropped.
2. An exception is written as the names of its classes and the places in the code, without its
   message, because messages quote the data they choke on.
3. `scrub` masks what looks like a BSN, a token or a query string in every text that is left, also
   in lines of libraries, which come in through the standard `logging` module.

A line holds ASCII only, so nothing in it can start a new line or steer a terminal.
This is not the audit trail (`pgo.audit`): nobody's rights depend on what is written here.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, BinaryIO, Final

import orjson
import structlog

from pgo.errors import PgoError
from pgo.fhir.elfproef import valid
from pgo.settings import Settings

EVENTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "access": frozenset({"method", "route", "status", "ms", "medmij_request", "correlation"}),
        "incident": frozenset({"route", "cause", "at"}),
        "library": frozenset({"logger", "text", "cause", "at"}),
        "started": frozenset({"workers", "store", "strict"}),
        "stopped": frozenset(),
        "not-ready": frozenset({"part", "cause"}),
        "audit-lost": frozenset({"cause"}),
        "anchor": frozenset({"status", "cause"}),
        "throttled": frozenset({"limit"}),
        "swept": frozenset({"count"}),
    }
)
"""Every event of this server, with the fields it may carry."""

COMMON: Final = frozenset({"event", "level", "time", "request_id"})
LONGEST: Final = 2_000
QUIET: Final = ("pymongo", "authlib", "asyncio", "uvicorn", "fastapi", "python_multipart")
"""Libraries whose debug lines quote commands, documents or tokens: never below INFO."""

_BSN: Final = re.compile(
    r"(?<!\d)(?:\d{8,9}|\d{4}[ .-]\d{2}[ .-]\d{3}|\d{3}[ .-]\d{3}[ .-]\d{3})(?!\d)"
)
_SECRET: Final = re.compile(
    r"(?P<scheme>\b(?:bearer|basic|dpop)\s+)[\w.~+/=-]{6,}"
    r"|(?P<name>\b(?:access_token|refresh_token|id_token|token|code|code_verifier|assertion"
    r"|client_assertion|client_secret|password|secret|otp|state|nonce)[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"'&,;}]+"
    r"|eyJ[\w-]{4,}\.[\w-]+(?:\.[\w-]*)*"
    r"|(?P<query>\?)[^\s\"'<>]+",
    re.IGNORECASE,
)
_LONG: Final = re.compile(r"[\w+/=-]{40,}", re.ASCII)
_CODE: Final = re.compile(r"SQLITE_[A-Z_]+")
_MASK: Final = "[weg]"

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The moment it is."""
    return datetime.now(UTC)


def scrub(text: str) -> str:
    """The text with everything masked that looks like a BSN, a credential or a query string."""
    text = _SECRET.sub(_masked_secret, text)
    text = _LONG.sub(_masked_long, text)
    return _BSN.sub(_masked_number, text)


def _masked_secret(found: re.Match[str]) -> str:
    return (found["scheme"] or found["name"] or found["query"] or "") + _MASK


def _masked_long(found: re.Match[str]) -> str:
    """Random strings mix capitals, small letters and digits; paths and words do not."""
    text = found[0]
    mixed = re.search(r"[A-Z]", text) and re.search(r"[a-z]", text) and re.search(r"\d", text)
    return _MASK if mixed else text


def _masked_number(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    return _MASK if valid(digits) else found[0]


def configure(settings: Settings, stream: BinaryIO | None = None, clock: Clock = utc_now) -> None:
    """Send every line, ours and those of libraries, to `stream` (default: standard error).

    Writing is synchronous: whoever reads the stream must keep up.
    """
    out = stream or sys.stderr.buffer
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[_stamp(clock), _listed, _scrubbed, _rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines(out, level, clock),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(level)


class _Lines(structlog.BytesLoggerFactory):
    """Where lines go, with what an access line needs to know."""

    def __init__(self, out: BinaryIO, level: int, clock: Clock) -> None:
        super().__init__(out)
        self.level, self.clock = level, clock


Said = tuple[str, str, int]
"""Method, template of the route, status."""
AccessLog = Callable[[Said, float, str, Mapping[str, str]], None]
"""Writes an access line: what is `Said`, seconds, the request id, other fields of the event."""


def access_log() -> AccessLog:
    """What writes an access line. Call `configure` first.

    The line is what `structlog.get_logger().info("access", …)` makes of it, in a fifth of the time:
    these fields are ours, so none of the nets has anything to do.
    """
    lines = structlog.get_config()["logger_factory"]
    if not isinstance(lines, _Lines):
        return _slowly
    if lines.level > logging.INFO:
        return lambda *_: None
    return _AccessLines(lines().msg, lines.clock).line


def _slowly(said: Said, seconds: float, request_id: str, exchange: Mapping[str, str]) -> None:
    fields = {**_access_fields(said), "ms": round(seconds * 1000, 2), "request_id": request_id}
    structlog.get_logger().info("access", **fields, **exchange)


def _access_fields(said: Said) -> dict[str, Any]:
    return dict(zip(("method", "route", "status"), said, strict=True))


class _AccessLines:
    """Access lines; those of one round of the event loop are written together."""

    def __init__(self, write: Callable[[bytes], None], clock: Clock) -> None:
        self._write, self._clock = write, clock
        self._waiting: list[str] = []
        self._begins: dict[Said, str] = {}

    def line(
        self, said: Said, seconds: float, request_id: str, exchange: Mapping[str, str]
    ) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        begin = self._begins.get(said) or self._learn(said)
        more = f",{orjson.dumps(exchange).decode()[1:-1]}" if exchange else ""
        self._waiting.append(f'{begin}{seconds * 1000:.2f},"request_id":"{request_id}"{more}')

    def _learn(self, said: Said) -> str:
        begin = {"event": "access", "level": "info", **_access_fields(said), "ms": 0}
        return self._begins.setdefault(said, orjson.dumps(begin).decode().removesuffix("0}"))

    def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        end = f',"time":"{self._clock().isoformat(timespec="milliseconds")}"}}'
        self._write("\n".join([line + end for line in lines]).encode())


def _configure_libraries(level: int) -> None:
    """One handler at the root; libraries never below INFO; uvicorn has no access lines of its own.

    Of a library's line the first line of the template is kept; only uvicorn's arguments (addresses
    it listens on, numbers of processes) are filled in, because other libraries quote data there.
    Handlers hung up elsewhere (such as those of a test runner) stay where they are.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Library)]:
        root.removeHandler(old)
    root.addHandler(_Library())
    root.setLevel(max(level, logging.INFO))
    for name in QUIET:
        library = logging.getLogger(name)
        library.setLevel(max(level, logging.INFO))
        library.handlers.clear()
        library.propagate = True
    logging.getLogger("uvicorn.error").handlers.clear()
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False


class _Library(logging.Handler):
    """Takes lines of the standard `logging` module through the same nets as our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record that cannot be formatted loses its text, not the server."""
        fields: dict[str, Any] = {"logger": record.name, "text": _text(record)}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= told(record.exc_info[1])
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger().log(level, "library", **fields)


def _text(record: logging.LogRecord) -> str:
    text = str(record.msg)
    if record.name.startswith("uvicorn"):
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = "a line that could not be formatted"
    return text.partition("\n")[0]


def told(cause: BaseException) -> dict[str, Any]:
    """What the log may know of an exception: `cause`, class names; `at`, places, innermost last."""
    return {
        "cause": " < ".join(_name(one) for one in _chain(cause)),
        "at": [
            f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(cause.__traceback__)
        ][-12:],
    }


def _chain(cause: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, at most eight deep; of a group, its members too."""
    left: list[BaseException | None] = [cause]
    for _ in range(8):
        one = left.pop(0) if left else None
        if one is None:
            return
        yield one
        left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        if (before := one.__cause__ or one.__context__) is not None:
            left.append(before)


def _name(one: BaseException) -> str:
    """Class name, with the texts that are ours or the system's and quote nothing."""
    name = type(one).__name__
    if isinstance(one, PgoError):
        return f"{name}({one.detail})"
    if isinstance(one, OSError) and one.strerror:
        return f"{name}({one.strerror})"
    code = getattr(one, "sqlite_errorname", None) or getattr(one, "code", None)
    return f"{name}({code})" if isinstance(code, int) or _CODE.fullmatch(str(code)) else name


def report(cause: BaseException, *, request_id: str = "", route: str = "") -> None:
    """Write down an incident: the cause goes here, and nowhere else."""
    structlog.get_logger().error("incident", request_id=request_id, route=route, **told(cause))


def _stamp(clock: Clock) -> structlog.typing.Processor:
    def stamp(_: Any, level: str, event: Any) -> Any:
        event["level"] = level
        event["time"] = clock().isoformat(timespec="milliseconds")
        return event

    return stamp


def _listed(_: Any, __: str, event: Any) -> Any:
    """Only fields of the event's own list; of an event nobody listed nothing is kept."""
    allowed = EVENTS.get(str(event["event"]))
    if allowed is None:
        event["event"], allowed = "unlisted", frozenset()
    if event.keys() - COMMON <= allowed:
        return event
    return {name: value for name, value in event.items() if name in COMMON or name in allowed}


def _scrubbed(_: Any, __: str, event: Any) -> Any:
    """Texts masked and cut; of an access line only the method is a text that came from outside.

    Its route comes from the code, its request id was looked at when it came in (`pgo.web`).
    """
    if event["event"] == "access":
        return event
    return {name: value if name == "time" else _plain(value) for name, value in event.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return scrub(str(value)) if type(value) is int and abs(value) > 9_999_999 else value  # noqa: PLR2004 - numbers of seven digits and less cannot be a BSN
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value[:20]]
    text = scrub(str(value)[:LONGEST])
    return text.encode("ascii", "backslashreplace").decode().replace("\x7f", "\\x7f")


def _rendered(_: Any, __: str, event: Any) -> bytes:
    """One line of JSON; `_plain` has left nothing in it but ASCII."""
    return orjson.dumps(event)
