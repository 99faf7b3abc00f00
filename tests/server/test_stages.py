"""Stages of a call: what overlaps counts once, and each thread's work is for the call that it has."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.stages import Stages, stage


def test_times_of_one_name_are_summed_and_what_overlaps_counts_once() -> None:
    stages = Stages()
    for began, ended in ((10.0, 12.0), (11.0, 13.0), (11.5, 12.5), (20.0, 21.0)):
        stages.add("run", began, ended)
    [(name, run)] = stages.all().items()
    assert (name, run.began, run.ended, run.seconds) == ("run", 10.0, 21.0, 4.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10)), min_size=1, max_size=30))
def test_no_more_than_what_passed_and_no_less_than_the_longest(times: list[tuple[float, float]]) -> None:
    stages = Stages()
    for began, lasted in sorted(times):
        stages.add("x", began, began + lasted)
    found = stages.all()["x"]
    assert found.seconds <= found.ended - found.began + 1e-6
    assert found.seconds >= max(lasted for _, lasted in times) - 1e-6


def test_a_stage_is_the_calls_that_the_thread_works_for() -> None:
    one, other = Stages(), Stages()
    with stage("outside"):
        pass

    def work(stages: Stages, name: str) -> None:
        with stages.recording(), stage(name):
            pass

    threads = [threading.Thread(target=work, args=given) for given in ((one, "a"), (other, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(one.all()) == {"a"} and set(other.all()) == {"b"}


def test_a_stage_that_fails_counts_too() -> None:
    stages = Stages()
    with stages.recording():
        try:
            with stage("a"):
                raise ValueError
        except ValueError:
            pass
    assert set(stages.all()) == {"a"}
