from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.vocabulary.quantities import duration, human, misfit, quantity, seconds, short
from watchtower.vocabulary.readings import Unit


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("130ms", 0.13, Unit.SECONDS),
        ("412 ms", 0.412, Unit.SECONDS),
        ("2s", 2.0, Unit.SECONDS),
        ("5m", 300.0, Unit.SECONDS),
        ("2h", 7200.0, Unit.SECONDS),
        ("250us", 0.00025, Unit.SECONDS),
        ("15pp", 0.15, Unit.RATIO),
        ("2%", 0.02, Unit.RATIO),
        ("10/s", 10.0, Unit.PER_SECOND),
        ("20kB/s", 20_000.0, Unit.BYTES_PER_SECOND),
        ("1.5 MB/s", 1_500_000.0, Unit.BYTES_PER_SECOND),
        ("0.92", 0.92, None),
        ("1e-3", 0.001, None),
        ("-.5", -0.5, None),
    ],
)
def test_a_quantity_is_read_into_base_units(text: str, value: float, unit: Unit | None) -> None:
    read = quantity(text)
    assert (read.value, read.unit) == (value, unit)


@pytest.mark.parametrize("text", ["", "ms", "130msec", "1e999", "nan", "inf", "1_000", "0x10", "١٣٠ms", "1 2"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        quantity(text)


@given(st.text(max_size=40))
def test_any_text_is_a_finite_quantity_or_a_value_error(text: str) -> None:
    try:
        assert abs(quantity(text).value) < float("inf")
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.412, "412 ms"),
        (0.13, "130 ms"),
        (1.3, "1.3 s"),
        (20.0, "20 s"),
        (121.0, "121 s"),
        (300.0, "5 min"),
        (14400.0, "4 h"),
        (0.00025, "250 µs"),
        (0.0, "0 s"),
    ],
)
def test_seconds_are_written_the_way_people_say_them(value: float, text: str) -> None:
    assert seconds(value) == text


def test_ratios_are_written_as_they_were_asked() -> None:
    assert human(0.15, Unit.RATIO, "pp") == "15 pp"
    assert human(0.02, Unit.RATIO, "%") == "2 %"
    assert human(0.02, Unit.RATIO) == "0.02"
    assert human(0.9187, Unit.COSINE) == "0.919"
    assert human(12.0, Unit.PER_SECOND) == "12/s"
    assert human(980.0, Unit.BYTES_PER_SECOND) == "980 B/s"
    assert human(20_400.0, Unit.BYTES_PER_SECOND) == "20.4 kB/s"
    assert human(0.0, Unit.BYTES_PER_SECOND) == "0 B/s"


def test_two_different_numbers_never_read_the_same_beside_each_other() -> None:
    assert human(0.1302, Unit.SECONDS, "ms", beside=0.13) == "130.2 ms"
    assert human(0.91996, Unit.COSINE, beside=0.92) == "0.91996"


def test_a_limit_must_fit_the_unit_of_its_reading() -> None:
    assert misfit(quantity("130ms"), Unit.SECONDS) == ""
    assert misfit(quantity("0"), Unit.SECONDS) == ""
    assert "no unit" in misfit(quantity("130"), Unit.SECONDS)
    assert "1500 %" in misfit(quantity("15"), Unit.RATIO)
    assert "never negative" in misfit(quantity("-1"), Unit.COUNT)
    assert misfit(quantity("-0.5"), Unit.COSINE) == ""


def test_a_duration_needs_its_unit() -> None:
    assert duration("90s") == 90.0
    assert duration("0") == 0.0
    with pytest.raises(ValueError, match="write 60s"):
        duration("60")
    with pytest.raises(ValueError, match="no duration"):
        duration("5%")


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_short_numbers_have_no_exponent_and_stay_close(number: float) -> None:
    text = short(number)
    assert "e" not in text
    assert abs(float(text) - number) <= abs(number) * 0.005 + 1e-12
