"""The parts of the OpenAPI document that pydantic models cannot say: bodies that stream, and binary answers."""

from __future__ import annotations

from typing import Any

from api.problems import MEDIA_TYPE
from api.schemas import ClassificationOptions, JobOptions

_FILE = {"type": "string", "format": "binary"}


def _multipart(options: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": {
            "type": "object",
            "properties": {**files, **options["properties"]},
            "required": list(files),
        }
    }


def _form_schema(model: type[ClassificationOptions] | type[JobOptions]) -> dict[str, Any]:
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
    },
}

JOB_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": _multipart(
            _form_schema(JobOptions), {"images": {"type": "array", "items": _FILE, "minItems": 1}}
        )
    },
}

PREFER_PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "examples": ["wait=10"]},
    "description": "`wait=N`: answer once the thing is finished, after N seconds (at most 30) at the latest",
}

THUMBNAIL_RESPONSE: dict[int, Any] = {
    200: {"description": "JPEG, long side at most 320 px", "content": {"image/jpeg": {"schema": _FILE}}}
}
PICTURE_RESPONSE: dict[int, Any] = {
    200: {"description": "The bytes that came", "content": {"image/*": {"schema": _FILE}}}
}


def finish_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """Errors are problem+json; extra parameters stand where OpenAPI wants them."""
    for path in spec["paths"].values():
        for operation in path.values():
            operation.setdefault("parameters", []).extend(operation.pop("x-parameters", []))
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")) and "application/json" in response.get("content", {}):
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
    return spec
