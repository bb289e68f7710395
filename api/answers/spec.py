"""The parts of the OpenAPI document that pydantic models cannot say: bodies that stream, and binary answers."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel

from api.answers.problems import MEDIA_TYPE
from api.schemas.common import ProblemOut
from api.schemas.items import ClassificationIn, ClassificationOptions
from api.schemas.jobs import JobForm, JobIn

_FILE = {"type": "string", "format": "binary"}
_REF = "#/components/schemas/{model}"
_PARTS: dict[str, Any] = {}
"""Schemas that those of bodies refer to."""


def _multipart(options: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """A form with exactly one of `files`."""
    return {
        "schema": {
            "type": "object",
            "properties": {**files, **options["properties"]},
            "oneOf": [{"required": [name]} for name in files],
        }
    }


def _json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A schema whose parts are among the document's own."""
    schema = model.model_json_schema(mode="validation", ref_template=_REF)
    _PARTS.update(schema.pop("$defs", {}))
    return schema


def _form_schema(model: type[ClassificationOptions] | type[JobForm]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    # JSON inside a form field is text to HTTP; its own shape is in the description.
    for member in schema["properties"].values():
        if any(option.get("contentMediaType") for option in member.get("anyOf", [])):
            description = member.get("description", "JSON")
            member.clear()
            member.update({"type": "string", "contentMediaType": "application/json", "description": description})
    schema.pop("$defs", None)
    return schema


_CLASSIFICATION = _form_schema(ClassificationOptions)

IMAGE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": _multipart(_CLASSIFICATION, {"image": _FILE}),
        "image/*": {"schema": _FILE},
        "application/json": {"schema": _json_schema(ClassificationIn)},
    },
}

JOB_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": _multipart(
            _form_schema(JobForm),
            {
                "images": {"type": "array", "items": _FILE, "minItems": 1},
                "archive": {**_FILE, "description": "ZIP, or TAR plain or in gzip, bzip2 or XZ: told by its content"},
                "manifest": {**_FILE, "description": "CSV with a column `url`, or JSONL of the same members"},
            },
        ),
        "application/json": {"schema": _json_schema(JobIn)},
    },
}

PREFER_PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["wait=10"]},
    "description": "`wait=N`: answer once the thing is finished, after N seconds (at most 30) at the latest",
}

IDEMPOTENCY_PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "description": "sent again with the same key within 24 hours, the request is answered as the first time",
}

CREATING_PARAMETERS = [PREFER_PARAMETER, IDEMPOTENCY_PARAMETER]

THUMBNAIL_RESPONSE: dict[int, Any] = {
    200: {"description": "JPEG, long side at most 320 px", "content": {"image/jpeg": {"schema": _FILE}}}
}
EXPLANATION_RESPONSE: dict[int, Any] = {
    200: {"description": "PNG with transparency, long side at most 320 px", "content": {"image/png": {"schema": _FILE}}}
}
PICTURE_RESPONSE: dict[int, Any] = {
    200: {
        "description": "The bytes that came; of an item that is no picture, as octets",
        "content": {"image/*": {"schema": _FILE}, "application/octet-stream": {"schema": _FILE}},
    }
}

EXPORT_RESPONSE: dict[int, Any] = {
    200: {
        "description": "One row an item; the columns are those of docs/exports.md in every format",
        "headers": {
            "Content-Disposition": {"schema": {"type": "string"}, "description": "with the job's name"},
            "X-Job-Status": {"schema": {"type": "string"}, "description": "the job's status when the export began"},
        },
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/jsonl": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": _FILE},
        },
    },
}

PROMOTION_RESPONSES: dict[int, Any] = {202: {"description": "Workers are still loading it; ask again"}}

METRICS_RESPONSE: dict[int, Any] = {
    200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
}

NOT_READY_RESPONSE: dict[int, Any] = {
    503: {
        "description": "Something is missing; the body says what",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReadyOut"}}},
    }
}

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
_BODY_PROBLEMS = {"400": "Not well formed", "413": "Too large", "415": "Wrong content type", "422": "Not understood"}
"""What any call that takes a body may answer."""
_APIFLASK_ERRORS = ("HTTPError", "ValidationError")
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "a key, `lb_<id>_<secret>`; none while the service is open",
}
_REFUSALS = {"401": "No key, or a bad one", "403": "The key is not for this", "429": "This key's limit"}


def finish_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Errors are problem+json; extra parameters stand where OpenAPI wants them; what is not public needs a key."""
    schemas = spec["components"]["schemas"]
    problem = ProblemOut.model_json_schema(ref_template=_REF)
    schemas.update(_PARTS | problem.pop("$defs"), Problem=problem)
    for name in _APIFLASK_ERRORS:
        schemas.pop(name, None)
    spec["components"]["securitySchemes"] = {"key": _BEARER}
    for name, path in spec["paths"].items():
        for operation in path.values():
            if name.startswith("/v1/"):
                operation["security"] = [{"key": []}]
                operation["responses"] |= {s: {"description": d, "content": _PROBLEM} for s, d in _REFUSALS.items()}
            operation.setdefault("parameters", []).extend(operation.pop("x-parameters", []))
            if "requestBody" in operation:
                for status, description in _BODY_PROBLEMS.items():
                    operation["responses"].setdefault(status, {"description": description, "content": _PROBLEM})
            _finish_responses(operation["responses"])
    return _flat_names(spec)


def _finish_responses(responses: dict[str, Any]) -> None:
    # What APIFlask knows of the answer stands under one status; the other successes answer alike.
    success = next((r["content"] for r in responses.values() if _schema(r).get("$ref", "").endswith("Out")), None)
    for status, response in responses.items():
        if _schema(response).get("$ref", "").endswith(_APIFLASK_ERRORS):
            response["content"] = _PROBLEM
        elif status == "304":
            response.pop("content", None)
        elif success is not None and status.startswith("2"):
            response["content"] = success


def _schema(response: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = response.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _flat_names(spec: dict[str, Any]) -> dict[str, Any]:
    """`JobsOut.JobOut` and `JobOut` are one model: APIFlask names nested ones once per parent."""
    schemas = spec["components"]["schemas"]
    spec["components"]["schemas"] = {name.rpartition(".")[2]: schema for name, schema in sorted(schemas.items())}
    flat: dict[str, Any] = json.loads(re.sub(r"(#/components/schemas/)\w+\.", r"\1", json.dumps(spec)))
    return flat
