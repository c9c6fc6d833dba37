"""Absolute references to this server's own addresses, read as the relative ones they mean; pure.

What is stored stays as it was written; the index, and what is checked of a subject, see what is
meant. An address of another dossier, another release or another server stays absolute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from pgo.fhir import text

_NAMED: Final = r"/(?:dossiers/{client}/)?fhir/{release}/([A-Z][A-Za-z]{{1,63}}/[A-Za-z0-9\-./_]+)"
_MEMBERS: Final = frozenset({"reference", "url"})


@dataclass(frozen=True, slots=True)
class Own:
    """The addresses of one dossier: `issuer` is the server's, "" when it has none."""

    issuer: str = ""
    client: str = ""

    def local(self, release: str, reference: str) -> str:
        """The reference below our own base, or as it is."""
        if not self.issuer or not reference.startswith(self.issuer):
            return reference
        named = _NAMED.format(client=re.escape(self.client), release=release)
        found = re.fullmatch(named, reference[len(self.issuer) :], re.ASCII)
        return found[1] if found else reference

    def meant(self, release: str, tree: dict[str, Any]) -> dict[str, Any]:
        """The resource with such references relative: a copy, or itself when it has none."""
        if not self.issuer or self.issuer.encode() not in text.dump(tree):
            return tree
        made: dict[str, Any] = self._turned(release, tree)
        return made

    def _turned(self, release: str, value: Any) -> Any:
        if type(value) is list:
            return [self._turned(release, one) for one in value]
        if type(value) is not dict:
            return value
        return {
            name: self.local(release, one)
            if name in _MEMBERS and type(one) is str
            else self._turned(release, one)
            for name, one in value.items()
        }
