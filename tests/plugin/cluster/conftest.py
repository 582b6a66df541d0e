"""A small Ray cluster on this machine, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """The module, connected; tests without Ray are left out."""
    module = pytest.importorskip("ray", reason="Ray is not installed: pip install 'diffucurate[ray]'")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        module.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=128 * 1024**2,
            log_to_driver=False,
            logging_level="ERROR",
        )
    yield module
    module.shutdown()
