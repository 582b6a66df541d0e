"""A job is one process's at a time, and that of a killed process is free again."""

from __future__ import annotations

import subprocess
import sys

import fiftyone as fo

from diffucurate.plugin.store.job_leases import job_leases
from diffucurate.plugin.store.lease import leases

_HELD = """
import sys
import fiftyone as fo
from diffucurate.plugin.store.job_leases import job_leases
with job_leases(fo.load_dataset(sys.argv[1])) as jobs:
    print("took", *jobs.take(["a", "b"]), flush=True)
    sys.stdin.read()
"""


def test_each_job_is_leased_once_and_free_when_given_back(dataset: fo.Dataset) -> None:
    with job_leases(dataset) as first, job_leases(dataset) as second:
        assert first.take(["c", "a"]) == ["c", "a"]
        assert second.take(["a", "b", "c"]) == ["b"]
        assert second.take(["b"]) == ["b"]  # one's own can be asked for again
        assert first.held(["a", "b", "c"]) == {"a", "c"}
        first.give_back(["a", "b"])  # b is none of its own
        assert second.take(["a", "c"]) == ["a"]
        assert second.held(["a", "b"]) == {"a", "b"}
    assert leases().count_documents({"_id": {"$regex": "/job-"}}) == 0


def test_a_job_that_failed_is_leased_by_nobody_until_that_is_forgotten(dataset: fo.Dataset) -> None:
    with job_leases(dataset) as jobs:
        jobs.take(["a", "b"])
        jobs.fail("a")
        jobs.give_back(["a", "b"])
        assert jobs.failed() == {"a"}
    with job_leases(dataset) as later:
        assert later.take(["a", "b"]) == ["b"]
        later.forget_failures()
        assert later.take(["a"]) == ["a"]


def test_jobs_of_a_killed_process_are_free(dataset: fo.Dataset) -> None:
    dataset.persistent = True
    arguments = [sys.executable, "-c", _HELD, dataset.name]
    with (
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder,
        job_leases(dataset) as jobs,
    ):
        assert holder.stdout is not None and any(line == "took a b\n" for line in holder.stdout)
        assert jobs.take(["a", "b", "c"]) == ["c"]
        holder.kill()
        holder.wait()
        assert jobs.take(["a", "b", "c"]) == ["a", "b", "c"]
