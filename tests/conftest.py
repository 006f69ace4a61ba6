"""Fixtures for all tests: warehouses in temporary folders, retries without their waits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from pipelines import files, marts
from pipelines.config import Config
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
    monkeypatch.setattr("sources._gate.REST", 0.01)
    monkeypatch.setattr("sources._api.BREATH", 0.01)


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """dbt reads the models in two seconds: once per setting, not once per warehouse. Runs that are
    processes of their own read them each time."""
    read, known = marts.read_models, dict[str, Any]()

    def read_once(config: Config) -> Any:
        marts.dbt_arguments(config, files.work_path(config))  # sets the path in the environment
        models = f"{marts.PROJECT} {marts._definitions(config)}"
        if models not in known:
            known[models] = read(config)
        return known[models].deepcopy()  # dbt writes into what it is given

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marts, "read_models", read_once)
        yield


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., House]:
    """Makes a warehouse that is loaded from the fakes given."""

    def make(*fakes: Fake, **settings: Any) -> House:
        return House(tmp_path, *fakes, **settings)

    return make
