"""One token of many answers in fewer operations: the logits of transformers' own way through the layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, PreTrainedModel, Qwen2Config, Qwen3Config
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from grpo_pipeline.training import joined_weights
from grpo_pipeline.training.base_model import locate_base_model
from grpo_pipeline.training.fast_writing import make_fast
from grpo_pipeline.training.merged import MergedPolicy
from grpo_pipeline.training.packed import can_pack
from grpo_pipeline.training.policy import Policy, fresh_policy
from grpo_pipeline.training.prefill import Prefilled, extend, prefill
from grpo_pipeline.training.profiles import Hardware, resolve
from grpo_pipeline.training.settings import TrainingSettings
from grpo_pipeline.training.token_step import CHILD, token_step_of

pytestmark = pytest.mark.skipif(not can_pack(torch.float32), reason="without oneDNN in torch models keep their own way")
VOCABULARY = 100
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
CONFIGS = {
    "Llama": LlamaConfig(**SIZES),
    "Qwen3": Qwen3Config(**SIZES, head_dim=16),
    "scaled RoPE": LlamaConfig(
        **SIZES,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 10_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    ),
    "tied": Qwen3Config(**SIZES, head_dim=8, tie_word_embeddings=True),
}
PROMPTS = [[5, 6, 7, 8, 9], [11, 12]]


def built(config: LlamaConfig | Qwen2Config | Qwen3Config, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    torch.manual_seed(1)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            # They begin as ones, and what is done with them would not be seen.
            parameter.data.uniform_(0.5, 1.5)
        # As base models are stored; float16 holds these numbers too.
        parameter.data.copy_(parameter.data.bfloat16())
    make_fast(model)
    return model


def written(model: PreTrainedModel) -> list[torch.Tensor]:
    """Logits after each further token of four answers to two prompts, of which some end on the way."""
    source = torch.Generator().manual_seed(2)
    state: Prefilled = prefill(model, PROMPTS)
    state.reserve(torch.tensor([0, 0, 1, 1]))
    found = []
    for step in range(70):
        if step in (3, 40):
            state.select(torch.tensor([0, len(state.logits) - 1, *range(2, len(state.logits) - 1)]))
        tokens = torch.randint(0, VOCABULARY, (len(state.logits), 1), generator=source)
        found.append(extend(model, state, tokens, torch.ones_like(tokens))[:, -1])
    return found


@pytest.fixture(params=["as this processor has it", "without products in float16"])
def half(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of the products; processors other than x86 have only the second."""
    if request.param.startswith("without"):
        monkeypatch.setattr(joined_weights, "HALF_ENGINES", ())


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_its_logits_are_those_of_the_model(name: str) -> None:
    model = built(CONFIGS[name])
    assert token_step_of(model)
    found = written(model)
    delattr(model, CHILD)
    expected = written(model)
    assert len(expected[-1]) == 2
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not can_pack(torch.bfloat16), reason="a processor without bfloat16 products takes the plain way")
@torch.no_grad()
def test_in_bfloat16_it_differs_by_rounding() -> None:
    model = built(CONFIGS["Qwen3"], torch.bfloat16)
    exact = built(CONFIGS["Qwen3"])
    assert token_step_of(model)
    found, expected = written(model), written(exact)
    delattr(model, CHILD)
    plain = written(model)
    ours, theirs = (
        torch.stack([(a.float() - b).abs().max() for a, b in zip(logits, expected, strict=True)]).mean()
        for logits in (found, plain)
    )
    assert ours < 1.5 * theirs


@pytest.mark.usefixtures("half")
@torch.no_grad()
def test_it_follows_the_adapter(home: Path) -> None:
    base = locate_base_model("tiny-qwen3", home)
    policy = fresh_policy(Policy(base, resolve(TrainingSettings(profile="tiny"), Hardware(0, cpu_bf16=False))))
    for parameter in policy.parameters():
        parameter.data.copy_(parameter.data.bfloat16())
    merged, token = MergedPolicy(policy), torch.tensor([[5]])
    earlier = None
    for seed in (2, 3):
        torch.manual_seed(seed)
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.data.normal_(std=0.05)
        merged.outdate()
        twin = merged.current()
        assert token_step_of(twin)
        found = extend(twin, prefill(twin, [[7, 8]]), token, torch.ones_like(token))[:, -1]
        expected = policy(torch.tensor([[7, 8, 5]])).logits[:, -1]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert earlier is None or not torch.allclose(found, earlier, atol=1e-2)
        earlier = found


def test_gradients_take_the_models_own_way() -> None:
    model, token = built(CONFIGS["Llama"]), torch.tensor([[5]])
    logits = extend(model, prefill(model, [[7, 8]]), token, torch.ones_like(token))
    logits.sum().backward()
    assert model.get_input_embeddings().weight.grad is not None


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SIZES),
        LlamaConfig(**SIZES, attention_bias=True),
        LlamaConfig(**SIZES, hidden_act="gelu"),
        Qwen3Config(**SIZES, head_dim=8, layer_types=["full_attention", "sliding_attention", "full_attention"]),
    ],
    ids=["another kind", "bias", "another activation", "sliding window"],
)
def test_other_models_keep_their_own_way(config: LlamaConfig | Qwen2Config | Qwen3Config) -> None:
    assert token_step_of(built(config)) is None


@pytest.mark.usefixtures("half")
def test_it_has_no_weights_of_its_own() -> None:
    model = built(CONFIGS["Llama"])
    names = [name for name, _ in model.named_parameters()]
    assert names
    assert not [name for name in names if CHILD in name]
    assert not [name for name in model.state_dict() if CHILD in name]
