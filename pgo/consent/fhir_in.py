"""A FHIR Consent R4 to the grant it says, or why not (consent.md §7); pure.

What cannot be computed is refused by the element that says it: nothing takes effect by half. An
element this module does not know is one it cannot compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pgo.consent import fhir_actors, fhir_times
from pgo.consent import fhir_systems as systems
from pgo.consent.categories import types as known_types
from pgo.consent.fhir_actors import Actors
from pgo.consent.fhir_codes import coded, extensions, listed, member, only, refuse
from pgo.consent.model import ACTIONS, CATEGORIES, FORBIDDEN_PURPOSES, ORDINARY

Tree = Mapping[str, Any]
_SERVER: Final = frozenset({"resourceType", "id", "meta", "text", "language", "identifier"})
_KNOWN: Final = _SERVER | {
    *("extension", "modifierExtension", "status", "scope", "category", "patient", "dateTime"),
    *("performer", "organization", "sourceReference", "policy", "policyRule", "provision"),
}
# Nothing but what the provision says: the default here (v3-ActCode). Opting out is the opposite.
_OPT_IN: Final = frozenset({"OPTIN", "OPTINR"})
_RULE: Final = frozenset(
    {
        *("id", "extension", "modifierExtension", "type", "period", "actor", "action"),
        *("securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision"),
    }
)
_STATUSES: Final = frozenset({"active", "proposed", "inactive", "rejected", "entered-in-error"})
_ACTIONS: Final = {code: action for action, code in systems.ACTION_CODES.items()} | {
    (systems.ACTIONS, action): action for action in ACTIONS
}
_WORDS: Final = {word: name for name, word in systems.LIST_WORDS.items()}
_PLACE: Final = "Consent"
_RULE_PLACE: Final = "Consent.provision"


def grant_in(tree: Tree, actors: Actors) -> dict[str, Any]:
    """The grant a Consent says, in the form of consent.md §8, with all that is said of it.

    Raises:
        Unprocessable: with the element that cannot be computed.
    """
    only(tree, _KNOWN, _PLACE)
    if "provision" not in tree:
        what = "policyRule" if "policyRule" in tree else "provision"
        refuse("a grant is said in a provision", f"{_PLACE}.{what}")
    _scope_and_category(tree)
    rule, place = _rule(tree["provision"])
    own = {"client": actors.client, **_about(tree, actors), **_said(rule, place, actors)}
    _kind_fits(tree, own)
    return own


def grant_id(tree: Tree) -> str:
    """Under what id the grant itself is known, if the Consent says so."""
    for one in listed(tree.get("identifier"), f"{_PLACE}.identifier"):
        if isinstance(one, dict) and one.get("system") == systems.GRANT:
            return str(one.get("value", ""))
    return str(tree.get("id", ""))


# --- what is around the provision --------------------------------------------------------------


def _scope_and_category(tree: Tree) -> None:
    scope = coded(tree.get("scope"), f"{_PLACE}.scope")
    if scope != (systems.SCOPE, systems.PRIVACY):
        refuse("only privacy consents are grants", f"{_PLACE}.scope")
    place = f"{_PLACE}.category"
    found = [coded(one, place) for one in listed(tree.get("category"), place)]
    kinds = {"weigering", "toestemming", "koppeling"}
    for system, code in found:
        form = (system, code) == (systems.LOINC, systems.CONSENT_FORM)
        if not form and not (system == systems.KINDS and code in kinds):
            refuse("a category that is not known", place)
    if not found:
        refuse("a category is needed", place)


def _kind_fits(tree: Tree, grant: Mapping[str, Any]) -> None:
    permit = "koppeling" if grant.get("own") else "toestemming"
    meant = permit if grant["effect"] == "permit" else "weigering"
    for one in listed(tree.get("category"), f"{_PLACE}.category"):
        system, code = coded(one, f"{_PLACE}.category")
        if system == systems.KINDS and code != meant:
            refuse("the category says another thing than the provision", f"{_PLACE}.category")


def _about(tree: Tree, actors: Actors) -> dict[str, Any]:
    """Status, moments, who gave it and where it was passed on from."""
    if not actors.is_client(tree.get("patient")):
        refuse("this is about somebody else than the dossier", f"{_PLACE}.patient")
    performers = listed(tree.get("performer"), f"{_PLACE}.performer")
    if len(performers) > 1:
        refuse("a grant has one giver", f"{_PLACE}.performer")
    made: dict[str, Any] = {"id": grant_id(tree), "status": _status(tree)}
    if performers:
        made["by"] = actors.person(performers[0], f"{_PLACE}.performer[0]")
    if "dateTime" in tree:
        at = fhir_times.moment(tree["dateTime"], f"{_PLACE}.dateTime")
        made["made"] = fhir_times.written(at)
    if "sourceReference" in tree:
        made["parent"] = fhir_actors.grant_named(
            tree["sourceReference"], f"{_PLACE}.sourceReference"
        )
    _policy(tree)
    if tree.get("modifierExtension"):
        refuse("a modifierExtension that is not known", f"{_PLACE}.modifierExtension")
    extended = _extended(tree)
    if "status" in extended and made["status"] != "inactive":
        refuse("the status is said in two ways", f"{_PLACE}.status")
    return made | extended


def _policy(tree: Tree) -> None:
    """What a policy is called is not computed with; the grant is kept under that of this house."""
    for number, one in enumerate(listed(tree.get("policy"), f"{_PLACE}.policy")):
        place = f"{_PLACE}.policy[{number}]"
        only(member(one, place), frozenset({"authority", "uri"}), place)
    if "policyRule" in tree:
        system, code = coded(tree["policyRule"], f"{_PLACE}.policyRule")
        if system != systems.ACT_CODE or code not in _OPT_IN:
            refuse("another rule beneath the provision than opting in", f"{_PLACE}.policyRule")


def _status(tree: Tree) -> str:
    status = tree.get("status")
    if status not in _STATUSES:
        refuse("not a status of a grant", f"{_PLACE}.status")
    return str(status)


def _extended(tree: Tree) -> dict[str, Any]:
    place = f"{_PLACE}.extension"
    known = {
        systems.STATUS: ("status", "valueCode", str),
        systems.REVOKED: ("revoked", "valueDateTime", str),
        systems.DEPTH: ("depth", "valueInteger", int),
        systems.COURT: ("by_court", "valueBoolean", bool),
    }
    made: dict[str, Any] = {}
    for url, one, where in extensions(tree.get("extension"), place):
        name, value, type_ = known.get(url, ("", "", str))
        if not name or name in made or set(one) != {"url", value}:
            refuse("an extension that is not known", where)
        if type(one[value]) is not type_:
            refuse("not a value of this extension", where)
        made[name] = one[value]
    if "revoked" in made:
        at = fhir_times.moment(made["revoked"], place)
        made["revoked"] = fhir_times.written(at)
    return made


# --- the rule itself ---------------------------------------------------------------------------


def _rule(provision: Any) -> tuple[Tree, str]:
    """The one rule: with its type in the root, or one level below a root without type."""
    root = member(provision, _RULE_PLACE)
    only(root, _RULE, _RULE_PLACE)
    inner = listed(root.get("provision"), f"{_RULE_PLACE}.provision")
    if not inner:
        if "type" not in root:
            refuse("say whether this is a permit or a deny", f"{_RULE_PLACE}.type")
        return root, _RULE_PLACE
    if "type" in root or len(inner) > 1:
        refuse("rules inside rules are not computed here", f"{_RULE_PLACE}.provision")
    place = f"{_RULE_PLACE}.provision[0]"
    nested = member(inner[0], place)
    only(nested, _RULE, place)
    if "provision" in nested:
        refuse("rules inside rules are not computed here", f"{place}.provision")
    outer = {name: value for name, value in root.items() if name not in {"provision", "id"}}
    for name in outer.keys() & nested.keys():
        refuse("said twice, in the root and below it", f"{place}.{name}")
    if "type" not in nested:
        refuse("say whether this is a permit or a deny", f"{place}.type")
    return {**outer, **nested}, place


def _said(rule: Tree, place: str, actors: Actors) -> dict[str, Any]:
    effect = rule["type"]
    if effect not in {"permit", "deny"}:
        refuse("neither permit nor deny", f"{place}.type")
    to_who = fhir_actors.actor_of(rule, place, actors)
    narrowed = _narrowed(rule, place)
    lists = _lists(rule, place) | {
        "instances": _instances(rule, place),
        "actions": _actions(rule, place, effect, narrowed),
        "categories": _categories(rule, place, effect, narrowed),
    }
    for name in narrowed["nothing"]:
        if lists.get(name) is not None or (name == "weekly" and "weekly" in narrowed):
            refuse("both something and nothing", f"{place}.modifierExtension")
        lists[name] = []
    kept = {name: value for name, value in lists.items() if value is not None}
    author = _author(rule, place, actors)
    made: dict[str, Any] = {"effect": effect, "to_who": to_who, **kept, **_times(rule, place)}
    made |= {"author": author} if author else {}
    made |= {name: narrowed[name] for name in ("weekly", "own") if name in narrowed}
    return made


def _times(rule: Tree, place: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, start, end in (("period", "from", "to"), ("dataPeriod", "data_from", "data_to")):
        low, high = fhir_times.stretch(rule.get(name), f"{place}.{name}")
        made |= {start: fhir_times.written(low)} if low else {}
        made |= {end: fhir_times.written(high)} if high else {}
    return made


def _lists(rule: Tree, place: str) -> dict[str, list[str] | None]:
    def codes(name: str, system: str, allowed: Iterable[str]) -> list[str] | None:
        return _codings(rule.get(name), f"{place}.{name}", (system,), frozenset(allowed))

    labelled = (systems.CONFIDENTIALITY, systems.ACT_CODE, "")
    where = f"{place}.securityLabel"
    return {
        "purposes": codes("purpose", systems.REASON, systems.PURPOSES - FORBIDDEN_PURPOSES),
        "types": codes("class", systems.TYPES, known_types()),
        "labels": _codings(rule.get("securityLabel"), where, labelled, None),
    }


def _codings(
    value: Any, place: str, allowed_systems: tuple[str, ...], allowed: frozenset[str] | None
) -> list[str] | None:
    if value is None:
        return None
    found = []
    for number, one in enumerate(listed(value, place)):
        where = f"{place}[{number}]"
        only(member(one, where), frozenset({"system", "code", "display", "version"}), where)
        code, system = one.get("code"), one.get("system", "")
        if system not in allowed_systems or not isinstance(code, str):
            refuse("a code that is not known here", where)
        if allowed is not None and code not in allowed:
            refuse("a code that is not known here", where)
        found.append(code)
    return sorted(set(found)) or None


def _actions(rule: Tree, place: str, effect: str, narrowed: Tree) -> list[str] | None:
    where = f"{place}.action"
    found = set()
    for number, one in enumerate(listed(rule.get("action"), where)):
        action = _ACTIONS.get(coded(one, f"{where}[{number}]"))
        if action is None:
            refuse("an action that is not known here", f"{where}[{number}]")
        found.add(str(action))
    usual = {"lezen"} if effect == "permit" else set(ACTIONS)
    if "actions" in narrowed["left_out"]:
        if found != usual:
            refuse("said to be left out, and yet something else", where)
        return None
    if not found and "actions" not in narrowed["nothing"]:
        refuse("name the actions; without any, FHIR means all of them", where)
    return sorted(found) or None


def _categories(rule: Tree, place: str, effect: str, narrowed: Tree) -> list[str] | None:
    where = f"{place}.code"
    found = set()
    for number, one in enumerate(listed(rule.get("code"), where)):
        system, code = coded(one, f"{where}[{number}]")
        if system != systems.CATEGORIES or code not in CATEGORIES:
            refuse("a code that is not known here", f"{where}[{number}]")
        found.add(code)
    if "categories" in narrowed["left_out"]:
        if effect == "deny" or found != ORDINARY:
            refuse("said to be left out, and yet something else", where)
        return None
    if not found and effect == "permit" and "categories" not in narrowed["nothing"]:
        refuse("name the categories; without any, FHIR means all of them", where)
    return sorted(found) or None


def _data(rule: Tree, place: str) -> Iterable[tuple[str, Any, str]]:
    for number, one in enumerate(listed(rule.get("data"), f"{place}.data")):
        where = f"{place}.data[{number}]"
        only(member(one, where), frozenset({"meaning", "reference"}), where)
        if one.get("meaning") not in {"authoredby", "instance"}:
            refuse("a meaning that is not computed here", f"{where}.meaning")
        yield str(one["meaning"]), one.get("reference"), f"{where}.reference"


def _author(rule: Tree, place: str, actors: Actors) -> str:
    found = [(ref, at) for meaning, ref, at in _data(rule, place) if meaning == "authoredby"]
    if len(found) > 1:
        refuse("a grant names one author at most", found[1][1])
    return actors.person(*found[0]) if found else ""


def _instances(rule: Tree, place: str) -> list[str] | None:
    found = [
        fhir_actors.instance_named(reference, where)
        for meaning, reference, where in _data(rule, place)
        if meaning == "instance"
    ]
    return sorted(set(found)) or None


# --- our extensions of the rule ----------------------------------------------------------------


def _narrowed(rule: Tree, place: str) -> dict[str, Any]:
    """What our extensions say: weekly windows, own records only, lists left out or empty."""
    left, nothing, weekly = set(), set(), []
    made: dict[str, Any] = {}
    for url, one, where in extensions(rule.get("extension"), f"{place}.extension"):
        if url != systems.LEFT_OUT:
            refuse("an extension that is not known", where)
        left.add(_word(one, where))
    for url, one, where in extensions(rule.get("modifierExtension"), f"{place}.modifierExtension"):
        if url == systems.NOTHING:
            nothing.add(_word(one, where))
        elif url == systems.OWN and one == {"url": url, "valueBoolean": True}:
            made["own"] = True
        elif url == systems.WEEKLY:
            weekly.append(_window(one, where))
        else:
            refuse("a modifierExtension that is not known", where)
    if not left <= {"actions", "categories"} or left & nothing:
        refuse("said to be left out, and yet something else", f"{place}.extension")
    return made | {"left_out": left, "nothing": nothing} | ({"weekly": weekly} if weekly else {})


def _word(one: Tree, place: str) -> str:
    name = _WORDS.get(one.get("valueCode", ""))
    if name is None or set(one) != {"url", "valueCode"}:
        refuse("not a value of this extension", place)
    return str(name)


def _window(one: Tree, place: str) -> dict[str, str]:
    found = {}
    for url, inner, where in extensions(one.get("extension"), f"{place}.extension"):
        if url not in {"van", "tot"} or url in found or set(inner) != {"url", "valueString"}:
            refuse("not a weekly window", where)
        found[url] = inner["valueString"]
    if set(found) != {"van", "tot"} or set(one) != {"url", "extension"}:
        refuse("not a weekly window", place)
    return {"from": found["van"], "to": found["tot"]}
