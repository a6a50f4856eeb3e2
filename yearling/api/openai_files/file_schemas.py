"""Wire models of `/v1/files`. Data only. Source: the OpenAI API reference."""

from __future__ import annotations

from typing import Literal

from yearling.api.http.schemas import ResponseModel


class FileObject(ResponseModel):
    """A file that was uploaded, which is a document of the person's library."""

    id: str
    """ID of the file, which `/v1/documents` knows as well."""
    object: Literal["file"]
    """Always `file`."""
    bytes: int
    """Size of the file."""
    created_at: int
    """Time of the upload in Unix seconds."""
    expires_at: None
    """Always null. Files stay until they are deleted."""
    filename: str
    """Name of the file."""
    purpose: Literal["user_data"]
    """Always `user_data`: every file can be searched, whatever purpose the upload named."""
    status: Literal["uploaded", "processed", "error"]
    """`uploaded`: it is being read. `processed`: search can find it. `error`: it cannot be read."""
    status_details: str | None
    """Why it cannot be read; null otherwise."""


class FileList(ResponseModel):
    """Files of the caller's library."""

    object: Literal["list"]
    """Always `list`."""
    data: list[FileObject]
    """The files."""
    first_id: str | None
    """ID of the first file of this page."""
    last_id: str | None
    """ID of the last file of this page."""
    has_more: bool
    """Whether further files follow."""


class DeletedFile(ResponseModel):
    """Confirmation that a file was deleted."""

    id: str
    """ID of the deleted file."""
    object: Literal["file"]
    """Always `file`."""
    deleted: Literal[True]
    """Always true."""
