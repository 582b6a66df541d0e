"""What the commands show: progress and remarks go to stderr, a command's result to stdout and nothing else there.

With ``--json`` the result is one JSON document. Knows nothing of what the commands do.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from diffucurate.generator.progress import Listener
from diffucurate.generator.progress import Progress as Report

#: Where stderr is no terminal, a line of progress at most this often.
SECONDS_BETWEEN_LINES = 5.0


class Terminal:
    """The two streams of one command.

    From ``claim_stdout`` on, whatever other libraries and child processes write to stdout comes out on stderr,
    so that stdout holds the result and nothing else. Leaving the context gives stdout back.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._stdout: TextIO | None = None
        self._own_stdout: TextIO = sys.stdout

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stdout is not None:
            self._stdout.flush()
            os.dup2(self._stdout.fileno(), 1)
            self._stdout.close()
            self._stdout, sys.stdout = None, self._own_stdout

    def claim_stdout(self) -> None:
        """Keep stdout for the result."""
        self._own_stdout = sys.stdout
        sys.stdout.flush()
        self._stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    @property
    def interactive(self) -> bool:
        """Whether a person sees the result as it comes."""
        return not self.as_json and (self._stdout or sys.stdout).isatty()

    @property
    def _remarks(self) -> Console:
        return Console(stderr=True, highlight=False, markup=False, emoji=False)

    def say(self, text: str) -> None:
        """One remark to the person."""
        self._remarks.print(text, soft_wrap=True)

    def show(self, part: str | Table) -> None:
        """A part of what the person sees of the result; left out where a machine reads."""
        if not self.as_json:
            console = Console(file=self._stdout or sys.stdout, highlight=False, markup=False, emoji=False)
            console.print(part, soft_wrap=isinstance(part, str))
            console.file.flush()

    def result(self, document: Mapping[str, Any]) -> None:
        """The result as one JSON document, for machines only."""
        if self.as_json:
            file = self._stdout or sys.stdout
            file.write(json.dumps(_finite(document), default=str, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()

    @contextmanager
    def progress(self, title: str) -> Iterator[Listener]:
        """Show a bar, or without a terminal a line every few seconds, while the block runs; yields the listener for
        progress."""
        console = self._remarks
        notes: set[str] = set()
        if not console.is_terminal:
            yield _lines(title, self.say, notes)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(title, total=None, pace="")

            def listen(report: Report) -> None:
                bar.update(task, completed=report.done, total=report.total, pace=report.pace)
                if report.note and report.note not in notes:
                    notes.add(report.note)
                    bar.console.print(f"{title}: {report.note}")

            yield listen


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose numbers are right-aligned and whose missing values are dashes."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        grid.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    return grid


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _lines(title: str, say: Callable[[str], None], notes: set[str]) -> Listener:
    next_line = time.monotonic()

    def listen(report: Report) -> None:
        nonlocal next_line
        if report.note and report.note not in notes:
            notes.add(report.note)
            say(f"{title}: {report.note}")
        if report.done >= report.total or time.monotonic() >= next_line:
            next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            say(f"{title}: {report.done}/{report.total}{', ' if report.pace else ''}{report.pace}")

    return listen


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
