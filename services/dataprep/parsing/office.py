"""Office Open XML packages (DOCX, PPTX, XLSX): what is refused before a library opens one.

They are ZIP archives of XML. All of one is unpacked once, counted, to find a bomb before it is one; an XML
part with a document type declaration, which the format forbids, is refused whatever it declares, so that no
entity is ever expanded.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from services.dataprep.parsing.document import Limits, Unparsable

_ENCRYPTED = 0x1
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_PIECE_BYTES = 1 << 18
_RATIO_FROM = 1 << 20
_DECLARATION = "<!DOCTYPE"
_DECLARATIONS = tuple(_DECLARATION.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
_OVERLAP = 2 * len(_DECLARATION)
_XML = (".xml", ".rels", ".vml")


def open_package(data: bytes, limits: Limits, title: str) -> BytesIO:
    """Check the package and give it for a library to read; `title` is its format's. Raises `Unparsable`."""
    if data.startswith(_OLE):
        if _ENCRYPTED_PACKAGE in data:
            raise Unparsable("invalid", "is encrypted: save it without a password")
        raise Unparsable("unsupported", f"is an old Office file: save it as {title}")
    if not data.startswith(b"PK"):
        raise Unparsable("unsupported", f"is not a {title}, though its name says so")
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            _check(package, len(data), limits)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise _broken(title) from None
    return BytesIO(data)


def _check(package: zipfile.ZipFile, packed: int, limits: Limits) -> None:
    expanded = 0
    for info in package.infolist():
        if info.flag_bits & _ENCRYPTED:
            raise Unparsable("invalid", "is encrypted: save it without a password")
        is_xml = info.filename.lower().endswith(_XML)
        tail = b""
        with package.open(info) as part:
            while piece := part.read(_PIECE_BYTES):
                expanded += len(piece)
                if expanded > limits.expanded_bytes:
                    raise Unparsable(
                        "too_large", f"unpacks to more than {limits.expanded_bytes} bytes: split it"
                    )
                if expanded > max(_RATIO_FROM, limits.ratio * packed):
                    raise Unparsable(
                        "too_large", f"unpacks to more than {limits.ratio} times its size, as only bombs do"
                    )
                if is_xml and any(declaration in tail + piece for declaration in _DECLARATIONS):
                    raise Unparsable(
                        "invalid",
                        f"declares a document type in {info.filename}, where entity bombs are: it is "
                        "refused; save it anew in an office program",
                    )
                tail = piece[-_OVERLAP:]


@contextmanager
def blame_file(title: str) -> Iterator[None]:
    """Turn whatever a library raises over a package into the package's fault.

    Memory and depth are told apart elsewhere.
    """
    try:
        yield
    except (Unparsable, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise _broken(title) from error


def _broken(title: str) -> Unparsable:
    return Unparsable("invalid", f"is a broken {title}: open it in an office program and save it again")
