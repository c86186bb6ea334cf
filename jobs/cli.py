"""The command line. Subcommands are found by name and imported only when called, so that help stays quick."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from core.errors import TundishError, UserError

# name → (module in jobs.commands, one line of help shown without importing it)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the whole line against the sandbox and show what happens."),
    "init": ("setup", "Write a working config and mappings for your accounts."),
    "check": ("setup", "Check config, mappings, credentials and scopes."),
    "discover": ("setup", "List an account's live fields and stages."),
    "sync": ("line", "Pull what changed from the vendors into the lake."),
    "reconcile": ("line", "Resolve who is who and list where systems disagree."),
    "report": ("reports", "Print a report: funnel, pipeline, findings, ..."),
    "explain": ("reports", "Show the rows behind a finding, an entity or a metric."),
    "note": ("notes", "Say something about a finding, plan or change; accept or mute a finding."),
    "link": ("identity", "Say that two records are one person, company or deal."),
    "unlink": ("identity", "Say that two records are not one."),
    "suggest": ("identity", "Ask about persons who are probably one, by a trained model."),
    "plan": ("plans", "Work out what would be written back, or show it; writes nothing."),
    "plans": ("plans", "List saved plans and what became of them."),
    "apply": ("writing", "Carry out a plan, or a part of it."),
    "undo": ("writing", "Take back what was applied: a run, a record or a field."),
    "audit": ("writing", "List who changed what, when and why."),
    "thaw": ("safety", "Let frozen fields be written again; without an id, list them."),
    "run": ("work", "Run a job of the config now, e.g. nightly."),
    "serve": ("work", "Run the jobs of the config on their schedules."),
    "runs": ("work", "List past runs."),
    "sql": ("store", "Query the lake with SQL."),
    "compact": ("store", "Compact the lake and remove orphans."),
    "forget": ("store", "Erase a person everywhere in the lake, for good."),
    "sandbox": ("sandbox", "Serve the vendors' emulators on loopback."),
}
HELP = """The hub where the marketing funnel meets the sales pipeline.

\b
Examples:
  tundish demo                      the whole line on a fictional company
  tundish init                      write config.yaml and mappings
  tundish sync                      pull what changed
  tundish plan && tundish apply PLAN

Exit codes: 0 done, 1 bug, 2 fix a file, 3 partial, 4 refused as unsafe, 5 credentials, 6 vendor unavailable or busy: later.
"""


class Unread(Exception):
    """Whoever read our output has gone: `tundish audit --format csv | head`. Click would end with 1, which means a bug here."""


class Lazy(click.Group):
    """A group that lists its commands without importing them."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as problem:
            raise Unread from problem

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"jobs.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"no command '{args[0]}'" + (f". Did you mean '{near[0]}'?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=Lazy, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tundish")
@click.option("-c", "--config", "config_path", default="config.yaml", show_default=True, envvar="TUNDISH_CONFIG", help="Config file.")
@click.option("-v", "--verbose", count=True, help="Say more (-vv: every request, never a secret).")
@click.pass_context
def cli(ctx: click.Context, config_path: str, verbose: int) -> None:
    ctx.obj = {"config": config_path, "verbose": verbose}
    if verbose:
        _log(verbose)


def _log(verbose: int) -> None:
    import logging

    from core.redaction import RedactingFilter

    handler = logging.StreamHandler()
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    logger = logging.getLogger("tundish")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)


def emit(data: Mapping[str, Any], as_json: bool, text: str = "") -> None:
    """Print one JSON object, or the text for a person."""
    click.echo(json.dumps(data, indent=2, default=str, ensure_ascii=False) if as_json else text)


def main() -> None:
    """Run the command line; TundishErrors become their message and exit code."""
    try:
        code = cli.main(prog_name="tundish", standalone_mode=False)
    except TundishError as problem:
        code = _fail(problem)
    except click.exceptions.Abort:
        click.echo("stopped; nothing is half written, and the same command goes on from here", err=True)
        code = 130
    except click.ClickException as problem:
        code = _wrong_call(problem)
    except Unread:
        _drop_the_rest()
        code = 0
    except OSError as problem:
        if not problem.filename:
            code = _unforeseen(problem)
        else:
            code = _fail(UserError(f"{problem.filename}: {problem.strerror}", next_step="check the path, its rights and the space left"))
    except Exception as problem:
        code = _unforeseen(problem)
    sys.exit(code if isinstance(code, int) else 0)


def _drop_the_rest() -> None:
    """What is still in the buffer goes nowhere, or the interpreter would complain of it at its end."""
    with suppress(OSError, ValueError):  # no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(problem: TundishError) -> int:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": problem.message, "where": problem.where, "next": problem.next_step, "exit": problem.exit_code}))
    else:
        from jobs.show_table import tame

        click.echo(f"error: {tame(str(problem))}", err=True)
    return problem.exit_code


def _wrong_call(problem: click.ClickException) -> int:
    """A mistyped command line: click's own words for a person, one object for --json."""
    if "--json" not in sys.argv:
        problem.show()
        return problem.exit_code
    path = problem.ctx.command_path if isinstance(problem, click.UsageError) and problem.ctx else "tundish"
    return _fail(UserError(problem.format_message(), next_step=f"{path} --help"))


def _unforeseen(problem: Exception) -> int:
    """Trouble with the disk, the ledger's database or the lake's files, told with the next step; anything else is a bug."""
    from core.storage import trouble

    told = trouble(problem)
    return _fail(told) if told else _bug(problem)


def _bug(problem: Exception) -> int:
    """What nobody foresaw: the traceback for a report, without secrets and addresses."""
    import traceback

    from core.redaction import redact

    click.echo(redact("".join(traceback.format_exception(problem))), err=True)
    return _fail(TundishError(redact(f"{type(problem).__name__}: {problem}"), next_step="this is a bug; report it with the traceback"))


if __name__ == "__main__":
    main()
