"""pgo app: the apps of people, as the operator registers them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pgo.commands.frame import AsJson, json_file, show, with_house
from pgo.errors import BadValue, NotFound
from pgo.house import House
from pgo.narrowed import is_known
from pgo.oauth.clients import ALGORITHMS, App
from pgo.oauth.scopes import cap_of
from pgo.registry import grown

app = typer.Typer(no_args_is_help=True, help="Apps of people.")
Many = list[str]
Keys = Annotated[Path | None, typer.Option(help="Public keys (JWKS), if confidential.")]
KeysAt = Annotated[str, typer.Option(help="https address of its public keys, instead.")]
_HIDDEN = frozenset({"jwks", "generation", "algorithms", "introspects", "grants"})


async def _note(house: House, key: str) -> None:
    await house.note("app", person="beheer", note=key)


@app.command("add")
def add(
    client_id: str,
    name: Annotated[str, typer.Option(help="Name people see.")],
    scope: Annotated[str, typer.Option(help="The most it may be granted, space separated.")] = "",
    redirect: Annotated[Many | None, typer.Option(help="Exact redirect address; repeat.")] = None,
    origin: Annotated[Many | None, typer.Option(help="Web origin for CORS.")] = None,
    profile: Annotated[str, typer.Option(help="smart, or fapi for a confidential app.")] = "smart",
    jwks: Keys = None,
    jwks_uri: KeysAt = "",
    algorithm: Annotated[
        Many | None, typer.Option(help=f"What it signs with: {', '.join(ALGORITHMS)}.")
    ] = None,
    purpose: Annotated[str, typer.Option(help="v3-ActReason in place of the person's own.")] = "",
    introspects: Annotated[
        bool, typer.Option("--introspects", help="A resource server: may ask about all tokens.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register an app, or replace what is registered."""
    entry = App(
        client_id, name, tuple(redirect or ()),
        grants=("authorization_code", "refresh_token") if redirect else (),
        scopes=tuple(scope.split()), origins=tuple(origin or ()), profile=profile,
        jwks=json_file(jwks) if jwks else None, jwks_uri=jwks_uri,
        algorithms=tuple(algorithm or ALGORITHMS), purpose=purpose, introspects=introspects,
    )  # fmt: skip
    if not redirect and not introspects:
        raise BadValue("name where its codes may go", place="--redirect")

    async def work(house: House) -> dict[str, Any]:
        if not is_known(cap_of(entry.scopes), house.parts.dossiers.searches):
            raise BadValue("a search restriction is not a search here", place="--scope")
        await house.registry.keep_app(entry)
        await _note(house, client_id)
        return {"app": client_id}

    show(with_house(work), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All apps."""

    async def work(house: House) -> list[dict[str, Any]]:
        return [_short(one) for one in await house.registry.apps()]

    show(with_house(work), as_json=as_json)


@app.command("rotate")
def rotate(
    client_id: str,
    jwks: Keys = None,
    jwks_uri: KeysAt = "",
    leaked: Annotated[
        bool, typer.Option("--leaked", help="The old key is known to others: end all tokens too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put new keys of a confidential app in the place of the old ones, from now on."""
    if (jwks is None) == (jwks_uri == ""):
        raise typer.BadParameter("give either --jwks or --jwks-uri")
    keys = json_file(jwks) if jwks else None

    def turned(one: App) -> App:
        if not one.confidential:
            raise BadValue("this app has no keys; register it anew", place="CLIENT_ID")
        made = replace(one, jwks=keys, jwks_uri=jwks_uri)
        return grown(made) if leaked else made

    async def work(house: House) -> dict[str, Any]:
        if await house.registry.app(client_id) is None:
            raise NotFound("there is no such app", place="CLIENT_ID")
        await house.registry.change(App, client_id, turned)
        await _note(house, client_id)
        return {"rotated": client_id, "tokens_ended": leaked}

    show(with_house(work), as_json=as_json)


@app.command("disable")
def disable(client_id: str, as_json: AsJson = False) -> None:
    """Refuse an app and every token it has, from now on."""

    async def work(house: House) -> dict[str, str]:
        await house.registry.change(App, client_id, lambda one: replace(one, disabled=True))
        await _note(house, client_id)
        return {"disabled": client_id}

    show(with_house(work), as_json=as_json)


def _short(entry: App) -> dict[str, Any]:
    row = {name: value for name, value in asdict(entry).items() if name not in _HIDDEN}
    row = {name: list(each) if isinstance(each, tuple) else each for name, each in row.items()}
    return row | {"confidential": entry.confidential}
