"""`lookbook runs`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from classifier.learning.judging.leaderboard import TITLES, Board, By, figure, interval, make_boards
from classifier.learning.training.run_folder import RunFolder
from cli.output import AsJson, out, print_json, printable, table
from core.clock import utc_now
from core.settings import Settings

if TYPE_CHECKING:
    from classifier.learning.judging.leaderboard import RankedRun


def runs(
    by: Annotated[By, typer.Option(help="The figure by which the runs are ranked.")] = By.MACRO_F1,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the leaderboard as one page of HTML.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show all training runs, ranked by a figure: recipe, figures with 95 % intervals, cost, published version.

    Runs on other pictures have a table of their own, because their figures cannot be compared. The recipe's column has
    the settings that differ within the table.

    Examples:

        lookbook runs

        lookbook runs --by accuracy --json

        lookbook runs --html leaderboard.html
    """
    boards = make_boards(RunFolder.list(Settings.read().home), by)
    if html is not None:
        from classifier.learning.judging.leaderboard_page import leaderboard_page

        html.write_text(leaderboard_page(boards, by, utc_now()), "utf-8")
    if as_json:
        print_json([_as_json(board, by) for board in boards])
        return
    for board in boards:
        _show(board, by)
    if not boards:
        out.print("There are no training runs yet: `lookbook train` makes one.")
    if html is not None:
        out.print(f"wrote {html}", markup=False)


def _as_json(board: Board, by: By) -> dict[str, object]:
    return {
        "data": asdict(board.data),
        "by": by.value,
        "runs": [
            {"place": run.place, "differing": run.settings}
            | asdict(run.record)
            | {"started_at": str(run.record.started_at), "ended_at": str(run.record.ended_at or "") or None}
            for run in board.runs
        ],
    }


def _show(board: Board, by: By) -> None:
    data = board.data
    out.print(
        f"[bold]{escape(printable(data.title))}[/bold] · {data.training_pictures:,} pictures to learn from, "
        f"{data.validation_pictures:,} to judge by · data {data.hash[:12]}"
    )
    figures = [by, *(each for each in (By.MACRO_F1, By.ACCURACY, By.CALIBRATION_ERROR) if each is not by)]
    figures = [each for each in figures if each is not By.SECONDS]
    columns = ("", "version", *(TITLES[each] for each in figures), "time", "CPU time", "memory", "recipe")
    shown = table(*columns, wrapping="recipe")
    for run in board.runs:
        shown.add_row(*_cells(run, figures))
    out.print(shown, markup=False)
    out.print()


def _cells(run: RankedRun, figures: list[By]) -> list[str]:
    record, cost = run.record, run.record.cost
    version = record.published or f"{record.model} ({record.state})"
    settings = " · ".join(f"{name} {value}" for name, value in run.settings.items())
    return [
        str(run.place or "–"),
        printable(version),
        *(_figure(run, each) for each in figures),
        f"{cost.seconds:,.0f} s",
        f"{cost.cpu_seconds:,.0f} s",
        f"{cost.peak_memory_bytes / 2**30:.1f} GiB",
        printable(settings or str(record.recipe.get("backbone", ""))),
    ]


def _figure(run: RankedRun, by: By) -> str:
    value, ends = figure(run.record, by), interval(run.record, by)
    if value is None:
        return "–"
    return f"{value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})" if ends else f"{value:.3f}"
