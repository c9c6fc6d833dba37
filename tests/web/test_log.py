"""What reaches the log, and what never does."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo import log
from pgo.edge import wrap
from pgo.errors import NotFound
from pgo.fhir.elfproef import valid
from pgo.log import EVENTS, scrub, told
from pgo.metrics import make_metrics
from pgo.settings import Settings
from pgo.web import Answer, name_route, send_answer

BSN = "111222333"  # synthetic: fits the check sum, belongs to nobody


async def fine(scope, receive, send):
    name_route(scope, "/fhir/{release}/{type}/{id}")
    await send_answer(send, Answer(200, [], b"x"))


async def test_a_request_is_one_line_that_says_that_and_not_what(ask, lines):
    path = f"/fhir/r4/Patient/{BSN}?name=geheim&_id=abc"
    await ask(wrap(fine, Settings(), make_metrics()), path, headers=[("X-Request-ID", "r-1")])
    (line,) = lines()
    assert line.pop("ms") < 1000
    assert line.pop("time").startswith("20")
    assert line == {
        "event": "access",
        "level": "info",
        "method": "GET",
        "route": "/fhir/{release}/{type}/{id}",
        "status": 200,
        "request_id": "r-1",
    }


async def test_a_request_that_reached_no_route_shows_no_address(ask, lines):
    async def app(scope, receive, send):
        raise NotFound("Not there.")

    for path in ("/geheim/x", "/fhir/r4/geheim", "/"):
        await ask(wrap(app, Settings(), make_metrics()), path)
    assert [line["route"] for line in lines()] == ["none", "/fhir/*", "none"]


def test_a_field_that_is_not_listed_is_dropped(lines):
    structlog.get_logger().info("started", workers=2, name="Jan", store="sqlite")
    (line,) = lines()
    assert line.keys() == {"event", "level", "time", "workers", "store"}


def test_an_event_that_is_not_listed_keeps_nothing(lines):
    structlog.get_logger().info("Jan heeft koorts", name="Jan")
    (line,) = lines()
    assert (line["event"], line.keys()) == ("unlisted", {"event", "level", "time"})


def written_events():
    """The first argument of each call of a structlog logger's method in our code."""
    for file in Path(log.__file__).parent.rglob("*.py"):
        text = file.read_text("utf-8")
        if "structlog" not in text:
            continue
        for call in ast.walk(ast.parse(text)):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in {"debug", "info", "warning", "error", "critical"}
                and call.args
            ):
                yield file.name, call.args[0], {keyword.arg for keyword in call.keywords}


def test_every_event_our_code_writes_is_listed_with_its_fields():
    found = list(written_events())
    assert len(found) >= 3
    for file, event, fields in found:
        assert isinstance(event, ast.Constant), f"{file}: an event is a fixed name"
        assert event.value in EVENTS, f"{file}: {event.value} is not listed"
        assert fields - {None} <= EVENTS[event.value] | log.COMMON, f"{file}: {event.value}"


def test_no_event_lists_a_field_for_names_paths_or_queries():
    forbidden = {"name", "path", "url", "query", "body", "bsn", "person", "client", "patient"}
    assert all(fields.isdisjoint(forbidden) for fields in EVENTS.values())


@pytest.mark.parametrize(
    "text",
    [
        BSN,
        f"bsn={BSN}.",
        f"client{BSN}x",
        "1112.22.333",
        "111.222.333",
        "111 222 333",
        "10000008",
    ],
)
def test_what_looks_like_a_bsn_is_masked(text):
    masked = scrub(text)
    assert "[weg]" in masked
    assert not any(run.isdigit() for run in masked.replace(".", " ").split())


@pytest.mark.parametrize(
    "text", ["123456789", "1234567890", "12", "2026-08-14T12:00:00", "port 27017", "000000000"]
)
def test_other_numbers_stay(text):
    assert scrub(text) == text


@settings(max_examples=200, deadline=None)
@given(st.integers(10_000_000, 999_999_999))
def test_every_number_with_the_right_sum_is_masked_wherever_it_stands(number):
    text = f"a {number:09d}, b"
    assert (scrub(text) == text) != valid(f"{number:09d}")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Authorization: Bearer abcdefghijk", "abcdefghijk"),
        ("bearer ABC.def-ghi", "ABC.def-ghi"),
        ("Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("got eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.sig here", "eyJzdWIiOiIxIn0"),
        ("code=abc123&state=xyz", "abc123"),
        ("code=abc123&state=xyz", "xyz"),
        ("{'client_assertion': 'short'}", "short"),
        ("token x9" + "aB3" * 15, "aB3aB3"),
        ("GET /fhir/r4/Patient?name=geheim HTTP/1.1", "geheim"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text, gone):
    assert gone in text
    assert gone not in scrub(text)


@pytest.mark.parametrize(
    "text", ["uvicorn running on http://127.0.0.1:8000", "a" * 80, "x" * 9 + "/pgo/dossier/image"]
)
def test_plain_words_stay(text):
    assert scrub(text) == text


@pytest.mark.parametrize("name", ["uvicorn.error", "authlib.oauth2", "pymongo.command", "other"])
def test_libraries_go_through_the_same_nets(name, lines):
    logging.getLogger(name).warning(f"sent {BSN} with Bearer abcdefgh to /x?name=geheim")  # noqa: G004 - a library does so
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"]) == ("library", name, "warning")
    assert line["text"] == "sent [weg] with Bearer [weg] to /x?[weg]"


def test_arguments_of_other_libraries_are_not_filled_in(lines):
    logging.getLogger("other").warning("refused %s", "Jan")
    logging.getLogger("uvicorn.error").info("listening on port %d", 8000)
    assert [line["text"] for line in lines()] == [
        "refused %s",
        "listening on port 8000",
    ]
    wrong = logging.LogRecord("uvicorn.error", 20, "", 1, "%d", ("no number",), None)
    assert log._text(wrong) == "a line that could not be formatted"


def test_libraries_stay_above_debug_even_when_we_debug(lines):
    log.configure(Settings(log_level="debug"))
    for name in log.QUIET:
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("uvicorn.access").propagate


def test_an_exception_of_a_library_is_named_and_not_quoted(lines):
    try:
        int("Jan de Vries")
    except ValueError:
        logging.getLogger("asyncio").exception("broke\nfuture: Jan de Vries")
    (line,) = lines()
    assert (line["text"], line["cause"]) == ("broke", "ValueError")
    assert "Vries" not in str(line)


def test_an_exception_shows_texts_that_quote_nothing():
    assert told(OSError(28, "No space left on device", "geheim"))["cause"] == (
        "OSError(No space left on device)"
    )
    assert told(NotFound("Not there."))["cause"] == "NotFound(Not there.)"
    group = ExceptionGroup("geheim", [ValueError("geheim"), KeyError("geheim")])
    assert told(group)["cause"] == "ExceptionGroup < ValueError < KeyError"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_no_text_can_start_a_new_line_or_steer_a_terminal(text):
    event = {"event": "library", "text": text, "time": "t", "level": "info"}
    line = log._rendered(None, "", log._scrubbed(None, "", event))
    assert all(0x20 <= byte < 0x7F for byte in line)


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "\x1b[2J", "\u2028", "\x9b31m", "\x7f", "\ud800"], ids=ascii
)
def test_injection_is_escaped(text, lines, monkeypatch):
    other = logging.getLogger("other")
    monkeypatch.setattr(other, "propagate", False)  # pytest cannot keep half a character
    ours = [h for h in logging.getLogger().handlers if isinstance(h, log._Library)]
    monkeypatch.setattr(other, "handlers", ours)
    other.warning(text)
    assert len(lines()) == 1


def test_long_texts_and_odd_values_do_no_harm(lines):
    structlog.get_logger().info("started", store="x" * 9_999, workers=object(), strict=2**70)
    logging.getLogger("other").log(35, "odd level")
    first, second = lines()
    assert len(first["store"]) == log.LONGEST
    assert second["level"] == "warning"


def test_setting_up_twice_writes_once(lines):
    log.configure(Settings())
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, log._Library)]
    assert len(handlers) == 1
