from __future__ import annotations

from watchtower.vocabulary.signals import Signal

P95 = "inter_token_latency_seconds.p95"


def test_a_signal_is_written_as_prometheus_writes_it_and_as_its_bare_name_for_all_traffic() -> None:
    assert str(Signal(P95)) == P95
    assert str(Signal(P95, "live")) == P95 + '{tag="live"}'
    assert str(Signal(P95, "live", "m-2")) == P95 + '{tag="live",variant="m-2"}'
    assert str(Signal(P95, variant="m-2")) == P95 + '{variant="m-2"}'


def test_a_variant_is_known_only_with_the_answer() -> None:
    assert Signal("exchanges.arrival_rate", tag="live").misfit() == ""
    assert "variant" in Signal("exchanges.arrival_rate", variant="m-2").misfit()
    assert "tag" in Signal("gpu_xid.fatal", tag="live").misfit()
    assert Signal(P95, "live", "m-2").misfit() == ""
