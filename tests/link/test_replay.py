"""The window against replays."""

from hypothesis import given
from hypothesis import strategies as st

from halloo.link.replay import SIZE, Window


@given(st.lists(st.integers(0, 3000), max_size=200))
def test_it_agrees_with_a_memory_of_everything(sequence: list[int]) -> None:
    window, heard = Window(), set[int]()
    for number in sequence:
        behind = max(heard, default=-1) - number
        assert window.fresh(number) == (number not in heard and behind < SIZE)
        if window.fresh(number):
            window.mark(number)
            heard.add(number)
    assert window.highest == max(heard, default=-1)


@given(st.integers(0, 1 << 40), st.integers(-900, 20_000))
def test_the_low_bits_tell_the_number_near_what_was_heard(highest: int, ahead: int) -> None:
    window = Window()
    window.mark(highest)
    number = highest + ahead
    if number >= 0:
        assert window.expand(number & 0xFFFF) == number


def test_the_first_numbers() -> None:
    window = Window()
    assert window.expand(0) == 0
    assert window.expand(5) == 5
    assert window.expand(0xFFFF) >= 0
