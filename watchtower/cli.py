"""The command line: thin. Every command has ``--help`` with an example; a mistake exits with 2 and says the cure."""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from watchtower import __version__
from watchtower.vocabulary.errors import ExitCode, Refused, WatchtowerError

app = typer.Typer(
    name="watchtower",
    help="A sidecar that sees an LLM inference server degrade, says so in one sentence, and cures it safely.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="watchtower.yaml; default: ./watchtower.yaml or /etc/watchtower/watchtower.yaml."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
StateOption = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The running daemon's state directory; default: from the configuration."),
]
PLACES = (Path("watchtower.yaml"), Path("/etc/watchtower/watchtower.yaml"))


def example(text: str) -> str:
    return f"[dim]Example:[/dim]  {text}"


def find_config(given: Path | None) -> Path | None:
    return given or next((place for place in PLACES if place.exists()), None)


def client(config: Path | None, state_dir: Path | None) -> Any:
    from watchtower.programs.client import DaemonClient

    return DaemonClient(state_directory(config, state_dir))


def state_directory(config: Path | None, given: Path | None) -> Path:
    """The one given, or the configuration's."""
    if given is not None:
        return given
    from watchtower.services.loading import load

    return load(find_config(config), os.environ).settings.state_directory


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


@app.command(epilog=example("watchtower run --config watchtower.yaml"))
def run(
    config: ConfigOption = None,
    engine: Annotated[str, typer.Option(help="The engine's address, instead of engine.url.")] = "",
    listen: Annotated[str, typer.Option(help="Where clients connect, instead of relay.listen.")] = "",
    mode: Annotated[str, typer.Option(help="observe, approve or auto, instead of remediation.mode.")] = "",
    state_dir: Annotated[str, typer.Option(help="Instead of state_directory.")] = "",
    web: Annotated[str, typer.Option(help="Metrics, API and console, instead of web.listen.")] = "",
    own_everything: Annotated[
        bool, typer.Option("--own-everything", help="End relay, keeper and engine too when this process ends.")
    ] = False,
) -> None:
    """Run the daemon: relay, rules, incidents, cures, metrics, alerts."""
    from watchtower.programs.run import RunOptions
    from watchtower.programs.run import main as run_main

    given = {
        "engine.url": engine,
        "relay.listen": listen,
        "remediation.mode": mode,
        "state_directory": state_dir,
        "web.listen": web,
    }
    overrides = {path: value for path, value in given.items() if value}
    raise typer.Exit(run_main(RunOptions(find_config(config), overrides, own_everything)))


@app.command(epilog=example("watchtower relay --config watchtower.yaml"))
def relay(
    config: ConfigOption = None,
    engine: Annotated[str, typer.Option(help="The engine's address, instead of engine.url.")] = "",
    listen: Annotated[str, typer.Option(help="Where clients connect, instead of relay.listen.")] = "",
) -> None:
    """Run one relay worker alone, in the foreground; it reports to a daemon on the same state directory."""
    from watchtower.programs.run import relay_alone

    given = {"engine.url": engine, "relay.listen": listen}
    relay_alone(find_config(config), {path: value for path, value in given.items() if value})


@app.command(epilog=example("watchtower demo --engine vllm --json"))
def demo(
    engine: Annotated[str, typer.Option(help="simulator, or vllm (a real vLLM on the CPU).")] = "simulator",
    mode: Annotated[str, typer.Option(help="auto, or observe: the same faults must then stay uncured.")] = "auto",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running, with its addresses, until Ctrl-C.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulator and the traffic.")] = 0,
    json_: JsonOption = False,
) -> None:
    """Break a server on purpose and watch Watchtower see, decide, cure and prove it."""
    from watchtower.programs.demo import DemoOptions
    from watchtower.programs.demo import main as demo_main

    raise typer.Exit(demo_main(DemoOptions(engine=engine, mode=mode, keep=keep, seed=seed, json=json_)))


@app.command(epilog=example("watchtower status --state-dir /var/lib/watchtower"))
def status(
    config: ConfigOption = None,
    state_dir: StateOption = None,
    readings: Annotated[
        bool, typer.Option("--readings", help="Every reading with its band, or why it is UNKNOWN.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """What is true right now. Exit 1 when an incident is open or the journal cannot be relied on."""
    from watchtower.programs.show import show_readings, show_status

    answer = client(config, state_dir).get("/api/v1/status")
    if json_:
        as_json(answer)
    else:
        show_status(Console(), answer)
        if readings:
            show_readings(Console(), answer)
    wrong = answer["incident"] or answer["storage_fault"]
    raise typer.Exit(ExitCode.PROBLEM_FOUND if wrong else ExitCode.OK)


@app.command(epilog=example("watchtower incidents --json"))
def incidents(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """The recent incidents, newest first."""
    from watchtower.programs.show import show_incidents

    answer = client(config, state_dir).get("/api/v1/incidents")
    as_json(answer) if json_ else show_incidents(Console(), answer["incidents"])


@app.command(epilog=example("watchtower explain inc-1f3a9c"))
def explain(
    incident: Annotated[str, typer.Argument(help="Incident id; default: the newest.")] = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Every decision and refusal of one incident, each in one sentence."""
    from watchtower.programs.show import show_explanation

    daemon = client(config, state_dir)
    if not incident:
        newest = daemon.get("/api/v1/incidents")["incidents"]
        if not newest:
            print("No incident so far.")
            return
        incident = newest[0]["id"]
    answer = daemon.get(f"/api/v1/incidents/{incident}")
    as_json(answer) if json_ else show_explanation(Console(), answer)


def _command(
    verb: str,
    reason: str,
    config: Path | None,
    state_dir: Path | None,
    seconds: float = 0,
    *,
    json_: bool = False,
) -> None:
    author = os.environ.get("SUDO_USER") or getpass.getuser()
    answer = client(config, state_dir).command(verb, author=author, reason=reason, seconds=seconds)
    as_json(answer) if json_ else print(f"{verb.replace('_', ' ')}: done")


@app.command(epilog=example("watchtower drift --json"))
def drift(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """How far answers to users have moved since the references were captured, and which prompts most. Diagnosis only.

    Prompts are named by keyed hashes or by the reference they ask, never by text."""
    from watchtower.programs.drift import show_drift

    answer = client(config, state_dir).get("/api/v1/drift")
    as_json(answer) if json_ else show_drift(Console(), answer)


ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; the next on-call engineer reads it.")]


@app.command(epilog=example("watchtower pause --reason 'deploying' --minutes 30"))
def pause(
    reason: ReasonOption,
    minutes: Annotated[float, typer.Option(min=0.1, max=24 * 60, help="Ends by itself after this long.")] = 60,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """No new actions for a while; watching, verifying and alerting go on."""
    _command("pause", reason, config, state_dir, minutes * 60)


@app.command(epilog=example("watchtower resume"))
def resume(config: ConfigOption = None, state_dir: StateOption = None, reason: ReasonOption = "") -> None:
    """End a pause. Evidence starts from zero."""
    _command("resume", reason, config, state_dir)


@app.command(epilog=example("watchtower ack inc-1f3a9c --resolve --reason 'node replaced'"))
def ack(
    reason: ReasonOption,
    incident: Annotated[str, typer.Argument(help="Incident id, as the alert names it; default: the open one.")] = "",
    resolve: Annotated[bool, typer.Option("--resolve/--resume", help="It is over / go on trying.")] = True,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Release an ESCALATED incident: only a person can."""
    if incident:
        answer = client(config, state_dir).get("/api/v1/status")["incident"]
        if answer is None or answer["id"] != incident:
            now = f"the open incident is {answer['id']}" if answer else "no incident is open"
            raise Refused(f"{incident} is not open any more; {now}")
    _command("ack_resolve" if resolve else "ack_resume", reason, config, state_dir)


@app.command(epilog=example("watchtower breaker-reset --reason 'bad image fixed'"))
def breaker_reset(reason: ReasonOption, config: ConfigOption = None, state_dir: StateOption = None) -> None:
    """Close the breaker after too many failed cures. Nothing from before is acted on."""
    _command("breaker_reset", reason, config, state_dir)


checkpoints_app = typer.Typer(help="Weights: declared, in memory, blessed, on trial.", no_args_is_help=True)
app.add_typer(checkpoints_app, name="checkpoints")


@checkpoints_app.command("list", epilog=example("watchtower checkpoints list --json"))
def checkpoints_list(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """Which weights are declared, which are in memory, and which a rollback would bring back."""
    from watchtower.programs.checkpoints import show_checkpoints

    answer = client(config, state_dir).get("/api/v1/checkpoints")
    as_json(answer) if json_ else show_checkpoints(Console(), answer)


@checkpoints_app.command("bless", epilog=example("watchtower checkpoints bless --reason 'release 14 passed its evals'"))
def checkpoints_bless(
    reason: ReasonOption, config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False
) -> None:
    """The weights in memory are good: a rollback brings them back."""
    _command("bless", reason, config, state_dir, json_=json_)


@checkpoints_app.command("unbless", epilog=example("watchtower checkpoints unbless --reason 'wrong tokenizer'"))
def checkpoints_unbless(
    reason: ReasonOption, config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False
) -> None:
    """Withdraw the blessing: no rollback until something else is blessed, which these weights alone never are."""
    _command("unbless", reason, config, state_dir, json_=json_)


@app.command(epilog=example("watchtower check --config watchtower.yaml --timing"))
def check(
    config: ConfigOption = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Fastest and typical time to detect, act and verify.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Read configuration and rules; print every mistake with its place and cure."""
    from watchtower.programs.check import check as check_main

    raise typer.Exit(check_main(find_config(config), os.environ, timing=timing, as_json=json_))


@app.command(epilog=example("watchtower compare http://127.0.0.1:8000 http://127.0.0.1:8001"))
def compare(
    baseline: Annotated[
        str, typer.Argument(help='Answers of today: a file with lines of {"id": …, "output": …}, or a live http://….')
    ],
    candidate: Annotated[str, typer.Argument(help="The one to be judged, on the same prompts: the same kind.")],
    prompts: Annotated[
        Path | None, typer.Option(help="Of live engines: YAML file of the questions; default: the shipped set.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Of live engines: requests at a time.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=8, max=1024, help="Of live engines: longest answer.")] = 48,
    again: Annotated[
        Path | None, typer.Option(help="A second run of the baseline: shows differences without a direction too.")
    ] = None,
    config: ConfigOption = None,
    no_encoder: Annotated[bool, typer.Option("--no-encoder", help="Wording, length and text checks alone.")] = False,
    alpha: Annotated[
        float, typer.Option(min=1e-3, max=0.1, help="How often two runs of one model may be called different.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(min=0, help="Of the test's random flips.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file too.")] = None,
    json_: JsonOption = False,
) -> None:
    """Same, different or too little data: two sets of answers, or two live engines. Exit 0, 1 or 3."""
    from watchtower.programs.compare import CompareOptions
    from watchtower.programs.compare import main as compare_main

    options = CompareOptions(
        baseline=baseline,
        candidate=candidate,
        prompts=prompts,
        concurrency=concurrency,
        max_tokens=max_tokens,
        again=again,
        config=config,
        no_encoder=no_encoder,
        alpha=alpha,
        seed=seed,
        html=html,
        json=json_,
    )
    raise typer.Exit(compare_main(options))


@app.command(epilog=example("watchtower placement --json"))
def placement(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """The GPUs beside what `placement` expects of them. Exit 1 when anything differs or cannot be read."""
    from watchtower.programs.placement import show as show_placement

    raise typer.Exit(show_placement(client(config, state_dir).get("/api/v1/gpus"), as_json=json_))


@app.command(epilog=example("watchtower doctor --config watchtower.yaml"))
def doctor(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Whether everything that Watchtower needs exists and answers; each problem with its cure. Exit 1 with one."""
    from watchtower.programs.doctor import main as doctor_main

    raise typer.Exit(doctor_main(find_config(config), os.environ, as_json=json_))


@app.command(epilog=example("watchtower schema > watchtower.schema.json"))
def schema(rules: Annotated[bool, typer.Option("--rules", help="The schema of rule files.")] = False) -> None:
    """JSON Schema of the configuration, for editors."""
    from watchtower.programs.check import schema as schema_main

    raise typer.Exit(schema_main(rules=rules))


references_app = typer.Typer(help="Questions of our own whose blessed answers are known.", no_args_is_help=True)
app.add_typer(references_app, name="references")
SetArgument = Annotated[str, typer.Argument(help="Id of a set; default: the one in force.")]


@references_app.command("capture", epilog=example("watchtower references capture --repeats 5"))
def references_capture(
    repeats: Annotated[
        int | None, typer.Option(min=3, max=20, help="How often each question is asked; default: references.repeats.")
    ] = None,
    meant: Annotated[
        bool, typer.Option("--meant", help="The answers were meant to change: an incident about them alone is no bar.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Ask the engine, which must be healthy now, every question several times and bless its answers."""
    from watchtower.programs.references import capture

    raise typer.Exit(capture(client(config, state_dir), repeats or 0, meant=meant, as_json=json_))


@references_app.command("list", epilog=example("watchtower references list --json"))
def references_list(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """All sets, which one is in force, and why none is. Exit 1 when none is."""
    from watchtower.programs.references import show_list

    raise typer.Exit(show_list(client(config, state_dir), as_json=json_))


@references_app.command("show", epilog=example("watchtower references show"))
def references_show(
    id: SetArgument = "", config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False
) -> None:
    """How much the healthy answers to each question differ, as numbers and as a picture."""
    from watchtower.programs.references import show_set

    raise typer.Exit(show_set(client(config, state_dir), id, as_json=json_))


@references_app.command("retire", epilog=example("watchtower references retire ref-19ab3f"))
def references_retire(
    id: Annotated[str, typer.Argument(help="Id of a set.")],
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Use a set no longer; it stays stored."""
    from watchtower.programs.references import retire

    raise typer.Exit(retire(client(config, state_dir), id, as_json=json_))


@references_app.command("export", epilog=example("watchtower references export --output references.json"))
def references_export(
    id: SetArgument = "",
    output: Annotated[Path | None, typer.Option(help="File to write (0600); default: standard output.")] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """One set with its answers, for another server of the same model."""
    from watchtower.programs.references import export

    raise typer.Exit(export(client(config, state_dir), id, output))


@references_app.command("pick", epilog=example("watchtower references pick --count 24 --output questions.yaml"))
def references_pick(
    count: Annotated[int, typer.Option(min=1, max=500, help="How many questions at most.")] = 24,
    output: Annotated[Path | None, typer.Option(help="File to write (0600); default: standard output.")] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Questions of users that cover what is asked, from kept traffic (samples.keep.text), as a file to read and then
    to name in references.prompts. Holds text of users."""
    from watchtower.programs.references import pick

    raise typer.Exit(pick(client(config, state_dir), count, output))


@references_app.command("import", epilog=example("watchtower references import references.json"))
def references_import(
    file: Annotated[Path, typer.Argument(help="Written by 'watchtower references export'.")],
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Bless an exported set. Refused when it was made under another key."""
    from watchtower.programs.references import take_in

    raise typer.Exit(take_in(client(config, state_dir), file, as_json=json_))


journal_app = typer.Typer(help="What the daemon remembers, on disk.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")


@journal_app.command("verify", epilog=example("watchtower journal verify --state-dir /var/lib/watchtower"))
def journal_verify(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """Check every entry, the state and what is still to be sent. Changes nothing. Exit 1 when something is damaged."""
    from watchtower.programs.journal import verify

    raise typer.Exit(verify(state_directory(config, state_dir), as_json=json_))


@journal_app.command("set-aside", epilog=example("watchtower journal set-aside --state-dir /var/lib/watchtower --yes"))
def journal_set_aside(
    config: ConfigOption = None,
    state_dir: StateOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="I have looked: go on without this journal.")] = False,
    json_: JsonOption = False,
) -> None:
    """Move a damaged journal away, so that the daemon can act again. Budgets, attempts and open intents are forgotten.

    The files are kept, in a directory named after the moment. Refused while a daemon runs."""
    from watchtower.programs.journal import set_aside

    raise typer.Exit(set_aside(state_directory(config, state_dir), yes=yes, as_json=json_))


rules_app = typer.Typer(help="Rules.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")


@rules_app.command("test", epilog=example("watchtower rules test rules/triad.yaml"))
def rules_test(files: list[Path], json_: JsonOption = False) -> None:
    """Run x.test.yaml beside each x.yaml through the real evaluation, on a clock moved by hand."""
    from watchtower.programs.check import rules_test as rules_test_main

    raise typer.Exit(rules_test_main(files, as_json=json_))


@rules_app.command("export", epilog=example("watchtower rules export --format prometheus > watchtower.rules.yaml"))
def rules_export(
    files: Annotated[list[Path] | None, typer.Argument(help="Rule files; default: the shipped triad.yaml.")] = None,
    form: Annotated[str, typer.Option("--format", help="prometheus, prometheusrule or podmonitor.")] = "prometheus",
    json_: JsonOption = False,
) -> None:
    """The equivalent recording and alerting rules for Prometheus, with its latency objective, on standard output."""
    from watchtower.programs.export import Format, render

    if form not in tuple(Format):
        raise typer.BadParameter(f"'{form}' is no format; one of: {', '.join(Format)}", param_hint="--format")
    print(render(files or [], Format(form), as_json=json_), end="")


sinks_app = typer.Typer(help="Where notices go.", no_args_is_help=True)
app.add_typer(sinks_app, name="sinks")


@sinks_app.command("list", epilog=example("watchtower sinks list"))
def sinks_list(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every configured sink, without its secrets."""
    from watchtower.programs.sinks import list_

    raise typer.Exit(list_(find_config(config), os.environ, as_json=json_))


@sinks_app.command("test", epilog=example("watchtower sinks test slack"))
def sinks_test(
    name: Annotated[str, typer.Argument(help="One sink's name; default: every configured sink.")] = "",
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Send a clearly marked test notice, and end it where the receiver keeps alerts open. Exit 1 when one is not taken.

    It may page: tell whoever is on call."""
    from watchtower.programs.sinks import send_test

    raise typer.Exit(send_test(find_config(config), os.environ, name, as_json=json_))


bench_app = typer.Typer(help="Our own budgets, measured on this machine.")
app.add_typer(bench_app, name="bench")


@bench_app.callback(invoke_without_command=True, epilog=example("watchtower bench --json"))
def bench(context: typer.Context, json_: JsonOption = False) -> None:
    """Measure our budgets on this machine, met or missed: everything, or one of the commands below."""
    from watchtower.programs.bench import everything

    if context.invoked_subcommand is None:
        raise typer.Exit(everything(as_json=json_))


@bench_app.command("relay", epilog=example("watchtower bench relay --streams 64 --rate 50 --seconds 10 --rounds 5"))
def bench_relay(
    streams: Annotated[int, typer.Option(min=1, max=4000, help="Streams open at once.")] = 64,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Chunks a second of each.")] = 50,
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="Length of each measurement.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Times that everybody is measured, in turn.")] = 3,
    together: Annotated[
        bool, typer.Option("--together", help="Every stream's chunk at the same instant, as an engine's step.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """The relay beside nginx and HAProxy: CPU a chunk, added latency, memory. Exit 1 when a budget was missed."""
    from watchtower.lab.benchmarks.relay_peers import LoadPlan
    from watchtower.programs.bench import relay

    plan = LoadPlan(streams=streams, rate=rate, seconds=seconds, rounds=rounds, together=together)
    raise typer.Exit(relay(plan, as_json=json_))


@bench_app.command("tick", epilog=example("watchtower bench tick --json"))
def bench_tick(json_: JsonOption = False) -> None:
    """The daemon's own work: one evaluation, 10,000 windows, and its share of a core at 1,000 tokens a second."""
    from watchtower.programs.bench import tick

    raise typer.Exit(tick(as_json=json_))


@bench_app.command("detect", epilog=example("WATCHTOWER_TEST_DATA=./data watchtower bench detect --json"))
def bench_detect(
    vectors: Annotated[
        Path | None, typer.Option(help="File that keeps the embeddings of the recorded outputs for the next run.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """The output detectors: delays and false alarms from fixed seeds, and on recorded outputs. Exit 1 on a miss.

    Embedding the recorded outputs takes minutes; a run that is broken off goes on where its file ends."""
    from watchtower.lab.benchmarks.quality import detect

    raise typer.Exit(detect(vectors, as_json=json_))


@bench_app.command("score", epilog=example("watchtower bench score --json"))
def bench_score(json_: JsonOption = False) -> None:
    """The scorer beside raw encode: throughput, CPU share, memory. Exit 1 when a budget was missed."""
    from watchtower.lab.benchmarks.quality import score

    raise typer.Exit(score(as_json=json_))


@bench_app.command("gpu", epilog=example("watchtower bench gpu --seconds 60"))
def bench_gpu(
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Length of the measurement.")] = 30,
    json_: JsonOption = False,
) -> None:
    """What reading the GPUs costs: CPU time of the gpu child; without a driver on a stand-in that gcc builds."""
    from watchtower.programs.bench import gpu

    raise typer.Exit(gpu(seconds, as_json=json_))


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False) -> None:
    if version:
        print(f"watchtower {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: our own errors become one readable message and a named exit code."""
    try:
        app(standalone_mode=True)
    except WatchtowerError as problem:
        print(f"watchtower: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
