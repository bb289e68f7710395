"""Items that a worker rescores from stored vectors in a second, on a new SQLite database with synthetic rows.

python -m benchmarks.rescoring --items 100000
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, cast

import numpy as np
from sqlalchemy import Table, insert

from classifier.artifact import Artifact, list_artifacts
from core.clock import utc_now
from core.settings import PROJECT, Settings
from core.vectors import encode
from db import model_versions
from db.database import Database
from db.migrate import upgrade
from db.steps import lessons, submitting
from db.steps.submitting import NewJob
from db.tables import Blob, Item, ItemStatus, JobSource, LessonKind, Prediction, Vector
from worker.lessons.rescore import rescore
from worker.lessons.work import Order
from worker.predicting.model_store import describe

_BLOCK = 5000


def fill(database: Database, artifact: Artifact, count: int) -> Order:
    """Store a job whose items have the vectors of the artifact's reference, in turn. Return the order to rescore it."""
    reference = artifact.reference()
    assert reference is not None
    vectors = [encode(row.astype(np.float32)) for row in reference.validation_embeddings]
    scores = reference.validation_scores[: len(vectors)].astype(float)
    now, labels = utc_now(), artifact.taxonomy.labels
    with database.writing() as session:
        version = model_versions.register(session, describe(artifact), now)
        job = submitting.create(session, NewJob("synthetic", JobSource.UPLOADS, version), [], now)
        job.total = job.succeeded = count
        lesson = lessons.create(session, None, LessonKind.RESCORE, version, [job.id], {"everything": False}, now)
        job_id, version_id, order = job.id, version.id, Order.of(lesson)
    for start in range(0, count, _BLOCK):
        numbers = range(start, min(start + _BLOCK, count))
        rows: dict[type, list[dict[str, Any]]] = {Blob: [], Prediction: [], Vector: [], Item: []}
        for number in numbers:
            chosen = number % len(vectors)
            top = int(scores[chosen].argmax())
            sha256, prediction = f"{number:064x}", f"prd_{number:026}"
            known = {
                "label": labels[top].id,
                "label_group": labels[top].group,
                "confidence": float(scores[chosen][top]),
            }
            rows[Blob].append({"sha256": sha256, "bytes": 1, "created_at": now})
            rows[Prediction].append(
                {
                    "id": prediction,
                    "blob_sha256": sha256,
                    "crop_key": "",
                    "model_version_id": version_id,
                    "scores": scores[chosen].tolist(),
                    "created_at": now,
                    **known,
                }
            )
            rows[Vector].append({"prediction_id": prediction, "model_version_id": version_id, "data": vectors[chosen]})
            rows[Item].append(
                {
                    "id": f"itm_{number:026}",
                    "job_id": job_id,
                    "position": number,
                    "status": ItemStatus.SUCCEEDED,
                    "blob_sha256": sha256,
                    "source_name": f"{number}.jpg",
                    "prediction_id": prediction,
                    "created_at": now,
                    **known,
                }
            )
        with database.writing() as session:
            for table, values in rows.items():
                session.execute(insert(cast(Table, table.__table__)), values)  # type: ignore[attr-defined]
    return order


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    count = parser.parse_args().items
    artifact = list_artifacts(PROJECT / "models")[-1]
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        shutil.copytree(artifact.folder, models / artifact.ref.name / artifact.ref.version)
        database = Database(f"sqlite:///{Path(folder) / 'rescoring.db'}")
        upgrade(database)
        order = fill(database, artifact, count)
        found = rescore(Settings(home=Path(folder), models=models), database, order).result
        database.close()
    rate = round(found["items"] / found["seconds"])
    print(json.dumps({"items": found["items"], "seconds": found["seconds"], "items per second": rate}, indent=1))


if __name__ == "__main__":
    main()
