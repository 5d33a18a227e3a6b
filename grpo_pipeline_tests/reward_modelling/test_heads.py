from __future__ import annotations

import numpy as np
import pytest

from grpo_pipeline.gates.reward_model import reward_model_verdict
from grpo_pipeline.reward_modelling.folds import Groups, grouped_folds
from grpo_pipeline_tests.reward_modelling.planted import SETTINGS, fidelity_on, fitted, planted


@pytest.mark.parametrize("pairs", [80, 160, 320])
def test_a_planted_preference_is_found_and_used(pairs: int) -> None:
    fidelity = fidelity_on(planted(120, "direction", seed=7), *fitted(planted(pairs, "direction", seed=1)))
    verdict = reward_model_verdict(fidelity, SETTINGS)
    assert verdict.passed, verdict.reason
    assert fidelity.accuracy.mean > {80: 0.65, 160: 0.72, 320: 0.8}[pairs]
    assert abs(fidelity.length_correlation) < 0.3


def test_random_labels_teach_nothing_and_are_refused_almost_always() -> None:
    verdicts = [
        reward_model_verdict(
            fidelity_on(planted(120, "nothing", seed=100 + seed), *fitted(planted(160, "nothing", seed=seed))), SETTINGS
        )
        for seed in range(20)
    ]
    assert sum(verdict.passed for verdict in verdicts) <= 1
    assert verdicts[0].reason.startswith("reward model not used: ")


def test_a_preference_for_length_alone_is_refused() -> None:
    fidelity = fidelity_on(planted(120, "length", seed=7), *fitted(planted(320, "length", seed=1)))
    verdict = reward_model_verdict(fidelity, SETTINGS)
    assert not verdict.passed
    longer = next(rule for rule in fidelity.baselines if rule.name == "longer")
    assert longer.accuracy > 0.85
    assert fidelity.accuracy.mean < longer.accuracy


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    data = planted(80, "direction", seed=1)
    first, scale = fitted(data)
    again, same_scale = fitted(data)
    assert first.weights.tobytes() == again.weights.tobytes()
    assert scale == same_scale
    other, _ = fitted(data, SETTINGS.model_copy(update={"seed": 1}))
    assert other.weights.tobytes() != first.weights.tobytes()


def test_the_ensemble_is_careful_where_its_heads_disagree() -> None:
    heads, _ = fitted(planted(160, "direction", seed=1))
    far = heads.center + 100 * np.random.default_rng(0).normal(size=(200, len(heads.center)))
    mean = ((far - heads.center) @ heads.weights.T).mean(axis=1)
    assert np.all(heads.values(far) < mean)


def shared_world(pairs: int, seed: int) -> Groups:
    """People who gave several pairs, some together, and questions that several people asked."""
    source = np.random.default_rng(seed)
    people = [f"person {number}" for number in source.integers(0, 30, pairs)]
    helpers = [f"person {number}" if number < 30 else None for number in source.integers(0, 90, pairs)]
    return Groups(people, helpers, [f"question {number}" for number in source.integers(0, pairs // 2, pairs)])


@pytest.mark.parametrize("seed", range(5))
def test_no_person_and_no_question_is_on_both_sides_of_a_fold(seed: int) -> None:
    groups = shared_world(120, seed)
    folds = grouped_folds(groups, 5, seed)
    assert sorted(row for fold in folds for row in fold.test) == list(range(120))
    for fold in folds:
        assert len(fold.train) > 20
        people = [
            {name for row in rows for name in (groups.contributor[row], groups.co_contributor[row]) if name}
            for rows in (fold.train, fold.test)
        ]
        assert not people[0] & people[1]
        assert not {groups.cluster[row] for row in fold.train} & {groups.cluster[row] for row in fold.test}


def test_pairs_of_very_few_people_are_folded_by_question() -> None:
    groups = Groups(["one"] * 40, [None] * 40, [f"question {row // 2}" for row in range(40)])
    folds = grouped_folds(groups, 5, 0)
    assert [len(fold.test) for fold in folds] == [8] * 5
    assert all(len(fold.train) == 32 for fold in folds)
    assert all(row // 2 not in {other // 2 for other in fold.train} for fold in folds for row in fold.test)
