"""Writing Consent through FHIR: grants go the way of regie, clinical directives are health data.

A Consent that is not a directive is a rule, or is refused: none is stored that says what does not
hold. Rules are exchanged in R4 only (consent.md §7).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from pgo.consent.categories import is_directive
from pgo.errors import Unprocessable
from pgo.fhir import answers, writing
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, no_parameters
from pgo.fhir.bundle import Op, same_type, version_of
from pgo.fhir.incoming import incoming
from pgo.fhir.patch import Patch, read
from pgo.shown import Outcome
from pgo.vault import Vault

WRITES: Final = frozenset({"create", "update", "patch", "delete"})


class Rules(Protocol):
    """The grants of one dossier, for one caller: `pgo.fhir_consents.Consents`."""

    async def stands_for(self, id_: str) -> bool:
        """Whether the Consent with this id is a grant."""

    async def create(self, tree: dict[str, Any]) -> Outcome:
        """Make a grant."""

    async def update(self, id_: str, tree: dict[str, Any], if_match: int | None) -> Outcome:
        """Change or end a grant."""

    async def patch(self, id_: str, patch: Patch, if_match: int | None) -> Outcome:
        """Change or end a grant."""

    async def end(self, id_: str, if_match: int | None) -> Outcome:
        """End a grant."""


RulesOf = Callable[[Vault, str], Rules]


async def write(ask: Ask, vault: Vault, rules_of: RulesOf) -> Reply:
    """Create, update, patch or delete a Consent."""
    address = ask.address
    rules = rules_of(vault, ask.request)
    if address.interaction == "create":
        return await _create(ask, vault, rules)
    known = address.release == "r4" and address.id and await rules.stands_for(address.id)
    if address.interaction == "update" and address.id:
        return await _update(ask, vault, rules, known=bool(known))
    if not known:
        return await _ordinary(ask, vault)
    no_parameters(ask)
    if address.interaction == "patch":
        patch, wanted = read(ask.reader, ask.body, address.release), _if_match(ask)
        return _answer(ask, await _on_rules(vault, rules.patch(address.id, patch, wanted)))
    wanted = _if_match(ask)
    return _answer(ask, await _on_rules(vault, rules.end(address.id, wanted)))


async def _create(ask: Ask, vault: Vault, rules: Rules) -> Reply:
    tree = incoming(ask.address.release, ask.body, ask.reader)
    if tree.get("resourceType") != "Consent" or is_directive(ask.address.release, tree):
        return await writing.create(ask, vault)
    _only_r4(ask)
    no_parameters(ask)
    if "if-none-exist" in ask.headers:
        raise Unprocessable("a grant is made without conditions", place="If-None-Exist")
    return _answer(ask, await _on_rules(vault, rules.create(tree)))


async def _update(ask: Ask, vault: Vault, rules: Rules, *, known: bool) -> Reply:
    tree = incoming(ask.address.release, ask.body, ask.reader)
    directive = is_directive(ask.address.release, tree)
    if tree.get("resourceType") != "Consent" or not (known or not directive):
        return await writing.update(ask, vault)
    _only_r4(ask)
    no_parameters(ask)
    if "if-none-match" in ask.headers:
        raise Unprocessable("this condition is not offered", place="If-None-Match")
    same_type(Op("PUT", "Consent", ask.address.id, tree=tree), "Consent")
    return _answer(ask, await _on_rules(vault, rules.update(ask.address.id, tree, _if_match(ask))))


async def _ordinary(ask: Ask, vault: Vault) -> Reply:
    """What is no grant goes the way of all resources, which keeps grants out."""
    ways = {"update": writing.update, "patch": writing.patch, "delete": writing.delete}
    return await ways[ask.address.interaction](ask, vault)


def _only_r4(ask: Ask) -> None:
    if ask.address.release != "r4":
        raise Unprocessable("grants are exchanged in R4; see Consent there", place="Consent")


def _if_match(ask: Ask) -> int | None:
    asked = ask.headers.get("if-match")
    return None if asked is None else version_of(asked, "If-Match")


async def _on_rules(vault: Vault, work: Awaitable[Outcome]) -> Outcome:
    """The side of the door that knows the rules does it, and writes the line."""
    vault.called = True
    return await work


def _answer(ask: Ask, outcome: Outcome) -> Reply:
    return answers.changed(outcome, ask.base, ask.prefer("return", "representation"))
