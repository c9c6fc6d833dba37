"""Every setting once. From the environment (`PGO_*`) or one TOML file (`PGO_CONFIG=path`)."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pgo.errors import BadValue, Issue

_PREFIX: Final = "PGO_"
_NOT_OURS: Final = ("PGO_CONFIG", "PGO_TEST_")
"""The name of the file itself, and what tests are told."""


Level = Literal["laag", "substantieel", "hoog"]


class SignInProvider(BaseModel):
    """An OpenID Connect provider people sign in at, such as a broker of DigiD.

    Attributes:
        label: what people know it by: "Inloggen met <label>".
        issuer: its address, exactly as it calls itself.
        client_id: what it knows us by.
        secret, secret_file: our password there, or the file it is in.
        key_file: file with a private key (JWK) to prove ourselves with, instead of a password.
        secret_in_form: whether the password goes in the form instead of in the header.
        acr: level of assurance by the acr values it may give; any other value is refused.
        scope: what is asked; nothing more than openid is used.
        algorithms: signature algorithms its id_tokens may have.
        hosts: host:port names of its addresses besides the issuer's own.
        private: it may be on a private address; needed for http on this machine.
        roots: file with certificates it is trusted by besides the usual.
        max_age: seconds ago that somebody may have signed in there at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1, max_length=60)
    issuer: str = Field(pattern=r"^https?://[^\s?#@]+$")
    client_id: str = Field(min_length=1, max_length=200)
    secret: str = Field("", repr=False)
    secret_file: Path | None = None
    key_file: Path | None = None
    secret_in_form: bool = False
    acr: dict[str, Level] = Field(min_length=1)
    scope: str = Field("openid", pattern=r"^openid( [!-~]+)*$")
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"], ...] = Field(
        ("ES256", "PS256", "RS256"), min_length=1
    )
    hosts: tuple[str, ...] = ()
    private: bool = False
    roots: Path | None = None
    max_age: int = Field(900, ge=0, le=86_400)


class Settings(BaseSettings):
    """What a deployment may choose; `strict` refuses whatever is only safe in development."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    store: str = Field(
        "sqlite:///var/pgo.db",
        repr=False,  # the address of a database may hold a password
        description="Where sealed dossiers live: sqlite:///path or mongodb://host/database.",
    )
    mongo_standalone: bool = Field(
        False,
        description="Accept a MongoDB server without replica set (tests only, refused by strict).",
    )
    key_file: Path = Field(
        Path("var/pgo.key"),
        description="File with the deployment's key: 32 bytes as base64; kept apart from the data.",
    )
    key: str = Field(
        "", repr=False, description="The deployment's key itself (base64), instead of a file."
    )
    erased_list: Path = Field(
        Path("var/pgo.erased"),
        description="File, apart from the data, of erased dossiers; they stay erased.",
    )
    strict: bool = Field(
        False, description="Refuse every setting that is only safe in development."
    )
    issuer: str = Field(
        "http://127.0.0.1:8000", description="Public address of this server, without a last slash."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Number of server processes.")
    trusted_proxies: str = Field(
        "127.0.0.1", description="Proxies whose X-Forwarded-For and -Proto are believed."
    )
    certificate_header: str = Field(
        "",
        pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$",
        description="Header in which trusted proxies pass on a client's TLS certificate.",
    )
    development_login: bool = Field(
        False, description="Offer the sign-in page that lists the demo people (refused by strict)."
    )
    providers: dict[str, SignInProvider] = Field(
        {},
        repr=False,  # it may hold passwords
        description="Providers people sign in at, by name: `[providers.name]` in the file.",
    )
    passkey_level: Literal["", "laag", "substantieel"] = Field(
        "", description="Level of a sign-in with a passkey; left out, passkeys are not offered."
    )
    session_idle_minutes: float = Field(
        15.0, ge=1, le=1_440, description="How long somebody stays signed in without doing a thing."
    )
    session_hours: float = Field(
        8.0, gt=0, le=168, description="How long somebody stays signed in at most."
    )
    sign_out_ends_apps: bool = Field(
        True, description="Signing out everywhere also ends what apps may do for that person."
    )
    least_level: Level = Field(
        "laag", description="Level of assurance that an app's request needs at least."
    )
    least_level_write: Level = Field(
        "laag", description="The same for a request that would change things."
    )
    open_bytes: int = Field(
        64_000_000, ge=1_000_000, description="Memory for open dossiers, bytes per worker."
    )
    image_every: int = Field(
        64, ge=1, description="Keep a new index image after this many commits."
    )
    binary_bytes: int = Field(
        20_000_000,
        ge=2_000_000,
        le=200_000_000,
        description="Largest document that is taken in as its bytes (a Binary), bytes.",
    )
    search_parameters: Path | None = Field(
        None, description="Folder with own SearchParameter resources, in r4/ and stu3/ below it."
    )
    profiles: Path = Field(
        Path("var/profiles"),
        description="Folder with the packages of profiles that `pgo profiles add` keeps.",
    )
    rate_person: float = Field(20.0, gt=0, description="Requests per second of one person.")
    rate_burst: int = Field(60, ge=1, description="Requests one person may make in one burst.")
    rate_app: float = Field(100.0, gt=0, description="Requests per second of one app.")
    rate_writes: float = Field(
        20.0, gt=0, description="Changes per second in one dossier; ten seconds' worth at once."
    )
    audit_anchor: Path | None = Field(
        None, description="File, on another disk, that gets the signed root of the audit chains."
    )
    age_12_15: Literal["bevestigen", "gedeeld"] = Field(
        "bevestigen", description="Parents' access between 12 and 15: after the child confirms."
    )
    emergency_hours: float = Field(4.0, gt=0, le=24, description="How long noodtoegang lasts.")
    webhook_hosts: str = Field(
        "", description="Hosts that may get webhooks: host or host:port, with commas between."
    )
    webhook_private: bool = Field(
        False, description="Call webhooks on private addresses too (refused by strict)."
    )
    webhook_roots: Path | None = Field(
        None, description="File with certificates that webhooks are trusted by besides the usual."
    )
    smtp_host: str = Field("", description="Server that takes our mail; left out: no mail.")
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of that server.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How mail is kept private on its way (none is refused by strict)."
    )
    smtp_user: str = Field("", repr=False, description="Name to sign in with at that server.")
    smtp_password: str = Field("", repr=False, description="Password that goes with the name.")
    mail_from: str = Field("", description="Address our mail comes from.")
    notice_minutes: float = Field(
        60.0, ge=0, description="Time between two messages to one person that are not urgent."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )

    @model_validator(mode="before")
    @classmethod
    def _issuer_of_port(cls, found: Any) -> Any:
        """Left out, the issuer is this machine on the chosen port."""
        if isinstance(found, dict) and found.get("port") and "issuer" not in found:
            return {**found, "issuer": f"http://127.0.0.1:{found['port']}"}
        return found

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before environment before the TOML file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get("PGO_CONFIG", "")
        sources = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, Path(file))) if file else sources


def load(**chosen: Any) -> Settings:
    """Settings from arguments, environment and file; a bad one stops the start.

    Raises:
        BadValue: names every setting that is wrong and how to mend it, never its value. A setting
            nobody knows is wrong too: a misspelt PGO_STRICT must not pass for one that is off.
    """
    wrong = _unknown(os.environ) + _unreadable(os.environ.get("PGO_CONFIG", ""))
    try:
        if not any(issue.place == "PGO_CONFIG" for issue in wrong):
            found = Settings(**{name: each for name, each in chosen.items() if each is not None})
    except ValidationError as fault:
        wrong += [_said(one["loc"], one["type"], one["msg"]) for one in fault.errors()]
    if wrong:
        raise BadValue("the settings are not right", issues=tuple(wrong))
    return found


def _unknown(environment: Mapping[str, str]) -> list[Issue]:
    ours = (name for name in environment if name.upper().startswith(_PREFIX))
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    return [
        _no_such(name.upper())
        for name in sorted(ours)
        if name.upper() not in known and not name.upper().startswith(_NOT_OURS)
    ]


def _no_such(name: str) -> Issue:
    near = get_close_matches(name.removeprefix(_PREFIX).lower(), Settings.model_fields, 1)
    mend = f"did you mean {_PREFIX}{near[0].upper()}?" if near else "take it away"
    return Issue("value", f"there is no such setting; {mend}", name)


def _unreadable(file: str) -> list[Issue]:
    try:
        if file:
            tomllib.loads(Path(file).read_text("utf-8"))
    except tomllib.TOMLDecodeError as fault:
        where = str(fault).rpartition("(")[2].rstrip(")")
        return [Issue("value", f"the file is not TOML ({where}); mend that line", "PGO_CONFIG")]
    except (OSError, ValueError):
        return [Issue("value", "the file cannot be read; name one that can", "PGO_CONFIG")]
    return []


def _said(where: tuple[int | str, ...], kind: str, message: str) -> Issue:
    name = str(where[0])
    if kind == "extra_forbidden" or name not in Settings.model_fields:
        return _no_such(_PREFIX + name.upper())
    field = Settings.model_fields[name]
    usual = f" Left out it is {field.default!s}." if field.default not in (None, "") else ""
    mend = f"{message}. What it sets: {field.description}{usual}"
    return Issue("value", mend, _PREFIX + name.upper())
