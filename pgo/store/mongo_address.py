"""Whether a MongoDB address asks for less than the store promises; pure, knows no driver."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from pgo import errors

# Option (lower case) → values that keep the promises; an option that is not named is free.
ALLOWED: dict[str, frozenset[str]] = {
    "w": frozenset({"majority"}),
    "journal": frozenset({"true"}),
    "j": frozenset({"true"}),
    "readpreference": frozenset({"primary"}),
    "readconcernlevel": frozenset({"majority", "linearizable"}),
    "retrywrites": frozenset({"true"}),
    "slaveok": frozenset({"false"}),
    "tlsinsecure": frozenset({"false"}),
    "tlsallowinvalidcertificates": frozenset({"false"}),
    "tlsallowinvalidhostnames": frozenset({"false"}),
}


def database_of(address: str) -> str:
    """The name of the database in the address.

    Raises:
        errors.BadValue: there is none.
        errors.Unavailable: an option is weaker than the store's promises; named, without its value.
    """
    parts = urlsplit(address)
    weak = sorted(
        name
        for name, value in parse_qsl(parts.query.replace(";", "&"), keep_blank_values=True)
        if value.lower() not in ALLOWED.get(name.lower(), {value.lower()})
    )
    if weak:
        raise errors.Unavailable(
            f"PGO_STORE asks MongoDB for less than this store promises: {', '.join(weak)}."
            " Leave it out."
        )
    name = parts.path.removeprefix("/")
    if not name:
        raise errors.BadValue(
            "PGO_STORE must name a database: mongodb://host/database.", place="PGO_STORE"
        )
    return name


def refuse_standalone(hello: dict[str, object], *, strict: bool, standalone: bool) -> None:
    """Refuse a server that is no replica set and no router of one.

    Args:
        hello: the server's answer to `hello`.
        strict: PGO_STRICT; then a standalone server is never accepted.
        standalone: PGO_MONGO_STANDALONE.

    Raises:
        errors.Unavailable: names the setting.
    """
    if "setName" in hello or hello.get("msg") == "isdbgrid":
        return
    if strict:
        raise errors.Unavailable(
            "MongoDB has no replica set, which PGO_STRICT requires: one server can lose what it"
            " acknowledged."
        )
    if not standalone:
        raise errors.Unavailable(
            "MongoDB has no replica set. For tests only: PGO_MONGO_STANDALONE=true."
        )
