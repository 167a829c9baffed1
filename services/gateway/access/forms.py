"""An upload's form on its way to dataprep: its files pass as they come, its collection becomes the caller's
own.

The form is written anew, with a boundary that its sender cannot know and the collection as its last field,
which is the one that counts: so whatever the sender's form looks like, it cannot say another collection.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from urllib.parse import parse_qsl, urlencode

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.core.errors import (
    InvalidRequest,
    MalformedRequest,
    PayloadTooLarge,
    RaglineError,
    UnsupportedMedia,
)
from services.core.wire.dataprep import COLLECTION_FIELDS
from services.core.wire.passages import COLLECTION_PATTERN, DEFAULT_COLLECTION
from services.gateway.access.tenants import stored_name

URLENCODED = "application/x-www-form-urlencoded"
_MAX_NAME_BYTES = 1024
_MAX_FORM_BYTES = 65_536
_MAX_HEADER_BYTES = 16_384


def choose_collection(given: Mapping[str, str]) -> str:
    """Return the stored name of the collection that a form's fields name.

    Raises:
        InvalidRequest: They name two, or what can be no collection.
    """
    names = {name for name in given.values() if name} or {DEFAULT_COLLECTION}
    if len(names) > 1:
        raise InvalidRequest("index_name and collection name two collections: send one of them")
    (name,) = names
    if not COLLECTION_PATTERN.fullmatch(name):
        raise InvalidRequest(f"collection: a name matches {COLLECTION_PATTERN.pattern}")
    return stored_name(name)


class TenantFields:
    """Reads a caller's urlencoded form, which has links and no files, and writes the one that dataprep
    gets."""

    content_type = URLENCODED

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.received = 0
        self.error: RaglineError | None = None

    async def write(self) -> AsyncGenerator[bytes]:
        """Yield the form that dataprep gets; a failure is in `error` too."""
        text = b""
        try:
            async for piece in self._body:
                text += piece
                self.received = len(text)
                if len(text) > _MAX_FORM_BYTES:
                    raise PayloadTooLarge(
                        f"the form is larger than {_MAX_FORM_BYTES} bytes: send files as multipart"
                    )
            fields = parse_qsl(text.decode("ascii", "replace"), keep_blank_values=True)
            given = {name: value for name, value in fields if name in COLLECTION_FIELDS}
            others = [(name, value) for name, value in fields if name not in COLLECTION_FIELDS]
            yield urlencode([*others, ("collection", choose_collection(given))]).encode()
        except RaglineError as error:
            self.error = error
            raise


class TenantForm:
    """Reads a caller's form and writes the one that dataprep gets."""

    def __init__(self, body: AsyncIterator[bytes], content_type: str) -> None:
        """Prepare to read.

        Args:
            body: The caller's form, as it comes.
            content_type: Its content type, with the boundary.

        Raises:
            UnsupportedMedia: The content type names no boundary.
        """
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UnsupportedMedia("upload files as multipart/form-data, in fields named `files`")
        self._body = body
        self._boundary = uuid.uuid4().hex
        self._out = bytearray()
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._names: dict[str, bytearray] = {}
        self._field = ""
        self._ended = False
        self.received = 0
        self.error: RaglineError | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    @property
    def content_type(self) -> str:
        """The content type of the form that dataprep gets."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def write(self) -> AsyncGenerator[bytes]:
        """Yield the form that dataprep gets.

        A failure ends the form before its closing boundary, so that dataprep takes none of it; it is in
        `error`, because the client that sends the form says something of its own.
        """
        try:
            async for piece in self._body:
                self.received += len(piece)
                self._parser.write(piece)
                if self._out:
                    yield bytes(self._out)
                    self._out.clear()
            if not self._ended:
                raise MalformedRequest("the multipart body ends before its closing boundary: it was cut off")
            yield self._finish()
        except FormParserError as error:
            self.error = MalformedRequest(f"the multipart body is broken: {error}")
            raise self.error from None
        except RaglineError as error:
            self.error = error
            raise

    def _finish(self) -> bytes:
        """Name the collection, last and as it is stored, and close the form."""
        name = choose_collection(
            {field: value.decode("utf-8", "replace") for field, value in self._names.items()}
        )
        field = 'Content-Disposition: form-data; name="collection"'
        return f"--{self._boundary}\r\n{field}\r\n\r\n{name}\r\n--{self._boundary}--\r\n".encode()

    def _begin_part(self) -> None:
        self._header.clear()
        self._value.clear()
        self._disposition = b""
        self._field = ""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        if len(self._value) > _MAX_HEADER_BYTES:
            raise MalformedRequest(f"a part of the form has a header of more than {_MAX_HEADER_BYTES} bytes")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode("utf-8", "replace")
        self._field = field if field in COLLECTION_FIELDS else ""
        if self._field:
            self._names[self._field] = bytearray()
        else:
            self._out += f"--{self._boundary}\r\nContent-Disposition: ".encode()
            self._out += self._disposition + b"\r\n\r\n"

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if not self._field:
            self._out += data[start:end]
        elif len(self._names[self._field]) + end - start > _MAX_NAME_BYTES:
            raise InvalidRequest("collection: the name is too long")
        else:
            self._names[self._field] += data[start:end]

    def _end_part(self) -> None:
        if not self._field:
            self._out += b"\r\n"

    def _end(self) -> None:
        self._ended = True
