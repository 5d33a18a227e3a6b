"""What Prometheus scrapes: requests by route and status, how long they took, and what became of feedback."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one server; each has its own, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "grpo_http_requests_total", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "grpo_http_request_seconds", "Time to answer.", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.feedback = Counter(
            "grpo_feedback_total", "Feedback taken.", ["feedback_type", "outcome"], registry=self.registry
        )
        self.in_flight = Gauge("grpo_http_requests_in_flight", "Requests being answered.", registry=self.registry)

    def rendered(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
