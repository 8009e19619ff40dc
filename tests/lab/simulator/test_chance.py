from watchtower.lab.simulator.chance import draw, pick


def test_the_same_question_gets_the_same_number_in_every_process() -> None:
    assert draw(0, "step", 17, 2) == 0.026652076793406865
    assert pick(7, "a", 3) == pick(7, "a", 3)


def test_neighbouring_keys_do_not_run_into_each_other() -> None:
    assert draw("a", "bc") != draw("ab", "c")
    assert draw(1, 11) != draw(11, 1)


def test_draws_are_spread_evenly_over_the_unit_interval() -> None:
    draws = [draw(0, n) for n in range(4000)]
    assert all(0 <= value < 1 for value in draws)
    tenths = [sum(1 for value in draws if int(value * 10) == tenth) for tenth in range(10)]
    assert min(tenths) > 330 and max(tenths) < 470
