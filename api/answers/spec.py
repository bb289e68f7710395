"""The parts of the OpenAPI document that APIFlask cannot derive: streamed request bodies and binary answers."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel

from api.answers.problems import MEDIA_TYPE
from api.schemas.common import ProblemOut
from api.schemas.items import ClassificationIn, ClassificationOptions
from api.schemas.jobs import AdditionIn, JobForm, JobIn
from api.schemas.searches import SearchIn, SearchOptions

_FILE = {"type": "string", "format": "binary"}
_FILES = {"type": "array", "items": _FILE, "minItems": 1}
_REF = "#/components/schemas/{model}"
_PARTS: dict[str, Any] = {}
"""Schemas that the schemas of request bodies refer to."""


def _form(options: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a form with options and with exactly one of `files`.

    The schema does not say that it is exactly one, because generators of clients stumble over `oneOf`.
    """
    required = {"required": list(files)} if len(files) == 1 else {}
    schema = {"type": "object", "properties": {**files, **options["properties"]}, **required}
    return {"multipart/form-data": {"schema": schema}}


def _json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return a JSON body with the schema of a model, and keep the schemas for `finish_spec`."""
    schema = model.model_json_schema(mode="validation", ref_template=_REF)
    _PARTS.update(schema.pop("$defs", {}))
    _PARTS[model.__name__] = schema
    reference = {"$ref": _REF.format(model=model.__name__)}
    return {"required": True, "content": {"application/json": {"schema": reference}}}


def _form_schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    for name, member in schema["properties"].items():
        schema["properties"][name] = _form_field(member)
    schema.pop("$defs", None)
    return schema


def _form_field(member: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form field. A form cannot hold null, and a field that holds JSON is text in HTTP."""
    options = [option for option in member.get("anyOf", [member]) if option.get("type") != "null"]
    described = {name: value for name, value in member.items() if name not in {"anyOf", "default"} or value is not None}
    described.pop("anyOf", None)
    if any(option.get("contentMediaType") for option in options):
        text = {"type": "string", "contentMediaType": "application/json"}
        return {**text, "description": member.get("description", "JSON")}
    return {**options[0], **described}


_ARCHIVE = (
    "A ZIP or TAR file. TAR files may be compressed with gzip, bzip2 or XZ. "
    "The format is detected from the content, not from the file name."
)
_MANIFEST = "A list of pictures: CSV, Excel (.xlsx), a product feed in XML, JSONL, or one URL per line."
_CLASSIFICATION = _form_schema(ClassificationOptions)

IMAGE_BODY = _json_body(ClassificationIn)
IMAGE_FILE_BODY: dict[str, Any] = {
    "required": True,
    "content": {**_form(_CLASSIFICATION, {"image": _FILE}), "image/*": {"schema": _FILE}},
}
SEARCH_BODY = _json_body(SearchIn)
SEARCH_FILE_BODY: dict[str, Any] = {
    "required": True,
    "content": {**_form(_form_schema(SearchOptions), {"image": _FILE}), "image/*": {"schema": _FILE}},
}
JOB_BODY = _json_body(JobIn)
JOB_FILES_BODY: dict[str, Any] = {
    "required": True,
    "content": _form(
        _form_schema(JobForm),
        {
            "images": _FILES,
            "archive": {**_FILE, "description": _ARCHIVE},
            "manifest": {**_FILE, "description": _MANIFEST},
        },
    ),
}
ADDITION_BODY = _json_body(AdditionIn)
ADDITION_FILES_BODY: dict[str, Any] = {"required": True, "content": _form({"properties": {}}, {"images": _FILES})}

LABEL_FILE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": ["array", "object"],
                "items": {"type": "object"},
                "description": "A label tool's file of up to 30,000 entries: a list of tasks, or an object.",
            }
        }
    },
}

PREFER_PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["wait=10"]},
    "description": "`wait=N` delays the answer until the work is finished, for at most N seconds (up to 30).",
}

IDEMPOTENCY_PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "description": "A request that is repeated with the same key within 24 hours gets the answer of the first request.",
}

CREATING_PARAMETERS = [PREFER_PARAMETER, IDEMPOTENCY_PARAMETER]

CREATING_RESPONSES: dict[int, Any] = {
    409: "The first request with this Idempotency-Key is still running",
    413: "The request or the file is too large",
    422: "The request is not valid",
    503: "Part of the service is not available. Nothing was stored; try again later",
    507: "There is no room to store the request. Nothing was stored",
}

_UNCHANGED = "The picture of `If-None-Match` is still right, and the caller may still see it"

THUMBNAIL_RESPONSE: dict[int, Any] = {
    200: {"description": "A JPEG whose longer side has at most 320 px", "content": {"image/jpeg": {"schema": _FILE}}},
    304: _UNCHANGED,
}
EXPLANATION_RESPONSE: dict[int, Any] = {
    200: {
        "description": "A transparent PNG whose longer side has at most 320 px",
        "content": {"image/png": {"schema": _FILE}},
    },
    304: _UNCHANGED,
}
PICTURE_RESPONSE: dict[int, Any] = {
    200: {
        "description": "The original bytes. The type is application/octet-stream if they are not a picture",
        "content": {"image/*": {"schema": _FILE}, "application/octet-stream": {"schema": _FILE}},
    },
    302: "A signed URL leads to the bucket, which sends the original bytes (`LOOKBOOK_S3_REDIRECT`)",
    206: {
        "description": "The part of the original bytes that the header `Range` asks for",
        "content": {"image/*": {"schema": _FILE}, "application/octet-stream": {"schema": _FILE}},
    },
    304: _UNCHANGED,
    416: "The original bytes have no such part",
}

EXPORT_RESPONSE: dict[int, Any] = {
    200: {
        "description": "One row per item, or per product. docs/exports.md describes the columns, which are the same in "
        "every format",
        "headers": {
            "Content-Disposition": {"schema": {"type": "string"}, "description": "Contains the name of the job."},
            "X-Job-Status": {
                "schema": {"type": "string"},
                "description": "The job's status when the export began.",
            },
        },
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/jsonl": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": _FILE},
            # The files for label tools. Generators of clients have to save them and not to parse them.
            "application/json": {"schema": _FILE},
        },
    },
}

LABELLING_CONFIG_RESPONSE: dict[int, Any] = {
    200: {
        "description": "The labelling configuration (XML)",
        "content": {"application/xml": {"schema": {"type": "string"}}},
    },
}

PROMOTION_RESPONSES: dict[int, Any] = {
    202: {"description": "Workers are still loading the model version. Repeat the request"}
}

METRICS_RESPONSE: dict[int, Any] = {
    200: {
        "description": "Metrics in Prometheus' text format",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}

NOT_READY_RESPONSE: dict[int, Any] = {
    503: {
        "description": "The service is not ready. The body says what is missing",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReadyOut"}}},
    }
}

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
_BODY_PROBLEMS = {
    "400": "The request is malformed",
    "413": "The request is too large",
    "415": "The content type is not supported",
    "422": "The request is not valid",
}
"""Answers of every operation with a request body."""
_APIFLASK_ERRORS = ("HTTPError", "ValidationError")
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, `lb_<id>_<secret>`. No key is needed while the service is open.",
}
_TAGS = {
    "Classifications": "Single pictures, answered within seconds.",
    "Jobs": "Many pictures: from files, URLs, a shop to crawl, or another job.",
    "Webhooks": "The messages that a job's end sends.",
    "Items": "The pictures of a job with their predictions.",
    "Reviews": "What people say about predictions.",
    "Models": "The models that classify, and their labels.",
    "Teaching": "Your own labels, and model versions that learn from reviews.",
    "Keys": "API keys, their usage, and sessions.",
    "Limits": "What the service accepts, and the sites that it can read.",
    "Health": "Whether the service works, and how busy it is.",
}
_WITHOUT_KEY = frozenset({"/healthz", "/readyz", "/session"})
"""Paths that answer everyone."""
_REFUSALS = {
    "401": "The API key is missing or invalid",
    "403": "The API key does not have the required scope",
    "429": "The API key has reached its rate limit or quota",
}


def finish_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the document with problem details, header parameters and security added to APIFlask's version."""
    spec["info"] |= {"license": {"name": "MIT", "identifier": "MIT"}}
    spec["servers"] = [{"url": "/", "description": "The service that sends this document"}]
    spec["tags"] = [{"name": name, "description": description} for name, description in _TAGS.items()]
    schemas = spec["components"]["schemas"]
    problem = ProblemOut.model_json_schema(ref_template=_REF)
    schemas.update(_PARTS | problem.pop("$defs"), Problem=problem)
    for name in _APIFLASK_ERRORS:
        schemas.pop(name, None)
    spec["components"]["securitySchemes"] = {"key": _BEARER}
    for name, path in spec["paths"].items():
        for operation in path.values():
            needs_key = name not in _WITHOUT_KEY
            operation["security"] = [{"key": []}] if needs_key else []
            if needs_key:
                operation["responses"] |= {s: {"description": d, "content": _PROBLEM} for s, d in _REFUSALS.items()}
            operation.setdefault("parameters", []).extend(operation.pop("x-parameters", []))
            if "requestBody" in operation:
                for status, description in _BODY_PROBLEMS.items():
                    operation["responses"].setdefault(status, {"description": description, "content": _PROBLEM})
            _finish_responses(operation["responses"])
    return _flat_names(spec)


def _finish_responses(responses: dict[str, Any]) -> None:
    # APIFlask puts the schema under one status only. The other 2xx statuses have the same body.
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
    """Return the document with one name per model. APIFlask names nested models once per parent: `JobsOut.JobOut`."""
    schemas = spec["components"]["schemas"]
    spec["components"]["schemas"] = {name.rpartition(".")[2]: schema for name, schema in sorted(schemas.items())}
    flat: dict[str, Any] = json.loads(re.sub(r"(#/components/schemas/)\w+\.", r"\1", json.dumps(spec)))
    return flat
