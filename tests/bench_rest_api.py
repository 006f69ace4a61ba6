"""What `tests.bench` compares with: dlt's `rest_api` source with its defaults, as its guide has it.

The same windows and pages as ours, one request after the other.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import requests
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """`python tests/bench_rest_api.py [FILE FORMAT]`: those of the two vendors that are there."""
    pipeline = dlt.pipeline("bench", pipelines_dir=".", destination="duckdb", dataset_name="loaded")
    how: Any = {"loader_file_format": sys.argv[1]} if len(sys.argv) > 1 else {}
    pipeline.run(_vonage(), **how)
    if "SOURCES__AVAAMO__API_URL" in os.environ:
        pipeline.run(_avaamo(), **how)


def _vonage() -> Any:
    vonage = {
        key: os.environ[f"SOURCES__VONAGE__{key.upper()}"]
        for key in ("api_url", "token_url", "client_id", "client_secret")
    }
    form = {"grant_type": "client_credentials", "scope": "stats"}
    form |= {key: vonage[key] for key in ("client_id", "client_secret")}
    token = requests.post(vonage["token_url"], data=form, timeout=30).json()["access_token"]
    now = datetime.now(UTC)
    windows = [now - timedelta(days=90) + timedelta(days=7) * n for n in range(13)]
    resources: list[Any] = [
        {
            "name": f"interactions_{number}",
            "table_name": "interactions",
            "primary_key": "guid",
            "write_disposition": "merge",
            "endpoint": {
                "path": "stats/interactions",
                "params": {
                    "start": start.isoformat(),
                    "end": min(start + timedelta(days=7), now).isoformat(),
                    "include": "Processed",
                    "limit": 1000,
                },
                "data_selector": "items",
                "paginator": {
                    "type": "page_number",
                    "base_page": 1,
                    "total_path": "meta.pageCount",
                },
            },
        }
        for number, start in enumerate(windows)
    ]
    return rest_api_source(
        {
            "client": {
                "base_url": vonage["api_url"],
                "auth": {"type": "bearer", "token": token},
                "headers": {"Accept": "application/vnd.newvoicemedia.v3+json"},
            },
            "resources": resources,
        }
    )


def _avaamo() -> Any:
    now = datetime.now(UTC)
    first = now - timedelta(days=179)
    windows = [first + timedelta(days=7) * n for n in range(26)]
    resources: list[Any] = [
        {
            "name": f"insights_{number}",
            "table_name": "campaign_insights",
            "primary_key": "id",
            "write_disposition": "merge",
            "endpoint": {
                "path": "api/v2/campaigns/insights",
                "params": {
                    "start_time": int(start.timestamp() * 1000),
                    "end_time": int(min(start + timedelta(days=7), now).timestamp() * 1000),
                    "per_page": 100,
                },
                "data_selector": "entries",
                "paginator": {"type": "page_number", "base_page": 1, "total_path": "total_pages"},
            },
        }
        for number, start in enumerate(windows)
    ]
    client = {
        "base_url": os.environ["SOURCES__AVAAMO__API_URL"],
        "headers": {"access-token": os.environ["SOURCES__AVAAMO__ACCESS_TOKEN"]},
    }
    return rest_api_source({"client": client, "resources": resources})  # type: ignore[typeddict-item]  # as its guide


if __name__ == "__main__":
    main()
