"""Reads a request with a single picture: JSON, a form with a file, or the bytes of the file."""

from __future__ import annotations

from typing import TypeVar

from flask import request

from api.answers.problems import Problem, invalid_field_problem, validate
from api.intake.uploads import refuse_other_files, store_body, store_part
from api.intake.url_items import read_json_picture
from api.schemas.common import crop_of
from api.schemas.items import PictureIn, PictureOptions
from db.steps.submitting import NewItem

JsonT = TypeVar("JsonT", bound=PictureIn)
OptionsT = TypeVar("OptionsT", bound=PictureOptions)


def read_picture(json_model: type[JsonT], options_model: type[OptionsT]) -> tuple[JsonT | OptionsT, NewItem]:
    """Return the options and the picture of the current request. The bytes of an uploaded picture are stored.

    `options_model` is the model of the fields of a form, or of the query next to a raw body.

    Raises:
        Problem: the request has no picture, several ones, or invalid options.
    """
    if request.mimetype == "application/json":
        return read_json_picture(json_model)
    if request.mimetype == "multipart/form-data":
        parts = request.files.getlist("image")
        if not parts:
            raise Problem(422, "no_image", "Expected a file in the field `image`, got none.")
        refuse_other_files(["image"])
        if len(parts) > 1:
            raise invalid_field_problem("image", f"expected one file, got {len(parts)}")
        part = parts[0]
        form = validate(options_model, request.form)
        name, blob = part.filename or "unnamed", store_part(part)
        return form, NewItem(name, blob, crop_of(form.crop))
    if request.mimetype.startswith("image/") or request.mimetype == "application/octet-stream":
        query = validate(options_model, request.args)
        return query, NewItem("unnamed", store_body(), crop_of(query.crop))
    raise Problem(
        415,
        "unsupported_media_type",
        f"Expected multipart/form-data, image/* or application/json, got {request.mimetype or 'no Content-Type'}.",
    )
