"""dlt's default way: the `rest_api` source (or a generator of Bulk rows) into DuckDB, merged on the primary key.

python dlt_default.py hubspot URL FOLDER [LOADER_FORMAT]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}

import dlt
import leg
import requests
import salesforce_job
from dlt.sources.rest_api import rest_api_source


def hubspot(url: str) -> Any:
    return rest_api_source(
        {
            "client": {
                "base_url": url,
                "auth": {"type": "bearer", "token": leg.TOKEN},
                "paginator": {"type": "cursor", "cursor_path": "paging.next.after", "cursor_param": "after"},
            },
            "resources": [
                {
                    "name": "contacts",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "crm/v3/objects/contacts",
                        "params": {"limit": 100, "properties": ",".join(leg.CONTACT_PROPERTIES)},
                        "data_selector": "results",
                    },
                }
            ],
        }
    )


def activecampaign(url: str) -> Any:
    """Contacts by id. Custom fields, which come beside the contacts, are fetched and left out: the source takes one list."""
    return rest_api_source(
        {
            "client": {
                "base_url": url,
                "headers": {"Api-Token": leg.KEY},
                "paginator": {"type": "cursor", "cursor_path": "contacts[-1:].id", "cursor_param": "id_greater"},
            },
            "resources": [
                {
                    "name": "contacts",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "api/3/contacts",
                        "params": {"limit": 100, "orders[id]": "ASC", "include": "fieldValues", "id_greater": "0"},
                        "data_selector": "contacts",
                    },
                }
            ],
        }
    )


def salesforce(url: str) -> Any:
    @dlt.resource(name="contacts", primary_key="Id", write_disposition="merge")
    def contacts() -> Iterator[list[dict[str, str]]]:
        import csv
        import io

        for page in salesforce_job.pages(url, requests.Session()):
            yield list(csv.DictReader(io.StringIO(page.decode())))

    return contacts()


def main(vendor: str, url: str, folder: str, loader_format: str | None = None) -> None:
    source = {"hubspot": hubspot, "salesforce": salesforce, "activecampaign": activecampaign}[vendor](url)
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=f"{folder}/pipelines",
        destination=dlt.destinations.duckdb(f"{folder}/contacts.duckdb"),
        dataset_name="crm",
    )
    pipeline.run(source, **({"loader_file_format": loader_format} if loader_format else {}))
    with pipeline.sql_client() as client:
        leg.done(client.execute_sql("SELECT count(*) FROM contacts")[0][0])


if __name__ == "__main__":
    main(*sys.argv[1:])
