"""Wire models of `/v1/vector_stores`. Data only. Source: the OpenAI API reference."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.openai.schemas import reject_unsupported_fields
from yearling.store import MAX_ATTRIBUTES, MAX_FILES_AT_ONCE

MAX_QUERY_CHARS = 4_000
MAX_QUERIES = 8
_MAX_FILTERS = 20

Name = Annotated[str, Field(max_length=256)]
GivenId = Annotated[str, Field(max_length=64)]
_Key = Annotated[str, Field(max_length=64)]
_Text = Annotated[str, Field(max_length=512)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
Metadata = Annotated[dict[_Key, _Text], Field(max_length=MAX_ATTRIBUTES)]
FileAttributes = Annotated[dict[_Key, _Text | bool | _Number], Field(max_length=MAX_ATTRIBUTES)]


class AutoChunking(StrictModel):
    """Let the server decide how texts are cut into passages."""

    type: Literal["auto"]
    """Always `auto`."""


class NewVectorStore(StrictModel):
    """Body of `POST /v1/vector_stores`."""

    name: Name | None = None
    """Name. Default: none."""
    description: Annotated[str, Field(max_length=1_000)] | None = None
    """What it is for. Default: nothing."""
    file_ids: Annotated[list[GivenId], Field(max_length=MAX_FILES_AT_ONCE)] | None = None
    """Files of the caller's library that it begins with."""
    metadata: Metadata | None = None
    """Up to 16 texts by name, returned as they are."""
    chunking_strategy: AutoChunking | None = None
    """Only `auto`."""

    @model_validator(mode="before")
    @classmethod
    def _reject_expiry(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, ("expires_after",), {})


class VectorStoreChange(StrictModel):
    """Body of `POST /v1/vector_stores/{vector_store_id}`. What is null stays as it is."""

    name: Name | None = None
    """New name."""
    metadata: Metadata | None = None
    """New metadata, which replaces the old."""

    @model_validator(mode="before")
    @classmethod
    def _reject_expiry(cls, body: Any) -> Any:
        return reject_unsupported_fields(body, ("expires_after",), {})


class NewVectorStoreFile(StrictModel):
    """Body of `POST /v1/vector_stores/{vector_store_id}/files`, and a file of a batch."""

    file_id: GivenId
    """ID of a file of the caller's library."""
    attributes: FileAttributes | None = None
    """Up to 16 values by name, which searches can filter by."""
    chunking_strategy: AutoChunking | None = None
    """Only `auto`."""


class NewFileBatch(StrictModel):
    """Body of `POST /v1/vector_stores/{vector_store_id}/file_batches`: either `file_ids` or `files`."""

    file_ids: Annotated[list[GivenId], Field(min_length=1, max_length=MAX_FILES_AT_ONCE)] | None = None
    """IDs of files of the caller's library."""
    files: Annotated[list[NewVectorStoreFile], Field(min_length=1, max_length=MAX_FILES_AT_ONCE)] | None = None
    """Files with attributes of their own."""
    attributes: FileAttributes | None = None
    """Attributes of all `file_ids`."""
    chunking_strategy: AutoChunking | None = None
    """Only `auto`."""


class ComparisonFilter(StrictModel):
    """Lets files pass by one attribute. A file without it passes `ne` and `nin` only."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    """The comparison."""
    key: _Key
    """Name of the attribute."""
    value: _Text | bool | _Number | Annotated[list[_Text | _Number], Field(max_length=100)]
    """What the attribute is compared with: a list for `in` and `nin`."""


class InnerCompoundFilter(StrictModel):
    """Comparisons of which all (`and`) or one (`or`) must let a file pass."""

    type: Literal["and", "or"]
    """How they are joined."""
    filters: Annotated[list[ComparisonFilter], Field(max_length=_MAX_FILTERS)]
    """The comparisons."""


class CompoundFilter(StrictModel):
    """Filters of which all (`and`) or one (`or`) must let a file pass, two levels deep at most."""

    type: Literal["and", "or"]
    """How they are joined."""
    filters: Annotated[list[ComparisonFilter | InnerCompoundFilter], Field(max_length=_MAX_FILTERS)]
    """The filters."""


class RankingOptions(StrictModel):
    """How results are ranked."""

    ranker: Literal["none", "auto", "default-2024-11-15"] | None = None
    """Ignored. There is one ranking."""
    score_threshold: Annotated[float, Field(ge=0, le=0)] | None = None
    """Only 0: scores of two searches cannot be compared."""


class VectorStoreSearch(StrictModel):
    """Body of `POST /v1/vector_stores/{vector_store_id}/search`."""

    query: (
        Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS // MAX_QUERIES)]],
            Field(min_length=1, max_length=MAX_QUERIES),
        ]
    )
    """Question or words; several are searched together, as one."""
    filters: ComparisonFilter | CompoundFilter | None = None
    """Which files are searched, by their attributes. Default: all."""
    max_num_results: Annotated[int, Field(ge=1, le=50)] = 10
    """Maximum number of passages."""
    ranking_options: RankingOptions | None = None
    """How results are ranked."""
    rewrite_query: Literal[False] | None = None
    """Only false: the query is searched as it is."""


class VectorStoreFileCounts(ResponseModel):
    """How many files are in each state."""

    in_progress: int
    """Files that are being read."""
    completed: int
    """Files that search finds."""
    failed: int
    """Files that cannot be read."""
    cancelled: int
    """Always 0."""
    total: int
    """All files."""


class VectorStoreObject(ResponseModel):
    """A named collection of files of the caller's library."""

    id: str
    """ID of the vector store."""
    object: Literal["vector_store"]
    """Always `vector_store`."""
    created_at: int
    """Creation time in Unix seconds."""
    last_active_at: int
    """Time of the last change in Unix seconds."""
    name: str
    """Name; empty if it has none."""
    description: str
    """What it is for; may be empty."""
    metadata: dict[str, str]
    """The metadata."""
    status: Literal["in_progress", "completed"]
    """`in_progress` while a file is being read."""
    usage_bytes: int
    """Size of all files together."""
    file_counts: VectorStoreFileCounts
    """Number of its files in each state."""
    expires_after: None
    """Always null."""
    expires_at: None
    """Always null. Vector stores stay until they are deleted."""


class VectorStoreList(ResponseModel):
    """Vector stores of the caller."""

    object: Literal["list"]
    """Always `list`."""
    data: list[VectorStoreObject]
    """The vector stores."""
    first_id: str | None
    """ID of the first one of this page."""
    last_id: str | None
    """ID of the last one of this page."""
    has_more: bool
    """Whether further ones follow."""


class DeletedVectorStore(ResponseModel):
    """Confirmation that a vector store was deleted. Its files stay."""

    id: str
    """ID of the deleted vector store."""
    object: Literal["vector_store.deleted"]
    """Always `vector_store.deleted`."""
    deleted: Literal[True]
    """Always true."""


class VectorStoreFileError(ResponseModel):
    """Why a file cannot be read."""

    code: Literal["unsupported_file"]
    """Always `unsupported_file`."""
    message: str
    """The reason."""


class ChunkingView(ResponseModel):
    """How texts are cut into passages."""

    type: Literal["other"]
    """Always `other`: by sentences, as search needs it."""


class VectorStoreFileObject(ResponseModel):
    """A file in a vector store."""

    id: str
    """ID of the file."""
    object: Literal["vector_store.file"]
    """Always `vector_store.file`."""
    created_at: int
    """When it was added to the vector store, in Unix seconds."""
    vector_store_id: str
    """ID of the vector store."""
    status: Literal["in_progress", "completed", "failed"]
    """`in_progress`: it is being read. `completed`: search finds it. `failed`: see `last_error`."""
    usage_bytes: int
    """Size of the file."""
    last_error: VectorStoreFileError | None
    """Why it cannot be read; null otherwise."""
    attributes: dict[str, str | float | bool]
    """Its attributes in this vector store."""
    chunking_strategy: ChunkingView
    """How its text is cut into passages."""


class VectorStoreFileList(ResponseModel):
    """Files of a vector store."""

    object: Literal["list"]
    """Always `list`."""
    data: list[VectorStoreFileObject]
    """The files."""
    first_id: str | None
    """ID of the first file of this page."""
    last_id: str | None
    """ID of the last file of this page."""
    has_more: bool
    """Whether further files follow."""


class DeletedVectorStoreFile(ResponseModel):
    """Confirmation that a file was taken out of a vector store. The file itself stays."""

    id: str
    """ID of the file."""
    object: Literal["vector_store.file.deleted"]
    """Always `vector_store.file.deleted`."""
    deleted: Literal[True]
    """Always true."""


class VectorStoreFileBatchObject(ResponseModel):
    """Files that were added together."""

    id: str
    """ID of the batch. The newest 100 of a vector store are known."""
    object: Literal["vector_store.files_batch"]
    """Always `vector_store.files_batch`."""
    created_at: int
    """Creation time in Unix seconds."""
    vector_store_id: str
    """ID of the vector store."""
    status: Literal["in_progress", "completed"]
    """`in_progress` while a file is being read."""
    file_counts: VectorStoreFileCounts
    """How many of its files are in each state."""


class FoundText(ResponseModel):
    """A part of a passage."""

    type: Literal["text"]
    """Always `text`."""
    text: str
    """The text."""


class VectorStoreHit(ResponseModel):
    """A passage that matches."""

    file_id: str
    """ID of its file."""
    filename: str
    """Name of its file."""
    score: float
    """From 0 to 1, higher for better matches of this search. Scores of two searches cannot be compared."""
    attributes: dict[str, str | float | bool]
    """The attributes of its file."""
    content: list[FoundText]
    """The passage."""


class VectorStoreSearchPage(ResponseModel):
    """What a search found."""

    object: Literal["vector_store.search_results.page"]
    """Always `vector_store.search_results.page`."""
    search_query: list[str]
    """What was searched."""
    data: list[VectorStoreHit]
    """Passages, best first."""
    has_more: Literal[False]
    """Always false."""
    next_page: None
    """Always null."""
