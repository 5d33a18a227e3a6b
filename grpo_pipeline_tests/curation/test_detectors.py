from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grpo_pipeline.curation.detectors import DETECTORS, findings

# Keys are put together here so that scanners of repositories leave this file alone.
KEY = "aB3" * 20
PERSONAL = [
    ("write to jane.doe@example.com please", "EMAIL", "jane.doe@example.com"),
    ("JANE@EXAMPLE.CO.UK", "EMAIL", "jane@example.co.uk"),
    ("mailto:a+b@mail.example.io.", "EMAIL", "a+b@mail.example.io"),
    ("call +1 415 555 2671 now", "PHONE", "+14155552671"),
    ("+49 30 1234567", "PHONE", "+49301234567"),
    ("reach me: (415) 555-2671", "PHONE", "+14155552671"),
    ("415-555-2671", "PHONE", "+14155552671"),
    ("415.555.2671", "PHONE", "+14155552671"),
    ("+44 (0)20 7946 0958", "PHONE", "+442079460958"),
    ("call + 33 6 12 34 56 78", "PHONE", "+33612345678"),
    ("0044 20 7946 0958", "PHONE", "+442079460958"),
    ("my phone is 4155552671", "PHONE", "+14155552671"),
    ("Tel: 415 555 2671", "PHONE", "+14155552671"),
    ("card 4111 1111 1111 1111 exp", "CARD", "4111111111111111"),
    ("4111-1111-1111-1111", "CARD", "4111111111111111"),
    ("5555555555554444", "CARD", "5555555555554444"),
    ("amex 378282246310005", "CARD", "378282246310005"),
    ("IBAN DE89 3704 0044 0532 0130 00 BANK", "IBAN", "DE89370400440532013000"),
    ("GB82WEST12345698765432", "IBAN", "GB82WEST12345698765432"),
    ("NL91 ABNA 0417 1643 00.", "IBAN", "NL91ABNA0417164300"),
    ("server 81.2.69.142 down", "IP", "81.2.69.142"),
    ("from 81.2.69.142:443", "IP", "81.2.69.142"),
    ("2a00:1450:4001:081b::200e", "IP", "2a00:1450:4001:81b::200e"),
    ("[2606:4700:4700::1111]", "IP", "2606:4700:4700::1111"),
    ("AKIA" + "IOSFODNN7EXAMPLE", "API_KEY", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("ghp_" + KEY[:36], "API_KEY", "ghp_" + KEY[:36]),
    ("glpat-" + KEY[:20], "API_KEY", "glpat-" + KEY[:20]),
    ("sk-ant-api03-" + KEY, "API_KEY", "sk-ant-api03-" + KEY),
    ("sk-proj-" + KEY[:30] + "T3BlbkFJ" + KEY, "API_KEY", "sk-proj-" + KEY[:30] + "T3BlbkFJ" + KEY),
    ("AIza" + KEY[:35], "API_KEY", "AIza" + KEY[:35]),
    ("hf_" + "aBcD" * 8 + "eF", "API_KEY", "hf_" + "aBcD" * 8 + "eF"),
    ("api_key = 'f3a9c1d27be84f60a5d4'", "API_KEY", "f3a9c1d27be84f60a5d4"),
    ("Authorization: Bearer abcdef0123456789abcdef", "API_KEY", "abcdef0123456789abcdef"),
    ("https://bob:hunter2secret@db.example.com/x", "API_KEY", "hunter2secret"),
    ("-----BEGIN EC PRIVATE " + "KEY-----\nMHcC\n-----END EC PRIVATE KEY-----", "API_KEY", None),
]
HARMLESS = [
    "Analyze @Ramp and @Brex",
    "order 4155552671",
    "Order #415-555-2671",
    "order no. 100-200-3000",
    "SKU 650-253-0000",
    "version 1.2.3.4 is out",
    "v10.20.30.40",
    "driver 531.41.0.12",
    "see 1.2.3.4 for details",
    "192.168.1.10 and 127.0.0.1",
    "2024-01-15 10:30:00",
    "2024-01-15T10:30:00.123Z",
    "1700000000",
    "1700000000123",
    "550e8400-e29b-41d4-a716-446655440000",
    "$1,234,567 in revenue",
    "revenue of 1,234,567 and 2,345,678 in 2023-2024",
    "312 455 2000 units",
    "growth 100 200 3000",
    "Q1 2023 Q2 2024 1000 2000 3000",
    "call option 2024 2025 100 200",
    "call 2023 2024 2025",
    "tel aviv 2023 revenue 1 200 000",
    "headcount 1200-1500, ARR 10.5-12.5",
    "+20% YoY, +35.5% in 2023, +15 000 000 in ARR",
    "EV/EBITDA 12.345.678",
    "price 0.1234567 BTC",
    "= 3600000000000 + 62426244000 + 198472480000",
    "between 2010-2015-2020",
    "ISBN 978-3-16-148410-0",
    "CIK 0001318605, filed 0000950170-24-012345",
    "EIN 12-3456789, NCT01234567",
    "4111 1111 1111 1112",
    "1234567890123456",
    "GB82 WEST 1234 5698 7654 33",
    "logo@2x.png",
    "git@github.com:owner/name.git",
    "react@18.2.0",
    "std::vector<int> a::b, 12:30:45",
    "SHA 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "the api key is required for access",
    "password must have 16 characters",
    "token: see documentation_for_tokens",
    "sk-learn-based-classification-pipelines-are-fine",
    "<EMAIL_1> and <PHONE_2>",
]
PREFILTER = "|".join(f"(?:{detector.prefilter})" for detector in DETECTORS)


@pytest.mark.parametrize(("text", "kind", "value"), PERSONAL)
def test_personal_data_is_found_whole_and_once(text: str, kind: str, value: str | None) -> None:
    found = findings(text, ("US",))
    assert [(finding.kind, finding.value) for finding in found] == [(kind, value or text)]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_personal_data_stays(text: str) -> None:
    assert findings(text, ("US",)) == []


def test_national_numbers_are_known_for_the_regions_that_are_set() -> None:
    text = "Ruf an: 030 12345678"
    assert findings(text, ("US",)) == []
    assert [finding.value for finding in findings(text, ("US", "DE"))] == ["+493012345678"]


@pytest.mark.parametrize("frame", ["{}", "é{}é", "«{}», oui", "電話{}です", '"{}"', "({})", "a\n{}\nb"])
@pytest.mark.parametrize("text", [text for text, _, _ in PERSONAL])
def test_the_prefilter_of_columns_proposes_whatever_a_detector_would_find(text: str, frame: str) -> None:
    whole = frame.format(text)
    if findings(whole, ("US", "DE")):
        assert pl.Series([whole]).str.contains(PREFILTER).item()


@settings(max_examples=200, deadline=None)
@example("a" * 60_000)
@example("1" * 60_000)
@example("@a." * 20_000)
@example("+1 " * 20_000)
@example("AB12 " * 12_000)
@given(st.text(alphabet=st.sampled_from("aZ09 @.+-:/()_é—\n"), max_size=80))
def test_any_text_is_searched_quickly_and_findings_never_overlap(text: str) -> None:
    found = findings(text, ("US",))
    assert all(left.end <= right.start for left, right in pairwise(found))
    assert all(0 <= finding.start < finding.end <= len(text) for finding in found)
