from prometheus_client.parser import text_string_to_metric_families

from watchtower.lab.simulator.measurements import Measurements, PrometheusHistogram

LABELS = {"engine": "0", "model_name": "tiny"}


def scraped(measurements: Measurements, *, hung: bool = False, model: str = "tiny") -> dict[tuple[str, str], float]:
    text = measurements.text(model, hung=hung, started_wall=1.5)
    return {
        (sample.name, sample.labels.get("le", sample.labels.get("finished_reason", ""))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_prometheus_parser_reads_what_was_measured() -> None:
    measured = Measurements(running=3, waiting=2, kv_cache_ratio=0.25, prompt_tokens=40)
    measured.stepped(3)
    measured.inter_token_latency.observe(0.025)
    measured.inter_token_latency.observe(0.03)
    measured.finished("stop", 1.2)
    seen = scraped(measured)
    assert seen["vllm:num_requests_running", ""] == 3
    assert seen["vllm:num_requests_waiting", ""] == 2
    assert seen["vllm:kv_cache_usage_perc", ""] == 0.25
    assert seen["vllm:prompt_tokens_total", ""] == 40
    assert seen["vllm:generation_tokens_total", ""] == 3
    assert seen["vllm:request_success_total", "stop"] == 1
    assert seen["vllm:inter_token_latency_seconds_bucket", "0.01"] == 0
    assert seen["vllm:inter_token_latency_seconds_bucket", "0.025"] == 1
    assert seen["vllm:inter_token_latency_seconds_bucket", "+Inf"] == 2
    assert seen["vllm:inter_token_latency_seconds_sum", ""] == 0.055
    assert seen["vllm:iteration_tokens_total_count", ""] == 1
    assert seen["process_start_time_seconds", ""] == 1.5


def test_in_a_hang_the_load_gauges_read_zero_and_the_counters_stand() -> None:
    measured = Measurements(running=3, waiting=2, generation_tokens=7)
    seen = scraped(measured, hung=True)
    assert seen["vllm:num_requests_running", ""] == 0
    assert seen["vllm:num_requests_waiting", ""] == 0
    assert seen["vllm:generation_tokens_total", ""] == 7


def test_every_sample_carries_model_and_engine_and_odd_names_are_escaped() -> None:
    text = Measurements().text('a"b\\c', hung=False, started_wall=0.0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("vllm:"):
                assert sample.labels["model_name"] == 'a"b\\c' and sample.labels["engine"] == "0"


def test_bounds_are_inclusive_above() -> None:
    histogram = PrometheusHistogram((1.0, 2.0))
    for value in (1.0, 1.5, 9.0):
        histogram.observe(value)
    assert [line.rsplit(" ", 1)[1] for line in histogram.lines("x", 'a="b"')][:3] == ["1.0", "2.0", "3.0"]
