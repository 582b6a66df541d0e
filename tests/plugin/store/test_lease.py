"""A lease is its holder's while that lives, whichever process asks."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import fiftyone as fo
import pytest

from diffucurate.generator.errors import DatasetError
from diffucurate.plugin.store import lease

_HELD = """
import os, signal, sys
import fiftyone as fo
from diffucurate.plugin.store.lease import held
with held(fo.load_dataset(sys.argv[1]), "work", "paints"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_it_is_free_after_the_block_and_for_other_work(dataset: fo.Dataset) -> None:
    for _ in range(2):
        with lease.held(dataset, "work", "paints"), lease.held(dataset, "other", "paints"):
            said = f"process .* paints in dataset '{dataset.name}' at this moment"
            with pytest.raises(DatasetError, match=said), lease.held(dataset, "work", "paints"):
                pass
    with pytest.raises(KeyboardInterrupt), lease.held(dataset, "work", "paints"):
        raise KeyboardInterrupt
    assert lease.leases().find_one({"_id": {"$regex": "/work$"}}) is None


def test_another_process_holds_it_until_it_is_killed(dataset: fo.Dataset) -> None:
    dataset.persistent = True
    arguments = [sys.executable, "-c", _HELD, dataset.name]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and any(line == "held\n" for line in holder.stdout)
        with pytest.raises(DatasetError, match=f"process {holder.pid} on "), lease.held(dataset, "work", "paints"):
            pass
        holder.kill()
        holder.wait()
    with lease.held(dataset, "work", "paints"):
        pass


def test_of_another_machine_it_ends_when_it_is_not_renewed(
    dataset: fo.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEWAL", 0.05)
    with lease.held(dataset, "work", "paints"):
        lease.leases().update_one({"_id": {"$regex": "/work$"}}, {"$set": {"host": "elsewhere", "pid": 1}})
        stored = lease.leases().find_one({"_id": {"$regex": "/work$"}})
        old = stored["renewed"] - timedelta(seconds=lease.SECONDS + 1)
        lease.leases().update_one({"_id": stored["_id"]}, {"$set": {"renewed": old}})
        for _ in range(200):  # its holder renews it
            if lease.leases().find_one({"_id": stored["_id"]})["renewed"] >= stored["renewed"]:
                break
            time.sleep(0.05)
        with pytest.raises(DatasetError, match="process 1 on elsewhere"), lease.held(dataset, "work", "paints"):
            pass
        monkeypatch.setattr(lease, "_RENEWAL", 1000)
        lease.leases().update_one({"_id": stored["_id"]}, {"$set": {"token": "theirs", "renewed": old}})
        with lease.held(dataset, "work", "paints"):  # nobody renews that of a holder that is gone
            pass
