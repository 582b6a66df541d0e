"""What the plugin costs the App: seconds to register it and to resolve each form, beside FiftyOne's own start.

    python benchmarks/plugin_import.py [--repeats 5]

Each repeat is a Python of its own with FiftyOne's database running; the median is printed. The App registers
plugins again at every request, so the second registration is the figure that a person feels.
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
    context = ExecutionContext({"params": {}, "dataset_name": dataset.name}, Executor(), operator_uri=operator.uri)
    timed(f"form of {operator.name}", lambda: operator.resolve_type(context, "inputs"))
dataset.delete()
print(json.dumps(figures))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as plugins:
        (Path(plugins) / "diffucurate").symlink_to(ROOT)
        environment = {**os.environ, "FIFTYONE_PLUGINS_DIR": plugins, "FIFTYONE_DO_NOT_TRACK": "1"}
        command = [sys.executable, "-c", MEASURE]
        runs = []
        for _ in range(repeats):
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))  # FiftyOne may have remarks of its own before
    for name in runs[0]:
        print(f"{name:<40} {statistics.median(run[name] for run in runs) * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
