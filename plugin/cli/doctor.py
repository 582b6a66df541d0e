"""``diffucurate doctor``."""

from __future__ import annotations

from typing import Annotated

import typer

from diffucurate.plugin.cli.app import OTHER, Json, app, terminal_of


@app.command()
def doctor(
    context: typer.Context,
    missing_database_package: Annotated[
        bool, typer.Option(help="Only print the package that brings FiftyOne's missing database server, if it is.")
    ] = False,
    json: Json = False,
) -> None:
    """Check database, devices, versions, weights and plugin, with a remedy for each thing that is wrong."""
    terminal = terminal_of(context)
    if missing_database_package:
        from diffucurate.plugin.environment.database import missing_package

        package = missing_package()
        if package:
            terminal.show(package)
        terminal.result({"missing_database_package": package})
        return
    from diffucurate.plugin.environment.doctor import checks

    found = []
    for check in checks():
        found.append(check)
        terminal.show(f"{check.state:<4}  {check.name}: {check.detail}")
        if check.remedy:
            terminal.show(f"      -> {check.remedy}")
    healthy = all(check.state != "fail" for check in found)
    terminal.result({"ok": healthy, "checks": [check._asdict() for check in found]})
    if not healthy:
        raise typer.Exit(OTHER)
