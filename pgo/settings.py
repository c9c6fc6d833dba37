"""Every setting once. From the environment (`PGO_*`) or one TOML file (`PGO_CONFIG=path`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


class Settings(BaseSettings):
    """What a deployment may choose; `strict` refuses whatever is only safe in development."""

    model_config = SettingsConfigDict(env_prefix="PGO_", frozen=True, extra="forbid")

    store: str = Field(
        "sqlite:///var/pgo.db",
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
    key: str = Field("", description="The deployment's key itself (base64), instead of a file.")
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
    development_login: bool = Field(
        False, description="Offer the sign-in page that lists the demo people (refused by strict)."
    )
    open_bytes: int = Field(
        64_000_000, ge=1_000_000, description="Memory for open dossiers, bytes per worker."
    )
    image_every: int = Field(
        64, ge=1, description="Keep a new index image after this many commits."
    )
    rate_person: float = Field(20.0, gt=0, description="Requests per second of one person.")
    rate_burst: int = Field(60, ge=1, description="Requests one person may make in one burst.")
    rate_app: float = Field(100.0, gt=0, description="Requests per second of one app.")
    audit_anchor: Path | None = Field(
        None, description="File, on another disk, that gets the signed root of the audit chains."
    )
    age_12_15: Literal["bevestigen", "gedeeld"] = Field(
        "bevestigen", description="Parents' access between 12 and 15: after the child confirms."
    )
    emergency_hours: float = Field(4.0, gt=0, le=24, description="How long noodtoegang lasts.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written."
    )

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
        pydantic.ValidationError: names the setting and what is wrong with it.
    """
    return Settings(**{name: value for name, value in chosen.items() if value is not None})
