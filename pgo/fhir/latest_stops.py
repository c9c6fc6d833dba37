"""$latest-stops of the medication process: per treatment what is in use, and the latest stop.

Source: http://nictiz.nl/fhir/OperationDefinition/mp-latest-stops (MP9 3.0, R4). It is the search
with `is-latest-stop=true` on a period of use that is not over; `pgo.fhir.special` knows what a stop
is. A stop keeps its modifierExtension and so says itself that it is one. `include-details` adds
nothing: what is decided from is what is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from pgo.errors import BadValue, TooCostly, Unsupported
from pgo.fhir import answers
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, Operation, query_of
from pgo.fhir.lastn import MOST, shown
from pgo.vault import Vault

KINDS: Final = {
    "MedicationRequest": "http://snomed.info/sct|33633005,http://snomed.info/sct|395067002",
    "MedicationDispense": "http://snomed.info/sct|422037009",
}
"""Building blocks that can stop a treatment: agreement and variable dosing; administration."""
_HERE: Final = ZoneInfo("Europe/Amsterdam")
_NAMES: Final = frozenset({"category", "mbh", "include-details"})


def latest_stops(clock: Callable[[], datetime]) -> Operation:
    """The operation on a type; `clock` says what is in use now."""

    async def answer(ask: Ask, vault: Vault) -> Reply:
        address = ask.address
        query = query_of(ask, address.type, asked_of(ask, clock()))
        asked = answers.query_text(ask.pairs)
        said = {"release": address.release, "type_": address.type, "query": asked}
        async with vault.call("latest-stops", **said) as call:
            verdict = await vault.known(call)
            vault.reach("s", address.type)
            rows = vault.matches(verdict, query)
            if len(rows) > MOST:
                raise TooCostly("this is too much medication; name treatments", place="mbh")
            page = await shown(vault, call, verdict, query, rows)
        at = f"{address.type}/$latest-stops"
        return Reply(200, answers.searchset(page, query, ask.base, asked, at))

    return answer


def asked_of(ask: Ask, now: datetime) -> list[tuple[str, str]]:
    """The search behind the operation.

    Raises:
        Unsupported: another type or release, or a parameter it does not have.
        BadValue: a kind of building block that stops nothing, or no boolean.
    """
    type_ = ask.address.type
    if type_ not in KINDS or ask.address.release != "r4":
        raise Unsupported("this operation is on MedicationRequest and MedicationDispense of R4")
    for name, value in ask.pairs:
        if name not in _NAMES:
            raise Unsupported("this operation does not know this parameter", place=name[:64])
        if name == "category" and not set(value.split(",")) <= set(KINDS[type_].split(",")):
            raise BadValue("building blocks of this kind stop nothing", place=name)
        if name == "include-details" and value not in {"true", "false"}:
            raise BadValue("write true or false", place=name)
    given = [value for name, value in ask.pairs if name == "category"]
    treatments = [value for name, value in ask.pairs if name == "mbh"]
    pairs = [("category", value) for value in given or [KINDS[type_]]]
    pairs += [("period-of-use", f"ge{now.astimezone(_HERE).date()}"), ("is-latest-stop", "true")]
    if treatments:
        pairs.append(("pharmaceutical-treatment-identifier", ",".join(treatments)))
    return pairs
