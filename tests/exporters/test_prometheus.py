"""What a scraper reads: valid in both formats, documented, bounded, and silent where nothing is known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from watchtower.board import Board, SinkHealth
from watchtower.exporters.prometheus import MOST_ROUTES, PROCESS, BoardCollector, Exposition
from watchtower.services.curing.tally import RESULTS
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import ActionState, Verb
from watchtower.vocabulary.endings import CountsAs
from watchtower.vocabulary.facts import CanaryOutcome, EngineSeen, RelayFrame
from watchtower.vocabulary.histograms import Exemplar, HistogramTotals
from watchtower.vocabulary.incidents import HoldReason, IncidentState
from watchtower.vocabulary.metrics import INTERNAL_EVENTS, LABELS, reading_metric
from watchtower.vocabulary.readings import READINGS, Reading, RuleVerdict, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.unread import RouteUnread, UnreadCause
from watchtower.vocabulary.words import CAUSED, RELAY_COUNTERS

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
DOCUMENTED = set(
    re.findall(r"^\| `(watchtower_\w+)`", (Path(__file__).parents[2] / "docs/metrics.md").read_text(), flags=re.M)
)
LIMITS = (0.02, 0.05, 0.13, 0.412, 1.0)
MODEL = "llama-3"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
EXEMPLARS = (None, None, None, Exemplar(TRACE, 0.4, 1_700_000_000.0), None, None)


def full_board(rules: int = 6) -> Board:
    """A busy daemon: every reading known, an incident held for every reason, every counter counting."""
    clock = HandClock()
    board = Board(target="e", version="1.2", mode="auto", profile="safe", started=clock.now(), ready_because="")
    board.last_tick, board.ticks = clock.advance(1), 7
    board.engine = EngineSeen(at=0, known=True, serving=True, version="0.11.2")
    board.readings = tuple(Reading(name=name, over=60, at=0, value=0.5 + n) for n, name in enumerate(READINGS))
    board.verdicts = tuple(
        RuleVerdict(rule=f"rule_{n}", verdict=Verdict.BREACH, firing=True, value=0.4, limit=0.13) for n in range(rules)
    )
    for family in ("inter_token_latency_seconds", "time_to_first_token_seconds"):
        board.histograms[family] = {MODEL: HistogramTotals(LIMITS, (1, 2, 3, 4, 5), 6, 7.5, EXEMPLARS)}
    held = [{"gate": reason.value, "because": "x"} for reason in HoldReason]
    board.incident = {"id": "inc-1", "state": IncidentState.HELD.value, "held": held, "opened_wall": 1.8e9}
    board.actions = [{"verb": verb.value, "state": state.value} for verb in Verb for state in ActionState][:50]
    board.paused, board.storage_fault = {"author": "ann"}, "disk full"
    board.relay_frames = {
        pid: RelayFrame(at=0, worker=pid, pid=pid, sequence=1, open_exchanges=2, parked=1) for pid in range(16)
    }
    board.relay_counts = dict.fromkeys([*RELAY_COUNTERS, "dropped_news"], 3)
    for number in range(2 * MOST_ROUTES):
        key = (f"/route-{number}", UnreadCause.ROUTE)
        board.relay_unread[key] = RouteUnread(*key, 5, {"unobserved": 4, "error": 1}, {"2xx": 4, "5xx": 1}, 2.0)
    board.relay_bypass = {"author": "ann", "reason": "why", "since_wall": 0.0, "ends": False, "workers": 1, "of": 1}
    board.exchanges = dict.fromkeys(CountsAs, 2)
    board.canaries = dict.fromkeys(CanaryOutcome, 4)
    board.references = {
        "usable": 24,
        "rounds": dict.fromkeys(("clean", "changed", "unclear", "skipped"), 3),
        "answers": {"answered": 70, "unanswered": 2},
        "tokens": 9000,
    }
    board.samples = {"counts": dict.fromkeys(("compared", "kept", "dropped", "unscored"), 1)}
    board.output_shift = {"then": 400, "now": 200, "shift": {"moved": {"meaning": 0.2, "form": 0.0}, "p": 0.01}}
    board.outbox = {"sent": 5, "failed": 1, "dropped": 2, "dead": 3, "pending": 4, "oldest_age_seconds": 9}
    board.counters = dict.fromkeys(INTERNAL_EVENTS, 1.0)
    board.incidents_opened, board.engine_restarts = 3, 1
    board.actions_ended = {verb.value: dict.fromkeys(RESULTS, 1) for verb in (Verb.RESTART_GROUP, Verb.ROLLBACK)}
    board.sinks = {name: SinkHealth(ok=5, failed=1, up=True) for name in ("log", "webhook", "alertmanager", "slack")}
    board.queues = dict.fromkeys(("machine", "outbox", "telemetry"), (1, 1000))
    board.children = dict.fromkeys(("adapter", "gpu", "scorer"), True)
    board.telemetry = {signal: {"ok": 3, "failed": 1} for signal in ("metrics", "traces")}
    return board


def newborn_board() -> Board:
    return Board(target="e", version="1", mode="observe", profile="safe", started=HandClock().now())


def families(board: Board, accept: str = "") -> dict[str, Metric]:
    body, _ = Exposition([BoardCollector(board)]).render(accept)
    parse = parse_openmetrics if accept else parse_plain
    return {family.name: family for family in parse(body.decode())}


def value(board: Board, sample: str, **labels: str) -> float:
    found = [
        measured.value
        for family in families(board).values()
        for measured in family.samples
        if measured.name == sample and measured.labels == labels
    ]
    assert len(found) == 1, (sample, labels, found)
    return found[0]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
@pytest.mark.parametrize("board", [full_board(), newborn_board()])
def test_both_formats_can_be_parsed_on_the_first_second_and_on_the_worst_day(board: Board, accept: str) -> None:
    assert "watchtower_incident_state" in families(board, accept)


def test_the_content_type_says_which_format_it_is() -> None:
    exposition = Exposition([BoardCollector(full_board())])
    assert exposition.render(OPENMETRICS)[1].startswith("application/openmetrics-text")
    assert exposition.render("text/plain")[1].startswith("text/plain")
    assert exposition.render(OPENMETRICS)[0].endswith(b"# EOF\n")


def test_both_formats_tell_the_same() -> None:
    def samples(accept: str) -> set[tuple[str, str, float]]:
        return {
            (measured.name, str(sorted(measured.labels.items())), measured.value)
            for family in families(full_board(), accept).values()
            for measured in family.samples
        }

    assert samples("") == samples(OPENMETRICS)


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_every_name_is_legal_everywhere_and_documented(accept: str) -> None:
    for family in families(full_board(), accept).values():
        for sample in family.samples:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", sample.name), sample.name
            base = re.sub(r"_(bucket|sum|count)$", "", sample.name) if family.type == "histogram" else sample.name
            assert base in DOCUMENTED, sample.name
        assert family.documentation, family.name


def test_how_far_answers_to_users_moved_is_absent_while_unknown() -> None:
    board = full_board()
    assert value(board, "watchtower_output_shift_ratio", measure="meaning") == 0.2
    assert value(board, "watchtower_samples_total", result="lost") == 2
    board.output_shift = {"then": 3, "now": 0, "shift": None, "because": "still learning"}
    assert "watchtower_output_shift_ratio" not in families(board)


def test_everything_documented_is_exported() -> None:
    exported = {sample.name for family in families(full_board()).values() for sample in family.samples}
    histograms = {family.name for family in families(full_board()).values() if family.type == "histogram"}
    hardware = {name for name in DOCUMENTED if name.startswith(("watchtower_gpu_", "watchtower_placement_"))}
    assert DOCUMENTED - hardware - exported - histograms == set()


def test_every_label_is_documented() -> None:
    for family in families(full_board()).values():
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        for sample in family.samples:
            allowed = {"le"} if family.type == "histogram" else set()
            assert set(sample.labels) <= set(LABELS.get(name, ())) | allowed, sample


def test_counters_and_only_counters_end_in_total() -> None:
    for family in families(full_board()).values():
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_an_unknown_reading_has_no_sample() -> None:
    board = full_board()
    name = "inter_token_latency_seconds.p95"
    assert reading_metric(name) in families(board)
    board.readings = (Reading(name=name, over=60, at=0, value=None, reason=Reason(ReasonKind.IDLE, "idle")),)
    assert reading_metric(name) not in families(board)


def test_every_gauge_of_a_reading_says_its_window() -> None:
    board = full_board()
    first, second = "inter_token_latency_seconds.p95", "similarity.mean"
    board.readings = (Reading(name=first, over=60, at=0, value=0.1), Reading(name=second, over=300, at=0, value=0.9))
    found = families(board)
    assert found[reading_metric(first)].documentation.endswith("95th percentile. Window: 60 s.")
    assert found[reading_metric(second)].documentation.endswith("Window: 5 min.")


def test_a_reading_of_zero_is_a_sample() -> None:
    board = full_board()
    board.readings = (Reading(name="token_progress.stalled", over=60, at=0, value=0.0),)
    assert value(board, "watchtower_token_progress_stalled_seconds") == 0.0


def test_every_reading_has_a_name_of_its_own() -> None:
    names = [reading_metric(name) for name in READINGS]
    assert len(set(names)) == len(names)


def test_the_limits_are_bucket_bounds_and_buckets_are_cumulative() -> None:
    board = full_board()
    name = "watchtower_inter_token_latency_seconds"
    found = [value(board, f"{name}_bucket", model=MODEL, le=str(limit)) for limit in LIMITS]
    assert found == [1, 2, 3, 4, 5]
    total = value(board, f"{name}_count", model=MODEL)
    assert value(board, f"{name}_bucket", model=MODEL, le="+Inf") == total == 6
    assert value(board, f"{name}_sum", model=MODEL) == 7.5


def test_a_slow_bucket_names_the_trace_of_a_client_that_fell_into_it() -> None:
    family = families(full_board(), OPENMETRICS)["watchtower_inter_token_latency_seconds"]
    found = {sample.labels["le"]: sample.exemplar for sample in family.samples if sample.exemplar}
    assert list(found) == ["0.412"]
    assert (found["0.412"].labels, found["0.412"].value) == ({"trace_id": TRACE}, 0.4)
    assert "trace_id" not in Exposition([BoardCollector(full_board())]).render("")[0].decode(), "plain text has none"


def test_a_state_is_one_among_all_its_values() -> None:
    board = full_board()
    assert value(board, "watchtower_incident_state", state="held") == 1
    assert value(board, "watchtower_incident_held", reason="budget") == 1
    board.incident = None
    assert value(board, "watchtower_incident_state", state="clear") == 1
    assert sum(value(board, "watchtower_incident_state", state=state.value) for state in IncidentState) == 1
    assert sum(value(board, "watchtower_incident_held", reason=reason.value) for reason in HoldReason) == 0


def test_since_when_is_told_only_while_there_is_an_incident() -> None:
    board, name = full_board(), "watchtower_incident_opened_timestamp_seconds"
    assert board.incident is not None
    assert value(board, name) == board.incident["opened_wall"]
    board.incident = None
    assert name not in families(board)


def test_what_the_relay_itself_caused_is_told_by_kind() -> None:
    kinds = [name.removeprefix(CAUSED) for name in RELAY_COUNTERS if name.startswith(CAUSED)]
    board = full_board()
    assert kinds
    for kind in kinds:
        assert value(board, "watchtower_relay_caused_errors_total", kind=kind) == 3


def test_the_dead_mans_handle_is_the_time_of_the_newest_evaluation() -> None:
    board = full_board()
    assert board.last_tick is not None
    assert value(board, "watchtower_last_evaluation_timestamp_seconds") == board.last_tick.wall
    board.last_tick = None
    assert "watchtower_last_evaluation_timestamp_seconds" not in families(board)


def test_the_usual_numbers_of_the_process_stand_beside_ours() -> None:
    text = Exposition([PROCESS]).render("")[0].decode()
    assert {line.split(" ")[0] for line in text.splitlines() if not line.startswith("#")} == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }


def test_a_name_from_configuration_cannot_break_the_format() -> None:
    board = full_board()
    board.target = board.mode = 'a"b\\c\nd'
    assert families(board, OPENMETRICS)["watchtower_build"].samples[0].labels["mode"] == 'a"b\\c\nd'


def test_a_few_unread_routes_have_a_series_and_keep_it_however_many_come_later() -> None:
    board = full_board()
    assert value(board, "watchtower_relay_unread_total", route="/route-0") == 5
    assert value(board, "watchtower_relay_unread_total", route="other") == 5 * MOST_ROUTES
    assert value(board, "watchtower_relay_unread_failures_total") == 2 * MOST_ROUTES
    key = ("/route-99", UnreadCause.ROUTE)
    board.relay_unread[key] = RouteUnread(*key, 1000)
    assert value(board, "watchtower_relay_unread_total", route="/route-0") == 5
    assert value(board, "watchtower_relay_unread_total", route="other") == 5 * MOST_ROUTES + 1000
