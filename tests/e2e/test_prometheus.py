"""A fault, followed through a real Prometheus and a real Alertmanager to a receiver, until its cure resolves it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.outside import Clients
from tests.e2e.stack import Stack, free_port
from tests.exporters.test_telemetry import Bodies, attributes, collector
from watchtower.programs.export import Format, exported
from watchtower.rules.rule_files import shipped_rules

PROMETHEUS, ALERTMANAGER = (
    shutil.which("prometheus"),
    shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"),
)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (PROMETHEUS and ALERTMANAGER), reason="prometheus or alertmanager is not installed"),
]


class Receiver:
    """Keeps what Alertmanager's webhook sends."""

    def __init__(self) -> None:
        self.arrived: list[dict[str, Any]] = []

    def alerts(self, name: str, status: str) -> list[dict[str, Any]]:
        return [
            alert
            for body in self.arrived
            for alert in body["alerts"]
            if alert["labels"]["alertname"] == name and alert["status"] == status
        ]

    @contextmanager
    def listening(self) -> Iterator[str]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.arrived.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()


@contextmanager
def process(log: Path, *command: str) -> Iterator[None]:
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(30)


class Watched:
    """Watchtower under a real Prometheus, whose alerts go to a real Alertmanager."""

    def __init__(
        self, directory: Path, stack: Stack, receiver: Receiver, hook: str, sent: Bodies, open_: ExitStack
    ) -> None:
        self.stack, self.receiver, self.sent = stack, receiver, sent
        self.http = open_.enter_context(httpx.Client(timeout=10))
        alertmanager, prometheus = free_port(), free_port()
        self.prometheus = f"http://127.0.0.1:{prometheus}"
        rules = exported([shipped_rules() / "demo.yaml"], Format.PROMETHEUS)
        for group in rules["groups"]:
            for rule in group["rules"]:
                rule.pop("keep_firing_for", None)  # a test does not wait two minutes for the end
        (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
        (directory / "prometheus.yaml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["rules.yaml"],
                    "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
                    "scrape_configs": [
                        {
                            "job_name": "watchtower",
                            "static_configs": [{"targets": [f"127.0.0.1:{stack.web_port}"]}],
                        }
                    ],
                }
            )
        )
        route = {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"}
        receivers = [{"name": "hook", "webhook_configs": [{"url": hook, "send_resolved": True}]}]
        (directory / "alertmanager.yaml").write_text(yaml.safe_dump({"route": route, "receivers": receivers}))
        assert PROMETHEUS and ALERTMANAGER
        open_.enter_context(
            process(
                directory / "alertmanager.log",
                ALERTMANAGER,
                f"--config.file={directory / 'alertmanager.yaml'}",
                f"--storage.path={directory / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            )
        )
        open_.enter_context(
            process(
                directory / "prometheus.log",
                PROMETHEUS,
                f"--config.file={directory / 'prometheus.yaml'}",
                f"--storage.tsdb.path={directory / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{prometheus}",
                "--enable-feature=exemplar-storage",
            )
        )

    def ask(self, path: str, **query: str | float) -> Any:
        try:
            answer = self.http.get(f"{self.prometheus}/api/v1/{path}", params=query).json()
        except httpx.HTTPError:  # it is starting
            return {}
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, query: str) -> list[float]:
        return [float(series["value"][1]) for series in self.ask("query", query=query).get("result", ())]

    def firing(self) -> set[str]:
        found = self.ask("alerts").get("alerts", ())
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    def until(self, true: Callable[[], object], what: str, seconds: float = 60) -> None:
        self.stack.until(true, seconds, what)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    directory = tmp_path_factory.mktemp("prometheus")
    receiver = Receiver()
    with ExitStack() as open_:
        url, sent = open_.enter_context(collector())
        telemetry = {"otlp": {"endpoint": url, "every_seconds": 1, "exchanges": True}}
        stack = Stack(directory, hardware={"source": "simulated"}, telemetry=telemetry)
        open_.callback(stack.end)
        hook = open_.enter_context(receiver.listening())
        watched = Watched(directory, stack, receiver, hook, sent, open_)
        stack.start()
        yield watched


def test_a_fault_reaches_the_receiver_through_prometheus_and_alertmanager_and_its_cure_resolves_it(
    watched: Watched,
) -> None:
    stack, receiver = watched.stack, watched.receiver
    with Clients(stack.relay, "say something"):
        watched.until(lambda: watched.value('up{job="watchtower"}') == [1.0], "scraped")
        watched.until(lambda: watched.value("watchtower_inter_token_latency_seconds_count") > [0.0], "tokens counted")
        assert "WatchtowerHang" not in watched.firing()
        stack.fault(kind="hang")
        watched.until(lambda: "WatchtowerHang" in watched.firing(), "the alert fires in Prometheus")
        watched.until(lambda: receiver.alerts("WatchtowerHang", "firing"), "the receiver is told")
        watched.until(lambda: receiver.alerts("WatchtowerHang", "resolved"), "the cure resolves it", 90)
    (told, *_), (over, *_) = receiver.alerts("WatchtowerHang", "firing"), receiver.alerts("WatchtowerHang", "resolved")
    print(json.dumps({"firing": told, "resolved": over}, indent=2))
    assert told["labels"]["severity"] == "critical"
    assert told["fingerprint"] == over["fingerprint"]
    assert over["endsAt"] > told["startsAt"]
    watched.until(lambda: watched.value("watchtower_engine_restarts_total") == [1.0], "the restart is counted")
    watched.until(
        lambda: watched.value('watchtower_actions_total{verb="restart_group",result="effective"}') == [1.0],
        "the cure is counted as effective",
    )


def test_the_cure_is_a_trace_at_the_otlp_collector(watched: Watched) -> None:
    def spans() -> dict[str, Any]:
        messages = [message for path, message, _ in watched.sent if path == "/v1/traces"]
        return {span.name: span for message in messages for span in message.resource_spans[0].scope_spans[0].spans}

    watched.until(lambda: "incident" in spans(), "the incident's root span arrives with its end")
    found = spans()
    print({name: (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9 for name, span in found.items()})
    assert {"intent", "dispatched", "verifying", "restart_group"} <= set(found)
    assert attributes(found["restart_group"])["watchtower.result"] == "effective"
    assert found["restart_group"].parent_span_id == found["incident"].span_id
    assert watched.value('watchtower_telemetry_exports_total{signal="traces",result="failed"}') == [0.0]


def test_prometheus_keeps_the_trace_of_a_client_beside_its_bucket(watched: Watched) -> None:
    ask = {
        "model": "tiny",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 4,
        "messages": [{"role": "user", "content": "x"}],
    }

    def answered() -> bool:
        header = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        url = f"{watched.stack.relay}/v1/chat/completions"
        return watched.http.post(url, json=ask, headers=header).status_code == 200

    watched.until(answered, "a client that tells its trace is served")

    def exemplars() -> list[dict[str, Any]]:
        found = watched.ask(
            "query_exemplars",
            query="watchtower_time_to_first_token_seconds_bucket",
            start=time.time() - 300,
            end=time.time() + 60,
        )
        return [exemplar for series in found or () for exemplar in series["exemplars"]]

    watched.until(
        lambda: [exemplar for exemplar in exemplars() if exemplar["labels"] == {"trace_id": TRACE}],
        "the exemplar is kept",
    )


def test_the_same_client_finds_the_exchange_below_its_own_span(watched: Watched) -> None:
    def chats() -> list[Any]:
        messages = [message for path, message, _ in watched.sent if path == "/v1/traces"]
        spans = [span for message in messages for span in message.resource_spans[0].scope_spans[0].spans]
        return [span for span in spans if span.name == "chat tiny"]

    watched.until(chats, "a span of the exchange that told its trace")
    span = chats()[0]
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, "00f067aa0ba902b7")
    assert attributes(span)["gen_ai.usage.output_tokens"] == 4
    assert {span.trace_id.hex() for span in chats()} == {TRACE}, "nobody else's exchange is told"


def test_no_rule_fails_and_nothing_is_silent_about_ourselves(watched: Watched) -> None:
    groups = watched.ask("rules")["groups"]
    assert [
        (rule["name"], rule["lastError"]) for group in groups for rule in group["rules"] if "lastError" in rule
    ] == []
    assert watched.value("watchtower_child_up{child='adapter'}") == [1.0]
    assert watched.value("time() - watchtower_last_evaluation_timestamp_seconds < 30") != []
    series = watched.value('count({job="watchtower", __name__=~"watchtower_.*|process_.*"})')
    print("series:", series)
    assert 100 < series[0] <= 520
