"""Use the client that openapi-python-client generates: `python with_openapi_python_client.py URL PICTURE…`."""

from __future__ import annotations

import json
import sys
import time
from io import BytesIO
from pathlib import Path

from lookbook_client import Client
from lookbook_client.api.classifications import classify_upload
from lookbook_client.api.items import get_thumbnail
from lookbook_client.api.jobs import create_upload_job, export_job, get_job, list_items
from lookbook_client.models import (
    ClassifyUploadFilesBody,
    CreateUploadJobBody,
    ItemOut,
    ItemsOut,
    JobDetailOut,
    JobOut,
)
from lookbook_client.types import File

client = Client(base_url=sys.argv[1], timeout=60)
paths = [Path(name) for name in sys.argv[2:]]
files = [File(BytesIO(path.read_bytes()), path.name, "image/jpeg") for path in paths]
job = create_upload_job.sync(client=client, body=CreateUploadJobBody(images=files, name="generated"))
assert isinstance(job, JobOut), job
while True:
    state = get_job.sync(job.id, client=client)
    assert isinstance(state, JobDetailOut), state
    if state.status == "completed":
        break
    time.sleep(0.2)
page = list_items.sync(job.id, client=client)
assert isinstance(page, ItemsOut), page
single = classify_upload.sync(
    client=client, body=ClassifyUploadFilesBody(image=File(BytesIO(paths[0].read_bytes()), paths[0].name, "image/jpeg"))
)
assert isinstance(single, ItemOut), single
json.dump(
    {
        "names": [item.source.name for item in page.data],
        "csv": export_job.sync_detailed(job.id, client=client).content.decode("utf-8-sig"),
        "thumbnail": get_thumbnail.sync_detailed(page.data[0].id, client=client).content[:2].hex(),
        "single": single.prediction.label.id if single.prediction else None,
    },
    sys.stdout,
)
