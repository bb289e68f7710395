"""The sources that the arguments of `lookbook submit` mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from cli.sources import Kind, Source, read_source


def read(*arguments: str, stdin: bytes = b"") -> Source:
    return read_source(arguments, lambda: stdin)


def names(source: Source) -> list[str]:
    return [file.name for file in source.files]


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "1.jpg",
        "coats/1.jpg",
        "coats/2.PNG",
        "notes.pdf",
        "rows.XLSX",
        "feed.xml.gz",
        "urls.txt",
        "all.tar.gz",
        "all.txz",
        "ALL.ZIP",
        "rows.csv",
        "rows.jsonl",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_means_its_pictures_named_by_their_paths(catalog: Path) -> None:
    source = read(str(catalog))
    assert source.kind is Kind.PICTURES
    assert names(source) == ["1.jpg", "coats/1.jpg", "coats/2.PNG"]


def test_a_named_file_is_taken_as_a_picture_whatever_its_ending(catalog: Path) -> None:
    assert names(read("notes.pdf", "coats/2.PNG")) == ["notes.pdf", "2.PNG"]


def test_files_of_the_same_name_get_their_paths_as_names(catalog: Path) -> None:
    assert names(read("1.jpg", "coats/1.jpg", "coats/2.PNG")) == ["1.jpg", "coats/1.jpg", "2.PNG"]
    assert names(read("./1.jpg", "../" + catalog.name + "/coats/1.jpg")) == ["1.jpg", f"{catalog.name}/coats/1.jpg"]


@pytest.mark.parametrize("pattern", ["**/*.jpg", "{}/**/*.jpg"])
def test_a_pattern_that_the_shell_did_not_expand_is_expanded(catalog: Path, pattern: str) -> None:
    assert len(read(pattern.format(catalog)).files) == 2


def test_an_existing_file_whose_name_looks_like_a_pattern_is_not_expanded(catalog: Path) -> None:
    (catalog / "look[1].jpg").touch()
    assert names(read("look[1].jpg")) == ["look[1].jpg"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("all.tar.gz", Kind.ARCHIVE),
        ("all.txz", Kind.ARCHIVE),
        ("ALL.ZIP", Kind.ARCHIVE),
        ("rows.csv", Kind.MANIFEST),
        ("rows.jsonl", Kind.MANIFEST),
        ("rows.XLSX", Kind.MANIFEST),
        ("feed.xml.gz", Kind.MANIFEST),
        ("urls.txt", Kind.MANIFEST),
    ],
)
def test_archives_and_manifests_are_recognised_by_their_endings(catalog: Path, name: str, kind: Kind) -> None:
    source = read(name)
    assert (source.kind, names(source)) == (kind, [name])


def test_urls_become_items(catalog: Path) -> None:
    source = read("https://shop.example/1.jpg", "HTTP://shop.example/2.jpg")
    assert source.kind is Kind.URLS
    assert source.urls == ["https://shop.example/1.jpg", "HTTP://shop.example/2.jpg"]


@pytest.mark.parametrize("stdin", [b"1.jpg\ncoats/2.PNG\n", b"1.jpg\0coats/2.PNG\0", b"\n1.jpg\r\ncoats/2.PNG"])
def test_standard_input_may_list_paths(catalog: Path, stdin: bytes) -> None:
    assert names(read("-", stdin=stdin)) == ["1.jpg", "2.PNG"]


def test_standard_input_may_list_urls(catalog: Path) -> None:
    assert read("-", stdin=b"https://shop.example/1.jpg\n").urls == ["https://shop.example/1.jpg"]


@pytest.mark.parametrize(
    ("stdin", "name"),
    [
        (b'{"url": "https://shop.example/1.jpg"}\n', "stdin.jsonl"),
        (b"id,URL\n7,https://shop.example/1.jpg\n", "stdin.csv"),
        (b"id;url\r\n7;https://shop.example/1.jpg\r\n", "stdin.csv"),
        ("상품코드,이미지\n7,https://shop.example/1.jpg\n".encode(), "stdin.csv"),
        (b"<rss><channel></channel></rss>", "stdin.xml"),
        (b'\xef\xbb\xbf"url"\nhttps://shop.example/1.jpg\n', "stdin.csv"),
    ],
)
def test_standard_input_may_be_a_manifest(catalog: Path, stdin: bytes, name: str) -> None:
    source = read("-", stdin=stdin)
    assert source.kind is Kind.MANIFEST
    assert [(file.name, file.content) for file in source.files] == [(name, stdin)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["1.jpg", "https://shop.example/1.jpg"],
            "one source, got pictures (1.jpg) and URLs (https://shop.example/1.jpg)",
        ),
        ([".", "all.tar.gz"], "pictures (1.jpg, …) and an archive (all.tar.gz)"),
        (["all.tar.gz", "ALL.ZIP"], "one source, got 2 archives"),
        (["gone.jpg"], "there is no file or folder 'gone.jpg'"),
        (["*.gif"], "no file matches '*.gif'"),
        (["-"], "found no pictures"),
    ],
)
def test_arguments_that_cannot_be_one_job_are_refused_with_the_reason(
    catalog: Path, arguments: list[str], sentence: str
) -> None:
    with pytest.raises(typer.BadParameter, match=re.escape(sentence)):
        read(*arguments)
