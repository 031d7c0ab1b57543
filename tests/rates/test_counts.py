"""Counting in windows, with time in the test's hand."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from api.rates.counts import Bucket, Limit
from tests.keys.clocks import HandClock

KEY = bytes(32)


class Processes:
    """Limits of several processes, and what a database would add up between them."""

    def __init__(self, number: int = 1, most: int = 3, most_names: int = 100) -> None:
        self.clock = HandClock()
        self.most = most
        self.limits = [
            Limit("address", most, clock=self.clock, key=lambda: KEY, most_names=most_names)
            for _ in range(number)
        ]
        self.sums: Counter[bytes] = Counter()

    def count(self, name: str = "one", process: int = 0) -> Bucket:
        return self.limits[process].count(name, self.clock.monotonic())

    def lets_in(self, name: str = "one", process: int = 0) -> bool:
        return not self.count(name, process).is_over

    def exchange(self) -> int:
        """How much was told."""
        told = 0
        for limit in self.limits:
            limit.turn(self.clock.monotonic())
            for report in limit.reports():
                told += 1
                hidden = limit.hidden(report.bucket)
                self.sums[hidden] += report.news
                limit.heard(report, self.sums[hidden])
        return told


def test_exactly_the_limit_is_let_in_in_each_window() -> None:
    alone = Processes()
    # The clock begins on the minute.
    for _ in range(3):
        assert [alone.lets_in() for _ in range(5)] == [True, True, True, False, False]
        alone.clock.pass_time(59.999)
        assert not alone.lets_in()
        alone.clock.pass_time(0.001)


def test_a_bucket_says_what_is_left_and_for_how_long() -> None:
    alone = Processes()
    alone.clock.pass_time(18.5)
    bucket = alone.count()
    assert (bucket.left, bucket.seconds_left(alone.clock.monotonic())) == (2, 42)
    alone.clock.pass_time(41.4)
    for left in (1, 0, 0):
        assert alone.count().left == left
    assert bucket.seconds_left(alone.clock.monotonic()) == 1


def test_names_are_counted_apart() -> None:
    alone = Processes(most=1)
    assert [alone.lets_in(name) for name in ("one", "two", "one", "two")] == [
        *(True, True, False, False)
    ]


def test_what_is_taken_back_is_left_again() -> None:
    alone = Processes(most=1)
    alone.limits[0].take_back(alone.count())
    assert alone.lets_in()
    assert not alone.lets_in()


def test_nothing_is_told_of_who_comes_seldom() -> None:
    two = Processes(2, most=1000)
    for _ in range(4):
        two.count()
    assert two.exchange() == 0
    two.count()
    assert two.exchange() == 1
    assert two.sums.total() == 5
    assert two.exchange() == 0
    two.count()
    assert two.exchange() == 1
    assert two.sums.total() == 6


def test_who_is_fast_is_told_of_at_once_and_only_so() -> None:
    alone = Processes(most=400)
    hurried: list[int] = []
    alone.limits[0].on_hurry = lambda: hurried.append(alone.count("noted").count)
    for _ in range(9):
        alone.count()
    assert hurried == []
    alone.count()
    assert len(hurried) == 1
    alone.count()
    assert len(hurried) == 1
    alone.exchange()
    for _ in range(10):
        alone.count()
    assert len(hurried) == 2


def test_what_others_counted_counts() -> None:
    two = Processes(2, most=10)
    for _ in range(6):
        two.count()
    two.exchange()
    assert two.count(process=1).left == 9
    two.exchange()
    assert [two.lets_in(process=1) for _ in range(4)] == [True, True, True, False]


def test_who_is_refused_is_not_told_of_again() -> None:
    alone = Processes(most=3)
    for _ in range(3):
        alone.count()
    assert alone.exchange() == 1
    for _ in range(100):
        assert not alone.lets_in()
        assert alone.exchange() == 0
    alone.clock.pass_time(60)
    assert alone.lets_in()


def test_counts_of_a_window_that_is_over_stay_in_it() -> None:
    alone = Processes()
    bucket = alone.count()
    (report,) = alone.limits[0].reports()
    alone.count()
    alone.clock.pass_time(60)
    now = alone.count()
    alone.limits[0].heard(report, 500)
    assert alone.limits[0].reports() != []
    assert alone.limits[0].reports() == []
    assert (now.count, bucket is now) == (1, False)


def test_a_database_that_lost_its_counts_lifts_no_limit() -> None:
    alone = Processes(most=3)
    alone.count()
    alone.count()
    alone.exchange()
    alone.sums.clear()
    alone.count()
    alone.exchange()
    assert not alone.lets_in()


def test_a_wall_clock_that_is_set_back_within_the_minute_gives_nothing_anew() -> None:
    class Slow(HandClock):
        behind = 0.0

        def monotonic(self) -> float:
            return super().monotonic() + self.behind

    clock = Slow()
    limit = Limit("key", 1, clock=clock, key=lambda: KEY)
    limit.count("one", clock.monotonic())
    clock.behind = 60.0
    assert limit.count("one", clock.monotonic()).is_over
    limit.turn(clock.monotonic())
    assert len(limit) == 1


def test_the_database_cannot_tell_whose_a_count_is() -> None:
    first, other = Processes(), Processes()
    hidden = first.limits[0].hidden(first.count("203.0.113.9"))
    assert len(hidden) == 16
    assert hidden == other.limits[0].hidden(other.count("203.0.113.9"))
    other.clock.pass_time(60)
    assert hidden != other.limits[0].hidden(other.count("203.0.113.9"))
    other_key = Limit("address", 3, clock=first.clock, key=lambda: b"x" * 32)
    assert hidden != other_key.hidden(other_key.count("203.0.113.9", 0.0))
    other_kind = Limit("failures", 3, clock=first.clock, key=lambda: KEY)
    assert hidden != other_kind.hidden(other_kind.count("203.0.113.9", 0.0))


def test_a_flood_of_names_frees_nobody() -> None:
    """A heavy hitter among a hundred thousand names that come once."""
    crowd = Processes(most=100, most_names=50)
    let_in = 0
    for number in range(100_000):
        crowd.count(f"passer-by {number}")
        if number % 100 == 0:
            let_in += crowd.lets_in("heavy")
    assert len(crowd.limits[0]) == 50
    assert let_in <= 100


@given(st.lists(st.integers(0, 30), max_size=400), st.integers(1, 12))
def test_nobody_is_ever_counted_too_little(names: list[int], most_names: int) -> None:
    """And, as the algorithm promises, too much by no more than all there were by name."""
    alone = Processes(most=10**6, most_names=most_names)
    true: Counter[int] = Counter()
    for position, name in enumerate(names):
        true[name] += 1
        bucket = alone.count(str(name))
        assert true[name] <= bucket.count <= true[name] + position // most_names
    assert len(alone.limits[0]) <= most_names


@given(
    st.lists(st.integers(0, 3), max_size=300),
    st.integers(1, 60),
    st.integers(1, 10),
)
def test_over_all_processes_the_overshoot_is_what_came_between_two_exchanges(
    places: list[int], most: int, between: int
) -> None:
    processes = Processes(4, most=most)
    let_in = 0
    for position, place in enumerate(places):
        if position % between == 0:
            processes.exchange()
        let_in += processes.lets_in(process=place)
    # An exchange is heard by who has news. The others hear with their own next news, at the latest
    # after a round of theirs: a round for each of the three others.
    assert let_in <= most + 3 * between
    if len(places) >= most:
        assert let_in >= min(most, len(places))
