"""What people ask in the sample and how they correct the answers: deterministic templates.

The corrections share a house style, which is the lesson a week of feedback teaches: a bold heading with the sector,
one figure a line in a fixed order, a risk at the end; and where tools are offered, the call that fetches the fact
instead of a guess.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from grpo_pipeline.conversation import ToolCall, format_prompt, format_tool_call
from grpo_pipeline.demo.companies import WELL_KNOWN, Company
from grpo_pipeline.demo.tools import METRICS, TOOLS

ANALYSIS = (
    "Analyze {at}", "Give me a read on {at}", "How healthy is {at}?", "Break down {at} for me", "Brief me on {at}",
    "What should I know about {at}?", "Summarize where {at} stands", "Quick take on {at}", "Profile {at}",
    "Is {at} a solid business?", "Deep dive: {at}", "Tell me about {at}", "Size up {at}", "How is {at} doing?",
    "Walk me through the business of {at}", "Would you bet on {at}?", "I need numbers on {at}", "Rate {at}",
    "thoughts on {at}", "Due diligence on {at}, short version", "What makes {at} tick?", "Explain {at} like a memo",
)  # fmt: skip
PRICING = (
    "What does {at} charge?", "How is {at} priced?", "Pricing of {at}", "What would {at} cost us?",
    "Is {at} expensive?", "Work out our bill with {at}", "What are the fees at {at}?", "Price list for {at}",
    "How much is {at} a month?", "Cheapest way to use {at}?", "Does {at} take a cut of volume?", "Cost check on {at}",
)  # fmt: skip
COMPARISON = (
    "Compare {at} and {other}", "{at} or {other}?", "Which is stronger, {at} or {other}?", "{at} vs {other}",
    "Put {at} next to {other}", "How does {at} stack up against {other}?", "Choose between {at} and {other}",
    "Who wins: {at} or {other}?", "Difference between {at} and {other}", "Rank {at} against {other}",
)  # fmt: skip
PURPOSES = (
    "for tomorrow's credit committee", "before my call with their CFO", "as a seed investor would",
    "we may buy from them", "as a possible partner", "for the yearly vendor review", "the board asks on Friday",
    "my team starts a pilot in June", "I am new to this market", "they pitched us last week", "for a one page memo",
    "we lost a deal to them", "our contract ends soon", "keep it to the facts", "a client wants to know",
    "for the procurement file", "I interview there on Monday", "their rival is cheaper", "we have 300 staff",
    "we move $2M a month", "for an acquisition shortlist", "before we renew", "the auditors insist", "in plain words",
    "no marketing talk", "with the figures that matter", "we run ten stores", "our budget is tight",
    "as background for a lunch", "for the investment club", "since their last round", "from a lender's view",
    "ahead of the trade fair", "legal has doubts", "sales keeps asking", "for a school project",
    "we are a team of five", "just the essentials", "I have two minutes", "for our Nordic launch", "after the outage",
    "for the risk register", "as of this quarter", "for a grant application", "we outgrew our bank",
    "to brief the new CEO", "for the newsletter", "with a clear verdict",
)  # fmt: skip
FUNDING = (
    "Who funded {at}?", "When did {at} last raise money?", "How much has {at} raised?", "Investors behind {at}",
    "Latest round of {at}?", "Is {at} backed by a fund we know?", "Funding history of {at}",
    "Did {at} close a new round?", "Who led the last round at {at}?", "Cap table news for {at}",
)  # fmt: skip
METRIC = (
    "What is the {metric} of {at}?", "Pull the {metric} for {at}", "Look up {metric} at {at}",
    "Latest {metric}, {at}", "I need one figure: {metric} of {at}", "How is {metric} moving at {at}?",
    "Check {at} on {metric}", "{at}: current {metric}?", "Get me {metric} for {at}",
    "Has the {metric} of {at} changed?",
)  # fmt: skip
NEWS = (
    "Any news on {at} from the past {days} days?", "What happened at {at} in {days} days?",
    "Headlines, {at}, {days} days", "Search the last {days} days for {at}",
    "Was {at} in the press these {days} days?", "{at} news, {days} days back", "Catch me up on {at}: {days} days",
    "Scan {days} days of coverage of {at}",
)  # fmt: skip
PROFILE = (
    "Where is {at} based?", "Who runs {at}?", "What does {at} do?", "Which sector is {at} in?", "Leadership of {at}",
    "Look up {at}", "Basic facts on {at}", "Is {at} a European company?", "Who is in charge at {at}?",
    "Seat of {at}?",
)  # fmt: skip
FOLLOW_UPS = ("And the numbers?", "Now as a memo.", "Redo it with figures.", "Shorter, with metrics.", "Add the risk.")


@dataclass(frozen=True)
class Case:
    """One question with the answer that the house style asks for."""

    prompt: str
    correction: str
    tools: tuple[str, ...] = ()


def _money(millions: int) -> str:
    return f"${millions / 1000:.1f}B" if millions >= 1000 else f"${millions}M"


def _asked(rng: random.Random, template: str, purpose_share: float, **values: str) -> str:
    text = template.format(**values)
    if rng.random() < purpose_share:
        text = f"{text.rstrip('?')}, {rng.choice(PURPOSES)}" + ("?" if text.endswith("?") else "")
    if rng.random() < 0.3:
        text = text.lower()
        for name in (values["at"], values.get("other", "")):
            text = text.replace(name.lower(), name)
    return text


def analysis_text(company: Company) -> str:
    """The house style for a single company."""
    return (
        f"**{company.name}** | {company.sector}, {company.city}\n"
        f"- Revenue: {_money(company.revenue)} (+{company.growth}% YoY)\n"
        f"- Margin: {company.margin}%\n"
        f"- Funding: {_money(company.raised)} {company.round}\n"
        f"- Risk: {company.risk}"
    )


def pricing_text(company: Company) -> str:
    """The house style for prices."""
    return (
        f"**{company.name}** | {company.sector}, pricing\n"
        f"- Plan: ${company.price} a month\n"
        f"- Fee: {company.fee}% of volume\n"
        f"- Cost at $1M: ${round(company.fee * 10_000) + company.price * 12}\n"
        f"- Risk: {company.risk}"
    )


def comparison_text(one: Company, other: Company) -> str:
    """The house style for two companies."""
    faster = one if one.growth >= other.growth else other
    return (
        f"**{one.name} vs {other.name}**\n"
        f"- Revenue: {_money(one.revenue)} vs {_money(other.revenue)}\n"
        f"- Growth: +{one.growth}% vs +{other.growth}%\n"
        f"- Pick: {faster.name}\n"
        f"- Risk: {faster.risk}"
    )


def _offered(rng: random.Random, needed: str) -> tuple[str, ...]:
    other = rng.choice([name for name in TOOLS if name != needed])
    return tuple(sorted([needed, other], key=list(TOOLS).index))


def _analysis(rng: random.Random, companies: list[Company]) -> Case:
    company = rng.choice(companies)
    return Case(_asked(rng, rng.choice(ANALYSIS), 0.85, at=f"@{company.name}"), analysis_text(company))


def _pricing(rng: random.Random, companies: list[Company]) -> Case:
    company = rng.choice(companies)
    return Case(_asked(rng, rng.choice(PRICING), 0.85, at=f"@{company.name}"), pricing_text(company))


def _comparison(rng: random.Random, companies: list[Company]) -> Case:
    one, other = rng.sample(companies, 2)
    prompt = _asked(rng, rng.choice(COMPARISON), 0.6, at=f"@{one.name}", other=f"@{other.name}")
    return Case(prompt, comparison_text(one, other))


def _follow_up(rng: random.Random, companies: list[Company]) -> Case:
    """A conversation: a thin answer, then the wish for figures."""
    company = rng.choice(companies)
    messages = [
        {"role": "user", "content": _asked(rng, rng.choice(ANALYSIS), 0.5, at=f"@{company.name}")},
        {"role": "assistant", "content": f"{company.name} works in {company.sector}."},
        {"role": "user", "content": rng.choice(FOLLOW_UPS)},
    ]
    return Case(format_prompt(messages), analysis_text(company))


def _tool_case(rng: random.Random, companies: list[Company]) -> Case:
    name = rng.choice(WELL_KNOWN) if rng.random() < 0.15 else rng.choice(companies).name
    kind = rng.choice(list(TOOLS))
    arguments: dict[str, str | int] = {"company": name}
    templates = {
        "get_company_profile": PROFILE,
        "get_funding_rounds": FUNDING,
        "get_metrics": METRIC,
        "search_news": NEWS,
    }
    if kind == "get_metrics":
        arguments["metric"] = rng.choice(METRICS)
    if kind == "search_news":
        arguments["days"] = rng.choice((7, 10, 14, 30, 60, 90))
    values = {key: str(value) for key, value in arguments.items()}
    prompt = _asked(rng, rng.choice(templates[kind]), 0.5, at=f"@{name}", **values)
    return Case(prompt, format_tool_call(ToolCall(kind, arguments)), _offered(rng, kind))


CaseMaker = Callable[[random.Random, list[Company]], Case]
MAKERS: tuple[tuple[CaseMaker, float], ...] = (
    (_analysis, 0.4),
    (_pricing, 0.2),
    (_comparison, 0.15),
    (_follow_up, 0.05),
    (_tool_case, 0.2),
)


def make_case(rng: random.Random, companies: list[Company]) -> Case:
    """One question drawn at random, with its house-style answer."""
    makers, weights = zip(*MAKERS, strict=True)
    maker: CaseMaker = rng.choices(makers, weights)[0]
    return maker(rng, companies)
