"""Organisations, apps and the people who work for several families."""

from __future__ import annotations

from datetime import date
from typing import Any

from pgo.consent.presets import PRESETS
from pgo.demo.book import Clinician
from pgo.demo.codes import Code
from pgo.demo.shapes import App, Organisation

_ROLES = "urn:oid:2.16.840.1.113883.2.4.15.111"


def _provider(key: str, name: str, kind: str, city: str, phone: str) -> Organisation:
    return Organisation(key, name, kind, city, phone, f"https://{key}.example/id", f"sys-{key}")


DELINDE = _provider("delinde", "De Linde", "instelling", "Zwolle", "038-5550101")
APOTHEEK = _provider("vechtapotheek", "Vechtapotheek", "apotheek", "Zwolle", "038-5550102")
ZIEKENHUIS = _provider("isselzkh", "IJsselziekenhuis", "ziekenhuis", "Zwolle", "038-5550103")
THUISZORG = _provider("thuisnacht", "Thuiszorg Nachtuil", "thuiszorg", "Zwolle", "038-5550104")
HUISARTS = _provider("demolen", "Huisartsenpraktijk De Molen", "huisarts", "Kampen", "038-5550105")
LOGEERHUIS = _provider("dehut", "Logeerhuis De Hut", "instelling", "Ommen", "0529-555106")
COPILOTEN = Organisation(
    "coophulp", "Coöperatie Meehulp", "ondersteuning", "Utrecht", "030-5550107"
)

AVG = Clinician("smit", "Nora", "Smit", Code(_ROLES, "01.056", "arts verstandelijk gehandicapten"))
CARER = Clinician("kok", "Tom", "Kok", Code(_ROLES, "30.000", "verpleegkundige"))
DOCTOR = Clinician("visser", "Karel", "Visser", Code(_ROLES, "01.015", "huisarts"))
NEUROLOGIST = Clinician("yilmaz", "Aylin", "Yilmaz", Code(_ROLES, "01.019", "kinderarts"))
NIGHT_NURSE = Clinician("esther", "Esther", "Prins", Code(_ROLES, "30.000", "verpleegkundige"))
HUT_CARER = Clinician("dekker", "Lies", "Dekker", Code(_ROLES, "30.000", "verpleegkundige"))


def organisations() -> tuple[Organisation, ...]:
    """Every organisation of the demo, providers first."""
    return (DELINDE, APOTHEEK, ZIEKENHUIS, THUISZORG, HUISARTS, LOGEERHUIS, COPILOTEN)


def apps() -> tuple[App, ...]:
    """Partner apps: one for families, a simple one, and one for supporters and professionals."""
    read = "openid fhirUser offline_access launch/patient patient/*.rs"
    return (
        App(
            "app-thuis", "ThuisApp", ("https://thuisapp.example/terug",),
            ("https://thuisapp.example",), f"{read} patient/*.cu",
        ),
        App(
            "app-eenvoud", "Mijn Zorg Simpel", ("https://simpel.example/terug",),
            ("https://simpel.example",), f"{read} patient/*.c",
        ),
        App(
            "app-samen", "SamenApp", ("https://samenapp.example/terug",),
            ("https://samenapp.example",), "openid fhirUser offline_access user/*.crus",
        ),
    )  # fmt: skip


def person(id_: str, name: str, birth: str, **more: Any) -> dict[str, Any]:
    """An account in the JSON form of decision tables, with its `id` and `name`."""
    return {"id": id_, "name": name, "birth": birth} | more


def samira() -> dict[str, Any]:
    """The copiloot of five families."""
    return person(
        "p-samira", "Samira Haddad", "1988-02-14", kind="copiloot", orgs=["coophulp"],
        role="copiloot",
    )  # fmt: skip


def professional(id_: str, name: str, birth: str, org: str, **more: Any) -> dict[str, Any]:
    """An account of a zorgverlener of `org`."""
    return person(id_, name, birth, kind="zorgverlener", orgs=[org], **more)


def doctor_smit() -> dict[str, Any]:
    """The AVG-arts of De Linde."""
    return professional("p-smit", "Nora Smit", "1976-05-09", "delinde", role="avg")


def permit(id_: str, client: str, by: str, whom: str, made: str, **more: Any) -> dict[str, Any]:
    """A permit from `by` to `whom` (person id, org:…, team:…), valid from the day it was made."""
    return {
        "id": id_, "client": client, "by": by, "effect": "permit", "to_who": whom,
        "actions": ["lezen"], "from": made, "made": f"{made}T12:00:00+00:00", "status": "active",
    } | more  # fmt: skip


def chosen(
    preset: str, id_: str, client: str, by: str, whom: str, made: str, **more: Any
) -> dict[str, Any]:
    """The permit that a choice people have makes; `more` is what this family has otherwise."""
    of = PRESETS[preset]
    said: dict[str, Any] = {"actions": list(of.actions), "categories": list(of.categories)}
    said |= {"purposes": list(of.purposes)} if of.purposes else {}
    said |= {"weekly": [dict(window) for window in of.weekly]} if of.weekly else {}
    said |= {} if more.keys() & said.keys() else {"preset": preset}
    return permit(id_, client, by, whom, made, **(said | more))


def provider_permit(client: str, by: str, org: Organisation, made: str) -> dict[str, Any]:
    """The ordinary grant to a provider: read and add what it needs."""
    id_, whom = f"g-{client}-{org.id}", f"org:{org.id}"
    return chosen("zorgverlener-meeschrijven", id_, client, by, whom, made)


def copilot_permit(client: str, by: str, today: date, made: str, **more: Any) -> dict[str, Any]:
    """copiloot-standaard for Samira: read and add, two years from now, never beheren or delen."""
    end = date.fromordinal(today.toordinal() + 730).isoformat()
    id_, said = f"g-{client}-samira", {"to": end} | more
    return chosen("copiloot-standaard", id_, client, by, "p-samira", made, **said)
