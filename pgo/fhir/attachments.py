"""Addresses of our own Binaries in attachments: relative, so that they hold under every base; pure.

The same dossier has more than one address (`/fhir/r4`, `/dossiers/…/fhir/r4`, a MedMij service).
Nothing here fetches an address.
"""

from __future__ import annotations

import re
from typing import Any, Final

_OWN: Final = re.compile(
    r"(?:/dossiers/([a-z0-9-]{1,64}))?/fhir/(r4|stu3)/(Binary/[A-Za-z0-9\-.]{1,64}"
    r"(?:/_history/[1-9][0-9]{0,17})?)"
)


def make_relative(tree: Any, issuer: str, client: str, release: str) -> None:
    """Make `url`s that name a Binary of this dossier and release relative, in place.

    Args:
        tree: a resource or Bundle.
        issuer: our own address, without a last slash.
        client: whose dossier; an address without one means it too.
        release: of the address that is asked.
    """
    left = [tree]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            url = one.get("url")
            if isinstance(url, str) and url.startswith(issuer):
                one["url"] = _relative(url, issuer, client, release)
            left += one.values()
        elif isinstance(one, list):
            left += one


def _relative(url: str, issuer: str, client: str, release: str) -> str:
    found = _OWN.fullmatch(url, len(issuer))
    if found is None or found[1] not in {None, client} or found[2] != release:
        return url
    return found[3]
