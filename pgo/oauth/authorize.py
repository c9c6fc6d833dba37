"""The checks on an authorization request, in order; pure but for looking up the app.

First the app and where to answer: when these are wrong there is no redirect, ever. Whatever is
wrong after that is told to the app at its redirect address, with `state` and `iss` (RFC 9207).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from pgo.errors import BadRequest, InvalidScope, PgoError
from pgo.oauth.clients import App, matches_redirect
from pgo.oauth.scopes import Cap, cap_of, levels, narrowed, parse

MOST_STATE, MOST_NONCE = 4096, 512
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_AUDIENCE = re.compile(r"(?:/dossiers/(?P<dossier>[a-z0-9-]{1,64}))?/fhir/(?:r4|stu3)/?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is sound: `cap` is what was asked and the app may have.

    `only` is the dossier its `aud` names, or ""; `nonce` goes into the id_token; `bound` is the
    key whose proof the code will need, or "".
    """

    app: App
    redirect_uri: str
    state: str
    challenge: str
    cap: Cap
    only: str = ""
    nonce: str = ""
    bound: str = ""


class ToApp(PgoError):
    """Something is wrong that the app may be told: `oauth` is the code, `to` the way back."""

    status, issue = 400, "invalid"

    def __init__(self, code: str, detail: str, redirect_uri: str, state: str) -> None:
        super().__init__(detail)
        self.oauth = code
        self.redirect_uri = redirect_uri
        self.state = state


def answered(redirect_uri: str, issuer: str, **fields: str) -> str:
    """The redirect address with an answer in its query; `iss` always, empty fields never."""
    query = urlencode({**{k: v for k, v in fields.items() if v}, "iss": issuer})
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}"


def where(pairs: Sequence[tuple[str, str]], app: App | None) -> str:
    """The redirect address, when app and address are right.

    Raises:
        errors.BadRequest: they are not; to be shown on a page.
    """
    given = [value for name, value in pairs if name == "redirect_uri"]
    if app is None or app.disabled or "authorization_code" not in app.grants:
        raise BadRequest("This app is not known here.", place="client_id")
    if len(given) != 1 or not matches_redirect(given[0], app.redirect_uris):
        raise BadRequest("This redirect address is not registered.", place="redirect_uri")
    return given[0]


def client_id_of(pairs: Sequence[tuple[str, str]]) -> str:
    """The client_id, when there is exactly one."""
    given = [value for name, value in pairs if name == "client_id"]
    return given[0] if len(given) == 1 else ""


def asked(
    pairs: Sequence[tuple[str, str]],
    app: App,
    redirect_uri: str,
    issuer: str,
    known: Callable[[Cap], bool] = lambda _: True,
) -> Asked:
    """The request, when all of it is right; `known` says whether search restrictions are.

    Raises:
        ToApp: it is not; to be told to the app.
    """
    states = [value for name, value in pairs if name == "state"]
    state = states[0] if len(states) == 1 and len(states[0]) <= MOST_STATE else ""
    params = dict(pairs)
    wrong = _fault(pairs, params, state)
    if wrong is not None:
        raise ToApp(*wrong, redirect_uri, state)
    only = _dossier_of(params.get("aud") or params.get("resource"), issuer)
    if only is None:
        raise ToApp("invalid_request", "aud is not an address of ours.", redirect_uri, state)
    try:
        cap = _cap(params.get("scope", ""), app, known)
    except InvalidScope as refused:
        raise ToApp("invalid_scope", refused.detail, redirect_uri, state) from refused
    key = params.get("dpop_jkt", "")
    return Asked(
        app, redirect_uri, state, params["code_challenge"], cap, only,
        nonce=params.get("nonce", ""), bound=f"jkt:{key}" if key else "",
    )  # fmt: skip


def _fault(
    pairs: Sequence[tuple[str, str]], params: dict[str, str], state: str
) -> tuple[str, str] | None:
    """OAuth code and text of the first thing that is wrong."""
    bad, kind = "invalid_request", params.get("response_type")
    checks = (
        (len(params) < len(pairs), bad, "A parameter stands there more than once."),
        ("request" in params, "request_not_supported", "Request objects are not offered."),
        ("request_uri" in params, "request_uri_not_supported", "This is not a pushed request."),
        (not state, bad, "A state of at most 4096 characters is required."),
        (not kind, bad, "The response_type is missing."),
        (kind != "code", "unsupported_response_type", "Only code is offered."),
        (params.get("response_mode", "query") != "query", bad, "Only query is offered."),
        (params.get("code_challenge_method") != "S256", bad, "PKCE with S256 is required."),
        (not _CHALLENGE.fullmatch(params.get("code_challenge", "")), bad, "PKCE is required."),
        (len(params.get("nonce", "")) > MOST_NONCE, bad, "The nonce is too long."),
        (not _CHALLENGE.fullmatch(params.get("dpop_jkt", "-" * 43)), bad, "dpop_jkt is malformed."),
        (_is_odd(params.get("prompt", "")), bad, "The prompt none stands alone."),
    )
    return next(((code, text) for wrong, code, text in checks if wrong), None)


def _is_odd(prompt: str) -> bool:
    """Whether no page is wanted, and one is."""
    words = prompt.split()
    return "none" in words and len(words) > 1


def _dossier_of(audience: str | None, issuer: str) -> str | None:
    """The dossier an audience names, "" for none in particular, None when it is not ours."""
    if not audience:
        return ""
    found = _AUDIENCE.fullmatch(audience.removeprefix(issuer))
    if not audience.startswith(f"{issuer}/") or found is None:
        return None
    return found["dossier"] or ""


def _cap(scope: str, app: App, known: Callable[[Cap], bool]) -> Cap:
    """What was asked and the app may have; system scopes are never for people."""
    cap = levels(narrowed(parse(scope), cap_of(app.scopes)), "patient", "user")
    if not cap.reaches and "openid" not in cap.context:
        raise InvalidScope("Nothing was asked that this app may have.", place="scope")
    if not known(cap):
        raise InvalidScope("A search restriction is not a search here.", place="scope")
    return cap
