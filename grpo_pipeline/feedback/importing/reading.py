"""Reads the records of a file: JSON, JSON lines (each plain or gzip) or Parquet, told apart by their content.

One broken line is one fault; only a file of which nothing can be read raises.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from grpo_pipeline.errors import PipelineError
from grpo_pipeline.feedback.importing.faults import RecordError

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
PARQUET_BATCH = 1_000
UTF8_BOM = b"\xef\xbb\xbf"
LINES_SUFFIXES = {".jsonl", ".ndjson"}


@dataclass(frozen=True)
class SourceRecord:
    """One record as it was found, or the reason why it could not be read.

    `line` counts from 1: the line in a file of JSON lines, else the position among the records. `progress` is how much
    of the source was read by then, from 0 to 1, None where its length is unknown.
    """

    line: int
    value: Any
    fault: RecordError | None = None
    progress: float | None = None


def read_file(path: Path) -> Iterator[SourceRecord]:
    """Every record of a file, in order.

    Raises:
        PipelineError: the file cannot be read at all.
    """
    try:
        with path.open("rb") as handle:
            magic = handle.read(4)
        if magic == PARQUET_MAGIC:
            yield from _read_parquet(path)
        else:
            yield from _read_json(path, compressed=magic.startswith(GZIP_MAGIC))
    except (OSError, EOFError, zlib.error) as error:
        raise PipelineError(f"{path} cannot be read: {_reason(error)}.") from error
    except pa.ArrowException as error:
        raise PipelineError(f"{path} is not a readable Parquet file: it may be cut off; fetch it again.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return "its gzip stream is damaged or cut off"
    return getattr(error, "strerror", None) or type(error).__name__


def _read_parquet(path: Path) -> Iterator[SourceRecord]:
    with pq.ParquetFile(path) as file:
        total = file.metadata.num_rows
        line = 0
        for batch in file.iter_batches(PARQUET_BATCH):
            for value in batch.to_pylist():
                line += 1
                yield SourceRecord(line, value, progress=line / total)


def _read_json(path: Path, compressed: bool) -> Iterator[SourceRecord]:
    size = path.stat().st_size
    with path.open("rb") as raw:
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if compressed else raw)
        if not (LINES_SUFFIXES & set(path.suffixes) or _first_line_is_object(stream)):
            stream.seek(0)
            yield from _whole_document(stream, path)
            return
        stream.seek(0)
        for line, text in enumerate(stream, start=1):
            content = text.removeprefix(UTF8_BOM) if line == 1 else text
            if content.strip():
                yield _json_line(line, content, min(raw.tell() / size, 1.0))


def _first_line_is_object(stream: IO[bytes]) -> bool:
    """Whether an object ends on the line it starts on; else the file is one JSON document over several lines."""
    first = next((line for line in stream if line.strip()), b"")
    return isinstance(_json_line(1, first.removeprefix(UTF8_BOM), None).value, dict)


def _json_line(line: int, content: bytes, progress: float | None) -> SourceRecord:
    try:
        return SourceRecord(line, json.loads(content.decode()), progress=progress)
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except ValueError:
        reason = "not JSON"
    except RecursionError:
        reason = "nested too deeply"
    return SourceRecord(line, None, RecordError(reason), progress)


def _whole_document(stream: IO[bytes], path: Path) -> Iterator[SourceRecord]:
    try:
        document = json.loads(stream.read().removeprefix(UTF8_BOM).decode())
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path} is not UTF-8: convert it first.") from error
    except json.JSONDecodeError as error:
        raise PipelineError(
            f"{path} is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}. Correct it, or give "
            "it as JSON lines, of which one broken line spoils only itself."
        ) from error
    except (ValueError, RecursionError) as error:
        raise PipelineError(
            f"{path} is not JSON that can be read: it is nested too deeply or holds a number of thousands of digits."
        ) from error
    records = document if isinstance(document, list) else [document]
    for line, value in enumerate(records, start=1):
        yield SourceRecord(line, value, progress=line / len(records))
