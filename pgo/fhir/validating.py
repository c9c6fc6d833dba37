"""$validate: would this resource be taken, and what is wrong with it; nothing is stored.

Source: http://hl7.org/fhir/R4/resource-operation-validate.html, STU3 the same. Without a `mode` the
content alone is looked at; `create`, `update` and `delete` are tried as the real thing would be,
in the dossier's turn, and let go. The answer is 200 with an OperationOutcome, also when there is
much wrong; a body that is not readable is refused as ever. Without a resource, the one in the
address is looked at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from pgo.call import Call
from pgo.changing import Changing
from pgo.errors import BadValue, Issue, Missing, PgoError
from pgo.fhir import bsn, text, validate
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask
from pgo.fhir.bundle import Op, same_type
from pgo.fhir.given import given
from pgo.vault import Vault
from pgo.web import render

_METHODS: Final = {"create": "POST", "update": "PUT", "delete": "DELETE"}
_MODES: Final = frozenset({"", "profile", *_METHODS})
_DONE: Final = Issue("informational", "nothing wrong was found", severity="information")
_MASKED: Final = Issue(
    "business-rule", "what may be a BSN is masked when this is stored", severity="warning"
)
_WRONG: Final = frozenset({"error", "fatal"})


class _Right(PgoError):
    """Not an error at all: what is said when nothing is wrong."""

    dutch = "Deze gegevens zijn in orde."


class _Wrong(PgoError):
    """What a write would have been refused for."""

    dutch = "Deze gegevens kloppen niet."


async def validating(ask: Ask, vault: Vault) -> Reply:
    """Answer the operation on a type or on a resource.

    Raises:
        BadRequest: an unreadable body, or a parameter; NotFound: the resource named is not there.
    """
    address, sent = ask.address, given(ask, bare="resource")
    sent.only(("mode", "profile"), ("resource",))
    mode, profile = sent.one("mode"), sent.one("profile")
    trees = [tree for _, tree in sent.trees]
    if mode not in _MODES or (mode in {"update", "delete"} and not address.id):
        raise BadValue("write create, profile, or on a resource update or delete", place="mode")
    if mode == "create" and address.id:
        raise BadValue("what has an id already is not created", place="mode")
    if len(trees) > 1 or (trees and mode == "delete"):
        raise BadValue("give one resource, and none to delete", place="resource")
    if not trees and (not address.id or mode == "update"):
        raise Missing("a resource is needed", place="resource")
    said = {"release": address.release, "type_": address.type}
    async with vault.call("validate", **said) as call:
        await vault.known(call)
        tree = trees[0] if trees else None
        if tree is None and mode != "delete":
            tree = await _stored(ask, vault, call)
        issues = [] if tree is None else _content(ask, vault, tree, profile)
        if mode in _METHODS and not any(one.severity in _WRONG for one in issues):
            issues += await _tried(ask, vault, call, _METHODS[mode], tree)
    return _outcome(ask, issues or [_DONE])


async def _stored(ask: Ask, vault: Vault, call: Call) -> dict[str, Any]:
    """The newest version of the resource in the address, as the caller may see it."""
    address = ask.address
    vault.reach("r", address.type)
    row = vault.newest(call, await vault.verdict(), address.release, address.type, address.id)
    call.touch([row], vault.dossier.image.facets)
    found = await vault.texts([row], (), {})
    return text.reread(found[0].text)


def _content(ask: Ask, vault: Vault, tree: dict[str, Any], profile: str) -> list[Issue]:
    """All that is wrong with the resource by itself, at this address, and by its profiles."""
    address = ask.address
    masked = bsn.mask(tree)
    op = Op("PUT" if address.id else "POST", address.type, address.id, tree)
    try:
        same_type(op, address.type)
        issues = list(validate.validate(address.release, tree))
        if not issues:
            issues = vault.profiles.check(address.release, tree)
            asked = [profile] if profile else []
            issues += _asked_for(vault.profiles.check(address.release, tree, asked))
    except PgoError as error:
        issues = list(error.issues)
    return [*issues, _MASKED] if masked else issues


def _asked_for(issues: list[Issue]) -> list[Issue]:
    """That a profile is not here is worth a warning when the caller asked for that one."""
    return [replace(one, severity="warning") if one.code == "not-found" else one for one in issues]


async def _tried(
    ask: Ask, vault: Vault, call: Call, method: str, tree: dict[str, Any] | None
) -> list[Issue]:
    """Why it would not be done, by what the dossier holds and the caller may do; none: it would."""
    address = ask.address
    op = Op(method, address.type, address.id, tree)
    try:
        trying = Changing(
            vault, call, address.release, isolated=False, operator=False, queries=None
        )
        await trying.tried([op])
    except PgoError as error:
        return list(error.issues)
    return []


def _outcome(ask: Ask, issues: list[Issue]) -> Reply:
    wrong = any(one.severity in _WRONG for one in issues)
    judged = (_Wrong if wrong else _Right)("validated", issues=tuple(issues))
    return Reply(200, render(judged, "fhir", release=ask.address.release).body)
