"""No BSN is kept: masks them in a resource tree, wherever they stand; finds them by `elfproef`.

A PGO has no ground to process a burgerservicenummer (medmij.md D.1), and input is full of them.
What happens where:

* an object with the BSN system: `value` (`code` in a Coding) goes, the system stays, and
  `_value` says `masked` (extension data-absent-reason; the same address in R4 and STU3);
* an identifier without system, or whose type calls it a BSN: the same, when it passes the test;
* a value under a name that says BSN (an extension's url, a question's text, a parameter's name);
* addresses and references: in the query and behind the BSN system; ids in the path stay, since
  they hold a Bundle together (`mask_reference` is for after that, `in_id` refuses such ids);
* all other text, displays, titles and addresses of attachments: blacked out;
* narrative and attachments of HTML: the same, as their reader sees them, without inline tags;
* attachments of text, XML or JSON: decoded, masked, encoded again, `size` and `hash` made right;
  other attachments, such as PDF, are not looked into.

Never touched: codes, ids, systems, units, lot and serial numbers, telephone numbers, numbers that
are numbers and are not called a BSN.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any, Final

import orjson

from pgo.fhir import elfproef, text

ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_SYSTEM: Final = re.compile(
    r"(?:.*/NamingSystem/bsn/?|(?:urn:oid:)?2\.16\.840\.1\.113883\.2\.4\.6\.3)", re.IGNORECASE
)
_CODED: Final = frozenset(
    {
        *("id", "code", "system", "version", "versionId", "language", "unit", "linkId", "profile"),
        *("contentType", "hash", "data", "lotNumber", "serialNumber", "modelNumber", "rank"),
        *("deviceIdentifier", "distinctIdentifier", "carrierHRF", "carrierAIDC", "resourceType"),
        *("valueCode", "valueId", "valueOid", "valueUuid", "valueBase64Binary"),
    }
)
_LABELS: Final = ("url", "text", "display", "title", "name", "linkId", "question", "prefix")
_LABELLED: Final = re.compile(r"value|answer|initial|default|extension")
_ATTACHMENTS: Final = frozenset(
    {
        *("attachment", "content", "photo", "presentedForm", "image", "picture", "document"),
        *("valueAttachment", "contentAttachment", "form", "logo"),
    }
)
_PHONES: Final = frozenset({"phone", "fax", "pager", "sms"})
_ADDRESSES: Final = re.compile(r"reference|fullUrl|ifNoneExist|.*[uU]r[il]|.*[cC]anonical")
_ADDRESS: Final = re.compile(r"(?:https?://|urn:)\S*\Z")
_TEXTS: Final = re.compile(
    r"text/|message/|application/(?:[\w.\-]+\+)?(?:json|xml)\b|application/(?:rtf|hl7-v2|edi|csv)",
    re.IGNORECASE,
)
_DOCUMENTS: Final = re.compile(r"\S*[/+](?:xml|json)\b", re.IGNORECASE)
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.\-]+)""", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\s*\d(?:[.\-\s]?\d){7,8}\s*")
_WHOLE: Final = 9
_BYTES: Final = re.compile(r'"(?:data|content)":"')


def mask(tree: Any) -> int:
    """Masks every BSN in a resource, in place, and says how many there were.

    Args:
        tree: as `pgo.fhir.text.parse` gives it; need not be valid FHIR.
    """
    words = text.dump(tree).decode()
    if not (elfproef.may_hold(words, printed=True) or "NNNLD" in words or _BYTES.search(words)):
        return 0
    return _any(tree, "", labelled=False)[1]


def is_system(words: Any) -> bool:
    """Whether this is an address of the BSN as a system of identifiers."""
    return type(words) is str and _SYSTEM.fullmatch(words.strip()) is not None


def in_id(id_: str) -> bool:
    """Whether an id is, or bears, a BSN: nothing may be stored under it."""
    return elfproef.hide_in_text(elfproef.with_plain_digits(id_))[1] > 0


def mask_reference(one: dict[str, Any]) -> None:
    """Masks the reference in a Reference, in place, when the id in its path is a BSN.

    For after the references inside a Bundle are resolved: before, such an id may be the only
    name of another entry.
    """
    words = one.get("reference")
    if type(words) is str and in_id(words):
        _hide(one, "reference")


def _any(value: Any, name: str, *, labelled: bool) -> tuple[Any, int]:
    """What is to stand in place of a value, and how many were hidden in it."""
    if type(value) is dict:
        return value, _object(value, name, labelled=labelled)
    if type(value) is list:
        hidden = 0
        for i, one in enumerate(value):
            value[i], more = _any(one, name, labelled=labelled)
            hidden += more
        return value, hidden
    return _words(value, name) if type(value) is str else (value, 0)


def _object(one: dict[str, Any], name: str, *, labelled: bool) -> int:
    hidden = _identifier(one)
    hidden += _attachment(one)
    labelled = labelled or _says_bsn(one)
    for key, value in list(one.items()):
        if key in _CODED and type(value) is str:
            continue
        under_label = labelled and _LABELLED.match(key) is not None
        if under_label and _is_number(value):
            hidden += _hide(one, key)
        elif type(value) is str:
            hidden += _keep(one, key, _words(value, _role(one, key, name)))
        else:
            hidden += _keep(one, key, _any(value, key, labelled=under_label))
    return hidden


def _role(one: dict[str, Any], key: str, name: str) -> str:
    """How a string is to be read: by its member's name, unless what is beside it says more."""
    if key == "url":
        return "file" if name in _ATTACHMENTS or _is_attachment(one) else key
    if key == "content" and "contentType" in one:
        return "bytes"
    return "coded" if key == "value" and _is_coded_value(one) else key


def _words(words: str, role: str) -> tuple[str, int]:
    if role == "bytes":
        return words, 0
    if role == "file":
        return elfproef.hide_in_text(words, black=elfproef.STARS)
    if role == "div":
        return elfproef.hide_in_narrative(words)
    if role == "coded" or _ADDRESSES.fullmatch(role) or _ADDRESS.match(words):
        return elfproef.hide_in_address(words)
    return elfproef.hide_in_text(words)


def _keep(one: dict[str, Any], key: str, found: tuple[Any, int]) -> int:
    one[key] = found[0]
    return found[1]


def _hide(one: dict[str, Any], name: str) -> int:
    """Takes `name` away and says so in `_name`, in the same place; 0 when it says so already."""
    beside = f"_{name}"
    reason = {"extension": [{"url": ABSENT, "valueCode": "masked"}]}
    if name not in one and one.get(beside, reason) == reason:
        return 0
    items = list(one.items())
    one.clear()
    for key, value in items:
        if key in {name, beside}:
            one[beside] = reason
        else:
            one[key] = value
    return 1


def _identifier(one: dict[str, Any]) -> int:
    """An Identifier or Coding of the BSN system, or an Identifier that can be nothing else."""
    system = one.get("system")
    if is_system(system):
        return _hide(one, "value") + _hide(one, "code")
    value = one.get("value")
    if type(value) is str and _is_number(value) and "type" in one and _calls_it_bsn(one["type"]):
        return _hide(one, "value")
    alone = type(value) is str and not {"system", "_system", "unit", "url"} & one.keys()
    return _hide(one, "value") if alone and _is_number(value, least=_WHOLE) else 0


def _calls_it_bsn(concept: Any) -> bool:
    words = text.dump(concept).decode()
    return "NNNLD" in words or elfproef.names_it(words)


def _is_number(value: Any, *, least: int = _WHOLE - 1) -> bool:
    """Whether a value is a BSN and nothing else: text or number, of at least so many digits."""
    words = text.number(value) if type(value) is orjson.Fragment else value
    if type(words) is not str or not _NUMBER.fullmatch(words):
        return False
    return sum(map(str.isdecimal, words)) >= least and elfproef.valid(words)


def _says_bsn(one: dict[str, Any]) -> bool:
    """Whether an object calls what it holds a BSN."""
    for key in _LABELS:
        words = one.get(key)
        if type(words) is str and elfproef.names_it(words):
            return True
    code = one.get("code")
    return type(code) is dict and _calls_it_bsn(code)


def _is_coded_value(one: dict[str, Any]) -> bool:
    """A telephone number, or an identifier of another system: structured, so left alone."""
    system = one.get("system")
    if type(system) is not str:
        return False
    return system in _PHONES or ":" in system


def _is_attachment(one: dict[str, Any]) -> bool:
    return not {"contentType", "creation", "hash", "size"}.isdisjoint(one)


def _attachment(one: dict[str, Any]) -> int:
    """An Attachment or Binary whose bytes are text: masked inside."""
    kind = one.get("contentType", "")
    key = "data" if "data" in one else "content"
    data = one.get(key)
    if type(data) is not str or type(kind) is not str or (kind and not _TEXTS.match(kind)):
        return 0
    if not kind and "origin" in one:  # SampledData has data of its own
        return 0
    try:
        raw = base64.b64decode(data, validate=False)
        words, charset = _decoded(raw, kind)
    except (binascii.Error, UnicodeError, LookupError):
        return 0
    document = _DOCUMENTS.match(kind) or words.lstrip("\ufeff \t\r\n")[:5] in {"<?xml", "<Clin"}
    html = kind[:9].lower() == "text/html"
    hide = elfproef.hide_in_document if document else _hide_in_html if html else _hide_in_plain
    masked, hidden = hide(words)
    if hidden:
        _replace(one, key, masked.encode(charset))
    return hidden


def _hide_in_plain(words: str) -> tuple[str, int]:
    return elfproef.hide_in_text(words, black=elfproef.STARS)


def _hide_in_html(words: str) -> tuple[str, int]:
    return elfproef.hide_in_narrative(words, black=elfproef.STARS)


def _decoded(raw: bytes, kind: str) -> tuple[str, str]:
    """The words of an attachment and their charset: as said, by its mark, UTF-8, or Latin-1."""
    said = _CHARSET.search(kind)
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16"), "utf-16"
    try:
        charset = said[1] if said else "utf-8"
        return raw.decode(charset), charset
    except (UnicodeError, LookupError):
        return raw.decode("latin-1"), "latin-1"


def _replace(one: dict[str, Any], key: str, raw: bytes) -> None:
    one[key] = base64.b64encode(raw).decode()
    if "size" in one:
        one["size"] = text.fragment(str(len(raw)))
    if "hash" in one:
        digest = hashlib.sha1(raw, usedforsecurity=False).digest()
        one["hash"] = base64.b64encode(digest).decode()
