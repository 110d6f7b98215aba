"""The calendar gives deeds back in order, whatever was put in, and when."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from halloo.sim.calendar import Calendar

TIMES = st.floats(0.0, 10.0)


def deed() -> None:
    """Nothing."""


@given(st.lists(st.one_of(TIMES, st.none())))
def test_deeds_come_by_time_and_then_as_they_were_planned(steps: list[float | None]) -> None:
    calendar, model, now, order = Calendar(), [], 0.0, 0
    for step in steps:
        if step is not None:
            order += 1
            at = now + step
            calendar.put(at, deed, order)
            model.append((at, order))
        elif model:
            wanted = min(model)
            model.remove(wanted)
            assert calendar.next_at == wanted[0]
            at, _, _, values = calendar.take()
            assert (at, *values) == wanted
            now = at
    assert len(calendar) == len(model)
    assert [calendar.take()[0] for _ in range(len(model))] == sorted(at for at, _ in model)
    assert calendar.next_at == inf


def test_what_is_planned_for_the_past_comes_next() -> None:
    calendar = Calendar()
    calendar.put(5.0, deed, "late")
    calendar.put(5.001, deed, "later")
    assert calendar.take()[3] == ("late",)
    calendar.put(1.0, deed, "overdue")
    assert [calendar.take()[3] for _ in range(2)] == [("overdue",), ("later",)]
