"""Writing records: what HubSpot checks, what it quietly ignores, and how it refuses one input or a whole batch.

https://developers.hubspot.com/docs/guides/api/crm/understanding-the-crm and .../crm/objects/contacts (read 2026-11-23)
Facts: a lifecycle stage never moves back unless it was cleared first; a stage of another pipeline is refused; with a trace
id per input a batch answers 207 and each error names its input, without them the whole batch is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors.sandbox import hubspot_schema as schema
from connectors.sandbox.hubspot_objects import BATCH_MAX, Shape, checked_inputs, finished, kind_of, lost
from connectors.sandbox.hubspot_store import Refused, Store, Thing, iso, millis
from connectors.sandbox.kit import Reply, Request, Route

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")


def invalid(name: str, code: str, message: str) -> Refused:
    detail = {"message": message, "code": code, "context": {"propertyName": [name]}}
    return Refused(400, "VALIDATION_ERROR", f"Property values were not valid: {message}", errors=[detail])


class Writes:
    """Handlers of the write endpoints. `strict` refuses whole batches even when every input has its trace id."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.strict = False

    # -- checking and storing one record -----------------------------------------------------------------------------
    def checked(self, kind: str, thing: Thing | None, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as they will be stored. Raises Refused."""
        out = {}
        for name, value in values.items():
            known = self.store.properties[kind].get(name)
            if known is None:
                raise invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
            if known["modificationMetadata"]["readOnlyValue"]:
                raise invalid(name, "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
            out[name] = self._value(name, known, value)
        self._email(kind, thing, out)
        self._stage(kind, thing, out)
        return out

    def _value(self, name: str, known: Mapping[str, Any], value: Any) -> str | None:
        text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        if text == "":
            return None
        allowed = {o["value"] for o in known["options"]}
        if known["type"] == "enumeration" and allowed and not set(text.split(";")) <= allowed:
            raise invalid(name, "INVALID_OPTION", f"{text} was not one of the allowed options: {sorted(allowed)}")
        try:
            if known["type"] == "number":
                float(text)
            if known["type"] == "datetime":
                millis(text)
        except ValueError:
            raise invalid(name, f"INVALID_{known['type'].upper()}", f"{text} was not a valid {known['type']}.") from None
        if known["type"] == "bool" and text not in ("true", "false"):
            raise invalid(name, "INVALID_BOOLEAN", f"{text} was not one of true, false.")
        return text

    def _email(self, kind: str, thing: Thing | None, out: Mapping[str, Any]) -> None:
        email = out.get("email") if kind == "contacts" else None
        if not email:
            return
        if not EMAIL.match(email):
            raise invalid("email", "INVALID_EMAIL", f"Email address {email} is invalid")
        holder = self.store.tables[kind].unique("email", email)
        if holder is not None and holder is not thing:
            raise Refused(409, "CONFLICT", f"Contact already exists. Existing ID: {holder.id}")

    def _stage(self, kind: str, thing: Thing | None, out: dict[str, Any]) -> None:
        name = schema.STAGE[kind]
        old = thing.props if thing else {}
        if name == "lifecyclestage" and out.get(name) and old.get(name):
            order = [o["value"] for o in self.store.properties[kind][name]["options"]]
            if old[name] in order and order.index(out[name]) < order.index(old[name]):
                del out[name]  # going back is ignored without a word
        if kind not in schema.PIPELINE or not {name, schema.PIPELINE[kind]} & out.keys():
            return
        pipeline = out.get(schema.PIPELINE[kind]) or old.get(schema.PIPELINE[kind])
        pipeline = pipeline or next((p["id"] for p in self.store.pipelines[kind]), None)
        stage = self.store.stage(kind, pipeline, out.get(name) or old.get(name))
        if stage is None:
            raise invalid(name, "INVALID_OPTION", f"{out.get(name)} is not a stage of pipeline {pipeline}")
        out.setdefault(schema.PIPELINE[kind], pipeline)
        if kind == "deals" and stage["metadata"].get("isClosed") == "true" and out.get(name) != old.get(name) and "closedate" not in out:
            out["closedate"] = iso(self.store.clock.utc())

    def update(self, kind: str, thing: Thing, values: Mapping[str, Any], at: str | None = None) -> None:
        self.store.change(kind, thing, self.checked(kind, thing, values), at=at)

    # -- endpoints -------------------------------------------------------------------------------------------------
    def patch(self, request: Request) -> Reply:
        kind = kind_of(request)
        thing = self.store.find(kind, request.params["id"], request.q("idProperty"))
        if thing is None or thing.archived:
            raise Refused(404, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
        self.update(kind, thing, request.json()["properties"])
        return Reply(self._row(kind, thing))

    def create(self, request: Request) -> Reply:
        kind = kind_of(request)
        return Reply(self._create(kind, request.json()), 201)

    def archive(self, request: Request) -> Reply:
        if not self.store.archive(kind_of(request), request.params["id"]):
            raise Refused(404, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
        return Reply(status=204)

    def merge(self, request: Request) -> Reply:
        kind, body = kind_of(request), request.json()
        kept = self.store.merge(kind, str(body["primaryObjectId"]), str(body["objectIdToMerge"]))
        return Reply(self._row(kind, self.store.tables[kind].rows[kept]))

    def batch_archive(self, request: Request) -> Reply:
        kind = kind_of(request)
        for given in checked_inputs(request.json(), BATCH_MAX):
            self.store.archive(kind, str(given["id"]))
        return Reply(status=204)

    def batch_update(self, request: Request) -> Reply:
        return self._batch(request, self._plan_update, self._do_update, 200)

    def batch_create(self, request: Request) -> Reply:
        return self._batch(request, lambda kind, given: (None, self.checked(kind, None, given["properties"])), self._do_create, 201)

    def batch_upsert(self, request: Request) -> Reply:
        return self._batch(request, self._plan_upsert, self._do_upsert, 200)

    # -- batches ---------------------------------------------------------------------------------------------------
    def _batch(self, request: Request, plan: Callable[..., Any], do: Callable[..., Any], status: int) -> Reply:
        """Check all inputs, then store the good ones, or refuse the lot."""
        kind = kind_of(request)
        inputs = checked_inputs(request.json(), BATCH_MAX)
        ids = [(g.get("idProperty"), str(g["id"])) for g in inputs if "id" in g]
        if len(set(ids)) < len(ids):
            raise Refused(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        traces = [g.get("objectWriteTraceId") for g in inputs]
        traced = all(traces) and len(set(traces)) == len(traces)
        results, errors = [], []
        planned = []
        for given in inputs:
            try:
                planned.append((given, plan(kind, given)))
            except Refused as no:
                if no.category != "OBJECT_NOT_FOUND" and (self.strict or not traced):
                    raise
                errors.append(_as_error(no, given))
        for given, what in planned:
            row = do(kind, given, what)
            if given.get("objectWriteTraceId"):
                row["objectWriteTraceId"] = given["objectWriteTraceId"]
            results.append(row)
        return finished(self.store, results[::-1], errors, status)

    def _plan_update(self, kind: str, given: Mapping[str, Any]) -> tuple[Thing, dict[str, Any]]:
        thing = self.store.find(kind, str(given["id"]), given.get("idProperty"))
        if thing is None or thing.archived:
            raise Refused(404, "OBJECT_NOT_FOUND", lost([])["message"], context={"ids": [str(given["id"])]})
        return thing, self.checked(kind, thing, given["properties"])

    def _plan_upsert(self, kind: str, given: Mapping[str, Any]) -> tuple[Thing | None, dict[str, Any]]:
        thing = self.store.find(kind, str(given["id"]), given.get("idProperty"))
        own = {given["idProperty"]: given["id"]} if given.get("idProperty") else {}
        return thing, self.checked(kind, thing, {**own, **given["properties"]})

    def _do_update(self, kind: str, given: Mapping[str, Any], planned: tuple[Thing, dict[str, Any]]) -> dict[str, Any]:
        thing, values = planned
        self.store.change(kind, thing, values)
        return self._row(kind, thing)

    def _do_create(self, kind: str, given: Mapping[str, Any], planned: tuple[None, dict[str, Any]]) -> dict[str, Any]:
        return self._create(kind, given, planned[1])

    def _do_upsert(self, kind: str, given: Mapping[str, Any], planned: tuple[Thing | None, dict[str, Any]]) -> dict[str, Any]:
        thing, values = planned
        if thing is None:
            return {**self._row(kind, self.store.create(kind, values)), "new": True}
        self.store.change(kind, thing, values)
        return {**self._row(kind, thing), "new": False}

    def _create(self, kind: str, given: Mapping[str, Any], values: dict[str, Any] | None = None) -> dict[str, Any]:
        thing = self.store.create(kind, self.checked(kind, None, given["properties"]) if values is None else values)
        for link in given.get("associations") or ():
            for how in link["types"]:
                known = (*schema.PLAIN.items(), *schema.PRIMARY.items())
                target = next((b for (a, b), t in known if a == kind and t == how["associationTypeId"]), None)
                if target:
                    self.store.link(kind, thing.id, target, str(link["to"]["id"]), how["associationTypeId"], how["associationCategory"])
        return self._row(kind, thing)

    def _row(self, kind: str, thing: Thing) -> dict[str, Any]:
        return Shape(self.store, kind, [n for n, v in thing.props.items() if v is not None] or ["hs_object_id"]).row(thing)

    def routes(self) -> list[Route]:
        at = "/crm/v3/objects/{type}"
        return [
            Route("POST", at + "/batch/update", self.batch_update),
            Route("POST", at + "/batch/create", self.batch_create),
            Route("POST", at + "/batch/upsert", self.batch_upsert),
            Route("POST", at + "/batch/archive", self.batch_archive),
            Route("POST", at + "/merge", self.merge),
            Route("POST", at, self.create),
            Route("PATCH", at + "/{id}", self.patch),
            Route("DELETE", at + "/{id}", self.archive),
        ]


def _as_error(no: Refused, given: Mapping[str, Any]) -> dict[str, Any]:
    context = {**no.extra.get("context", {})}
    if given.get("objectWriteTraceId"):
        context["objectWriteTraceId"] = [given["objectWriteTraceId"]]
    extra = {k: v for k, v in no.extra.items() if k != "context"}
    return {"status": "error", "category": no.category, "message": no.message, "context": context, **extra}
