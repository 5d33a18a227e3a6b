import json

from grpo_pipeline_tests.curation.frames import curated, pair

TOOLS = json.dumps([{"name": "mail", "owner": "Ann@example.com", "lines": ["\n81.2.69.142"], "limit": 4155552671}])


def test_one_value_gets_one_placeholder_over_prompt_answers_and_tools() -> None:
    result = curated(
        pair(
            1,
            prompt="Write to ann@example.com, not bob@example.com",
            chosen="Wrote to ANN@example.com and (415) 555-2671.",
            rejected="Called +1 415-555-2671 and bob@example.com",
            tools=TOOLS,
        )
    )
    kept = result.pairs.row(0, named=True)
    assert kept["prompt"] == "Write to <EMAIL_1>, not <EMAIL_2>"
    assert kept["chosen"] == "Wrote to <EMAIL_1> and <PHONE_1>."
    assert kept["rejected"] == "Called <PHONE_1> and <EMAIL_2>"
    assert json.loads(kept["tools"]) == [
        {"name": "mail", "owner": "<EMAIL_1>", "lines": ["\n<IP_1>"], "limit": 4155552671}
    ]
    assert kept["flags"] == ["redacted_email", "redacted_ip", "redacted_phone"]
    counted = {name: count for name, count in result.counts.items() if name.startswith("redacted.")}
    assert counted == {"redacted.EMAIL": 5, "redacted.IP": 1, "redacted.PHONE": 2}


def test_conversations_are_redacted_message_by_message_and_stay_conversations() -> None:
    messages = [
        {"role": "system", "content": 'Quote "ann@example.com"'},
        {"role": "user", "content": "Call\n4111 1111 1111 1111"},
    ]
    result = curated(pair(1, prompt=json.dumps(messages)))
    assert json.loads(result.pairs["prompt"].item()) == [
        {"role": "system", "content": 'Quote "<EMAIL_1>"'},
        {"role": "user", "content": "Call\n<CARD_1>"},
    ]


def test_placeholders_that_stand_in_the_text_already_keep_their_meaning() -> None:
    result = curated(pair(1, prompt="Ask <EMAIL_2> about it", chosen="Asked ann@example.com about <EMAIL_2> today."))
    assert result.pairs["chosen"].item() == "Asked <EMAIL_3> about <EMAIL_2> today."


def test_each_row_numbers_its_own_values() -> None:
    result = curated(
        pair(1, chosen="Mail ann@example.com about the revenue."),
        pair(2, chosen="Headcount is known to bob@example.com."),
    )
    assert result.pairs["chosen"].to_list() == [
        "Mail <EMAIL_1> about the revenue.",
        "Headcount is known to <EMAIL_1>.",
    ]


def test_texts_without_personal_data_and_rows_beside_redacted_ones_stay_as_they_are() -> None:
    result = curated(pair(1, chosen="Mail ann@example.com about it."), pair(2))
    assert result.pairs.row(1, named=True)["chosen"] == pair(2)["chosen"]
    assert result.pairs["flags"].to_list() == [["redacted_email"], []]


def test_redaction_can_be_turned_off() -> None:
    result = curated(pair(1, chosen="Mail ann@example.com about it."), redact=False)
    assert result.pairs["chosen"].item() == "Mail ann@example.com about it."


def test_pairs_that_differ_in_personal_data_alone_count_as_one() -> None:
    result = curated(
        pair(1, prompt="Whom do I ask?", chosen="Ask ann@example.com about the renewal.", rejected="No idea"),
        pair(2, prompt="Whom do I ask?", chosen="Ask bob@example.com about the renewal.", rejected="No idea"),
    )
    assert result.quarantine["rule"].to_list() == ["exact_duplicate"]
