"""Commands that teach: `teach`, `lessons`, `taxonomy`, `models changes` and the calibration on reviews."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import AsJson, Key, Url, Wait, connect, err, out, print_json, table
from lookbook import DEFAULT_URL, Client
from lookbook.teaching_answers import Calibrated, Lesson, OwnTaxonomy, Rescored, Taught

taxonomy_app = typer.Typer(invoke_without_command=True)

Jobs = Annotated[list[str], typer.Argument(metavar="JOB…", help="The ids of the jobs: job_…", show_default=False)]
ModelName = Annotated[str, typer.Option(help="The name under which to publish.", show_default="that of the model")]
_SHOWN = 10
"""Lines of advice and flows that are printed without `--json`."""


def teach(
    jobs: Jobs,
    model: Annotated[
        str, typer.Option(help="The model to start from: name, name@version or alias.", show_default="that of the job")
    ] = "",
    name: Annotated[
        str, typer.Option(help="The name under which to publish.", show_default="that of the model, with -taught")
    ] = "",
    only_reviewed: Annotated[
        bool, typer.Option("--only-reviewed", help="Leave out the labels of the model that no review gives.")
    ] = False,
    rejected_as: Annotated[
        str, typer.Option(help="The label of pictures for which no label fits.", show_default="they are left out")
    ] = "",
    wait: Wait = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Teach a model the labels of reviews: fit a new head on stored vectors, and publish it as a new version.

    No picture is opened. The labels may be your own (`lookbook taxonomy`). The figures are cross-validated. The
    version is not used before `lookbook models promote`; `lookbook models changes` says what it would change.

    Examples:

        lookbook teach job_01k…

        lookbook teach job_01k… job_02m… --name coats --rejected-as other --json
    """
    with connect(url, key) as client:
        lesson = client.teach(
            jobs,
            model=model or None,
            name=name or None,
            keep_labels=not only_reviewed,
            rejected_as=rejected_as or None,
        )
        _finish(client, lesson, wait=wait, as_json=as_json)


def lessons(
    lesson_id: Annotated[str, typer.Argument(metavar="LESSON", help="The id of one lesson: lsn_…")] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the lessons that were given, newest first, or show one.

    Examples:

        lookbook lessons

        lookbook lessons lsn_01k… --json
    """
    with connect(url, key) as client:
        if lesson_id:
            _show(client.lesson(lesson_id), as_json=as_json)
            return
        rows = list(client.lessons())
    if as_json:
        print_json([row.raw for row in rows])
        return
    shown = table("lesson", "kind", "status", "model", "published", "created")
    for row in rows:
        created = f"{row.created_at.astimezone():%Y-%m-%d %H:%M}"
        shown.add_row(row.id, row.kind, row.status, row.model, row.published or "–", created)
    out.print(shown)


def changes(
    model: Annotated[str, typer.Argument(help="The model version: name@version.")],
    jobs: Annotated[
        list[str] | None, typer.Option("--job", help="Only this job. May be repeated.", show_default="all jobs")
    ] = None,
    wait: Wait = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say which labels a version would change, from stored vectors alone, and how often reviews agree before and after.

    The version must have the backbone of the model that classified the items, as taught versions have.

    Examples:

        lookbook models changes garments-taught@1 --job job_01k…

        lookbook models changes garments-taught@1 --json
    """
    with connect(url, key) as client:
        _finish(client, client.rescore(model, jobs or ()), wait=wait, as_json=as_json)


def calibrate_on_reviews(jobs: list[str], model: str, name: str, url: str, key: str, *, as_json: bool) -> None:
    """Fit the temperature of a model on the reviews of jobs, and print the outcome."""
    with connect(url, key) as client:
        lesson = client.calibrate(jobs, model=model or None, name=name or None)
        _finish(client, lesson, wait=True, as_json=as_json)


@taxonomy_app.callback()
def taxonomy(context: typer.Context, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Show your own labels and groups, or run a command on them.

    Examples:

        lookbook taxonomy

        lookbook taxonomy add hoodie --group tops --name en=Hoodie --name ko=후드티
    """
    if context.invoked_subcommand is None:
        with connect(url, key) as client:
            _show_taxonomy(client.taxonomy(), as_json=as_json)


@taxonomy_app.command("add")
def add(
    label: Annotated[str, typer.Argument(help="The id of the label.")],
    group: Annotated[str, typer.Option(help="The id of its group, of yours or of a model.")],
    name: Annotated[
        list[str] | None, typer.Option(help="LANGUAGE=NAME. May be repeated.", show_default="the id")
    ] = None,
    group_name: Annotated[
        list[str] | None, typer.Option(help="LANGUAGE=NAME of a new group. May be repeated.", show_default=False)
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Add a label to your taxonomy, or change the names of one. Reviews may give it at once.

    Examples:

        lookbook taxonomy add hoodie --group tops --name en=Hoodie --name ko=후드티

        lookbook taxonomy add scarf --group extras --group-name en=Extras --json
    """
    names = _names(name) or {"en": label}
    with connect(url, key) as client:
        found = _written(client.taxonomy())
        found["labels"] = [row for row in found["labels"] if row["id"] != label]
        found["labels"].append({"id": label, "group": group, "name": names})
        if group_name:
            found["groups"] = [row for row in found["groups"] if row["id"] != group]
            found["groups"].append({"id": group, "name": _names(group_name)})
        _show_taxonomy(client.put_taxonomy(**found), as_json=as_json)


@taxonomy_app.command("remove")
def remove(
    label: Annotated[str, typer.Argument(help="The id of the label.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Remove a label from your taxonomy. Labels that reviews give stay.

    Examples:

        lookbook taxonomy remove hoodie

        lookbook taxonomy remove hoodie --json
    """
    with connect(url, key) as client:
        found = _written(client.taxonomy())
        if label not in [row["id"] for row in found["labels"]]:
            known = ", ".join(row["id"] for row in found["labels"]) or "none"
            raise typer.BadParameter(f"expected one of your labels ({known}), got {label!r}", param_hint="LABEL")
        found["labels"] = [row for row in found["labels"] if row["id"] != label]
        _show_taxonomy(client.put_taxonomy(**found), as_json=as_json)


@taxonomy_app.command("set")
def set_all(
    file: Annotated[Path, typer.Argument(help="JSON with `labels` and `groups`, as in labels.json of an artifact.")],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Replace your taxonomy by a file.

    Examples:

        lookbook taxonomy set our-labels.json

        lookbook taxonomy set our-labels.json --json
    """
    try:
        content = json.loads(file.read_text("utf-8"))
        labels, groups = content["labels"], content.get("groups", [])
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"expected JSON with `labels` and `groups`, got another file: {error}") from error
    with connect(url, key) as client:
        _show_taxonomy(client.put_taxonomy(labels, groups), as_json=as_json)


def _names(given: list[str] | None) -> dict[str, str]:
    names = {}
    for text in given or []:
        language, equals, name = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"expected LANGUAGE=NAME, such as ko=후드티, got {text!r}")
        names[language] = name.strip()
    return names


def _written(found: OwnTaxonomy) -> dict[str, Any]:
    """Return a taxonomy as it is sent."""
    return {
        "groups": [{"id": row.id, "name": row.names.raw} for row in found.groups],
        "labels": [{"id": row.id, "group": row.group, "name": row.names.raw} for row in found.labels],
    }


def _show_taxonomy(found: OwnTaxonomy, *, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    if not found.labels:
        err.print("you have no labels of your own yet: `lookbook taxonomy add` adds one")
        return
    groups = {row.id: row.name for row in found.groups}
    shown = table("label", "name", "Korean name", "group")
    for row in found.labels:
        shown.add_row(row.id, row.name, row.names.ko, groups.get(row.group, row.group))
    out.print(shown)


def _finish(client: Client, lesson: Lesson, *, wait: bool, as_json: bool) -> None:
    if wait:
        with err.status(f"{lesson.id}: a worker computes it") as status:
            lesson = client.wait_for_lesson(
                lesson, progress=lambda now: status.update(f"{now.id}: {now.status}, {now.done:,} items read")
            )
    _show(lesson, as_json=as_json)


def _show(lesson: Lesson, *, as_json: bool) -> None:
    if as_json:
        print_json(lesson.raw)
        return
    if lesson.error is not None:
        err.print(f"{lesson.id} failed: {lesson.error}", markup=False)
    elif not lesson.finished:
        out.print(f"{lesson.id} is {lesson.status}: `lookbook lessons {lesson.id}` shows it")
    elif lesson.taught is not None:
        _show_taught(lesson, lesson.taught)
    elif lesson.calibrated is not None:
        _show_calibrated(lesson, lesson.calibrated)
    elif lesson.rescored is not None:
        _show_rescored(lesson, lesson.rescored)


def _show_taught(lesson: Lesson, found: Taught) -> None:
    low, high = found.intervals["accuracy"]
    out.print(
        f"{found.reviews:,} reviews taught {len(found.labels)} labels in {found.seconds:.1f} s "
        f"(the fit: {found.fit_seconds:.1f} s)"
    )
    out.print(
        f"accuracy {found.accuracy:.3f} ({low:.3f} to {high:.3f}), before {found.accuracy_before:.3f}; "
        f"macro-F1 {found.macro_f1:.3f}"
    )
    for reason, count in found.left_out.items():
        out.print(f"{count:,} reviews left out: {_REASONS.get(reason, reason)}")
    if found.replaced:
        out.print(f"replaced by own labels: {', '.join(found.replaced)}")
    if found.rejected:
        confidence = found.rejected_confidence
        seen = "" if confidence is None else f"; their mean confidence would be {confidence:.2f}"
        out.print(f"{found.rejected:,} reviews say that no label fits{seen}")
    labels = table("label", "reviews", "kept", "precision", "recall", "F1")
    for row in found.labels:
        figures = [f"{value:.3f}" if row.reviews else "–" for value in (row.precision, row.recall, row.f1)]
        labels.add_row(row.id, f"{row.reviews:,}", f"{row.kept:,}", *figures)
    out.print(labels)
    curve = " · ".join(f"{point.reviews:,} reviews: {point.accuracy:.3f}" for point in found.curve)
    out.print(f"learning curve: {curve}")
    for advice in [one for one in found.advice if one.gain > 0][:3]:
        out.print(f"another {advice.more} reviews of {advice.label} would add about {advice.gain * 100:.1f} points")
    if found.fine_tuning is not None:
        out.print(f"training the whole network may add more, in about {found.fine_tuning.minutes} minutes:")
        for command in found.fine_tuning.commands:
            out.print(f"    {command}", markup=False)
    out.print(f"published {lesson.published}: `lookbook models changes {lesson.published}` says what it would change")


_REASONS = {
    "no_vector": "their pictures have no vector",
    "other_backbone": "their vectors are of another backbone",
    "other_crop": "they name another part of the picture than was classified",
    "too_few_reviews": "their label has too few reviewed pictures",
}


def _show_calibrated(lesson: Lesson, found: Calibrated) -> None:
    shown = table("temperature", "reviews", "calibration error before", "calibration error")
    errors = (f"{found.calibration_error_before:.4f}", f"{found.calibration_error:.4f}")
    shown.add_row(f"{found.temperature:.3f}", f"{found.reviews:,}", *errors)
    out.print(shown)
    out.print(f"published {lesson.published}")


def _show_rescored(lesson: Lesson, found: Rescored) -> None:
    out.print(f"{lesson.model} would change {found.changed:,} of {found.items:,} labels ({found.seconds:.1f} s)")
    if found.without_vector:
        out.print(f"{found.without_vector:,} items have no vector of this backbone")
    flows = table("items", "label", "would become")
    for flow in found.flows[:_SHOWN]:
        flows.add_row(f"{flow.count:,}", flow.before, flow.after)
    if found.flows:
        out.print(flows)
    agreement = table("reviews", "right now", "right then")
    agreement.add_row(f"{found.reviewed:,}", f"{found.right_before:,}", f"{found.right_after:,}")
    if found.new_reviewed != found.reviewed:
        new = (f"{found.new_right_before:,}", f"{found.new_right_after:,}")
        agreement.add_row(f"{found.new_reviewed:,} that did not teach it", *new)
    if found.reviewed:
        out.print(agreement)
