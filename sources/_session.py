"""The session through which a vendor is asked: dlt's client, whose retries, backoff and Retry-After
it keeps. Imported with the first request, for dlt takes a second.
"""

from collections.abc import Mapping
from typing import Any

import requests
from dlt.sources.helpers.requests import Client
from requests.adapters import HTTPAdapter

from ._errors import NotTrusted
from ._gate import LONGEST_WAIT, Gate, rate_limited
from ._json import looks_whole

BACKOFF = 1.0  # seconds before the first retry
TIMEOUT = (15.0, 60.0)  # seconds to connect, seconds between two bytes of the reply


def make_client(gate: Gate, attempts: int, size: int, headers: Mapping[str, str]) -> Client:
    """A client whose every attempt passes the gate; it keeps `size` connections."""
    client = Client(
        request_timeout=TIMEOUT,
        raise_for_status=False,
        request_max_attempts=attempts,
        request_backoff_factor=BACKOFF,
        request_max_retry_delay=LONGEST_WAIT,
        retry_condition=_worth_another_try,
        session_attrs={"headers": headers},
    )
    client._adapter = _Through(gate, size)  # noqa: SLF001  # the one seam where every attempt passes
    return client


class _Through(HTTPAdapter):
    def __init__(self, gate: Gate, size: int) -> None:
        super().__init__(pool_maxsize=size)
        self._gate = gate

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # its stubs list each keyword
        with self._gate.passed(request) as number:
            try:
                response = super().send(request, **kwargs)
            except requests.exceptions.SSLError as error:
                raise NotTrusted from error
            _ = response.content  # as long as it comes the request is under way
        response.sent_as = number  # type: ignore[attr-defined]  # travels with the reply
        self._gate.answered(number, response)
        return response


def _worth_another_try(response: requests.Response | None, _error: BaseException | None) -> bool:
    """Replies that dlt's own rules let pass: not JSON though 200, a limit told in other words."""
    if response is None:
        return False
    return rate_limited(response) or (
        response.status_code == 200 and not looks_whole(response.content)
    )
