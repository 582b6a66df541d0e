"""What the plugin costs the App: seconds that it adds to FiftyOne's own start, and each form and panel.

    python benchmarks/plugin_import.py [--repeats 5]

Each repeat is two Pythons of their own, one with the plugin and one without, with FiftyOne's database running; the
medians are printed. The App registers plugins again at every request: that is the cost a person feels. To FiftyOne's
start it may add at most a twentieth of what FiftyOne's own import takes: a ratio, since a machine's speed that varies
between two sittings, or a disk that is cold, moves both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MEASURE = """
import json, time
figures = {}

def timed(name, work):
    start = time.perf_counter()
    result = work()
    figures[name] = time.perf_counter() - start
    return result

def fiftyone():
    import fiftyone
    import fiftyone.operators
    return fiftyone.Dataset()

dataset = timed("import fiftyone (without the plugin)", fiftyone)
import fiftyone.operators as foo
from fiftyone.operators.executor import ExecutionContext, Executor

registry = timed("register all plugins, first request", foo.OperatorRegistry)
registry = timed("register all plugins, next requests", foo.OperatorRegistry)
for operator in registry.list_operators(builtin=False):
    request = {"params": {"panel_id": "one", "panel_state": {}}, "dataset_name": dataset.name}
    context = ExecutionContext(request, Executor(), operator_uri=operator.uri)
    if isinstance(operator, foo.Panel):
        timed(f"empty panel {operator.name}", lambda: (operator.on_load(context), operator.render(context)))
    else:
        timed(f"form of {operator.name}", lambda: operator.resolve_type(context, "inputs"))
dataset.delete()
print(json.dumps(figures))
"""

IMPORT, START = "import fiftyone (without the plugin)", "register all plugins, first request"


def measured(plugins: str) -> dict[str, float]:
    """Figure -> seconds, in a Python of its own that finds its plugins in the folder ``plugins``."""
    environment = {**os.environ, "FIFTYONE_PLUGINS_DIR": plugins, "FIFTYONE_DO_NOT_TRACK": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or every start would compile the plugin, and only the plugin
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))  # FiftyOne may have remarks of its own before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as plugins:
        (Path(plugins) / "diffucurate").symlink_to(ROOT)
        measured(plugins)  # the first start compiles
        pairs = [(measured(empty), measured(plugins)) for _ in range(repeats)]
    for name in pairs[0][1]:
        print(f"{name:<40} {statistics.median(ours[name] for _, ours in pairs) * 1000:8.1f} ms")
    added = statistics.median(ours[START] - plain[START] for plain, ours in pairs)
    print(f"{'the plugin adds to the start':<40} {added * 1000:8.1f} ms")
    part = added / statistics.median(plain[IMPORT] for plain, _ in pairs)
    print(f"{'  as a part of importing FiftyOne':<40} {part:8.3f} (at most 0.05)")


if __name__ == "__main__":
    main()
