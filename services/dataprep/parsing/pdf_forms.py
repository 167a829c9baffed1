"""What people put onto a PDF page: values of form fields, as pieces where they stand, and notes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pypdfium2 as pdfium
from pypdfium2 import raw

from services.dataprep.parsing.page_layout import Piece

TICKED, UNTICKED = "[x]", "[ ]"

_MAX_ANNOTATIONS = 5000
_MAX_BYTES = 1 << 20
_HIDDEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD = 1 << 13
_BOXES = (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON)
_VALUES = (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
_NOTES = (
    raw.FPDF_ANNOT_TEXT,
    raw.FPDF_ANNOT_FREETEXT,
    raw.FPDF_ANNOT_HIGHLIGHT,
    raw.FPDF_ANNOT_UNDERLINE,
    raw.FPDF_ANNOT_SQUIGGLY,
    raw.FPDF_ANNOT_STRIKEOUT,
    raw.FPDF_ANNOT_STAMP,
    raw.FPDF_ANNOT_SQUARE,
    raw.FPDF_ANNOT_CIRCLE,
    raw.FPDF_ANNOT_CARET,
)


_LINE_HEIGHT = 18.0
"""Points: a higher field is a text of several lines, which begins at its top."""


@dataclass(frozen=True, slots=True)
class Field:
    """A form field's value in its box; `name` is what its form calls it."""

    left: float
    bottom: float
    right: float
    top: float
    text: str
    name: str


@dataclass(frozen=True, slots=True)
class Annotations:
    """Values of form fields, and what people wrote about the page."""

    fields: Sequence[Field] = ()
    notes: Sequence[str] = ()


def read_annotations(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Annotations:
    """Read the fields that hold a value or can be ticked, and the notes; hidden ones are left out.

    The document's form environment must be there where it has a form.
    """
    fields: list[Field] = []
    notes: list[str] = []
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MAX_ANNOTATIONS)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
                continue
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            if kind == raw.FPDF_ANNOT_WIDGET and document.formenv:
                fields += _read_field(document.formenv, annotation)
            elif kind in _NOTES:
                notes.append(_read_text(raw.FPDFAnnot_GetStringValue, annotation, b"Contents"))
        finally:
            raw.FPDFPage_CloseAnnot(annotation)
    return Annotations(fields, [f"Note: {note}" for note in notes if note])


def place_fields(fields: Sequence[Field], printed: Sequence[Piece]) -> Iterator[Piece]:
    """Put each value right behind what is printed beside its field; one that stands alone gets its name."""
    for field in fields:
        beside = [piece for piece in printed if _share_height(piece, field)]
        before = [piece for piece in beside if piece.right <= field.left + (field.right - field.left) / 4]
        label = max(before, key=lambda piece: piece.right, default=None)
        left, right = field.left, field.right
        between = [
            other
            for other in fields
            if label and label.right < other.left < left and _share_height(label, other)
        ]
        if label is not None and not between:
            left = label.right
            right = min(right, left + label.height)
        above = any(
            piece.left < field.right
            and field.left < piece.right
            and 0 <= piece.bottom - field.top < piece.height
            for piece in printed
        )
        text = field.text if beside or above or not field.name else f"{field.name}: {field.text}"
        yield Piece(left, field.bottom, right, field.top, text)


def _share_height(piece: Piece, field: Field) -> bool:
    shared = min(piece.top, field.top) - max(piece.bottom, field.bottom)
    return shared > min(piece.height, field.top - field.bottom) / 3


def _read_field(form: object, annotation: object) -> Iterator[Field]:
    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _BOXES:
        text = TICKED if raw.FPDFAnnot_IsChecked(form, annotation) else UNTICKED
    elif kind in _VALUES and not raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        chosen = [
            _read_text(raw.FPDFAnnot_GetOptionLabel, form, annotation, option)
            for option in range(min(raw.FPDFAnnot_GetOptionCount(form, annotation), _MAX_ANNOTATIONS))
            if raw.FPDFAnnot_IsOptionSelected(form, annotation, option)
        ]
        text = ", ".join(chosen) or _read_text(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
    else:
        return
    rectangle = raw.FS_RECTF()
    if text and raw.FPDFAnnot_GetRect(annotation, rectangle):
        name = _read_text(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
        bottom, top = sorted((rectangle.bottom, rectangle.top))
        yield Field(
            *(rectangle.left, max(bottom, top - _LINE_HEIGHT), rectangle.right, top, text),
            name or _read_text(raw.FPDFAnnot_GetFormFieldName, form, annotation),
        )


def _read_text(function: Callable[..., int], *arguments: object) -> str:
    """Call a function that fills a buffer with UTF-16, and put what it says on one line."""
    size = function(*arguments, None, 0)
    if not 2 < size <= _MAX_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return " ".join(buffer.raw[: size - 2].decode("utf-16-le", "replace").split())
