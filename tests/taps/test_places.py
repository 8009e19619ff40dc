"""Who only waits keeps nobody out, and descriptors never run out for those who have a request."""

from __future__ import annotations

from collections import Counter

from watchtower.taps.places import KEPT_BACK, Places


class Client:
    """Leaves when it is let go."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.there = True
        places.arrive(self)

        self.reads_on = False

    def let_go(self) -> bool:
        self.there = self.reads_on
        return not self.reads_on

    def shut_down(self) -> None:
        self.there = False


def stays(client: Client) -> bool:
    return client.there


def places(most: int, descriptors: int = 100_000) -> tuple[Places, Counter[str]]:
    counts: Counter[str] = Counter()

    def count(name: str) -> None:
        counts[name] += 1

    return Places(most, descriptors, count), counts


def test_half_sent_heads_take_no_place_of_a_request() -> None:
    held, counts = places(10)
    slow = [Client(held) for _ in range(1000)]
    asking = [Client(held) for _ in range(10)]

    assert all(held.begin(client) for client in asking)
    assert not held.begin(Client(held))
    assert not any(client.there for client in slow)
    assert counts["clients_let_go"] == 1000


def test_the_newcomer_that_waited_longest_goes_first() -> None:
    held, _ = places(2)
    first, second, third = Client(held), Client(held), Client(held)

    assert (first.there, second.there, third.there) == (False, True, True)


def test_kept_connections_are_counted_apart_from_newcomers_and_the_longest_idle_goes_first() -> None:
    held, _ = places(2)
    kept = [Client(held), Client(held)]
    for client in kept:
        held.begin(client)
    for client in reversed(kept):
        held.rest(client)
    newcomers = [Client(held) for _ in range(3)]
    assert [client.there for client in kept + newcomers] == [True, True, False, True, True]

    held.begin(newcomers[1])
    held.rest(newcomers[1])
    assert [client.there for client in kept] == [True, False]


def test_a_place_is_free_again_when_its_request_is_over_or_its_client_is_gone() -> None:
    held, _ = places(1)
    first, second, third = Client(held), Client(held), Client(held)
    assert held.begin(first)
    assert held.begin(first), "the next request of the same client"
    assert not held.begin(second)
    held.rest(first)
    assert held.begin(second)
    held.leave(second)
    assert held.begin(third)
    assert held.taken == 1


def test_when_descriptors_run_short_newcomers_go_then_kept_connections_and_a_request_is_refused_last() -> None:
    held, counts = places(1000, descriptors=KEPT_BACK + 100)
    busy = [Client(held) for _ in range(40)]
    assert all(held.begin(client) and held.connect() for client in busy)
    kept = Client(held)
    held.begin(kept)
    held.rest(kept)
    newcomers = [Client(held) for _ in range(40)]
    assert sum(client.there for client in newcomers) == 19
    assert stays(kept)

    asking = newcomers[-9:]
    assert all(held.begin(client) and held.connect() for client in asking)
    assert not any(client.there for client in newcomers[:-10])
    held.begin(newcomers[-10])
    assert held.connect()
    assert not stays(kept)
    late = Client(held)
    assert stays(late), "whoever comes is told"
    assert held.begin(late)
    assert not held.connect()
    held.disconnect()
    held.disconnect()
    assert held.connect()
    assert counts["clients_let_go"] == 31


def test_few_descriptors_still_leave_room_to_work() -> None:
    held, _ = places(1000, descriptors=32)
    client = Client(held)
    assert held.begin(client) and held.connect()


def test_whoever_was_let_go_and_does_not_read_stays_counted_and_is_reset_when_descriptors_run_short() -> None:
    held, counts = places(2, descriptors=12)
    unread = []
    for _ in range(4):
        client = Client(held)
        client.reads_on = True
        held.begin(client)
        held.rest(client)
        unread.append(client)
    assert all(stays(client) for client in unread)
    assert counts["clients_let_go"] == 2

    asking = [Client(held), Client(held)]
    assert all(held.begin(client) for client in asking)
    assert held.connect()
    assert [client.there for client in unread] == [False, True, True, True]
