"""What the authorization server is made of, and what the rest of the application lends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from anyio import CapacityLimiter

from pgo.dossier.seal import Box
from pgo.errors import BadValue
from pgo.oauth.choices import Choice
from pgo.oauth.keysets import KeySets
from pgo.oauth.levels import Ways
from pgo.oauth.proof import Proofs
from pgo.oauth.scopes import Cap
from pgo.oauth.signing import Signing
from pgo.oauth.tokens import Tokens
from pgo.oauth.used import InStore, Used
from pgo.registry import Registry
from pgo.store.contract import Store

EVENTS = (
    "oauth.sign-in",
    "oauth.sign-out",
    "oauth.means",
    "oauth.consent",
    "oauth.authorize",
    "oauth.par",
    "oauth.token",
    "oauth.userinfo",
    "oauth.revoke",
    "oauth.introspect",
)
"""Names of the events given to `Note`; outcome is "ok" or "refused"."""
FIELDS = frozenset({"person", "app", "client", "outcome", "detail"})
"""Fields an event may have: account, client_id, dossier, outcome, and a code (never a value)."""
THREADS = 8


class Note(Protocol):
    """Writes an event down durably; when it raises, nothing is given out."""

    async def __call__(
        self,
        event: str,
        *,
        person: str = "",
        app: str = "",
        client: str = "",
        outcome: str = "ok",
        detail: str = "",
    ) -> None:
        """Return when the line is durable."""


Dossiers = Callable[[str], Awaitable[Sequence[Choice]]]
"""The dossiers a person may let an app into."""
PatientOf = Callable[[str], Awaitable[str]]
"""R4 Patient id of a dossier."""
FhirUserOf = Callable[[str, str], Awaitable[str]]
"""(account id, dossier or "") to the address of the person's own resource; "" without one."""


async def _nobody(_person: str, _app: str, _dossier: str, _family: str) -> None:
    """Where nobody can be told."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the routes need.

    Attributes:
        issuer: public address without a last slash; https, or http on a loopback address.
        development_login: offer the page that lists the demo people.
        ways: how else people sign in.
        warn: tells a person that an app of his was stopped (account, client_id, dossier or "",
            family of its tokens); once for each family.
        count: takes one from a named limit of somebody, or raises TooMany.
        known: whether the search restrictions in scopes are searches of our FHIR releases.
        used: remembers proofs of possession; the store does when nothing is given.
        proofs, signing, keysets: checks of possession, our own keys, keys of clients.
        limiter: threads for authlib's grants; their own, so that sign-ins never hold up reads.
    """

    issuer: str
    store: Store
    box: Box
    registry: Registry
    tokens: Tokens
    note: Note
    dossiers_of: Dossiers
    patient_of: PatientOf
    fhir_user_of: FhirUserOf
    development_login: bool = False
    ways: Ways = field(default_factory=Ways)
    known: Callable[[Cap], bool] = lambda _: True
    warn: Callable[[str, str, str, str], Awaitable[None]] = _nobody
    count: Callable[[str, str], None] = lambda _limit, _who: None
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(THREADS))
    used: Used | None = None
    proofs: Proofs = field(init=False)
    signing: Signing = field(init=False)
    keysets: KeySets = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
        sound = parts.scheme == "https" or (parts.scheme == "http" and loopback)
        if not sound or parts.query or parts.fragment or self.issuer.endswith("/"):
            raise BadValue("The issuer is an https address without a last slash.", place="issuer")
        now = self.tokens.now
        used = self.used or InStore(self.store)
        object.__setattr__(self, "proofs", Proofs(used, self.box, now, self.issuer))
        object.__setattr__(self, "signing", Signing(self.store, self.box, now))
        object.__setattr__(self, "keysets", KeySets(now))

    @property
    def secure(self) -> bool:
        """Whether people reach us over TLS."""
        return self.issuer.startswith("https://")
