"""The annotations are what OpenAI's own client reads, strictly."""

from __future__ import annotations

from openai.types.chat import ChatCompletionMessage
from openai.types.responses import ResponseOutputText
from openai.types.responses.response_output_text import AnnotationFileCitation, AnnotationURLCitation

from tests.retrieval.citations.sources import align, passage
from yearling.retrieval.citations.alignment import Citation
from yearling.retrieval.citations.annotations import chat_annotations, responses_annotations

DOCUMENT = passage("It opens at nine. It closes at five.", document="file-1", start=100, title="Handbook.pdf")
WEB_PAGE = passage("Trains leave every ten minutes.", document="page-1", title="Timetable", url="https://example.com/trains")
ANSWER = "🙂 It opens at nine. Trains leave every ten minutes."


def _open_address(citation: Citation) -> str:
    return f"http://localhost/documents/{citation.document_id}#{citation.span.start}"


def test_responses_reads_both_kinds() -> None:
    aligned = align(ANSWER, [DOCUMENT, WEB_PAGE])
    annotations = responses_annotations(aligned.citations)
    text = ResponseOutputText.model_validate({"type": "output_text", "text": ANSWER, "annotations": annotations}, strict=True)
    file, url = text.annotations
    assert isinstance(file, AnnotationFileCitation)
    assert (file.file_id, file.filename, file.index) == ("file-1", "Handbook.pdf", ANSWER.index("nine.") + 5)
    assert isinstance(url, AnnotationURLCitation)
    assert (url.url, url.title) == ("https://example.com/trains", "Timetable")
    assert ANSWER[url.start_index : url.end_index] == "Trains leave every ten minutes."
    assert annotations[0]["start_index"] == ANSWER.index("It opens")


def test_chat_reads_both_kinds_as_addresses() -> None:
    annotations = chat_annotations(align(ANSWER, [DOCUMENT, WEB_PAGE]).citations, _open_address)
    message = ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": ANSWER, "annotations": annotations}, strict=True
    )
    assert message.annotations is not None
    file, url = (annotation.url_citation for annotation in message.annotations)
    assert (file.url, file.title) == ("http://localhost/documents/file-1#100", "Handbook.pdf")
    assert ANSWER[file.start_index : file.end_index] == "It opens at nine."
    assert url.url == "https://example.com/trains"
    assert annotations[0]["file_citation"] == {"file_id": "file-1", "filename": "Handbook.pdf", "quote": "It opens at nine."}
    assert "file_citation" not in annotations[1]


def test_passage_says_exactly_what_is_cited() -> None:
    for annotation in (
        responses_annotations(align(ANSWER, [DOCUMENT]).citations)[0],
        chat_annotations(align(ANSWER, [DOCUMENT]).citations, _open_address)[0],
    ):
        assert annotation["passage"] == {
            "number": 1,
            "document_id": "file-1",
            "version": "file-1-v1",
            "start": 100,
            "end": 117,
            "quote": "It opens at nine.",
        }
