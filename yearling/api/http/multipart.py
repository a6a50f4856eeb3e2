"""Uploads as forms (`multipart/form-data`, RFC 7578): one file, written as it arrives, and a few short fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from yearling.api.http.body import receive_body
from yearling.api.http.errors import ApiError

_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 4_096
_MAX_OVERHEAD_BYTES = 65_536
"""What boundaries, headers and fields may add to the file."""


@dataclass(slots=True)
class UploadForm:
    """A form that was read. `size_bytes` is that of the file; None if the form has none."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
    size_bytes: int | None = None


async def read_upload_form(
    request: Request, write: Callable[[bytes], object], *, file_field: str, max_file_bytes: int
) -> UploadForm:
    """Read a form, and pass the content of its file to `write`, part by part.

    Raises ApiError: 400 for what is no form, a second file, or too many or too long fields; 413 above the limit.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 256:
        raise _invalid("The header Content-Type has no boundary.")
    reader = _FormReader(write, file_field, max_file_bytes)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.begin_part,
            "on_header_field": reader.add_header_name,
            "on_header_value": reader.add_header_value,
            "on_header_end": reader.end_header,
            "on_headers_finished": reader.end_headers,
            "on_part_data": reader.add_data,
            "on_part_end": reader.end_part,
            "on_end": reader.end,
        },
    )
    try:
        await receive_body(request, parser.write, max_bytes=max_file_bytes + _MAX_OVERHEAD_BYTES, name="form")
        parser.finalize()
    except FormParserError as error:
        raise _invalid(f"The body is no form ({error}).") from None
    if not reader.is_complete:
        raise _invalid("The form ends too early.")
    return reader.form


class _FormReader:
    """Callbacks of the parser."""

    def __init__(self, write: Callable[[bytes], object], file_field: str, max_file_bytes: int) -> None:
        self.form = UploadForm()
        self.is_complete = False
        self._write, self._file_field, self._max_file_bytes = write, file_field, max_file_bytes
        self._header_name, self._header_value = bytearray(), bytearray()
        self._disposition = b""
        self._field_name = ""
        self._value = bytearray()
        self._num_fields = 0

    def begin_part(self) -> None:
        """A part begins."""
        self._num_fields += 1
        if self._num_fields > _MAX_FIELDS:
            raise _invalid(f"The form has more than {_MAX_FIELDS} fields.")
        self._disposition, self._field_name, self._value = b"", "", bytearray()

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        """A part of the name of a header."""
        self._header_name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        """A part of the value of a header."""
        self._header_value += data[start:end]

    def end_header(self) -> None:
        """A header is complete."""
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name, self._header_value = bytearray(), bytearray()

    def end_headers(self) -> None:
        """All headers of a part are complete."""
        _, options = parse_options_header(self._disposition)
        if not (name := options.get(b"name", b"")):
            raise _invalid("A part of the form has no name.")
        self._field_name = name.decode("utf-8", "replace")
        if self._field_name == self._file_field:
            if self.form.size_bytes is not None:
                raise _invalid(f"The form has two fields {self._file_field!r}.", self._file_field)
            self.form.size_bytes = 0
            self.form.file_name = options.get(b"filename", b"").decode("utf-8", "replace")

    def add_data(self, data: bytes, start: int, end: int) -> None:
        """A part of the content of a part."""
        if self._field_name == self._file_field and self.form.size_bytes is not None:
            self.form.size_bytes += end - start
            if self.form.size_bytes > self._max_file_bytes:
                raise ApiError(
                    413,
                    f"The file is larger than {self._max_file_bytes} bytes.",
                    param=self._file_field,
                    code="request_too_large",
                    headers={"connection": "close"},
                )
            self._write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MAX_FIELD_BYTES:
            raise _invalid("A field of the form is too long.", self._field_name[:100])

    def end_part(self) -> None:
        """A part is complete."""
        if self._field_name != self._file_field:
            self.form.fields[self._field_name] = self._value.decode("utf-8", "replace")

    def end(self) -> None:
        """The form is complete."""
        self.is_complete = True


def _invalid(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code="invalid_value")
