import json

import pytest
from pydantic import ValidationError

from grpo_pipeline.curation.settings import CurationSettings
from grpo_pipeline_tests.curation.frames import curated, pair, rules_of

SIX = "Where?"
LONG = "Numbers first. " * 20


@pytest.mark.parametrize(
    ("rule", "bad", "good", "settings"),
    [
        ("not_approved", {"review_status": "rejected"}, {"review_status": "pending"}, {}),
        ("not_approved", {"review_status": "pending"}, {"review_status": "approved"}, {"review": "required"}),
        ("not_approved", {"review_status": None}, {"review_status": "approved"}, {"review": "required"}),
        ("not_approved", {"review_status": "rejected"}, {"review_status": "approved"}, {"review": "required"}),
        ("missing_text", {"prompt": None}, {"prompt": "Who?"}, {}),
        ("missing_text", {"prompt": " \n\t "}, {"prompt": " Who? "}, {}),
        ("missing_text", {"prompt": "\u200b\ufeff"}, {"prompt": "\ufeffWho?"}, {}),
        ("missing_text", {"prompt": '[{"role":"user","content":" "}]'}, {"prompt": "[1] is the source of what?"}, {}),
        ("missing_text", {"chosen": ""}, {"chosen": "Fine."}, {}),
        ("missing_text", {"rejected": None}, {"rejected": "x"}, {}),
        ("invalid_tools", {"tools": "not json"}, {"tools": '[{"name": "search"}]'}, {}),
        ("invalid_tools", {"tools": '{"name": "search"}'}, {"tools": "null"}, {}),
        ("invalid_tools", {"tools": '["search"]'}, {"tools": "[]"}, {}),
        ("invalid_tools", {"tools": '[{"n": NaN}]'}, {"tools": ""}, {}),
        ("invalid_tools", {"tools": '[{"n": "\\ud800"}]'}, {"tools": '[{"n": "\\u00e9"}]'}, {}),
        ("invalid_tools", {"tools": "[" * 5_000}, {"tools": None}, {}),
        ("broken_encoding", {"chosen": "Caf\ufffd is closed"}, {"chosen": "Café is closed"}, {}),
        ("broken_encoding", {"chosen": "CafÃ© is closed"}, {"chosen": "À la carte, NÃO, Âme"}, {}),
        ("broken_encoding", {"rejected": "Itâ€™s fine"}, {"rejected": "It’s fine – “really”…"}, {}),
        ("broken_encoding", {"prompt": "bell \x07 rings"}, {"prompt": "tab\tand\nline"}, {}),
        ("broken_encoding", {"prompt": '[{"role":"user","content":"\\ud83d what"}]'}, {"prompt": "🙂 what"}, {}),
        ("broken_encoding", {"chosen": "a\ufffd b\ufffd c"}, {"chosen": "a\ufffd b c"}, {"max_broken_characters": 1}),
        ("too_short", {"prompt": "Hi"}, {"prompt": "Hi?"}, {}),
        ("too_short", {"chosen": "four"}, {"chosen": "fives"}, {"min_chars": 5}),
        ("too_short", {"prompt": '[{"role":"user","content":"Hi"}]'}, {"prompt": "分析公"}, {}),
        (
            "too_long",
            {"prompt": SIX, "chosen": "x" * 145},
            {"prompt": SIX, "chosen": "x" * 144},
            {"context_tokens": 50},
        ),
        (
            "too_long",
            {"prompt": SIX, "rejected": "x" * 145},
            {"prompt": SIX, "rejected": "x" * 144},
            {"context_tokens": 50},
        ),
        ("too_long", {"tools": json.dumps([{"a": LONG}])}, {"tools": '[{"a": "b"}]'}, {"context_tokens": 60}),
        ("low_score", {"source": "import", "score": 2.5}, {"source": "import", "score": 3.0}, {}),
        ("low_score", {"source": None, "score": 1.0}, {"source": "import", "score": None}, {}),
        ("low_score", {"source": "import", "score": 4.0}, {"source": "edit", "score": 1.0}, {"min_score": 4.5}),
        ("unchanged", {"chosen": "No  Idea\n1.", "rejected": "no idea 1"}, {"chosen": "No idea 2"}, {}),
        ("unchanged", {"chosen": "ﬁne café", "rejected": "fine cafe\u0301"}, {"rejected": "fine cafe"}, {}),
        ("copied_prompt", {"prompt": "Who is Ramp?", "chosen": "who is ramp"}, {"prompt": "Who is Ramp?"}, {}),
        (
            "copied_prompt",
            {"prompt": "Explain the moat", "chosen": "Explain the moat OK"},
            {"prompt": "Explain the moat", "chosen": "Explain the moat at length"},
            {"copied_prompt_share": 0.8},
        ),
    ],
)
def test_each_rule_sets_aside_one_side_of_its_threshold(
    rule: str, bad: dict[str, str], good: dict[str, str], settings: dict[str, object]
) -> None:
    assert rules_of(curated(pair(1, **bad), **settings)) == {"pair-0001": rule}
    assert rules_of(curated(pair(1, **good), **settings)) == {}


def test_the_first_rule_that_fails_names_the_row_and_the_detail_names_the_columns() -> None:
    result = curated(pair(1, prompt=" ", chosen=None, tools="broken"))
    assert result.quarantine.rows(named=True) == [
        {
            "id": "pair-0001",
            "table": "preference_pairs",
            "rule": "missing_text",
            "detail": "prompt, chosen",
            "week": "2026-11-02",
            "user_id": "user-1",
        }
    ]


def test_texts_come_out_clean_and_prompts_and_tools_in_one_spelling() -> None:
    prompt = '[{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Who?", "name": "ann"}]'
    result = curated(pair(1, prompt=prompt, chosen="\ufeff One\r\ntwo \n", tools='[{"a":  1}]'))
    kept = result.pairs.row(0, named=True)
    assert kept["prompt"] == '[{"role":"system","content":"Be brief"},{"role":"user","content":"Who?"}]'
    assert kept["chosen"] == "One\ntwo"
    assert kept["tools"] == '[{"a": 1}]'
    assert kept["flags"] == []


@pytest.mark.parametrize(
    "wrong", [{"phone_regions": ["USA"]}, {"up_score": 2, "down_score": 2}, {"review": "maybe"}, {"min_chars": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CurationSettings.model_validate(wrong)
