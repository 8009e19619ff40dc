"""The house's own knobs: typed, frozen, each with its sentence. ``watchtower schema`` prints them as JSON Schema.

A knob's unit is in its name (``_seconds``, ``_bytes``). An object receives its own group, never the whole.
Plug-ins bring their own (``knobs``); reading YAML with places and cures is ``watchtower.configuration``'s job.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from watchtower.knobs import EngineSettings, Group, Seconds, SinkSettings, SupervisorSettings
from watchtower.vocabulary.actions import Mode

SMALLEST_RECORDING_BYTES = 1024 * 1024


class HoldSettings(Group):
    """How long traffic may wait while a cure is under way."""

    wait_seconds: Seconds = 5.0
    """Longest one request waits; then 503 with Retry-After. A single replica may allow up to 45."""
    total_seconds: Seconds = 60.0
    """Longest the hold itself lasts; the relay worker releases it alone if the daemon is gone."""
    drain_seconds: Seconds = 30.0
    """Longest to wait for open exchanges to finish before a restart that is not for a hang."""
    max_requests: Annotated[int, Field(ge=0)] = 256
    """Most requests parked in one worker; the next gets 503."""
    max_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Most bytes of parked requests in one worker; beyond it clients are not read from."""


class RelaySettings(Group):
    """The data plane: one HTTP/1.1 hop that forwards bytes as they are."""

    listen: str = "127.0.0.1:8100"
    """Where clients connect: ``host:port``. Nothing listens wider unless told."""
    workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Relay processes sharing the listening socket."""
    guard: bool = True
    """Refuse the engine's control paths (``/collective_rpc``, ``/sleep``, …) from clients."""
    allow_paths: tuple[str, ...] = ()
    """Control paths that clients may use all the same, exact or ending in ``*``."""
    tag_header: str = ""
    """Request header that names the caller's class of traffic; empty: no tags."""
    connect_seconds: Seconds = 5.0
    """Longest to wait for a connection to the engine; then 502."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Most client connections of one worker; the next gets 503."""
    hold: HoldSettings = HoldSettings()


class CanarySettings(Group):
    """One-token requests of our own, to the engine itself."""

    every_seconds: Seconds = 60.0
    """Regular interval."""
    deadline_seconds: Seconds = 15.0
    """No answer by then: the canary hangs."""
    least_interval_seconds: Seconds = 2.0
    """Never more often than this, whatever asks."""
    prompt: str = "Say one word."
    """What is asked; a fresh salt is added, so that no cache can answer."""


class ReferenceSettings(Group):
    """Questions of our own whose blessed answers are known: they notice other weights, numerics, templates, caches.
    Nothing is asked before ``watchtower references capture`` has made references."""

    every_seconds: Seconds = 120.0
    """Regular interval between two rounds; in a round every reference is asked once."""
    least_interval_seconds: Seconds = 30.0
    """No round sooner after the one before, whatever asks for it."""
    deadline_seconds: Seconds = 30.0
    """For one answer; the first that misses it ends the round."""
    concurrency: Annotated[int, Field(ge=1, le=8)] = 2
    """Requests of ours at once."""
    tokens_per_round: Annotated[int, Field(ge=100)] = 20_000
    """Prompt and answer tokens that one round may cost; beyond it references take turns over several rounds."""
    max_tokens: Annotated[int, Field(ge=4, le=1024)] = 48
    """Longest answer. Part of the references' key."""
    template: Literal["chat", "plain"] = "chat"
    """``chat``: through the engine's chat template; ``plain``: as a completion. Part of the references' key."""
    prompts: Path | None = None
    """YAML file of questions, relative to this file; without one the shipped set. Part of the references' key."""
    repeats: Annotated[int, Field(ge=3, le=20)] = 5
    """How often a capture asks each question, to learn how much its answers differ while all is well."""
    cache_checks: Annotated[int, Field(ge=0, le=100)] = 4
    """References, the longest questions, that are asked a second time in a way that may read the prefix cache."""
    minimum_answers: Annotated[int, Field(ge=3)] = 8
    """References that must have answered before a round, or a reading, says anything."""
    while_idle: bool = False
    """Go on asking while users ask nothing; false lets an engine that scales to zero rest."""
    idle_seconds: Seconds = 600.0
    """No request of users for so long counts as no load."""


class KeepSettings(Group):
    """Whether the text of samples is written down (``retained.db``, 0600), after credentials were taken out of it."""

    text: bool = False
    """Keep questions and answers of sampled exchanges. Needs the extra ``retention`` (detect-secrets), which finds keys
    and passwords; names, addresses and numbers of people stay in the text."""
    seconds: Seconds = 86400.0
    """How long; then they are overwritten. Turning ``text`` off forgets all at the next start."""
    most: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Samples kept at most, the newest."""


class SampleSettings(Group):
    """Answers to users whose text is looked at, in memory, to tell how far output has moved (``watchtower drift``).
    Nothing is sampled before ``watchtower references capture`` has made references."""

    ratio: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Share of the observed answers. 0: none but those of ``references``."""
    references: bool = True
    """Also take every greedy request that asks a reference's question, and compare its answer with the blessed ones."""
    text_characters: Annotated[int, Field(ge=200, le=200_000)] = 16_384
    """Of one question, and of one answer; what is longer is cut."""
    memory_bytes: Annotated[int, Field(ge=64 * 1024)] = 4 * 1024 * 1024
    """Text that may wait in the daemon to be turned into numbers; beyond it the oldest samples fall off, counted."""
    then: Annotated[int, Field(ge=50, le=2000)] = 400
    """Samples that today's answers are compared with: the first ones, while nothing was wrong, after the capture of the
    references in force. Kept as embeddings and keyed hashes."""
    now: Annotated[int, Field(ge=50, le=2000)] = 200
    """Newest samples that are compared with them."""
    minimum: Annotated[int, Field(ge=20)] = 60
    """Samples of each time below which nothing is said."""
    every_seconds: Seconds = 60.0
    """How often the comparison is made, if new samples came."""
    keep: KeepSettings = KeepSettings()
    """Retention of text: off unless asked for."""


class RecordingSettings(Group):
    """What was seen and decided, kept for explanations and replay (``recording/``, 0600): facts and journal entries,
    never a text of users."""

    total_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Of all its files; the oldest goes first. 64 MiB hold about an hour at 1,000 tokens a second, and days of an idle
    server. 0: off, and what was recorded is removed at the next start."""

    @model_validator(mode="after")
    def _large_enough_for_something(self) -> RecordingSettings:
        if 0 < self.total_bytes < SMALLEST_RECORDING_BYTES:
            raise ValueError("recording.total_bytes holds next to nothing · 1 MiB or more, or 0 to turn it off")
        return self


class EvidenceSettings(Group):
    """How much a reading needs before it is more than UNKNOWN."""

    minimum_tokens: Annotated[int, Field(ge=1)] = 200
    """Token latencies in a window."""
    minimum_requests: Annotated[int, Field(ge=1)] = 20
    """Requests in a window; tokens of one request are not independent."""
    minimum_clusters: Annotated[int, Field(ge=3)] = 5
    """Seconds with data in a window; a confidence band needs that many clusters."""
    relay_lag_seconds: Seconds = 0.005
    """A relay worker whose own loop was later than this measured itself, not the engine."""
    baseline_block_seconds: Seconds = 10.0
    """Length of one block of the load baseline."""
    baseline_blocks: Annotated[int, Field(ge=1)] = 30
    """Blocks at a matched load before the baseline may say that load does not explain a latency."""
    baseline_quarantine_seconds: Seconds = 120.0
    """A block joins the baseline only when nothing went wrong for this long after it."""


class EncoderKind(StrEnum):
    LOCAL = "local"
    SERVER = "server"
    NONE = "none"


class ScoringSettings(Group):
    """How alike two answers are: the encoder behind ``similarity``, and what it may cost."""

    encoder: EncoderKind = EncoderKind.LOCAL
    """``local``: sentence-transformers in a child process (extra ``similarity``). ``server``: an OpenAI-compatible
    ``/v1/embeddings``. ``none``: no similarity; agreement, log-probabilities and text checks carry on."""
    model: str = ""
    """A directory or a hub name; empty: the offline all-MiniLM-L6-v2. With ``server``: the name it knows."""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    """What ``model.safetensors`` of a directory must hash to; the offline encoder is always checked."""
    backend: Literal["torch", "onnx", "openvino"] = "torch"
    """sentence-transformers' backend; the other two need their own packages."""
    url: str = ""
    """With ``server``: the base before ``/embeddings``, e.g. ``http://127.0.0.1:8080/v1``."""
    api_key: SecretStr | None = None
    """With ``server``: sent as Bearer. Better: environment WATCHTOWER__SCORING__API_KEY."""
    cpu_ratio: Annotated[float, Field(gt=0, le=1)] = 0.10
    """Share of the machine's CPU that embedding may take over time; loading the encoder is not counted."""
    deadline_seconds: Seconds = 60.0
    """Longest for one batch; then the child is killed, or the server given up on, and the scores are UNKNOWN."""
    memory_bytes: Annotated[int, Field(ge=256 * 1024 * 1024)] = 1024**3
    """A scorer child that grows beyond this is replaced."""

    @model_validator(mode="after")
    def _a_server_has_an_address_and_a_model(self) -> ScoringSettings:
        if self.encoder is EncoderKind.SERVER and not (self.url.startswith(("http://", "https://")) and self.model):
            raise ValueError("encoder 'server' needs scoring.url (http://…/v1) and scoring.model")
        return self


class RemediationSettings(Group):
    """Every limit of the safety model. The profile sets the defaults; what is written here wins."""

    profile: Literal["safe", "demo"] = "safe"
    """``safe``: for real servers. ``demo``: minutes become seconds; every loosened limit is printed at start."""
    mode: Mode = Mode.OBSERVE
    """observe: say what would be done. approve: ask. auto: do it. Per rule in ``modes``."""
    modes: dict[str, Mode] = {}
    """Mode of single rules, ``rule`` or ``rule.verb``: mode."""
    single_replica: Literal["refuse", "allow"] = "refuse"
    """``auto`` may restart the only replica there is."""
    startup_grace_seconds: Seconds = 300.0
    """No new action this soon after Watchtower started."""
    dwell_evaluations: Annotated[int, Field(ge=1)] = 2
    """Evaluations in a row that must breach before an incident opens."""
    clear_dwell_seconds: Seconds = 300.0
    """How long all rules must be OK before an incident counts as recovered."""
    evidence_max_age_seconds: Seconds = 15.0
    """Older evidence never starts an action."""
    warmup_seconds: Seconds = 600.0
    """Longest that readings after a restart are masked (ends earlier at ``warmup_requests``)."""
    warmup_requests: Annotated[int, Field(ge=0)] = 50
    """Served requests that end the warm-up."""
    stabilization_seconds: Seconds = 360.0
    """Shortest time between a cure and its verdict."""
    verify_seconds: Seconds = 1200.0
    """No verdict by then: inconclusive."""
    soak_seconds: Seconds = 1800.0
    """How long RECOVERING lasts before RESOLVED."""
    cooldown_seconds: Seconds = 900.0
    """After an action; doubles with every further one."""
    cooldown_cap_seconds: Seconds = 4 * 3600.0
    attempts_per_rung: Annotated[int, Field(ge=0)] = 2
    """Tries of the same verb in one incident."""
    attempts_per_incident: Annotated[int, Field(ge=0)] = 4
    """Tries of any verb in one incident; then a person is asked."""
    restarts_per_hour: Annotated[int, Field(ge=0)] = 2
    """0 means never."""
    restarts_per_day: Annotated[int, Field(ge=0)] = 4
    """The same in 24 h."""
    rollbacks_per_day: Annotated[int, Field(ge=0)] = 1
    """Back to the blessed checkpoint; more than one a day is a person's work."""
    bless_seconds: Seconds = 1800.0
    """How long the same weights must be in memory, without an incident, before they bless themselves."""
    bless_rounds: Annotated[int, Field(ge=1)] = 3
    """Clean canary rounds in a row in that time. Without references there are no rounds: then a person blesses."""
    checkpoint_seconds: Seconds = 3600.0
    """How often the weights in memory are read back, beside every start and every rollback. The engine stands still
    while it hashes them: about a second for each gigabyte of one rank."""
    checkpoint_deadline_seconds: Seconds = 120.0
    """Longest that reading them back may take."""
    reload_seconds: Seconds = 600.0
    """Longest that a rollback may take to load the blessed checkpoint and read it back."""
    breaker_failures: Annotated[int, Field(ge=1)] = 3
    """This many ineffective or ambiguous actions in 24 h open the breaker; only a person closes it."""
    flap_cycles: Annotated[int, Field(ge=2)] = 3
    """This many incidents opened and resolved in 6 h escalate."""
    recurrence_seconds: Seconds = 6 * 3600.0
    """A breach this soon after RESOLVED reopens the same incident, attempts kept."""
    hold_deadline_seconds: Seconds = 1800.0
    """HELD longer than this escalates (not for observe, paused)."""
    execute_seconds: Seconds = 120.0
    """Adapter deadline for starting a cure; the drain is not counted."""
    ready_seconds: Seconds = 600.0
    """How long a cure may take until the new incarnation serves a canary."""
    blind_seconds: Seconds = 300.0
    """No rule that wakes people can be judged for so long, although the engine serves: people are told."""
    observe_seconds: Seconds = 5.0
    """Adapter deadline for looking."""
    loop_lag_seconds: Seconds = 3.0
    """Our own loop stood still for longer: the windows over the gap are UNKNOWN."""


GpuUuid = Annotated[str, Field(pattern=r"^(GPU|MIG)-[0-9A-Za-z/_-]+$")]


class HardwareSettings(Group):
    """The GPUs that serve: where their readings come from, and which of them belong together."""

    source: Literal["auto", "nvml", "dcgm", "simulated", "none"] = "auto"
    """``nvml``: the driver on this machine. ``dcgm``: a dcgm-exporter. ``auto``: NVML, and dcgm-exporter where there is
    no driver and ``dcgm_url`` is set. ``simulated``: what the demo's engine makes up; in profile demo alone."""
    uuids: tuple[GpuUuid, ...] = ()
    """Full UUIDs of the engine's GPUs (``nvidia-smi -L``); empty: all that are visible, or those of ``groups``."""
    groups: tuple[tuple[GpuUuid, ...], ...] = ()
    """GPUs that share one model's work (the ranks of one tensor-parallel group), as lists of UUIDs; only they are
    compared with each other. Empty: all GPUs of the engine are one group."""
    dcgm_url: str = ""
    """The dcgm-exporter's metrics, e.g. ``http://127.0.0.1:9400/metrics``."""
    poll_seconds: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    """How often NVML is read; a dcgm-exporter at most every 5 s, since its own interval is longer."""

    @model_validator(mode="after")
    def _one_group_for_a_gpu(self) -> HardwareSettings:
        grouped = [uuid for group in self.groups for uuid in group]
        twice = sorted({uuid for uuid in grouped if grouped.count(uuid) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands in hardware.groups twice · a GPU works in one group")
        if self.source == "dcgm" and not self.dcgm_url:
            raise ValueError("source 'dcgm' needs hardware.dcgm_url · e.g. http://127.0.0.1:9400/metrics")
        return self

    def wanted(self) -> tuple[str, ...]:
        """UUIDs named anywhere, in order; empty: all that are visible."""
        return tuple(dict.fromkeys((*self.uuids, *(uuid for group in self.groups for uuid in group))))


class OtlpSettings(Group):
    """OpenTelemetry over OTLP/HTTP: metrics, remediations as traces, exchanges if wanted. Needs the extra ``otlp``."""

    endpoint: str = ""
    """The collector's base address, e.g. ``http://127.0.0.1:4318``; empty: nothing is sent."""
    headers: SecretStr | None = None
    """``name=value,name=value``, e.g. an API key. Better: WATCHTOWER__TELEMETRY__OTLP__HEADERS or ``headers_file``."""
    every_seconds: Seconds = 15.0
    """How often a batch is sent."""
    timeout_seconds: Seconds = 5.0
    """Longest that one batch may take, retries included."""
    exchanges: bool = False
    """Also a span for each exchange whose client keeps its trace (``traceparent``, sampled): counts, no text."""

    @model_validator(mode="after")
    def _an_address(self) -> OtlpSettings:
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("the collector's address begins with http:// or https:// · e.g. http://127.0.0.1:4318")
        if any("=" not in pair for pair in self._written()):
            raise ValueError("headers are written name=value,name=value")
        return self

    def pairs(self) -> dict[str, str]:
        """The headers by name."""
        return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in self._written())}

    def _written(self) -> list[str]:
        return [pair for pair in self.headers.get_secret_value().split(",") if pair] if self.headers else []


class TelemetrySettings(Group):
    """What is pushed to others, beside what they scrape."""

    otlp: OtlpSettings = OtlpSettings()
    """The OpenTelemetry collector."""


class WebSettings(Group):
    listen: str = "127.0.0.1:9470"
    """Metrics, health, API, console."""
    public_url: str = ""
    """Where people reach the console, e.g. ``https://watch.example``: the link in alerts. Empty: alerts carry none."""
    token: SecretStr | None = None
    """Bearer token for changes over HTTP; without one only the local Unix socket may change anything."""


class StageSettings(Group):
    """What one pipeline stage (one tensor-parallel group) should run on. Only GPUs of the same stage are compared."""

    name: str = "all"
    """Appears in the table and as a metric's label."""
    gpus: tuple[GpuUuid, ...] = ()
    """UUIDs in rank order; empty, with one stage: every GPU that is seen."""
    ranks: Annotated[int, Field(ge=0)] = 0
    """How many GPUs; 0: as many as ``gpus`` names."""
    model: str = ""
    """Part of the GPU's name, e.g. ``H100 80GB``."""
    pcie_generation: int | None = None
    """At least, of what card and slot can do together."""
    pcie_width: int | None = None
    """Lanes, at least."""
    nvlinks: int | None = None
    """Links that must be up."""
    power_limit_watts: float | None = None
    """The enforced limit."""


class PlacementSettings(Group):
    """What the hardware should look like; ``watchtower placement`` says where it does not."""

    stages: tuple[StageSettings, ...] = ()
    """One for each pipeline stage; cards may differ between stages, not inside one."""

    @model_validator(mode="after")
    def _several_stages_share_no_gpu(self) -> PlacementSettings:
        if len(self.stages) > 1 and not all(stage.gpus for stage in self.stages):
            raise ValueError(
                "with several stages nobody knows whose GPU is whose · name the UUIDs in each stage's gpus"
            )
        named = [uuid for stage in self.stages for uuid in stage.gpus]
        if len(named) != len(set(named)):
            raise ValueError("a GPU stands in two stages · name each UUID once")
        if len({stage.name for stage in self.stages}) != len(self.stages):
            raise ValueError("two stages have the same name · give each stage its own name")
        return self


class Settings(Group):
    """The whole of ``watchtower.yaml``."""

    version: Literal[1] = 1
    target: str = "engine"
    """What people call this server; appears in every alert."""
    state_directory: Path = Path("/var/lib/watchtower")
    """Journal, outbox, keeper's ledger, sockets. Must survive restarts of the daemon."""
    rules: tuple[Path, ...] = ()
    """Rule files, relative to this file; empty: the shipped ``triad.yaml`` (profile demo: ``demo.yaml``)."""
    tick_seconds: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    """How often the rules are evaluated."""
    relay: RelaySettings = RelaySettings()
    engine: EngineSettings = EngineSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    canary: CanarySettings = CanarySettings()
    references: ReferenceSettings = ReferenceSettings()
    samples: SampleSettings = SampleSettings()
    """Answers to users that are looked at, in memory."""
    recording: RecordingSettings = RecordingSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    placement: PlacementSettings = PlacementSettings()
    hardware: HardwareSettings = HardwareSettings()
    scoring: ScoringSettings = ScoringSettings()
    remediation: RemediationSettings = RemediationSettings()
    sinks: tuple[SinkSettings, ...] = (SinkSettings(kind="log", name="log"),)
    telemetry: TelemetrySettings = TelemetrySettings()
    """OpenTelemetry, off unless an endpoint is given."""
    web: WebSettings = WebSettings()
