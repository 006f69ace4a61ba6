"""What `tests.bench` compares with: dlt's `rest_api` source with its defaults, as its guide has it.

The same windows and pages as ours, one request after the other.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import requests
from dlt.sources.rest_api import rest_api_source


def main() -> None:
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
    source = rest_api_source(
        {
            "client": {
                "base_url": vonage["api_url"],
                "auth": {"type": "bearer", "token": token},
                "headers": {"Accept": "application/vnd.newvoicemedia.v3+json"},
            },
            "resources": resources,
        }
    )
    pipeline = dlt.pipeline("bench", pipelines_dir=".", destination="duckdb", dataset_name="loaded")
    pipeline.run(source)


if __name__ == "__main__":
    main()
