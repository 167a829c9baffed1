"""PNG, JPEG, TIFF: scans and photographs of text, read by OCR; each picture of a TIFF is a page."""

from __future__ import annotations

from io import BytesIO

from services.dataprep.parsing.document import Format, Limits, ParsedDocument, Unparsable

FORMAT = Format(
    title="pictures",
    position=55,
    suffixes=(".png", ".jpg", ".jpeg", ".tif", ".tiff"),
    content_types={"image/png": ".png", "image/jpeg": ".jpg", "image/tiff": ".tiff"},
    takes=("a PNG image", "a JPEG image", "a TIFF image"),
    read_with="rapidocr",
    sections="pages of a TIFF",
    left_out="all but text; without the extra `dataprep-ocr` pictures are refused",
)

PIXELS = 60_000_000


def parse(data: bytes, limits: Limits, _suffix: str) -> ParsedDocument:
    """Read the text of each picture."""
    if not limits.ocr:
        raise Unparsable(
            "unsupported",
            "is a picture, which this installation does not read: install OCR with pip install "
            "'ragline[dataprep-ocr]'",
            needs_ocr=True,
        )
    import numpy as np
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

    from services.dataprep.parsing.layout import Layout
    from services.dataprep.parsing.ocr import recognise

    layout = Layout(limits)
    sure = []
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as picture:
            for number, frame in enumerate(ImageSequence.Iterator(picture), start=1):
                if frame.width * frame.height > PIXELS:
                    raise Unparsable(
                        "too_large", f"has more than {PIXELS} pixels: scan it at 300 dpi at most"
                    )
                if picture.format == "TIFF":
                    layout.start_page()
                upright = ImageOps.exif_transpose(frame).convert("RGB")
                page = recognise(np.asarray(upright), number)
                layout.add_recognised(page.text, page.boxes)
                sure += [page.sure] if page.text else []
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Unparsable("invalid", "is a broken picture: open it and save it again") from None
    if not layout.length:
        raise Unparsable("invalid", "is a picture without text that can be read")
    layout.warn_recognised([], min(sure))
    return layout.finish()
