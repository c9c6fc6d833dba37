"""pgo: the command line. Names of commands only; the work is in pgo.commands and below."""

from __future__ import annotations

import typer

from pgo.commands import (
    apps,
    bench,
    consent,
    copying,
    deciding,
    dossier,
    keeping,
    notices,
    profiles,
    registry,
    serving,
    tokens,
)
from pgo.commands.frame import plain

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="pgo: one dossier per client."
)
app.command("serve")(serving.serve)
app.command("demo")(serving.demo)
app.add_typer(dossier.app, name="dossier")
app.command("import")(dossier.import_)
app.command("export")(dossier.export)
app.command("approve")(dossier.approve_)
app.add_typer(registry.accounts, name="account")
app.add_typer(apps.app, name="app")
app.add_typer(registry.providers, name="provider")
registry.providers.command("assert")(tokens.assertion)
app.add_typer(registry.links, name="link")
app.add_typer(deciding.relations, name="relation")
app.command("death")(deciding.died)
app.add_typer(deciding.successions, name="succession")
app.command("emergency")(deciding.emergencies)
app.add_typer(deciding.programmes, name="programme")
app.add_typer(notices.app, name="notices")
app.command("token")(tokens.token)
app.add_typer(consent.app, name="consent")
app.add_typer(keeping.audit, name="audit")
app.add_typer(keeping.keys, name="keys")
app.command("backup")(copying.backup)
app.command("restore")(copying.restore)
app.add_typer(profiles.app, name="profiles")
app.command("bench")(bench.bench)


def main() -> None:
    """Entry point of the `pgo` command: 0 done, 1 refused or failed, 2 asked or set wrongly."""
    with plain():
        app(prog_name="pgo")
