"""The list of benches, in the order they run; a new one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from pgo.bench.doors import doors
from pgo.bench.filtering import filtering
from pgo.bench.growing import growing
from pgo.bench.importing import importing
from pgo.bench.in_dossier import deciding, opening, writing_down
from pgo.bench.over_http import memory, read, search
from pgo.bench.rows import Row
from pgo.bench.signing_in import granting, proving
from pgo.bench.stand import Stand
from pgo.bench.stuck import hanging

BENCHES: Final[Mapping[str, Callable[[Stand], list[Row]]]] = MappingProxyType(
    {
        "memory": memory,
        "read": read,
        "search": search,
        "grants": granting,
        "proofs": proving,
        "sign-ins": hanging,
        "dossier": opening,
        "import": importing,
        "decide": deciding,
        "filter": filtering,
        "growing": growing,
        "doors": doors,
        "audit": writing_down,
    }
)


def run(names: Sequence[str], *, quick: bool, tell: Callable[[str], None]) -> Iterator[list[Row]]:
    """The rows of these benches, one after the other."""
    with Stand(quick=quick, tell=tell) as stand:
        for name in names:
            yield BENCHES[name](stand)
