"""Write docs/benchmarks.md, its plots and docs/duplicates.md from the figures in results/."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import devices, first_result, maps, plots, stored_vectors, vectors
from benchmarks.browsing_section import browsing
from benchmarks.duplicates_page import write_page
from benchmarks.run import read
from core.settings import PROJECT

PAGE = PROJECT / "docs" / "benchmarks.md"
PLOTS = PROJECT / "docs" / "benchmarks"

_HEAD = """# Benchmarks

This page is for anyone who wants to know how fast Lookbook is and how much memory it needs, and for contributors who
want to compare a change with these figures.

`make bench` measures everything again (about half an hour) and writes this page. `make bench ARGS="start reuse"`
measures only the named parts. The things that are compared take turns within one run. Tables show medians, with the
lowest and the highest value in brackets. Absolute figures depend on the machine and on what else runs on it; ratios
depend on them less. The pictures are cut from the photographs inside scikit-image. Lookbook has not been run on a GPU
or in Docker yet; `make bench ARGS=gpu` measures [what has to be known about a GPU](capacity.md#a-gpu).
"""


def write_report() -> Path:
    """Write the page from the stored figures and return its path."""
    PLOTS.mkdir(exist_ok=True)
    parts = [_HEAD]
    for name, section in _SECTIONS.items():
        figures = read(name)
        if figures is not None:
            parts += [section(figures).strip() + "\n", f"<small>{figures['machine']}; {figures['software']}</small>\n"]
    write_page()
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")
    return PAGE


def _throughput(figures: dict[str, Any]) -> str:
    rows = []
    for size, precisions in figures["sizes"].items():
        for precision, found in precisions.items():
            rates, to_limit, to_keras = found["rates"], found["service_to_limit"], found["service_to_keras"]
            cells = (_rate(rates["limit"]), _rate(rates["service"]), _ratio(to_limit))
            rows.append((f"{size} px, {precision}", *cells, _rate(rates["keras"]), _ratio(to_keras)))
    plots.throughput(figures, PLOTS / "throughput.svg")
    share = max(f["client_share"]["median"] for p in figures["sizes"].values() for f in p.values())
    return f"""## Throughput: the service compared with one process

Pictures per second. *Limit*: one process without a service uses all cores, from bytes on disk to scores, and stores
nothing. *Service*: the same pictures go over HTTP in twenty requests, through Redis and the workers, into the database,
from the first byte to the last commit (the client itself takes at most {share:.1%} of the processor time). *Keras*:
plain Pillow and `keras.predict` in batches of 32.

{_table(("pictures", "limit", "service", "service / limit", "Keras", "service / Keras"), rows)}

![Limit, service and Keras](benchmarks/throughput.svg)
"""


def _rivals(figures: dict[str, Any]) -> str:
    ratios = figures["times_as_fast"]
    rows = [
        (name, _rate(rate), _ratio(ratios[name]) if name in ratios else "") for name, rate in figures["rates"].items()
    ]
    plots.bars({n: r["median"] for n, r in figures["rates"].items()}, "pictures per second", PLOTS / "rivals.svg")
    return f"""## Compared with LitServe

The same model and the same pictures (400 px): behind LitServe, with {figures["in_flight"]} requests always under way,
and as jobs of this service in {figures["precision"]}. The fair comparison is with LitServe in the same precision.
LitServe stores nothing and answers from memory, and one bad picture fails its whole batch.

{_table(("server", "pictures/s", "Lookbook's rate divided by its rate"), rows)}

![Pictures per second of each](benchmarks/rivals.svg)
"""


def _interactive(figures: dict[str, Any]) -> str:
    rows = [
        (name, f"{1000 * found['median']:.0f} ms", f"{1000 * found['p95']:.0f} ms", str(found["count"]))
        for name, found in (("idle", figures["idle"]), ("under a bulk job", figures["under_load"]))
    ]
    return f"""## One picture during a bulk job

`POST /v1/classifications` with a picture of 400 px: one request at a time on an idle service, and
{figures["requests_per_second"]:g} requests a second while a bulk job saturates the worker.

{_table(("", "median", "p95", "requests"), rows)}

- The p95 under load is {figures["p95_ratio"]:.1f} times the idle p95.
- The bulk job keeps {_percent(figures["bulk_kept"])} of its rate without the single pictures.
- Decoding and predicting the same pictures without a service takes {1000 * figures["bare_median"]:.1f} ms (median).
  The service adds {1000 * figures["overhead_median"]:.0f} ms for storing the picture durably, the job's row, two trips
  through Redis, the prediction's row and the answer.
"""


def _pipeline(figures: dict[str, Any]) -> str:
    rows = [(name, _rate(rate)) for name, rate in figures["rates"].items()]
    return f"""## Queue, batching and database alone

Decoded pictures and a model that costs nothing, {figures["items"]:,} items a round. The figures show how fast a GPU
these parts could keep busy.

{_table(("database", "items/s"), rows)}
"""


def _fairness(figures: dict[str, Any]) -> str:
    seconds = figures["seconds"]
    rows = [
        ("alone", _seconds(seconds["alone"]), "–"),
        ("during the huge job", _seconds(seconds["beside"]), _plain(figures)),
    ]
    return f"""## A small job during a huge one

The time of a job of {figures["small"]} items, alone and while a job of {figures["huge"]:,} items keeps the worker busy
(SQLite, a model that costs nothing), and the number of the huge job's chunks of {figures["chunk"]} items that end in
that time.

{_table(("the small job", "takes", "chunks of the huge job"), rows)}
"""


def _plain(figures: dict[str, Any]) -> str:
    found = figures["chunks_waited"]
    return f"{found['median']:.1f} ({found['lowest']:.1f}–{found['highest']:.1f})"


def _reuse(figures: dict[str, Any]) -> str:
    seconds = figures["seconds"]
    rows = [
        ("from acceptance to the end", _seconds(seconds["first"]), _seconds(seconds["again"])),
        ("with the upload", _seconds(seconds["first_whole"]), _seconds(seconds["again_whole"])),
    ]
    return f"""## The same job again

{figures["pictures"]:,} pictures of 400 px, submitted twice. The second time {figures["reused"]:,} predictions are
reused and the model does not run.

{_table(("", "first", "again"), rows)}

The second job is {figures["times_faster"]["median"]:.0f} times faster from acceptance to the end, and
{figures["times_faster_with_upload"]["median"]:.0f} times faster with the upload, which must be received and hashed
again.
"""


def _extraction(figures: dict[str, Any]) -> str:
    names = ("recall", "precision", "title", "price")
    rows = [
        (kind, f"{row['pages']:,}", *(f"{row[name]:.1%}" for name in names), _milliseconds(row["milliseconds"]))
        for kind, row in figures["kinds"].items()
    ]
    large = figures["large"]
    kilobytes = [row["kilobytes"] for row in figures["kinds"].values()]
    return f"""## Extraction from shops' pages

Every product page of the [fixture shop](../tests/shop/README.md), grouped by the format in which the pages describe
their products, and the searches of a shop that a [recipe](crawling.md#recipes) reads. A picture is right if it is the
page's largest file of a photo of its product. Titles and prices are compared for the right pictures. The time is the
processor time of extraction alone, on one core. The pages have {min(kilobytes):.0f} to {max(kilobytes):.0f} kB. A page
of {large["kilobytes"]:.0f} kB with {large["products"]} products and {large["links"]} links takes
{_milliseconds(large["milliseconds"])}.

{_table(("pages of", "pages", *names, "a page"), rows)}

{_rate(figures["product_pages_per_second"])} product pages a second on one core.
"""


def _receiving(figures: dict[str, Any]) -> str:
    rows = [
        (f"{int(pictures):,}", f"{found['processor_ms']:.2f} ms", _milliseconds(found["waited_ms"]))
        for pictures, found in figures["by_request"].items()
    ]
    return f"""## Receiving pictures

The cost of one picture of {figures["bytes"]:,} bytes for the API, from its first byte until the picture and its row are
durable (SQLite, a folder on this machine's disk) and the answer is sent. No worker runs. A second run within five
minutes shows higher figures, because ext4 is slow to reuse the inodes of files that were just deleted.

{_table(("pictures in a request", "processor time of the API, each", "time until the answer, each"), rows)}
"""


def _fetching(figures: dict[str, Any]) -> str:
    rates = figures["rates"]
    row = (_rate(rates["httpx"]), _rate(rates["job"]), _ratio(figures["ratio"]))
    return f"""## Downloading pictures

Pictures per second: {figures["pictures"]} pictures of {figures["bytes"]:,} bytes from one server on loopback, over
{figures["connections"]} connections. A job of their URLs is measured from its submission until every picture is on the
disk and in the database (SQLite) and its chunk is sent on to be classified. Plain httpx uses as many threads and stores
nothing.

{_table(("httpx, into memory", "a job of URLs", "ratio"), [row])}
"""


def _crawling(figures: dict[str, Any]) -> str:
    rates, ratio = figures["rates"], figures["ratio"]
    rows = [(name, _rate(rates[name]["pages"]), _rate(rates[name]["pictures"])) for name in ("scrapy", "crawl")]
    early, late = figures["memory"]
    return f"""## Crawling

Pages and pictures per second, from the first request to the last, on the fixture shop: {figures["products"]} products
by its sitemap, {figures["connections"]} connections and no pause between requests. Plain Scrapy uses its sitemap spider
and its ImagesPipeline, which stores files by their URLs. A crawl job goes through the guarded fetcher, hashes each
picture, and stores it in the blob store and in the database (SQLite) as an item with its page, title and price.

{_table(("", "pages", "pictures"), rows)}

The crawl reaches {_ratio(ratio["pictures"])} times Scrapy's pictures per second, and {_ratio(ratio["all"])} times its
pages and pictures together, because it finds more pictures on the same pages. A crawl that was killed with SIGKILL
{figures["killed"]} times at random moments, and resumed each time, lost {figures["lost"]} pictures and stored
{figures["twice"]} twice. Over {figures["many_pages"]:,} product pages ({figures["pages_per_second"]:.0f} a second) the
crawl's process took {early:.0f} MiB after a fifth of them and {late:.0f} MiB at the end.
"""


def _ingest(figures: dict[str, Any]) -> str:
    rows = [
        (
            f"{found['items']:,} {name}" if name == "uploads" else f"{name} of {found['items']:,}",
            f"{found['megabytes']:,.0f} MB",
            f"{found['answered_seconds']:.2f} s",
            f"{found['read_seconds']:.1f} s",
            f"{found['api_megabytes_more']:,.0f} MB",
            f"{found['expander_megabytes_more']:,.0f} MB",
        )
        for name, found in figures["sources"].items()
    ]
    return f"""## Large submissions

One request each, with pictures of {figures["bytes"]:,} bytes, on SQLite and a folder on this disk. No worker opens the
pictures. The last two columns show by how much the submission raises the peak memory of a process.

{_table(("source", "body", "answered after", "all items stored after", "API", "expander"), rows)}
"""


def _polling(figures: dict[str, Any]) -> str:
    rows = []
    for kind, found in figures["databases"].items():
        for name, part in ((f"{kind}, open", found), (f"{kind}, with a key", found["with_key"])):
            rates = part["per_core_second"]
            rows.append((name, _rate(rates["healthz"]), _rate(rates["unchanged"]), _ratio(part["ratio"])))
    return f"""## Polls of a job that has not changed

Answers for each second of the API's processor time, on {figures["connections"]} connections to one process of the API:
polls with `If-None-Match` that are answered 304, and `/healthz` of the same process.

{_table(("database", "/healthz", "304", "ratio"), rows)}
"""


def _paging(figures: dict[str, Any]) -> str:
    rows = []
    for kind, found in figures["databases"].items():
        for name, times in found["pages"].items():
            first, deep = _milliseconds(times["first_ms"]), _milliseconds(times["deep_ms"])
            rows.append((kind, name, first, deep, _ratio(times["ratio"])))
    summaries = ", ".join(f"{_milliseconds(f['summary_ms'])} on {k}" for k, f in figures["databases"].items())
    return f"""## Pages and the summary of a job of {figures["items"]:,} items

Requests over HTTP, {figures["limit"]} items a page: page 1 compared with page {figures["page"]:,}.

{_table(("database", "order and filter", "page 1", f"page {figures['page']:,}", "ratio"), rows)}

The summary takes {summaries}.
"""


def _exporting(figures: dict[str, Any]) -> str:
    rows = []
    for name, found in figures["formats"].items():
        memory, growth = max(found["resident"]), found["growth_after_tenth"]
        rate, size = f"{found['rows_per_second']:,.0f}", f"{found['megabytes']:,.0f} MB"
        rows.append((name, rate, size, f"{found['resident_before']:.0f} MB", f"{memory:.0f} MB", f"{growth:+.1f} MB"))
    head = ("format", "rows/s", "file", "API before", "API at most", "growth after the first tenth")
    return f"""## An export of {figures["rows"]:,} rows

The three formats one after the other, from one process of the API (SQLite), and that process's resident memory during
each export.

{_table(head, rows)}
"""


def _start(figures: dict[str, Any]) -> str:
    weights = figures["megabytes"]
    rows = [
        (f"API, {weights['api_processes']} processes together", f"{weights['api']:.0f} MB"),
        ("API, its largest process (resident)", f"{weights['api_largest_rss']:.0f} MB"),
        ("worker", f"{weights['worker']:.0f} MB"),
        ("worker (resident)", f"{weights['worker_rss']:.0f} MB"),
        (f"its {weights['decoder_processes']} decoder and helper processes together", f"{weights['decoders']:.0f} MB"),
    ]
    return f"""## Start and memory

A CPU worker is ready {_seconds(figures["worker_ready_seconds"])} after its start. In this time the interpreter starts,
the model is compiled and warmed up, and the first heartbeat is sent.

{_table(("after 500 pictures", "memory"), rows)}

If several processes share a page of memory, each process is charged its share (PSS). Resident memory counts the page
for each of them.
"""


def _memory(figures: dict[str, Any]) -> str:
    plots.memory(figures, PLOTS / "memory.svg")
    growth = ", ".join(f"{name} {value:+.0f} MB" for name, value in figures["growth_megabytes"].items())
    last = figures["samples"][-1]["pictures"]
    return f"""## Memory over {last:,} pictures

Growth between the 2,000th and the {last:,}th picture: {growth}. The API grows by the page
cache of SQLite's connections (2 MB each) and by the memory that the allocator keeps for each thread that has served an
upload (1 MB). This growth ends when every thread has served an upload. The memory of Python objects does not grow.

![Memory of API, worker and decoders](benchmarks/memory.svg)
"""


def _runtimes(figures: dict[str, Any]) -> str:
    rows = [(name, _rate(found["rate"]), _ratio(found["ratio"])) for name, found in figures["runtimes"].items()]
    return f"""## The prediction alone

`{figures["model"]}` on prepared pixels in memory, with as many batches at once as the runtime has slots.

{_table(("runtime", "pictures/s", "ratio"), rows)}
"""


_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "throughput": _throughput,
    "rivals": _rivals,
    "interactive": _interactive,
    "first_result": first_result.section,
    "pipeline": _pipeline,
    "devices": devices.section,
    "fairness": _fairness,
    "receiving": _receiving,
    "fetching": _fetching,
    "crawling": _crawling,
    "ingest": _ingest,
    "polling": _polling,
    "paging": _paging,
    "browsing": browsing,
    "exporting": _exporting,
    "vectors": vectors.section,
    "maps": maps.section,
    "reuse": _reuse,
    "stored_vectors": stored_vectors.section,
    "extraction": _extraction,
    "start": _start,
    "memory": _memory,
    "runtimes": _runtimes,
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rate(found: dict[str, float]) -> str:
    return f"{found['median']:,.0f} ({found['lowest']:,.0f}–{found['highest']:,.0f})"


def _ratio(found: dict[str, float]) -> str:
    return f"{found['median']:.2f} ({found['lowest']:.2f}–{found['highest']:.2f})"


def _percent(found: dict[str, float]) -> str:
    return f"{found['median']:.0%} ({found['lowest']:.0%}–{found['highest']:.0%})"


def _milliseconds(found: dict[str, float]) -> str:
    return f"{found['median']:.2f} ms ({found['lowest']:.2f}–{found['highest']:.2f})"


def _seconds(found: dict[str, float]) -> str:
    return f"{found['median']:.2f} s ({found['lowest']:.2f}–{found['highest']:.2f})"
