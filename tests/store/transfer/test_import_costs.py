"""What an import costs: memory has a ceiling, and work grows no faster than the file."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.api.conversations.chat_exports import make_zip
from tests.store.examples import make_settings
from tests.store.transfer.import_process import import_in_process
from tests.store.transfer.importing import Cost, chatgpt_chat, import_bytes, import_json
from yearling.errors import BadInput
from yearling.store import Store
from yearling.store.database.packing import compact_json
from yearling.store.transfer import json_records

MIB = 1 << 20


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store.open(make_settings(tmp_path))


def test_long_member_name_costs_its_length(local: Store) -> None:
    file = make_zip({"conversations.json": json.dumps([chatgpt_chat("a", "Hi")]).encode(), "-" * 60_000: b""})
    with local, Cost() as cost:
        assert import_bytes(local, file).conversations == 1
    assert cost.peak_bytes < 32 * MIB


@pytest.mark.slow
def test_many_small_records_have_a_memory_ceiling(local: Store) -> None:
    with local, Cost() as cost, pytest.raises(BadInput):
        import_bytes(local, b"[" + b"{}," * 1_000_000 + b"{}]")
    assert cost.peak_bytes < 64 * MIB


@pytest.mark.slow
def test_one_record_with_many_values_is_skipped_and_the_rest_taken(local: Store) -> None:
    huge = {"title": "Huge", "mapping": {}, "x": [{}] * 1_000_000}
    content = json.dumps([chatgpt_chat("a", "Hi"), huge, chatgpt_chat("b", "Ho")]).encode()
    with local, Cost() as cost:
        result = import_bytes(local, content)
    assert result.conversations == 2
    assert result.skipped == {("record 2", "it has more than 500000 values"): 1}
    assert cost.peak_bytes < 96 * MIB


# The files that an outside review found costly, in their size, in a process of their own that the system measures.


@pytest.mark.drill  # its seconds depend on the machine: not beside other tests
def test_zip_of_120_kb_with_a_member_named_by_60_000_dashes(tmp_path: Path) -> None:
    file = make_zip({"conversations.json": json.dumps([chatgpt_chat("a", "Hi")]).encode(), "-" * 60_000: b""})
    assert 120_000 < len(file) < 125_000
    cost = import_in_process(tmp_path / "data", file)
    print(cost)
    assert cost.outcome["imported"] == 1
    assert cost.peak_bytes < 40 * cost.file_bytes
    assert cost.cpu_s < 5e-6 * cost.file_bytes


@pytest.mark.drill  # its seconds depend on the machine: not beside other tests
def test_2_000_conversations_of_one_create_time(tmp_path: Path) -> None:
    """They have no id, so that only their messages tell them apart."""
    chats = [{"create_time": 1, "mapping": {"a": {"message": {"content": {"parts": [str(number)]}}}}} for number in range(2000)]
    file = json.dumps(chats).encode()
    assert 160_000 < len(file) < 190_000
    for expected in ("imported", "known"):
        cost = import_in_process(tmp_path / "data", file)
        print(cost)
        assert cost.outcome[expected] == 2000
        assert cost.peak_bytes < 64 * cost.file_bytes
        assert cost.cpu_s < 40e-6 * cost.file_bytes


@pytest.mark.drill  # its seconds depend on the machine: not beside other tests
@pytest.mark.parametrize(
    ("begin", "end"),
    [(b"[", b"]"), (b'[{"title": "a", "mapping": {}, "x": [', b"]}]"), (b'{"chat": {"messages": [', b"]}}")],
    ids=["records", "a field", "the messages of one conversation"],
)
@pytest.mark.parametrize("is_zipped", [False, True], ids=["JSON", "zip"])
def test_48_mb_of_empty_objects(tmp_path: Path, begin: bytes, end: bytes, is_zipped: bool) -> None:
    file = begin + b"{}," * 16_000_000 + b"{}" + end
    cost = import_in_process(tmp_path / "data", make_zip({"conversations.json": file}) if is_zipped else file)
    print(cost)
    assert "error" in cost.outcome
    assert cost.peak_bytes < len(file) / 4
    assert cost.cpu_s < 0.6e-6 * len(file)


@pytest.mark.drill  # its seconds depend on the machine: not beside other tests
def test_largest_record_is_decoded_and_encoded_in_a_fraction_of_a_second() -> None:
    """Each of these is one call that keeps all other threads waiting."""
    content = json.dumps([{"a": [1, "b"], "c": {}} for _ in range(json_records.MAX_RECORD_VALUES // 6 - 1)]).encode()
    [record] = json_records.iter_records(io.BytesIO(b"[" + content + b"]"), json_records.ImportBudget.start())
    assert record.problem == ""
    start_s = time.thread_time()
    value = json_records.decode_record(record.data)
    decoded_s = time.thread_time()
    compact_json(value)
    assert decoded_s - start_s < 1
    assert time.thread_time() - decoded_s < 1


@pytest.mark.drill  # its seconds depend on the machine: not beside other tests
@pytest.mark.parametrize("kind", ["equal times", "no times", "one growing tree"])
def test_work_grows_no_faster_than_the_file(tmp_path: Path, kind: str) -> None:
    def seconds(count: int) -> float:
        if kind == "one growing tree":
            export = [chatgpt_chat("a", *(f"message {index}" for index in range(count * 4)))]
        else:
            fields: dict[str, Any] = {"create_time": 1700000000.0} if kind == "equal times" else {}
            export = [chatgpt_chat(f"c{index}", "Hi", **fields) for index in range(count)]
        with Store.open(make_settings(tmp_path / str(count))) as store:
            import_json(store, export)
            start_s = time.process_time()
            assert import_json(store, export).known == len(export)
            return time.process_time() - start_s

    small_s, large_s = seconds(150), seconds(600)
    assert large_s < 4 * small_s * 2 + 0.2
