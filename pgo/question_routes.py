"""Addresses for questions about rights: `$mag` and `$wie-mag`, as JSON and as FHIR Parameters."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request

from pgo.caller import Caller
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, Operation
from pgo.house import House
from pgo.questions import Questions
from pgo.regie_routes import CallerOf, Client, Json, Refused
from pgo.vault import Vault
from pgo.web import request_id
from pgo.witness import asked_by, witnessed

_EVENTS = {"$mag": "mag", "$wie-mag": "wie-mag"}


def router(house: House, caller_of: CallerOf, refused: Refused) -> APIRouter:
    """The routes; every one of them asks for the caller first."""
    calling = asked_by(caller_of, refused)
    routes = APIRouter(tags=["regie"], route_class=witnessed(house, calling, _EVENTS))

    @routes.get("/dossiers/{client}/$mag", summary="May somebody do this, and why")
    async def may(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """`wie` an account, `wat` a category or Type/id, `actie` and `doel` when they matter."""
        asked = Questions(house, caller, client, request=request_id(request.scope))
        return await asked.may(request.query_params.multi_items())

    @routes.get("/dossiers/{client}/$wie-mag", summary="Who may do what now")
    async def who_may(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """Every person and team, what they may do, since when and by which right."""
        asked = Questions(house, caller, client, request=request_id(request.scope))
        return {"mensen": await asked.who_may(request.query_params.multi_items())}

    return routes


def questions(house: House) -> dict[str, Operation]:
    """The same as FHIR operations, by name."""

    def asked(ask: Ask, vault: Vault) -> Questions:
        vault.called = True  # the side of the door that knows the rules writes the line
        return Questions(house, vault.caller, vault.client, request=ask.request)

    async def may(ask: Ask, vault: Vault) -> Reply:
        """`$mag` as Parameters."""
        found = await asked(ask, vault).may(ask.pairs, ask.address.release)
        return _reply(_members(found))

    async def who_may(ask: Ask, vault: Vault) -> Reply:
        """`$wie-mag` as Parameters: one `mens` for each person or team."""
        found = await asked(ask, vault).who_may(ask.pairs)
        return _reply({"name": "mens", "part": list(_members(one))} for one in found)

    return {"$mag": may, "$wie-mag": who_may}


def _reply(parameters: Iterable[Json]) -> Reply:
    tree: Json = {"resourceType": "Parameters"}
    members = list(parameters)
    if members:
        tree["parameter"] = members
    return Reply(200, orjson.dumps(tree))


def _members(found: Mapping[str, Any]) -> Iterable[Json]:
    """Each member of an answer as a parameter; a list as one for each item."""
    for name, value in found.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield {"name": name, "part": list(_members(one))}
            elif isinstance(one, bool):
                yield {"name": name, "valueBoolean": one}
            elif one:
                yield {"name": name, "valueString": one}
