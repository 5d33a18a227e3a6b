"""The tools that the sample's agent offers, as function schemas."""

from __future__ import annotations

from typing import Any

METRICS = ("revenue", "growth", "headcount", "churn", "margin", "runway")


def _schema(name: str, description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


TOOLS: dict[str, dict[str, Any]] = {
    schema["function"]["name"]: schema
    for schema in (
        _schema("get_company_profile", "Sector, seat and leadership.", company={"type": "string"}),
        _schema("get_funding_rounds", "Rounds, dates and investors.", company={"type": "string"}),
        _schema("get_metrics", "One business figure.", company={"type": "string"}, metric={"type": "string"}),
        _schema("search_news", "Headlines of the last days.", company={"type": "string"}, days={"type": "integer"}),
    )
}
