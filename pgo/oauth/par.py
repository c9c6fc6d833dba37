"""Pushed authorization requests (RFC 9126): an app proves who it is before a person sees anything.

A request is checked whole when it is pushed, kept sealed for a minute, and taken once. What stands
beside `request_uri` in the front channel is ignored, but for the client_id, which must be the same.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from starlette.requests import Request

from pgo.errors import BadRequest, Incident, InvalidProof
from pgo.oauth.authorize import ToApp, asked, where
from pgo.oauth.clients import App, Provider
from pgo.oauth.parts import Parts
from pgo.oauth.possession import possession_of
from pgo.oauth.tokens import digest

LIVES: Final = 60
PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
_SPACE: Final = "par"
_NAME = re.compile(r"[A-Za-z0-9_-]{43}")
_PROVING = frozenset({"client_assertion", "client_assertion_type", "client_secret"})
_STALE = "This question is too old, or was asked before. Start again in the app."

Pairs = list[tuple[str, str]]


async def pushed(
    parts: Parts, request: Request, client: App | Provider, form: dict[str, str]
) -> dict[str, object]:
    """Keep a request of this client; the answer of RFC 9126 2.2.

    Raises:
        errors.PgoError: the request is not sound, in the way the authorize endpoint says it.
    """
    bound = await possession_of(parts, request)
    pairs = [(name, value) for name, value in form.items() if name not in _PROVING]
    pairs = _with_key(pairs, bound)
    app = client if isinstance(client, App) else None
    redirect_uri = where([("client_id", client.client_id), *pairs], app)
    if app is None:
        raise BadRequest("This app is not known here.", place="client_id")
    try:
        asked(pairs, app, redirect_uri, parts.issuer, parts.known)
    except ToApp as refused:
        wrong = BadRequest(refused.detail)
        wrong.oauth = refused.oauth
        raise wrong from refused
    return await _kept(parts, app, pairs)


def _with_key(pairs: Pairs, bound: str) -> Pairs:
    """The request with the key of its proof as `dpop_jkt` (RFC 9449 10.1)."""
    if not bound.startswith("jkt:"):
        return pairs
    key = bound.removeprefix("jkt:")
    if dict(pairs).get("dpop_jkt", key) != key:
        raise InvalidProof("The proof is of another key than dpop_jkt.", place="dpop_jkt")
    return [*(pair for pair in pairs if pair[0] != "dpop_jkt"), ("dpop_jkt", key)]


async def _kept(parts: Parts, app: App, pairs: Pairs) -> dict[str, object]:
    name = parts.tokens.secret()
    kept = orjson.dumps({"app": app.client_id, "pairs": pairs})
    sealed = parts.box.seal(_place(digest(name)), kept)
    until = parts.tokens.now() + LIVES
    await parts.store.put(_SPACE, digest(name), sealed, until, fresh=True)
    return {"request_uri": PREFIX + name, "expires_in": LIVES}


async def pulled(parts: Parts, pairs: Pairs, app: App | None) -> Pairs:
    """What is asked: what was pushed, for a `request_uri`, else the query itself.

    Raises:
        errors.BadRequest: not there (any more), another app's, or the address stands there twice.
    """
    given = [value for name, value in pairs if name == "request_uri"]
    if not given:
        return pairs
    name = given[0].removeprefix(PREFIX)
    if app is None or len(given) > 1 or given[0] == name or not _NAME.fullmatch(name):
        raise BadRequest(_STALE, place="request_uri")
    kept = _opened(parts, name, await parts.store.take(_SPACE, digest(name), parts.tokens.now()))
    if kept is None or kept["app"] != app.client_id:
        raise BadRequest(_STALE, place="request_uri")
    return [(str(one), str(value)) for one, value in kept["pairs"]]


def _opened(parts: Parts, name: str, sealed: bytes | None) -> dict[str, Any] | None:
    try:
        opened = b"null" if sealed is None else parts.box.open(_place(digest(name)), sealed)
        kept: dict[str, Any] | None = orjson.loads(opened)
    except (Incident, ValueError):
        return None
    return kept


def must_push(pairs: Pairs, app: App) -> bool:
    """Whether this app may only push its requests, and did not."""
    return app.profile == "fapi" and not any(name == "request_uri" for name, _ in pairs)


def _place(name: str) -> bytes:
    return f"oauth|{_SPACE}|{name}".encode()
