from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.reading import SourceRecord
from grpo_pipeline.feedback.importing.sources import read_source

RECORDS = [{"prompt": "p", "n": 1}, {"prompt": "ü\n", "n": 2}]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)
SHAPES = {
    "array": ("data.json", json.dumps(RECORDS).encode()),
    "indented array": ("data.json", b"\n" + json.dumps(RECORDS, indent=2).encode()),
    "array with a byte order mark": ("data.json", b"\xef\xbb\xbf" + json.dumps(RECORDS).encode()),
    "lines": ("data.jsonl", LINES.encode()),
    "lines in a file called json": ("data.json", LINES.encode()),
    "lines with blank ones": ("data.jsonl", ("\n" + LINES.replace("\n", "\r\n\n")).encode()),
    "gzip lines": ("data.jsonl.gz", gzip.compress(LINES.encode())),
    "gzip array without the suffix": ("data", gzip.compress(json.dumps(RECORDS).encode())),
}
DAMAGED = {
    "array cut off": ("data.json", b'[{"n": 1}, {"n"', "is not valid JSON"),
    "array in Latin-1": ("data.json", '[{"n": "ü"}]'.encode("latin-1"), "is not UTF-8"),
    "gzip cut off": ("data.jsonl.gz", gzip.compress(LINES.encode())[:-9], "gzip stream is damaged"),
    "Parquet cut off": ("data.parquet", b"PAR1 and no more", "is not a readable Parquet file"),
}


def read(path: Path, content: bytes) -> list[SourceRecord]:
    path.write_bytes(content)
    return list(read_source(str(path)))


@pytest.mark.parametrize(("name", "content"), SHAPES.values(), ids=SHAPES)
def test_json_is_read_in_every_shape(tmp_path: Path, name: str, content: bytes) -> None:
    assert [record.value for record in read(tmp_path / name, content)] == RECORDS


def test_parquet_is_read_with_its_nested_columns(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "a"}], "label": True}, {"messages": None, "label": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    found = list(read_source(str(tmp_path / "data.parquet")))
    assert [record.value for record in found] == rows
    assert [record.progress for record in found] == [0.5, 1.0]


def test_one_object_over_several_lines_is_one_record(tmp_path: Path) -> None:
    assert [record.value for record in read(tmp_path / "one.json", json.dumps(RECORDS[0], indent=2).encode())] == [
        RECORDS[0]
    ]


def test_a_broken_line_spoils_only_itself_and_has_its_number(tmp_path: Path) -> None:
    content = b'{"n": 1}\n\n{"n": \n\xff\n' + b"[" * 100_000 + b'\n{"n": 2}\n'
    found = read(tmp_path / "data.jsonl", content)
    assert [(record.line, record.value, str(record.fault) if record.fault else None) for record in found] == [
        (1, {"n": 1}, None),
        (3, None, "not JSON"),
        (4, None, "not UTF-8"),
        (5, None, "nested too deeply"),
        (6, {"n": 2}, None),
    ]
    assert found[-1].progress == 1.0


@pytest.mark.parametrize(("name", "content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        read(tmp_path / name, content)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"There is no file .*absent\.jsonl"):
        read_source(str(tmp_path / "absent.jsonl"))
    with pytest.raises(PipelineError, match="is a folder"):
        read_source(str(tmp_path))


def test_an_unreachable_data_set_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(PipelineError, match=r"nobody/nothing-here \(split train\) cannot be read"):
        list(read_source("nobody/nothing-here"))
