"""Brings prompts, answers and tool schemas into one form before the rules look at them."""

from __future__ import annotations

import json
import re
from typing import NoReturn

import polars as pl

from grpo_pipeline.conversation import format_prompt, parse_prompt

# Blank signs that polars' own notion of white space leaves: zero-width spaces and joiners, the byte-order mark.
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_WHITE = " \t\n\r\x0b\x0c\u00a0\u2003\u3000"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

# UTF-8 read as Latin-1 or Windows-1252: a lead byte's letter, then what a continuation byte turns into.
_CONTINUATION = "\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
BROKEN = (
    f"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|[ÃÂ][{_CONTINUATION}]|â€[{_CONTINUATION}]|ðŸ[{_CONTINUATION}]|ï»¿"
)


def clean(text: pl.Expr) -> pl.Expr:
    """A text without what no reader sees: white space around it, carriage returns, a byte-order mark."""
    return text.str.replace_all("\r\n", "\n", literal=True).str.strip_chars(_WHITE + _INVISIBLE)


def broken_characters(text: pl.Expr) -> pl.Expr:
    """How many signs of a broken encoding a text holds: replacement and control characters, mojibake."""
    return text.str.count_matches(BROKEN)


def with_clean_texts(frame: pl.DataFrame, answers: tuple[str, ...]) -> pl.DataFrame:
    """The frame with clean `prompt`, answers and `tools`, and what the rules read beside them.

    Added columns: `plain_prompt` (the prompt without roles) and `tools_broken` (`tools` is no list of JSON objects).
    """
    texts = [clean(pl.col(name)) for name in ("prompt", *answers)]
    return _with_tools(_with_plain_prompt(frame.with_columns(texts)))


def _with_plain_prompt(frame: pl.DataFrame) -> pl.DataFrame:
    """Plain prompts stay in polars; only those that may be message lists are parsed, each distinct one once."""
    lists = frame.select("prompt").filter(pl.col("prompt").str.starts_with("[")).unique()
    parsed = [_parsed(prompt) for prompt in lists["prompt"]]
    table = lists.with_columns(
        pl.Series("canonical", [canonical for canonical, _ in parsed], dtype=pl.String),
        pl.Series("plain_prompt", [plain for _, plain in parsed], dtype=pl.String),
    )
    joined = frame.join(table, on="prompt", how="left", maintain_order="left")
    return joined.with_columns(
        prompt=pl.coalesce("canonical", "prompt"), plain_prompt=pl.coalesce("plain_prompt", "prompt")
    ).drop("canonical")


def _parsed(prompt: str) -> tuple[str, str]:
    """A prompt in its one spelling, and its plain text."""
    messages = parse_prompt(prompt)
    plain = "\n".join(message["content"] for message in messages)
    return _encodable(format_prompt(messages)), _encodable(plain.strip())


def _encodable(text: str) -> str:
    """Half of a surrogate pair, which JSON can name and UTF-8 cannot hold, becomes the replacement character."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _with_tools(frame: pl.DataFrame) -> pl.DataFrame:
    given = frame.select("tools").filter(pl.col("tools").is_not_null()).unique()
    spellings = [canonical_tools(tools) for tools in given["tools"]]
    table = given.with_columns(
        pl.Series("canonical", [tools for tools, _ in spellings], dtype=pl.String),
        pl.Series("tools_broken", [broken for _, broken in spellings], dtype=pl.Boolean),
    )
    joined = frame.join(table, on="tools", how="left", maintain_order="left")
    return joined.with_columns(tools=pl.col("canonical"), tools_broken=pl.col("tools_broken").fill_null(False)).drop(
        "canonical"
    )


def canonical_tools(text: str) -> tuple[str | None, bool]:
    """Tool schemas in one spelling, and whether they are broken; no tools (blank, `null`, `[]`) become None."""
    if not text.strip():
        return None, False
    try:
        tools = json.loads(text, parse_constant=_refuse)
        if tools is None or tools == []:
            return None, False
        if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
            return None, True
        spelling = json.dumps(tools, ensure_ascii=False)
        spelling.encode()
    except (ValueError, RecursionError):
        return None, True
    return spelling, False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
