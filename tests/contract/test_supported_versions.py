"""The page for operators names the versions that the code supports."""

from __future__ import annotations

import re

import pytest

from core.settings import PROJECT
from core.versions import CHROMIUM, POSTGRESQL, REDIS, Supported


@pytest.mark.parametrize("supported", [REDIS, POSTGRESQL, CHROMIUM], ids=lambda supported: supported.program)
def test_the_page_for_operators_names_the_versions_that_the_code_supports(supported: Supported) -> None:
    page = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("<!-- versions:begin -->")[2].partition("<!-- versions:end -->")[0]
    written = dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", table, re.MULTILINE))
    assert f"{supported.program} {written[supported.program]}" == str(supported)
