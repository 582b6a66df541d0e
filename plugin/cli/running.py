"""Runs one command line: exit codes, and the message when something goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from diffucurate.generator.errors import DiffucurateError, InvalidSetting
from diffucurate.plugin.cli.app import DONE, OTHER, TRACEBACK, USER_INPUT, app
from diffucurate.plugin.cli.terminal import Terminal
from diffucurate.plugin.environment.database import bound_waiting
from diffucurate.plugin.environment.machine_problems import machine_problem

#: Letters of a message, of which a name or number that was typed can have any number.
_LONGEST = 1000


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    # The commands draw bars of their own, in one style.
    os.environ.setdefault("FIFTYONE_SHOW_PROGRESS_BARS", "false")
    bound_waiting()
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    with Terminal(as_json="--json" in options) as terminal:
        try:
            _check_text(arguments)
            command = typer.main.get_command(app)
            code = command.main(list(arguments), prog_name="diffucurate", standalone_mode=False, obj=terminal)
        except (Exception, KeyboardInterrupt) as error:
            return _report(terminal, error)
        if code == 130:
            # The exit code of recent versions of typer after Ctrl-C.
            return _report(terminal, KeyboardInterrupt())
        return code if isinstance(code, int) else DONE


def main() -> NoReturn:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def _check_text(arguments: Sequence[str]) -> None:
    """See that no argument holds bytes that are no UTF-8, which neither a database nor a JSON document can hold.

    Raises:
        InvalidSetting: the first that does.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="replace").decode()
            raise InvalidSetting("arguments", shown, "it is not UTF-8; rename the file, or type it anew") from None


def _report(terminal: Terminal, error: BaseException) -> int:
    """Print one line that names the error, and return the exit code."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        message, code = "stopped; what was made is kept, and the same command goes on from there", OTHER
    elif isinstance(error, DiffucurateError):
        message, code = str(error), USER_INPUT
    elif hasattr(error, "format_message"):
        # A usage error of typer's own, whichever version's class it is.
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "diffucurate"
        text = " ".join(error.format_message().split()).rstrip(".")
        message, code = f"{text}; see '{path} --help'", USER_INPUT
    elif problem := machine_problem(error):
        message, code = problem, OTHER
    else:
        text = " ".join(str(error).split()) or "no message"
        hint = f"'diffucurate doctor' may say why, 'diffucurate --traceback ...' or {TRACEBACK}=1 shows where"
        message, code = f"unexpected {type(error).__name__}: {text}; {hint}", OTHER
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST - 3]}..."
    if code == OTHER and os.environ.get(TRACEBACK, "") not in ("", "0"):
        terminal.say("".join(traceback.format_exception(error)).rstrip())
    terminal.say(f"diffucurate: {message}")
    terminal.result(_error_document(error, message))
    return code


def _error_document(error: BaseException, message: str) -> dict[str, Any]:
    document: dict[str, Any] = {"type": type(error).__name__, "message": message}
    if isinstance(error, InvalidSetting):
        document |= {"field": error.field, "value": error.value, "remedy": error.remedy}
    return {"error": document}
