from __future__ import annotations

from langchain_core.documents import Document

from pipelines.langchain import to_document, to_passage
from services.core.wire.passages import Passage


def test_a_passage_survives_the_seam() -> None:
    passage = Passage(id="p", document_id="d", text="alpha", title="a.md", page=3, start=4, end=9, score=0.5)
    document = to_document(passage)
    assert (document.page_content, document.metadata["source"]) == ("alpha", "a.md")
    assert to_passage(document) == passage


def test_a_foreign_document_is_a_passage_of_its_text() -> None:

    assert to_passage(Document(page_content="beta", metadata={"source": "x"})).text == "beta"
