"""FHIR XML to the same tree as `pgo.fhir.text` gives; the only module here that touches lxml.

The mapping is the one of https://hl7.org/fhir/json.html: attributes become members, an id or
extension on a primitive becomes `_name`, a repeatable element becomes an array, narrative stays
text. Members come in the order of the definitions; a number keeps its lexeme; comments and
processing instructions are dropped. Entities, document types, XInclude and the network are off
(safety.md V16); a text with a document type is refused whether or not it is used.

Everything refused is 400, with a path (`Patient.name[0].given[1]`) or line and column as place.
"""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from lxml import etree

from pgo.errors import BadRequest, BadValue, Malformed
from pgo.fhir import text
from pgo.fhir.elements import FHIR, XHTML, Element, Release, members, resources

Node = etree._Element  # noqa: SLF001 - lxml gives its elements no public name

_BOM: Final = b"\xef\xbb\xbf"
_DECLARED: Final = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)""")
_SCHEMA_HINT: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_DEFAULT: Final[Any] = {None: XHTML}
_NUMBERS: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})


def from_xml(raw: bytes, release: Release, *, place: str = "") -> dict[str, Any]:
    """The tree of one resource in FHIR XML.

    Args:
        raw: UTF-8 text; a byte order mark is allowed, as XML does.
        release: whose definitions tell arrays, types and order.
        place: put before places in errors.

    Raises:
        Malformed: not well-formed, not FHIR, or beyond a limit.
        BadValue: a number or boolean that is none, or cannot be kept.
    """
    tree = _resource(read(raw, place=place), release, place, 1)
    if not text.within_limits(tree):
        raise Malformed(
            "The text is nested too deep or has a string that is too long.", place=place
        )
    return tree


def read(raw: bytes, *, place: str = "") -> Node:
    """The root element of a text, without comments, read with everything dangerous off.

    Raises:
        Malformed: not UTF-8, not well-formed, or with a document type.
    """
    _check_encoding(raw, place)
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise Malformed("A document type or entity is not allowed.", place=place)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(raw.removeprefix(_BOM), parser)
    except etree.XMLSyntaxError as cause:
        line, column = cause.position
        here = f"line {line}, column {column}"
        where = f"{place} ({here})" if place else here
        raise Malformed("The text is not well-formed XML.", place=where) from None


def _check_encoding(raw: bytes, place: str) -> None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("The text is not UTF-8.", place=place) from None
    declared = _DECLARED.match(raw.removeprefix(_BOM))
    if declared and declared[1].lower() not in {b"utf-8", b"us-ascii", b"ascii"}:
        raise Malformed("The text says it is not UTF-8.", place=place)


def _resource(node: Node, release: Release, place: str, depth: int) -> dict[str, Any]:
    name = _local(node, FHIR)
    if name not in resources(release):
        raise Malformed("This is not a resource of this FHIR release.", place=place)
    for key in node.attrib:
        if not str(key).startswith(_SCHEMA_HINT):
            raise Malformed("A resource has no attributes.", place=place or name)
    return {"resourceType": name, **_object(node, release, name, place or name, depth)}


def _object(node: Node, release: Release, type_: str, place: str, depth: int) -> dict[str, Any]:
    """The members of one element of a type, in the order of the definition."""
    if depth > text.DEPTH:
        raise Malformed("The text is nested too deep.", place=place)
    known = members(release, type_)
    groups = _children(node, place, XHTML if type_ == "Narrative" else FHIR)
    found: dict[str, Any] = {}
    if "." in type_ or type_ not in resources(release):
        found.update(_attributes(node, type_, place))
    for name in [name for name in known if name in groups]:
        found.update(_member(groups.pop(name), known[name], release, f"{place}.{name}", depth))
    if groups:
        raise Malformed("An element is not defined here.", place=place)
    if type_ == "Extension" and "url" in found:
        value = [name for name in found if name not in {"id", "extension", "url"}]
        found = {name: found[name] for name in ("id", "extension", "url", *value) if name in found}
    return found


def _attributes(node: Node, type_: str, place: str) -> dict[str, str]:
    allowed = {"id", "url"} if type_ == "Extension" else {"id"}
    if not allowed.issuperset(map(str, node.attrib)):
        raise Malformed("An attribute is not defined here.", place=place)
    return {str(key): str(value) for key, value in sorted(node.attrib.items())}


def _children(node: Node, place: str, div: str) -> dict[str, list[Node]]:
    """Child elements by name; loose text between them is refused."""
    groups: dict[str, list[Node]] = {}
    loose = node.text or ""
    for child in node:
        name = _local(child, div if child.tag == f"{{{XHTML}}}div" else FHIR)
        groups.setdefault(name, []).append(child)
        loose += child.tail or ""
    if loose.strip() or "" in groups:
        raise Malformed("Something that is not FHIR stands here.", place=place)
    return groups


def _local(node: Node, namespace: str) -> str:
    """The name of an element of a namespace; "" for anything else, such as an entity."""
    tag = node.tag
    prefix = f"{{{namespace}}}"
    return tag.removeprefix(prefix) if isinstance(tag, str) and tag.startswith(prefix) else ""


def _member(
    nodes: list[Node], element: Element, release: Release, place: str, depth: int
) -> dict[str, Any]:
    if len(nodes) > 1 and not element.many:
        raise Malformed("This element may occur once only.", place=place)
    places = [f"{place}[{i}]" if element.many else place for i in range(len(nodes))]
    if element.primitive:
        return _primitives(nodes, element, release, places, depth)
    found = [
        _complex(*one, element.type_, release, depth + 1) for one in zip(nodes, places, strict=True)
    ]
    return {element.name: found if element.many else found[0]}


def _complex(node: Node, place: str, type_: str, release: Release, depth: int) -> dict[str, Any]:
    if type_ != "Resource":
        return _object(node, release, type_, place, depth)
    inside = [one for group in _children(node, place, FHIR).values() for one in group]
    if len(inside) != 1 or node.attrib:
        raise Malformed("Exactly one resource stands here.", place=place)
    return _resource(inside[0], release, place, depth)


def _primitives(
    nodes: list[Node], element: Element, release: Release, places: list[str], depth: int
) -> dict[str, Any]:
    """`name` with the values and `_name` with what else they carry; null where one has none."""
    values, sides = [], []
    for node, place in zip(nodes, places, strict=True):
        value = _value(node, element.type_, place)
        side = {} if element.type_ == "xhtml" else _side(node, release, place, depth)
        if value is None and not side:
            raise Malformed("This element has no value.", place=place)
        values.append(value)
        sides.append(side or None)
    found: dict[str, Any] = {}
    if any(value is not None for value in values):
        found[element.name] = values if element.many else values[0]
    if any(sides):
        found[f"_{element.name}"] = sides if element.many else sides[0]
    return found


def _side(node: Node, release: Release, place: str, depth: int) -> dict[str, Any]:
    """The id and extensions of a primitive."""
    groups = _children(node, place, FHIR)
    found: dict[str, Any] = {}
    if not {"id", "value"}.issuperset(map(str, node.attrib)) or not {"extension"}.issuperset(
        groups
    ):
        raise Malformed("Something that is not FHIR stands here.", place=place)
    if (id_ := node.get("id")) is not None:
        found["id"] = id_
    if extensions := groups.get("extension"):
        element = members(release, "Element")["extension"]
        found.update(_member(extensions, element, release, f"{place}.extension", depth + 1))
    return found


def _value(node: Node, type_: str, place: str) -> Any:
    if type_ == "xhtml":
        return _narrative(node)
    value = node.get("value")
    if value is None:
        return None
    if type_ == "boolean":
        if value not in {"true", "false"}:
            raise BadValue("This is not true or false.", place=place)
        return value == "true"
    if type_ not in _NUMBERS:
        return value
    try:
        return text.fragment(value)
    except BadRequest as refused:
        raise BadValue(refused.detail, place=place) from None


def _narrative(div: Node) -> str:
    """The text of a div on its own: the XHTML namespace as default and no other declarations."""
    alone = copy.deepcopy(div)
    alone.tail = None
    if any(one.prefix for one in alone.iter(f"{{{XHTML}}}*")):
        alone = _unprefixed(alone)
    etree.cleanup_namespaces(alone)
    return etree.tostring(alone, encoding="unicode")


def _unprefixed(node: Node) -> Node:
    """The same elements without namespace prefixes."""
    plain = etree.Element(node.tag, nsmap=_DEFAULT)
    for key, value in node.attrib.items():
        plain.set(key, value)
    plain.text, plain.tail = node.text, node.tail
    plain.extend([_unprefixed(child) for child in node])
    return plain
