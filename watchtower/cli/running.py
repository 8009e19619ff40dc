"""Commands that run Watchtower, or a part of it."""

from __future__ import annotations

from typing import Annotated

import typer

from watchtower.cli.options import ConfigOption, JsonOption, example, find_config

commands = typer.Typer()


@commands.command(epilog=example("watchtower run --config watchtower.yaml"))
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


@commands.command(epilog=example("watchtower relay --config watchtower.yaml"))
def relay(
    config: ConfigOption = None,
    engine: Annotated[str, typer.Option(help="The engine's address, instead of engine.url.")] = "",
    listen: Annotated[str, typer.Option(help="Where clients connect, instead of relay.listen.")] = "",
) -> None:
    """Run one relay worker alone, in the foreground; it reports to a daemon on the same state directory."""
    from watchtower.programs.run import relay_alone

    given = {"engine.url": engine, "relay.listen": listen}
    relay_alone(find_config(config), {path: value for path, value in given.items() if value})


@commands.command(epilog=example("watchtower demo --engine vllm --json"))
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
