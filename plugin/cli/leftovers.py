"""Files that killed runs and exports have left: counted, and cleared on request."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from diffucurate.plugin.environment.doctor import Check


class Leftovers(NamedTuple):
    """``files`` lie in media folders and no sample of any dataset names them; ``targets`` are folders that were
    exported to and have ``beside`` them what killed exports left."""

    files: list[Path]
    targets: list[Path]
    beside: list[Path]


def leftovers() -> Leftovers:
    """What killed runs and exports have left, of all datasets that there are."""
    from diffucurate.generator.exports.folder import left_behind
    from diffucurate.plugin.fiftyone_private import settings_of_runs
    from diffucurate.plugin.store import runs
    from diffucurate.plugin.store.media_folder import media_folders
    from diffucurate.plugin.store.run_files import stray_files

    found = Leftovers([], [], [])
    for folder in media_folders():
        found.files.extend(stray_files(folder))
    exported = {settings.get("folder") for settings in settings_of_runs(runs.method("export"))}
    for name in sorted(name for name in exported if isinstance(name, str) and name):
        target = Path(name)
        with suppress(OSError):  # a folder that is not there any more, or may not be read
            beside = left_behind(target) if target.is_absolute() else []
            found.beside.extend(beside)
            found.targets.extend([target] if beside else [])
    return found


def leftover_check(clear: bool) -> Check:
    """A finding that counts what was left, and clears it with ``clear``."""
    try:
        found = leftovers()
        if not found.files and not found.beside:
            return Check("leftover files", "ok", "none")
        size = sum(path.stat().st_size for path in found.files if path.exists())
        if clear:
            _clear(found)
    except Exception as error:  # a finding, as of any check
        return Check(
            "leftover files", "fail", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", "see the message"
        )
    from humanize import naturalsize

    detail = (
        f"{len(found.files)} media files that no sample names ({naturalsize(size, binary=True)}), "
        f"{len(found.beside)} folders of killed exports"
    )
    if clear:
        return Check("leftover files", "ok", f"{detail}: cleared")
    return Check("leftover files", "warn", detail, "diffucurate doctor --clear")


def _clear(found: Leftovers) -> None:
    from diffucurate.generator.exports.folder import recover
    from diffucurate.plugin.store.media_folder import media_folders, remove_unnamed

    for folder in media_folders():
        remove_unnamed([str(path) for path in found.files if path.is_relative_to(folder)], folder)
    for target in found.targets:
        recover(target)
