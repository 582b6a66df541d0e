"""Which of several processes paints which job of a dataset: a lease for each job that is worked on at this moment.

Knows job ids alone. A job is leased, painted, added to the dataset and only then given back, so whoever leases it next
finds its sample. The leases of a process that was killed are free as ``plugin.store.lease`` says; those of a job that
cannot be painted stay, and say so, until the work is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import fiftyone as fo
import pymongo
from pymongo.errors import BulkWriteError, ConnectionFailure

from diffucurate.plugin.store.lease import claim, claimable, lease_id, leases, new_token, renewed_meanwhile

#: What a lease of a job that cannot be painted has.
_FAILED = "failed"

#: Seconds for which giving leases back may wait for the database.
_LAST_WAIT = 10


class JobLeases:
    """The jobs of a dataset that this process has leased; made by ``job_leases``."""

    def __init__(self, dataset: fo.Dataset) -> None:
        self._prefix = lease_id(dataset, "job-")
        self.token = new_token()

    def take(self, job_ids: Sequence[str]) -> list[str]:
        """Lease those of the jobs that nobody else has, and that can be painted; in the order given."""
        by_id = {self._prefix + job_id: job_id for job_id in job_ids}
        claims = [
            pymongo.UpdateOne({"_id": lease, "token": self.token}, claim(self.token), upsert=True) for lease in by_id
        ]
        try:
            leases().bulk_write(claims, ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != 11000 for each in error.details["writeErrors"]):
                raise
        for holder in leases().find({"_id": {"$in": list(by_id)}, "token": {"$ne": self.token}}):
            if _FAILED not in holder:
                leases().update_one(claimable(holder), claim(self.token))
        taken = self.held(job_ids)
        return [job_id for job_id in job_ids if job_id in taken]

    def held(self, job_ids: Iterable[str]) -> set[str]:
        """Those of the jobs that this process has leased still: another may have taken one that was not renewed."""
        wanted = [self._prefix + job_id for job_id in job_ids]
        found = leases().find({"_id": {"$in": wanted}, "token": self.token, _FAILED: None}, {"_id": True})
        return {lease["_id"].removeprefix(self._prefix) for lease in found}

    def give_back(self, job_ids: Iterable[str]) -> None:
        """Let others lease the jobs; those that failed stay as they are."""
        wanted = [self._prefix + job_id for job_id in job_ids]
        leases().delete_many({"_id": {"$in": wanted}, "token": self.token, _FAILED: None})

    def fail(self, job_id: str) -> None:
        """Let nobody lease a job that cannot be painted."""
        leases().update_one({"_id": self._prefix + job_id, "token": self.token}, {"$set": {_FAILED: True}})

    def failed(self) -> set[str]:
        """The jobs that cannot be painted, whoever tried."""
        found = leases().find({"_id": self._all, _FAILED: True}, {"_id": True})
        return {lease["_id"].removeprefix(self._prefix) for lease in found}

    def forget_failures(self) -> None:
        """Let all jobs be tried again."""
        leases().delete_many({"_id": self._all, _FAILED: True})

    @property
    def _all(self) -> dict[str, str]:
        return {"$gt": self._prefix, "$lt": f"{self._prefix}~"}  # job ids are hexadecimal


@contextmanager
def job_leases(dataset: fo.Dataset) -> Iterator[JobLeases]:
    """A block during which the leases of jobs are renewed, and after which they are given back."""
    own = JobLeases(dataset)
    try:
        with renewed_meanwhile(own.token):
            yield own
    finally:
        query: dict[str, Any] = {"token": own.token, _FAILED: None}
        with suppress(ConnectionFailure), pymongo.timeout(_LAST_WAIT):
            leases().delete_many(query)
