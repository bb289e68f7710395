"""`lookbook dataset build`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.labelling import (
    VERIFIED,
    WEAK,
    GivenLabel,
    LabelledPictures,
    LabelsFrom,
    Vocabulary,
    agreed_labels,
    check_folder_name,
    families_of,
    product_key,
    read_renaming,
)
from cli.learning import ProgressReporter, progress_bars
from cli.output import AsJson, ExitCode, Key, Url, connect, err, out, print_json, table
from cli.synthesizing import synthesize
from core.errors import DatasetInvalid
from core.item_errors import ItemError
from lookbook import DEFAULT_URL, Client, Item, Job

if TYPE_CHECKING:
    from classifier.clusters import PictureToCompare
    from classifier.learning.data.folder import DatasetFolder

app = typer.Typer(help="Make training pictures from crawls and reviews.", no_args_is_help=True)

app.command("synthesize")(synthesize)

_DOWNLOADS = 8
"""The number of pictures that are downloaded at the same time."""
_SIDE = 224
"""Long side in pixels at which pictures are compared. Fingerprints are designed for 200 to 500 pixels."""

Share = Annotated[float, typer.Option(min=0, max=0.9, help="The share of pictures for validation during the training.")]


def _renaming(text: str) -> tuple[str, str]:
    try:
        return read_renaming(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@app.callback()
def dataset() -> None:
    """Make training pictures from crawls and reviews."""


@app.command("build")
def build(
    sources: Annotated[
        list[str],
        typer.Option("--from", metavar="JOB", help="A job that has the pictures. Can be repeated.", show_default=False),
    ],
    labels: Annotated[LabelsFrom, typer.Option(help="Where the labels come from.", show_default=False)],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write.", show_default=False)],
    validation: Share = 0.2,
    test: Annotated[
        float, typer.Option(min=0, max=0.9, help="The share of pictures for one test after the training.")
    ] = 0.0,
    renamed: Annotated[
        list[Any] | None,
        typer.Option(
            "--as", parser=_renaming, metavar="WORD=LABEL", help="The label that a word means. Can be repeated."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build the dataset in DIR again.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Make a folder of labelled pictures from jobs, ready for `lookbook train`.

    The folder has pictures in `train/<label>/`, `validation/<label>/` and `test/<label>/`, and a manifest.

    `query` and `category` are weak labels, because no person has checked them. Reviews take precedence over them, and
    `review` uses only reviews. A word means a label if it is the id of the label or its name in English or Korean.
    Pictures that show the same photo or the same product are on the same side of the split. An interrupted build
    continues when the same command runs again.

    Examples:

        lookbook dataset build --from job_01k… --labels review --out ~/reviewed

        lookbook dataset build --from job_01k… --from job_01m… --labels query --as "winter coat=outwear" --out ~/coats

        lookbook train --data ~/coats --name coats
    """
    if validation + test >= 1:
        raise typer.BadParameter("expected a rest of the pictures for training", param_hint="--validation, --test")
    from classifier.clusters import cluster
    from classifier.learning.data.folder import TEST, DatasetFolder
    from classifier.learning.data.pictures import TRAIN, VALIDATION

    target = DatasetFolder(folder)
    target.check(overwrite=overwrite)
    vocabulary, labelled = Vocabulary(dict(renamed or [])), LabelledPictures()
    try:
        with connect(url, key) as client, progress_bars() as progress:
            jobs = _jobs(client, sources)
            reporter = ProgressReporter(progress)
            _label_items(client, jobs, labels, vocabulary, labelled, reporter)
            _require_pictures(labelled, labels)
            target.begin()
            pictures = _download(client, target, labelled, reporter)
    except KeyboardInterrupt:
        err.print(f"{folder} keeps the pictures so far: the same command continues from here")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    clusters = cluster(pictures)
    agreed = agreed_labels(labelled, clusters)
    _require_pictures(labelled, labels, agreed)
    shares = {TEST: test, VALIDATION: validation}
    families = families_of(labelled, clusters)
    rows = [
        _row(sha256, *agreed[sha256], clusters[sha256], families[sha256], labelled, shares, TRAIN)
        for sha256 in sorted(agreed)
    ]
    rows.sort(key=lambda row: str(row["file"]))
    description = {
        "taxonomy": vocabulary.taxonomy(folder.resolve().name, (row["label"] for row in rows)),
        "data": _note(rows, jobs, labels),
        "jobs": [job.id for job in jobs],
        "labels": labels.value,
        "shares": {TRAIN: round(1 - validation - test, 9), VALIDATION: validation, TEST: test},
        "pictures": len(rows),
        "clusters": len({row["cluster"] for row in rows}),
        "left_out": dict(sorted(labelled.left_out.items())),
    }
    target.finish(rows, description)
    if as_json:
        print_json(description)
    else:
        _show(folder, rows, description)
    for word in vocabulary.unused.values():
        err.print(f"--as: no picture has the word {word!r}", markup=False)


def _jobs(client: Client, ids: Iterable[str]) -> list[Job]:
    jobs = [client.job(job_id) for job_id in dict.fromkeys(ids)]
    for job in jobs:
        if not job.over:
            raise DatasetInvalid(
                f"expected finished jobs, but {job.id} is {job.status}: run lookbook watch {job.id} first"
            )
    return jobs


def _label_items(
    client: Client,
    jobs: list[Job],
    labels_from: LabelsFrom,
    vocabulary: Vocabulary,
    labelled: LabelledPictures,
    reporter: ProgressReporter,
) -> None:
    for model in dict.fromkeys(str(job.state.model) for job in jobs):
        vocabulary.learn(client.labels(model))
    reviewed = True if labels_from is LabelsFrom.REVIEW else None
    total = sum(job.counts.succeeded for job in jobs)
    items = (item for job in jobs for item in job.items(status="succeeded", reviewed=reviewed))
    for _ in reporter.track("items", labelled.add(items, labels_from, vocabulary), total):
        pass


def _download(
    client: Client, target: DatasetFolder, labelled: LabelledPictures, reporter: ProgressReporter
) -> list[PictureToCompare]:
    """Download every labelled picture into the folder, and return what is needed to compare them.

    A picture that cannot be read loses its labels and is counted as left out.
    """
    downloads = [(key, *labels[0]) for key, labels in labelled.pictures.items()]
    readable: list[PictureToCompare] = []
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        try:
            outcomes = pool.map(partial(_download_one, client, target), downloads)
            pairs = zip(downloads, outcomes, strict=True)
            for (key, _, _), picture in reporter.track("pictures", pairs, len(downloads)):
                if picture is None:
                    labelled.left_out["unreadable"] += len(labelled.pictures.pop(key))
                else:
                    labelled.rename(key, picture.sha256)
                    readable.append(picture)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return readable


def _download_one(
    client: Client, target: DatasetFolder, download: tuple[str, Item, GivenLabel]
) -> PictureToCompare | None:
    from classifier.clusters import PictureToCompare
    from classifier.prepare import InputSpec, prepare
    from core.perceptual import fingerprint
    from core.pictures import cut_out

    sha256, item, given = download
    data = target.read(sha256) if given.crop is None else None
    if data is None:
        data = client.picture(item)
        if given.crop is None:
            target.keep(sha256, data)
    try:
        # A part is compared by its whole picture, so that both are on the same side of the split.
        prepared = prepare(data, InputSpec(_SIDE))
        if given.crop is not None:
            data = cut_out(data, given.crop)
            sha256 = hashlib.sha256(data).hexdigest()
            target.keep(sha256, data)
    except ItemError:
        return None
    return PictureToCompare(sha256, fingerprint(prepared.picture), prepared.info.width / prepared.info.height)


def _require_pictures(
    labelled: LabelledPictures, labels_from: LabelsFrom, agreed: dict[str, Any] | None = None
) -> None:
    """Check that some picture has a label: before the agreement of labels, or after it if `agreed` is given."""
    if not (labelled.pictures if agreed is None else agreed):
        raise DatasetInvalid(
            f"no picture has a label by {labels_from.value}; left out: {_counts(labelled.left_out) or 'none'}"
        )


def _row(
    sha256: str,
    item: Item,
    given: GivenLabel,
    cluster: str,
    family: str,
    labelled: LabelledPictures,
    shares: dict[str, float],
    rest: str,
) -> dict[str, Any]:
    """Return a line of the manifest."""
    from classifier.clusters import choose_side
    from classifier.learning.data.folder import file_of

    side = choose_side(family, shares, rest)
    picture_format = "jpeg" if given.crop is not None else item.image.format if item.image else None
    others = [other.id for other, _ in labelled.pictures[sha256] if other.id != item.id]
    return {
        "file": file_of(side, check_folder_name(given.label), sha256, picture_format),
        "split": side,
        "label": given.label,
        "kind": given.kind,
        "label_from": given.label_from.value,
        "word": given.word,
        "cluster": cluster,
        "sha256": sha256,
        "crop": None if given.crop is None else asdict(given.crop),
        "item": item.id,
        "job": item.job_id,
        "same_picture": others,
        "source": {name: value for name, value in item.source.raw.items() if value is not None},
        "product_key": product_key(item),
        "product": None if item.product is None else {name: value for name, value in item.product.raw.items() if value},
    }


def _note(rows: list[dict[str, Any]], jobs: list[Job], labels: LabelsFrom) -> dict[str, str]:
    """Return the description of the pictures for the card of a model that is trained on the dataset."""
    weak = sum(row["kind"] == WEAK for row in rows)
    return {
        "title": f"{len(rows):,} pictures of {', '.join(job.name for job in jobs)}, labels by {labels.value}",
        "source": f"{', '.join(job.id for job in jobs)}; manifest.jsonl says where each picture came from",
        "licence": "that of each picture where it came from",
        "limits": f"It has seen only the pictures of these jobs. {weak:,} of the labels are unchecked words.",
    }


def _show(folder: Path, rows: list[dict[str, Any]], description: dict[str, Any]) -> None:
    sides = [side for side, share in description["shares"].items() if share]
    counts = Counter((row["label"], row["split"]) for row in rows)
    verified = Counter(row["label"] for row in rows if row["kind"] == VERIFIED)
    shown = table("label", *sides, "verified")
    names = [label["id"] for label in description["taxonomy"]["labels"]]
    for name in names:
        shown.add_row(name, *(f"{counts[name, side]:,}" for side in sides), f"{verified[name]:,}")
    out.print(shown)
    out.print(f"{len(rows):,} pictures of {description['clusters']:,} different photos in {folder}", markup=False)
    if description["left_out"]:
        out.print(f"left out: {_counts(description['left_out'])}")
    for side in sides[:2]:
        missing = [name for name in names if not counts[name, side]]
        if missing:
            more = ", …" if len(missing) > 10 else ""
            err.print(f"no pictures in {side} for {', '.join(islice(missing, 10))}{more}", markup=False)


def _counts(by_name: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(by_name.items()))
