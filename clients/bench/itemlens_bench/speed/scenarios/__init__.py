"""What is measured, one module a scenario: each takes a Bench and gives sections of the report."""

from collections.abc import Callable, Mapping

from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.report import Section
from itemlens_bench.speed.scenarios.encode import encode
from itemlens_bench.speed.scenarios.latency import latency
from itemlens_bench.speed.scenarios.recommend import recommend

SCENARIOS: Mapping[str, Callable[[Bench], list[Section]]] = {
    "encode": encode,
    "latency": latency,
    "recommend": recommend,
}
