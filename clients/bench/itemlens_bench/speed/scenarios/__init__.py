"""The scenarios, one module each: a scenario takes a Bench and returns sections of the report."""

from collections.abc import Callable, Mapping

from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.report import Section
from itemlens_bench.speed.scenarios.encode import encode
from itemlens_bench.speed.scenarios.latency import latency
from itemlens_bench.speed.scenarios.lengths import lengths
from itemlens_bench.speed.scenarios.mixed import mixed
from itemlens_bench.speed.scenarios.open_loop import open_loop
from itemlens_bench.speed.scenarios.overload import overload
from itemlens_bench.speed.scenarios.recommend import recommend
from itemlens_bench.speed.scenarios.soak import soak

SCENARIOS: Mapping[str, Callable[[Bench], list[Section]]] = {
    "encode": encode,
    "latency": latency,
    "lengths": lengths,
    "recommend": recommend,
    "overload": overload,
    "mixed": mixed,
    "open-loop": open_loop,
    "soak": soak,
}
