"""JSON Schemas of what users write, so that editors complete and underline. `python -m core.schemas` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.config_document import ConfigDocument
from core.funnel import Funnel
from core.identity_decisions import IdentityDocument
from core.mapping_document import MappingDocument

FOLDER = Path(__file__).resolve().parent.parent / "mappings" / "schema"
MODELS: dict[str, type[BaseModel]] = {"config": ConfigDocument, "mapping": MappingDocument, "funnel": Funnel, "identity": IdentityDocument}


def schema(name: str) -> dict[str, Any]:
    body = MODELS[name].model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


def text(name: str) -> str:
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def write(folder: Path = FOLDER) -> list[Path]:
    """The files written, one per kind of document."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.schema.json" for name in MODELS]
    for path, name in zip(paths, MODELS, strict=True):
        path.write_text(text(name), encoding="utf-8")
    return paths


if __name__ == "__main__":
    for written in write():
        sys.stdout.write(f"{written}\n")
