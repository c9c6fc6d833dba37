"""How an error is drawn, and what never gets out."""

from __future__ import annotations

import orjson
import pytest

from pgo import errors
from pgo.edge import wrap
from pgo.errors import (
    Gone,
    Incident,
    InvalidClient,
    Issue,
    Malformed,
    NotFound,
    PgoError,
    ScopeTooSmall,
    TooCostly,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from pgo.metrics import make_metrics
from pgo.settings import Settings
from pgo.web import ClientGone, kind_of, read_body, render

SECRET = "mevrouw-De-Vries-gebruikt-haloperidol"
FORMS = {"fhir": "/fhir/r4/Patient/1", "oauth": "/oauth/token", "problem": "/mijn/dossier"}


def every_error() -> list[type[PgoError]]:
    found, left = [], [PgoError]
    while left:
        found.append(left.pop())
        left += found[-1].__subclasses__()
    return [one for one in found if one.__module__ == errors.__name__]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/fhir/r4/Patient", "fhir"),
        ("/fhir", "fhir"),
        ("/dossiers/abc/fhir/r4/Patient", "fhir"),
        ("/dossiers/abc/fhir", "fhir"),
        ("/dossiers/abc", "problem"),
        ("/dossiers", "problem"),
        ("/medmij/48/fhir/Patient", "fhir"),
        ("/oauth/token", "oauth"),
        ("/oauthx", "problem"),
        ("/.well-known/smart-configuration", "problem"),
        ("/mijn/fhir", "problem"),
        ("/", "problem"),
    ],
)
def test_the_address_says_which_form_an_error_has(path, kind):
    assert kind_of(path) == kind


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("error", every_error(), ids=lambda one: one.__name__)
def test_every_error_can_be_drawn_in_every_form(error, kind):
    answer = render(error("Detail."), kind, request_id="abc")
    assert answer.status == error.status
    assert orjson.loads(answer.body)


@pytest.mark.parametrize("error", every_error(), ids=lambda one: one.__name__)
def test_people_are_told_to_try_again_later_only_when_it_was_our_own_fault(error):
    ours = error.status in {500, 503} or error is PgoError
    assert ("later nog eens" in error.dutch) == ours


def test_a_search_that_is_too_wide_is_not_called_wrong_data():
    assert "opgeslagen" not in TooCostly("Detail.").dutch


def test_an_outcome_has_place_code_english_for_makers_and_dutch_for_people():
    error = Malformed(
        "Two things.",
        issues=(Issue("value", "Not a date.", "Patient.birthDate"), Issue("required", "Absent.")),
    )
    body = orjson.loads(render(error, "fhir").body)
    assert body == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "details": {"text": Malformed.dutch},
                "diagnostics": "Not a date.",
                "expression": ["Patient.birthDate"],
            },
            {
                "severity": "error",
                "code": "required",
                "details": {"text": Malformed.dutch},
                "diagnostics": "Absent.",
            },
        ],
    }


def test_stu3_gets_only_codes_it_knows():
    def code(release):
        body = render(Gone("Deleted."), "fhir", release=release).body
        return orjson.loads(body)["issue"][0]["code"]

    assert (code("r4"), code("stu3")) == ("deleted", "not-found")


def test_oauth_errors_are_rfc_6749_and_their_description_has_no_quotes():
    answer = render(InvalidClient('No "quotes" or \\ here: é'), "oauth")
    assert orjson.loads(answer.body) == {
        "error": "invalid_client",
        "error_description": "No  quotes  or   here:  ",
    }
    assert answer.headers[0] == (b"content-type", b"application/json")


def test_problems_are_dutch_unless_english_is_asked_for():
    assert orjson.loads(render(NotFound("Not there."), "problem").body)["title"] == NotFound.dutch
    english = orjson.loads(render(NotFound("Not there."), "problem", language="en").body)
    assert english["title"] == "Not there."
    assert english["status"] == 404


@pytest.mark.parametrize(
    ("error", "kind", "sent", "challenge"),
    [
        (Unauthenticated, "fhir", "", b'Bearer realm="pgo"'),
        (Unauthenticated, "fhir", "bearer", b'Bearer realm="pgo", error="invalid_token"'),
        (Unauthenticated, "fhir", "basic", b'Bearer realm="pgo"'),
        (ScopeTooSmall, "fhir", "bearer", b'Bearer realm="pgo", error="insufficient_scope"'),
        (InvalidClient, "oauth", "basic", b'Basic realm="pgo"'),
        (InvalidClient, "oauth", "", b'Bearer realm="pgo"'),
        (NotFound, "fhir", "bearer", None),
    ],
)
def test_the_challenge_names_an_error_only_when_a_token_was_sent(error, kind, sent, challenge):
    headers = dict(render(error("No."), kind, sent=sent).headers)
    assert headers.get(b"www-authenticate") == challenge


def test_extra_headers_of_an_error_are_sent():
    error = TooMany("Too often.", headers={"Retry-After": "7"})
    assert (b"retry-after", b"7") in render(error, "fhir").headers


@pytest.mark.parametrize("path", FORMS.values(), ids=FORMS)
async def test_the_cause_of_an_incident_is_in_no_answer_and_not_quoted_in_the_log(path, ask, lines):
    async def app(scope, receive, send):
        try:
            {}[SECRET]
        except KeyError as cause:
            raise RuntimeError(SECRET) from cause

    reply = await ask(wrap(app, Settings(), make_metrics()), path)
    assert reply.status == 500
    assert SECRET.encode() not in reply.body
    assert SECRET not in str(reply.headers)
    assert reply.header("x-request-id").encode() in reply.body
    incident = next(line for line in lines() if line["event"] == "incident")
    assert incident["cause"] == "RuntimeError < KeyError"
    assert incident["request_id"] == reply.header("x-request-id")
    assert any(place.endswith(" app") for place in incident["at"])
    assert SECRET not in str(lines())


async def test_the_cause_of_our_own_error_stays_inside_too(ask, lines):
    async def app(scope, receive, send):
        raise Unavailable("Cannot serve now.") from ValueError(SECRET)

    reply = await ask(wrap(app, Settings(), make_metrics()), "/fhir/r4/Patient/1")
    assert reply.status == 503
    assert SECRET.encode() not in reply.body
    assert "Unavailable(Cannot serve now.) < ValueError" in str(lines())


async def test_a_refusal_is_no_incident(ask, lines):
    async def app(scope, receive, send):
        raise NotFound("Not there.")

    assert (await ask(wrap(app, Settings(), make_metrics()), "/x")).status == 404
    assert [line["event"] for line in lines()] == ["access"]


async def test_an_answer_under_way_is_cut_off_when_something_breaks(ask, lines):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError(SECRET)

    reply = await ask(wrap(app, Settings(), make_metrics()), "/x")
    assert (reply.status, reply.body) == (200, b"half")
    assert [line["event"] for line in lines()] == ["incident", "access"]


async def test_somebody_who_hung_up_is_neither_answered_nor_an_incident(ask, lines):
    async def app(scope, receive, send):
        raise ClientGone

    reply = await ask(wrap(app, Settings(), make_metrics()), "/x")
    assert reply.status == 0
    assert [(line["event"], line["status"]) for line in lines()] == [("access", 499)]


async def test_head_gets_the_length_of_the_error_but_not_its_body(ask, lines):
    async def app(scope, receive, send):
        raise NotFound("Not there.")

    wrapped = wrap(app, Settings(), make_metrics())
    full, head = await ask(wrapped, "/x"), await ask(wrapped, "/x", "HEAD")
    assert head.body == b""
    assert abs(int(head.header("content-length")) - len(full.body)) <= 1


async def test_a_body_is_read_whole_and_a_broken_one_is_noticed():
    pieces = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
    ]

    async def receive():
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    assert await read_body(receive) == b"ab"
    with pytest.raises(ClientGone):
        await read_body(receive)


def test_an_incident_shows_its_request_id_in_each_form():
    for kind in FORMS:
        assert b"req-1" in render(Incident("Ours."), kind, request_id="req-1").body
