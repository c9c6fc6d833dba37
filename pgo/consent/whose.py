"""Whose data a sentence is about: of who reads it, or of a client by his name. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pgo.plain.clean import listed

_NEUTER = frozenset({"zorgplan", "adres", "paspoort", "dagboek"})


@dataclass(frozen=True, slots=True)
class Whose:
    """`owner` is the name of the client, or "" when he reads it himself."""

    owner: str = ""

    def these(self, words: list[str]) -> str:
        """Things of his: "uw zorgplan en medicijnen", "het zorgplan en medicijnen van Fenna"."""
        if not self.owner:
            return f"uw {listed(words)}"
        article = "het" if words[0] in _NEUTER else "de"
        return f"{article} {listed(words)} van {self.owner}"

    @property
    def whom(self) -> str:
        """Him."""
        return self.owner or "u"

    def deed(self, words: str) -> str:
        """What somebody may do, when that is something for him."""
        return words.replace("voor u", f"voor {self.owner}") if self.owner else words
