from watchtower.lab.simulator.prefixes import ENTRIES, PrefixCache


def test_a_prompt_is_cached_by_the_weights_that_read_it_first_until_a_reset() -> None:
    cache = PrefixCache()
    assert cache.hit("", "hello", "good") is None
    assert cache.hit("", "hello", "other") == "good"
    cache.reset()
    assert cache.hit("", "hello", "other") is None


def test_another_salt_never_shares_an_entry() -> None:
    cache = PrefixCache()
    cache.hit("a", "hello", "good")
    assert cache.hit("b", "hello", "good") is None


def test_the_least_recently_used_prompt_leaves_first() -> None:
    cache = PrefixCache()
    for number in range(ENTRIES):
        cache.hit("", str(number), "good")
    cache.hit("", "0", "good")
    cache.hit("", "one more", "good")
    assert cache.hit("", "0", "good") == "good"
    assert cache.hit("", "1", "good") is None
