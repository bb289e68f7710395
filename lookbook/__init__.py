"""The Python client of Lookbook: `Client().classify("dress.jpg")`. docs/client.md describes it."""

from lookbook.answers import Item, JobState, Summary
from lookbook.client import DEFAULT_URL, Client
from lookbook.errors import (
    Error,
    FieldError,
    FileChanged,
    LessonFailed,
    NotPromoted,
    NotReached,
    ProblemError,
    UnexpectedAnswer,
    UploadInterrupted,
    WaitTimeout,
)
from lookbook.jobs import Job
from lookbook.multipart import Upload
from lookbook.uploads import PICTURE_SUFFIXES, pictures_in

__all__ = [
    "DEFAULT_URL",
    "PICTURE_SUFFIXES",
    "Client",
    "Error",
    "FieldError",
    "FileChanged",
    "Item",
    "Job",
    "JobState",
    "LessonFailed",
    "NotPromoted",
    "NotReached",
    "ProblemError",
    "Summary",
    "UnexpectedAnswer",
    "Upload",
    "UploadInterrupted",
    "WaitTimeout",
    "pictures_in",
]
