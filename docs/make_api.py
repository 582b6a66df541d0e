"""Makes the API reference from the docstrings: ``python docs/make_api.py``, or ``make docs``.

The first page has what ``import diffucurate as dc`` offers; the modules behind it follow.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

import pdoc
import pdoc.render

import diffucurate as dc

MODULES = ("diffucurate", "diffucurate.generator", "diffucurate.plugin", "diffucurate.operators")

#: Scripts, whose import would run or load too much.
LEFT_OUT = ("!diffucurate.generator.tiny", "!diffucurate.plugin.cli.__main__")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/api"), help="default: %(default)s")
    folder: Path = parser.parse_args().folder
    os.environ["PDOC_ALLOW_EXEC"] = "1"  # FiftyOne starts its database when it is imported
    for name in dc.__all__:  # pdoc reads what a module holds, and ours loads a name when it is first asked for
        vars(dc)[name] = getattr(dc, name)
    # The constructors that NamedTuple makes know no names of the modules they are in.
    warnings.filterwarnings("ignore", message="Error parsing type annotation")
    pdoc.render.configure(docformat="google")
    pdoc.pdoc(*MODULES, *LEFT_OUT, output_directory=folder)
    page = (folder / "diffucurate.html").read_text()
    missing = [name for name in dc.__all__ if f'id="{name}"' not in page]
    if missing:
        raise SystemExit(f"the reference lacks {', '.join(missing)}")
    print(f"{folder / 'diffucurate.html'}: {len(dc.__all__)} names, {len(list(folder.rglob('*.html')))} pages")


if __name__ == "__main__":
    main()
