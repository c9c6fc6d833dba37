"""The narrative of a resource: which XHTML may stand in `text.div`, so that showing it is safe.

The elements and attributes are those of https://hl7.org/fhir/R4/narrative.html#xhtml. Not allowed
either: a link that runs, a style that loads, a CDATA section, or a comment that an HTML reader
could end elsewhere than an XML reader does. A picture on a web site is allowed (txt-1, and official
test data have one); whoever shows narrative must not fetch it, since that tells the site who reads.
A narrative without a word breaks txt-2; it harms nobody, HL7's own examples have some, and it is
taken.
"""

from __future__ import annotations

import re
from typing import Final

from pgo.errors import Malformed
from pgo.fhir import xml
from pgo.fhir.elements import XHTML
from pgo.fhir.primitives import opens_by_itself


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ELEMENTS: Final = _names(
    "a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd del dfn "
    "div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q samp small span strong sub "
    "sup table tbody td tfoot th thead tr tt u ul var"
)
_EVERYWHERE: Final = _names(
    "title style class id lang dir accesskey tabindex {http://www.w3.org/XML/1998/namespace}lang "
    "{http://www.w3.org/XML/1998/namespace}space"
)
_CELL: Final = _names(
    "abbr align axis bgcolor char charoff colspan headers height nowrap rowspan scope valign width"
)
_PER_ELEMENT: Final = {
    "a": _names("href name charset type hreflang rel rev shape coords target"),
    "area": _names("shape coords href nohref alt"),
    "img": _names("src alt height width longdesc usemap ismap border align name"),
    "map": frozenset({"name"}),
    "table": _names(
        "align bgcolor border cellpadding cellspacing frame rules summary width height"
    ),
    "col": _names("align char charoff span valign width"),
    "colgroup": _names("align char charoff span valign width"),
    **dict.fromkeys(("td", "th", "tr", "tbody", "thead", "tfoot"), _CELL),
    "blockquote": frozenset({"cite"}),
    "q": frozenset({"cite"}),
    "del": frozenset({"cite", "datetime"}),
    "ins": frozenset({"cite", "datetime"}),
    "ol": _names("compact start type"),
    "ul": _names("compact type"),
    "li": _names("type value"),
    "pre": frozenset({"width"}),
    **dict.fromkeys(
        ("div", "p", "caption", "h1", "h2", "h3", "h4", "h5", "h6"), frozenset({"align"})
    ),
    "hr": _names("align noshade size width"),
    "br": frozenset({"clear"}),
}
_LINKS: Final = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_SCHEME: Final = re.compile(r"[^/?#]*:")
_SAFE_LINK: Final = re.compile(r"(https?|mailto|tel|urn):", re.IGNORECASE)
_PICTURE: Final = re.compile(
    r"#[^\s]*"  # a contained Binary
    r"|Binary/[A-Za-z0-9\-.]{1,64}"
    r"|[A-Za-z0-9_\-]{1,64}\.(png|jpe?g|gif|bmp|webp)"  # a file that came beside the text
    r"|https?://[A-Za-z0-9][A-Za-z0-9.\-]*(:[0-9]{1,5})?([/?][!#-;=?-\[\]_a-z~]*)?"  # never fetched
    r"|data:(image/(png|jpe?g|gif|bmp|webp)|application/octet-stream);base64,[A-Za-z0-9+/=\s]*"
)
_LOADS: Final = re.compile(
    r"\\|/\*|@|<|url|image|expression|script|behaviou?r|binding|import", re.IGNORECASE
)
_PLAIN_COMMENT: Final = re.compile(r"<!--(?:(?!--)[^<>])*-->")
"""Ends at the same place for every reader."""
_HIDDEN: Final = re.compile(r"<!|<\?")


def faults(div: str) -> list[str]:
    """What is wrong with the text of a `div`, in words without any of it; empty is good."""
    if _HIDDEN.search(_PLAIN_COMMENT.sub("", div)):
        return ["A comment, document type or instruction is not allowed in narrative."]
    try:
        root = xml.read(div.encode())
    except (Malformed, UnicodeEncodeError):
        return ["The narrative is not well-formed XHTML."]
    if root.tag != f"{{{XHTML}}}div":
        return ["The narrative is not one div in the XHTML namespace."]
    return list(dict.fromkeys(words for node in root.iter() if (words := _fault(node))))


def _fault(node: xml.Node) -> str:
    tag = node.tag if isinstance(node.tag, str) else ""
    name = tag.removeprefix(f"{{{XHTML}}}")
    if name not in _ELEMENTS or name == tag:
        return "An element is not allowed in narrative."
    allowed = _PER_ELEMENT.get(name, frozenset())
    for key, value in node.attrib.items():
        if key not in _EVERYWHERE and key not in allowed:
            return "An attribute is not allowed in narrative."
        if key == "style" and _LOADS.search(str(value)):
            return "A style that loads something is not allowed in narrative."
        if key in _LINKS and not _good_link(str(value), picture=name == "img" and key == "src"):
            return "A link or picture of this kind is not allowed in narrative."
    return ""


def _good_link(link: str, *, picture: bool) -> bool:
    """A picture is in the resource, the dossier or on a site; a link is relative or safe."""
    if picture:
        return bool(_PICTURE.fullmatch(link))
    dense = "".join(char for char in link if char > " ")
    if opens_by_itself(dense) or "\\" in link or "\x7f" in link:
        return False
    return not _SCHEME.match(dense) or bool(_SAFE_LINK.match(dense))
