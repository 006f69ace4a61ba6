"""Fixtures for all tests: warehouses in temporary folders, retries without their waits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.fakes._server import Fake
from tests.house import House

# a busy machine is no failure
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60
)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources._session.BACKOFF", 0.01)
    monkeypatch.setattr("sources._api.BREATH", 0.01)


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., House]:
    """Makes a warehouse that is loaded from the fakes given."""

    def make(*fakes: Fake, **settings: Any) -> House:
        return House(tmp_path, *fakes, **settings)

    return make
