"""``diffucurate doctor``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from diffucurate.plugin.cli.app import OTHER, command, terminal_of
from diffucurate.plugin.cli.options import Json

if TYPE_CHECKING:
    from diffucurate.plugin.environment.doctor import Check


@command(example="diffucurate doctor")
def doctor(
    context: typer.Context,
    missing_database_package: Annotated[
        bool,
        typer.Option(
            "--missing-database-package",
            help="Only print the package that brings FiftyOne's database server, where that is missing.",
        ),
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove the files that killed runs and exports have left.")
    ] = False,
    json: Json = False,
) -> None:
    """Check database, devices, versions, weights, plugin and files, with a remedy for each thing that is wrong."""
    terminal = terminal_of(context)
    if missing_database_package:
        from diffucurate.plugin.environment.database import missing_package

        package = missing_package()
        if package:
            terminal.show(package)
        terminal.result({"missing_database_package": package})
        return
    from diffucurate.plugin.environment.doctor import checks

    findings = []
    for check in _with_leftovers(checks(), clear):
        findings.append(check)
        terminal.show(f"{check.state:<4}  {check.name}: {check.detail}")
        if check.remedy:
            terminal.show(f"      -> {check.remedy}")
    healthy = all(check.state != "fail" for check in findings)
    terminal.result({"ok": healthy, "checks": [check._asdict() for check in findings]})
    if not healthy:
        raise typer.Exit(OTHER)


def _with_leftovers(checks: Iterable[Check], clear: bool) -> Iterator[Check]:
    """The checks, then what killed runs have left, which only a database that answers can say."""
    answers = False
    for check in checks:
        answers = answers or (check.name, check.state) == ("database", "ok")
        yield check
    if answers:
        from diffucurate.plugin.cli.leftovers import leftover_check

        yield leftover_check(clear)
