"""A report's reply, decoded into rows of plain texts instead of objects within objects."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import CoreConfig, SchemaValidator
from pydantic_core import core_schema as cs

from core.errors import VendorError

_TEXT = cs.with_default_schema(cs.str_schema(), default="")  # what is empty is left out of a reply
ABOUT = ("rowCount", "metadata", "propertyQuota")


def decoded(body: bytes, dimensions: int, metrics: int) -> dict[str, Any]:
    """The reply of runReport, or of batchRunReports (under "reports"). Each row is its dimensions' texts, then its metrics'.

    Raises: JSONDecodeError when it is no JSON, VendorError when it is no such reply.
    """
    try:
        return _validator(dimensions, metrics).validate_json(body or b"{}")  # type: ignore[no-any-return]
    except ValidationError:
        orjson.loads(body)
        step = "the vendor's API may have changed"
        raise VendorError("Google Analytics sent something that is no report", next_step=step) from None


@cache
def _validator(dimensions: int, metrics: int) -> SchemaValidator:
    places: list[list[str | int]] = [["dimensionValues", i, "value"] for i in range(dimensions)]
    places += [["metricValues", i, "value"] for i in range(metrics)]
    row = cs.typed_dict_schema({str(n): cs.typed_dict_field(_TEXT, validation_alias=place) for n, place in enumerate(places)})
    fields = {"rows": cs.typed_dict_field(cs.list_schema(row), required=False)}
    fields |= {name: cs.typed_dict_field(cs.any_schema(), required=False) for name in ABOUT}
    reports = cs.typed_dict_field(cs.list_schema(cs.typed_dict_schema(fields)), required=False)
    return SchemaValidator(cs.typed_dict_schema(fields | {"reports": reports}), CoreConfig(cache_strings="all"))
