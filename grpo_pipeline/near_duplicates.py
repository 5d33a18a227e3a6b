"""Near-duplicate texts: MinHash signatures by `rensa`, candidates by banding, similarity from the signatures.

Use, for texts in an order of your own that never changes (such as created_at, id)::

    prompts = frame["prompt"].unique(maintain_order=True)
    found = signatures(prompts, width=PROMPT_WIDTH)      # (n, 128) numpy array of uint16
    neighbours(found, threshold=0.8)                     # row, other, similarity; `other` < `row` is earlier
    neighbours(found, threshold=0.8, earlier=known)      # row in `found`, other in `known`

A signature depends on its own text alone: not on the other texts, their order, the machine or the threads. It may
therefore be stored (polars keeps the array as a column: `pl.Series(found)`, and `series.to_numpy()` gives it back)
and compared with signatures made in another week.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rensa import RMinHash

Signatures = NDArray[np.uint16]
Groups = NDArray[np.uint64]

PERMUTATIONS = 128
SEED = 20260105
# Bytes of UTF-8 in a shingle. A change touches as many shingles as a shingle is wide, so short prompts get
# narrow ones. Bytes rather than words: answers in scripts without spaces need no tokenizer.
PROMPT_WIDTH = 5
ANSWER_WIDTH = 8
WIDEST = 8

# The chance that two texts exactly at the threshold share no band, and so are not compared.
MISSED_AT_THRESHOLD = 0.01
# Above this many texts in one band, only some of them are compared: a flood of copies costs linear work.
BAND_CROWD = 100
BYTES_PER_CHUNK = 1 << 20
PAIRS_PER_CHUNK = 65_536

# NFKC takes ten times as long as all else, and leaves alone what most texts are made of: ASCII, the accents and
# signs of Western languages, Greek, Cyrillic, Kana, Chinese, Korean, pictures. Whatever is not among them may change.
_CHANGED_BY_NFKC = (
    r"[^\x00-\x7f¡-§©«-®°±¶·»¿-ıĴ-ľŁ-ňŊ-žΑ-ΡΣ-ώА-ҁҊ-ӿ–—‘’“”†‡•‹›€→≤≥≠ぁ-ゖァ-ヺ、。一-鿿가-힣\U0001f300-\U0001f6ff]"
)
_PADDING = "\0" * (WIDEST - 1)
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


def comparable(text: pl.Expr) -> pl.Expr:
    """A text as near-duplicates see it: lower case, single spaces, no punctuation after words.

    Signs inside and before words stay, so that C++ and C#, 3.5 and 35, @Ramp and Ramp remain different.
    Applied twice it changes nothing more; a null becomes the empty text.
    """
    unusual = pl.when(text.str.contains(_CHANGED_BY_NFKC)).then(text)
    folded = pl.coalesce(unusual.str.normalize("NFKC"), text, pl.lit("")).str.to_lowercase()
    bare = folded.str.replace_all(r"[.,;:!?…\"'`]+[\s\x00-\x1f\x7f]", " ")
    single = bare.str.replace_all(r"[\s\x00-\x1f\x7f]{2,}|[\t\x00-\x1f\x7f]", " ")
    return single.str.strip_chars_start().str.strip_chars_end(" .,;:!?…\"'`")


def signatures(
    texts: pl.Series | Sequence[str | None], width: int = ANSWER_WIDTH, *, prepared: bool = False
) -> Signatures:
    """MinHash signatures of texts, one row of 128 numbers each.

    Args:
        texts: any number of texts; a null counts as empty. All empty texts are alike, so leave them out.
        width: bytes in a shingle, 1 to 8; compare only signatures made with the same width.
        prepared: the texts went through `comparable` already.

    Returns:
        Array of shape (len(texts), 128): the low 16 bits of each minimum, enough to compare.
    """
    if not 1 <= width <= WIDEST:
        raise ValueError(f"width must be 1 to {WIDEST}, not {width}")
    frame = pl.Series("text", texts, dtype=pl.String).to_frame()
    whole = pl.col("text").fill_null("") if prepared else comparable(pl.col("text"))
    padded = frame.select(whole + _PADDING).to_series()
    found = np.empty((len(padded), PERMUTATIONS), dtype=np.uint16)
    for start, end in _chunks(padded):
        hashes, offsets = _shingle_hashes(padded[start:end], width)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, PERMUTATIONS, SEED)
        found[start:end] = np.array(matrix.to_rows(), dtype=np.uint32).astype(np.uint16)
    return found


def _chunks(padded: pl.Series) -> list[tuple[int, int]]:
    """Runs of rows of about `BYTES_PER_CHUNK`: their hashes stay near the processor's cache."""
    if padded.is_empty():
        return []
    ends = padded.str.len_bytes().cast(pl.Int64).cum_sum().to_numpy()
    cuts = np.flatnonzero(np.diff(ends // BYTES_PER_CHUNK, prepend=-1))
    return list(zip(cuts.tolist(), [*cuts[1:].tolist(), len(padded)], strict=True))


def _shingle_hashes(padded: pl.Series, width: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hashes of every text's shingles, one text after the other, and the offsets at which each text begins."""
    _, offset_buffer, bytes_buffer = padded.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
    ends = np.frombuffer(offset_buffer, dtype=np.int64)[: len(padded) + 1]
    content = np.frombuffer(bytes_buffer, dtype=np.uint8)[ends[0] : ends[-1]]
    # Every byte starts a window of eight; the zeros after each text keep its last windows out of the next.
    windows = np.ndarray((len(content) - WIDEST + 1,), dtype="<u8", buffer=content, strides=(1,))
    shingles = windows[content[: len(windows)] != 0].astype(np.uint64)
    shingles &= np.uint64((1 << (8 * width)) - 1)
    lengths = np.diff(ends, prepend=ends[0]) - len(_PADDING)
    lengths[0] = 0
    return _mixed(shingles), np.cumsum(lengths).astype(np.uint64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Values spread over all 64 bits, in place: letters fill only a part of them."""
    for factor in _MIX:
        values ^= values >> np.uint64(31)
        values *= factor
    values ^= values >> np.uint64(32)
    return values


def similarities(left: Signatures, right: Signatures) -> NDArray[np.float32]:
    """Estimated Jaccard similarity of each row of `left` with that of `right` (standard error < 0.045)."""
    shares: NDArray[np.float32] = np.mean(left == right, axis=1, dtype=np.float32)
    return shares


def neighbours(
    found: Signatures,
    threshold: float,
    earlier: Signatures | None = None,
    *,
    groups: Groups | None = None,
    earlier_groups: Groups | None = None,
) -> pl.DataFrame:
    """Rows that are similar, each pair once.

    Args:
        found: signatures in the caller's fixed order.
        threshold: least similarity, 0.3 to 1.
        earlier: signatures to compare with; None compares `found` with itself.
        groups: a number for each row of `found`; only rows of equal numbers are compared.
        earlier_groups: the same for `earlier`.

    Returns:
        `row`, `other` (UInt32) and `similarity` (Float32), sorted by row and other. With `earlier`, `other` is
        a row of it; without, `other` < `row`. Which pairs are found does not depend on the order of rows, except
        among more than 100 look-alikes: those are compared with the first of them and with the one before.
    """
    if not 0.3 <= threshold <= 1:
        raise ValueError(f"threshold must be 0.3 to 1, not {threshold}")
    bands = _bands(found, threshold, groups)
    others = found if earlier is None else earlier
    candidates = _within(bands) if earlier is None else _between(bands, _bands(others, threshold, earlier_groups))
    measured = [_measured(chunk, found, others) for chunk in candidates.iter_slices(PAIRS_PER_CHUNK)]
    near = pl.col("similarity") >= pl.lit(threshold, dtype=pl.Float32)
    return pl.concat([_measured(candidates.clear(), found, others), *measured]).filter(near).sort("row", "other")


def _measured(pairs: pl.DataFrame, found: Signatures, others: Signatures) -> pl.DataFrame:
    similarity = similarities(found[pairs["row"].to_numpy()], others[pairs["other"].to_numpy()])
    return pairs.with_columns(pl.Series("similarity", similarity, dtype=pl.Float32))


def _rows_per_band(threshold: float) -> int:
    """The most numbers a band may hold while texts at the threshold are still found."""
    missed = {rows: (1 - threshold**rows) ** (PERMUTATIONS // rows) for rows in range(1, 33)}
    return max(rows for rows, share in missed.items() if share <= MISSED_AT_THRESHOLD)


def _bands(found: Signatures, threshold: float, groups: Groups | None) -> pl.DataFrame:
    """One line per row and band: `row`, and `key`, equal where two rows of a group agree in a whole band."""
    rows = _rows_per_band(threshold)
    start = np.zeros(len(found), dtype=np.uint64) if groups is None else groups
    keys = []
    for band in range(PERMUTATIONS // rows):
        key = start + np.uint64(band + 1)
        for column in range(band * rows, (band + 1) * rows):
            key = _mixed(key ^ found[:, column])
        keys.append(pl.DataFrame({"row": np.arange(len(found), dtype=np.uint32), "key": key}))
    return pl.concat(keys)


def _within(bands: pl.DataFrame) -> pl.DataFrame:
    """Rows that share a band, each pair once."""
    shared = bands.filter(pl.col("key").is_duplicated())
    crowded = pl.len().over("key") > BAND_CROWD
    small, large = shared.filter(~crowded), shared.filter(crowded).sort("key", "row")
    pairs = small.join(small, on="key").select("row", other="row_right")
    first = large.select("row", other=pl.col("row").first().over("key"))
    previous = large.select("row", other=pl.col("row").shift(1).over("key"))
    return pl.concat([pairs, first, previous]).filter(pl.col("other") < pl.col("row")).unique()


def _between(bands: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rows that share a band with one of the first known rows in it, each pair once."""
    fewer = known.filter(pl.int_range(pl.len()).over("key") < BAND_CROWD)
    return bands.join(fewer, on="key").select("row", other="row_right").unique()
