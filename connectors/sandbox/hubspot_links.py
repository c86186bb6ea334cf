"""Associations v4: which records belong together. Edges change without touching either record's modification stamp.

https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4 (read 2026-11-23)
"""

from __future__ import annotations

from typing import Any

from connectors.sandbox import hubspot_schema as schema
from connectors.sandbox.hubspot_objects import checked_inputs, finished, limit_of, seal, unseal
from connectors.sandbox.hubspot_store import Refused, Store
from connectors.sandbox.kit import Reply, Request, Route

READ_MAX, WRITE_MAX, PAGE_MAX = 1_000, 2_000, 500


class Links:
    """Handlers of the association endpoints. `page_size` is how many edges of one record come at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.page_size = PAGE_MAX

    def ends(self, request: Request) -> tuple[str, str]:
        names = [schema.PLURAL.get(request.params[n], request.params[n]) for n in ("from", "to")]
        for name in names:
            if name not in schema.TYPES:
                raise Refused(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")
        return names[0], names[1]

    def _page(self, source: str, target: str, sid: str, after: str | None, limit: int) -> dict[str, Any]:
        edges = self.store.links.get((source, target), {}).get(sid, {})
        ids = sorted(edges, key=int)
        start = int(unseal(after)) if after else 0
        found: dict[str, Any] = {"results": [_edge(i, edges[i]) for i in ids[start : start + limit]]}
        if start + limit < len(ids):
            found["paging"] = {"next": {"after": seal(str(start + limit)), "link": "https://api.hubapi.com/next"}}
        return found

    def one(self, request: Request) -> Reply:
        source, target = self.ends(request)
        limit = limit_of(request.q("limit"), PAGE_MAX, PAGE_MAX)
        return Reply(self._page(source, target, request.params["id"], request.q("after"), min(limit, self.page_size)))

    def batch_read(self, request: Request) -> Reply:
        source, target = self.ends(request)
        results, errors = [], []
        for given in checked_inputs(request.json(), READ_MAX):
            sid = str(given["id"])
            found = self._page(source, target, sid, given.get("after"), self.page_size)
            if not found["results"]:
                errors.append(_alone(source, target, sid))
                continue
            results.append({"from": {"id": sid}, "to": found["results"], **({"paging": found["paging"]} if "paging" in found else {})})
        return finished(self.store, results, errors)

    def put(self, request: Request) -> Reply:
        source, target = self.ends(request)
        sid, tid = request.params["id"], request.params["other"]
        for how in request.json():
            self.store.link(source, sid, target, tid, int(how["associationTypeId"]), how["associationCategory"])
        return Reply({"fromObjectTypeId": source, "fromObjectId": sid, "toObjectId": tid, "labels": []}, 201)

    def put_default(self, request: Request) -> Reply:
        source, target = self.ends(request)
        return finished(self.store, [self._default(source, request.params["id"], target, request.params["other"])], [])

    def _default(self, source: str, sid: str, target: str, tid: str) -> dict[str, Any]:
        for kind, oid in ((source, sid), (target, tid)):
            if oid not in self.store.tables[kind].rows:
                raise Refused(404, "OBJECT_NOT_FOUND", f"Object not found: {kind} {oid}")
        type_id = schema.PLAIN[source, target]
        self.store.link(source, sid, target, tid, type_id)
        how = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
        return {"from": {"id": sid}, "to": {"id": tid}, "associationSpec": how}

    def delete(self, request: Request) -> Reply:
        source, target = self.ends(request)
        self.store.unlink(source, request.params["id"], target, request.params["other"])
        return Reply(status=204)

    def batch_create(self, request: Request) -> Reply:
        source, target = self.ends(request)
        rows = []
        for given in checked_inputs(request.json(), WRITE_MAX):
            sid, tid = str((given.get("from") or given["_from"])["id"]), str(given["to"]["id"])
            for how in given["types"]:
                self.store.link(source, sid, target, tid, int(how["associationTypeId"]), how["associationCategory"])
            rows.append({"fromObjectTypeId": source, "fromObjectId": sid, "toObjectTypeId": target, "toObjectId": tid, "labels": []})
        return finished(self.store, rows, [], 201)

    def batch_default(self, request: Request) -> Reply:
        source, target = self.ends(request)
        pairs = [(str((g.get("from") or g["_from"])["id"]), str(g["to"]["id"])) for g in checked_inputs(request.json(), WRITE_MAX)]
        return finished(self.store, [self._default(source, a, target, b) for a, b in pairs], [])

    def batch_archive(self, request: Request) -> Reply:
        source, target = self.ends(request)
        for given in checked_inputs(request.json(), WRITE_MAX):
            for to in given["to"]:
                self.store.unlink(source, str((given.get("from") or given["_from"])["id"]), target, str(to["id"]))
        return Reply(status=204)

    def labels(self, request: Request) -> Reply:
        ends = self.ends(request)
        rows = [{"category": "HUBSPOT_DEFINED", "typeId": schema.PLAIN[ends], "label": None}] if ends in schema.PLAIN else []
        if ends in schema.PRIMARY:
            rows.append({"category": "HUBSPOT_DEFINED", "typeId": schema.PRIMARY[ends], "label": "Primary"})
        return Reply({"results": rows})

    def routes(self) -> list[Route]:
        many, one = "/crm/v4/associations/{from}/{to}", "/crm/v4/objects/{from}/{id}/associations"
        return [
            Route("POST", many + "/batch/read", self.batch_read),
            Route("POST", many + "/batch/create", self.batch_create),
            Route("POST", many + "/batch/associate/default", self.batch_default),
            Route("POST", many + "/batch/archive", self.batch_archive),
            Route("GET", many + "/labels", self.labels),
            Route("PUT", one + "/default/{to}/{other}", self.put_default),
            Route("PUT", one + "/{to}/{other}", self.put),
            Route("DELETE", one + "/{to}/{other}", self.delete),
            Route("GET", one + "/{to}", self.one),
        ]


def _edge(tid: str, types: set[tuple[str, int]]) -> dict[str, Any]:
    primary = set(schema.PRIMARY.values())
    found = [{"category": c, "typeId": t, "label": "Primary" if t in primary else None} for c, t in sorted(types)]
    return {"toObjectId": tid, "associationTypes": found}


def _alone(source: str, target: str, sid: str) -> dict[str, Any]:
    return {
        "status": "error", "category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {target} is associated with {source} {sid}.", "context": {"fromObjectId": [sid]},
    }  # fmt: skip
