"""Take the screenshot of the README, a job of the sample pictures.

`python docs/screenshots/make.py [URL of a service]`
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from core.settings import PROJECT

TARGET = Path(__file__).parent / "results.png"


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    pictures = sorted((PROJECT / "samples" / "pictures").iterdir())
    files = [("images", (path.name, path.read_bytes())) for path in pictures]
    answer = httpx.post(f"{url}/v1/jobs", files=files, data={"name": "Autumn catalog"}, headers={"Prefer": "wait=30"})
    chromium = os.environ.get("LOOKBOOK_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url + answer.json()["links"]["page"])
        page.wait_for_selector("#line.done")
        page.locator(".cell img.in").nth(15).wait_for()
        page.screenshot(path=TARGET, animations="disabled")
        browser.close()
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
