"""`lookbook trust`, `lookbook accept` and `lookbook unaccept`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import AsJson, ExitCode, JobId, Key, Url, err, open_job, out, print_json, table
from lookbook import DEFAULT_URL
from lookbook.trust_answers import Estimate, Trust

Target = Annotated[
    float, typer.Option(min=0.5, max=0.9999, help="The wanted share of right predictions among the accepted ones.")
]


def trust(
    job_id: JobId,
    target: Target = 0.98,
    next_reviews: Annotated[
        bool, typer.Option("--next-reviews", help="Print only the ids of the items to review next, one a line.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show from which confidence on the predictions of a job can be accepted without a look.

    The estimate rests on the validation pictures of the model and, once there are 50, on the reviews of the job. The
    first line is for all labels together, and each further line for one label with a threshold of its own.

    Examples:

        lookbook trust job_01k…

        lookbook trust job_01k… --target 0.95 --json

        lookbook trust job_01k… --next-reviews | xargs -n1 lookbook review --help
    """
    with open_job(job_id, url, key) as job:
        found = job.trust(target)
    if next_reviews:
        for item_id in found.next_reviews:
            out.print(item_id, markup=False)
    elif as_json:
        print_json(found.raw)
    else:
        _print_trust(found)


def _print_trust(found: Trust) -> None:
    shown = table("label", "from", "precision", "95 % interval", "judged", "accepted", "left")
    rows = [("all labels", found.waiting, found.estimate)]
    rows += [(label.id, label.waiting, label.estimate) for label in found.labels]
    for name, waiting, estimate in rows:
        if estimate is None:
            shown.add_row(name, "–", "", "", "", "0", f"{waiting:,}")
        else:
            shown.add_row(name, *_cells(estimate), f"{waiting - estimate.accepted:,}")
    out.print(shown)
    by_reviews = found.reviews >= found.min_reviews
    source = f"{found.validation:,} validation pictures of {found.model}"
    source += f" and {found.reviews:,} reviews" if by_reviews else ""
    out.print(f"estimated from {source}", markup=False)
    if not by_reviews:
        out.print(f"reviews of this job count from {found.min_reviews} on; it has {found.reviews:,}")
    if found.estimate is None:
        out.print(f"no threshold reaches {found.target:.1%}, or too few judged pictures are above it")
    if found.acceptance is not None:
        out.print(
            f"a policy accepts {found.acceptance.accepted:,} items since {found.acceptance.at:%Y-%m-%d %H:%M} UTC"
        )


def _cells(estimate: Estimate) -> tuple[str, ...]:
    return (
        f"{estimate.threshold:.3f}",
        f"{estimate.precision:.1%}",
        f"{estimate.low:.1%} – {estimate.high:.1%}",
        f"{estimate.judged:,}",
        f"{estimate.accepted:,}",
    )


def accept(
    job_id: JobId,
    target: Target = 0.98,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Accept from this confidence on, whatever the estimate says.", show_default=False
        ),
    ] = None,
    by_label: Annotated[bool, typer.Option("--by-label", help="Take the threshold of each label.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Accept the predictions of a job from the threshold on at which they reach the target.

    They are marked as accepted by this policy, which is no review. `lookbook unaccept` takes it back. The command
    accepts nothing and ends with 1 if no threshold reaches the target.

    Examples:

        lookbook accept job_01k… --target 0.98

        lookbook accept job_01k… --by-label

        lookbook accept job_01k… --threshold 0.9
    """
    if threshold is not None and by_label:
        raise typer.BadParameter("expected either --threshold or --by-label", param_hint="--threshold")
    with open_job(job_id, url, key) as job:
        if threshold is not None:
            policy = job.accept(threshold)
        else:
            found = job.trust(target)
            chosen = found.thresholds if by_label else found.estimate and found.estimate.threshold
            if not chosen:
                err.print(f"no threshold reaches {target:.1%}, or too few judged pictures are above it", style="red")
                raise typer.Exit(ExitCode.ERROR)
            policy = job.accept(chosen, target)
    if as_json:
        print_json(policy.raw)
    else:
        out.print(f"{policy.items:,} items are accepted by the policy; `lookbook unaccept {job_id}` takes it back")


def unaccept(job_id: JobId, url: Url = DEFAULT_URL, key: Key = "") -> None:
    """Remove the policy of a job, so that nothing is accepted by it any more.

    Example:

        lookbook unaccept job_01k…
    """
    with open_job(job_id, url, key) as job:
        job.unaccept()
    err.print(f"no item of {job_id} is accepted by a policy now")
