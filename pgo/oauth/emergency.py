"""The header of noodtoegang: `X-Noodtoegang: code=ETREAT; reason="…"`.

Whether it opens anything is for consent to decide. The reason is a quoted string
(RFC 9110 5.6.4) in UTF-8.
"""

from __future__ import annotations

import re

from pgo.caller import Emergency
from pgo.errors import BadValue

HEADER = b"x-noodtoegang"
MOST_BYTES = 1000
_FORM = re.compile(
    r'[ \t]*code=(?P<code>ETREAT|BTG)[ \t]*;[ \t]*reason="(?P<reason>(?:[^"\\]|\\.)*)"[ \t]*'
)


def emergency_of(values: list[bytes]) -> Emergency | None:
    """The declared emergency; None without the header.

    Raises:
        errors.BadValue: twice, too long, not UTF-8, control characters, or another form.
    """
    if not values:
        return None
    if len(values) > 1 or len(values[0]) > MOST_BYTES:
        raise BadValue("Send this header once, short.", place="X-Noodtoegang")
    try:
        text = values[0].decode()
    except UnicodeDecodeError as wrong:
        raise BadValue("This header is not UTF-8.", place="X-Noodtoegang") from wrong
    found = _FORM.fullmatch(text)
    if found is None or not text.replace("\t", " ").isprintable():
        raise BadValue('Expected: code=ETREAT; reason="…".', place="X-Noodtoegang")
    return Emergency(found["code"], re.sub(r"\\(.)", r"\1", found["reason"]))
