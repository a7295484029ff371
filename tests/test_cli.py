"""The command line before any command runs: help, completion, exit codes, and what is said when something is wrong."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
import typer.main
from typer.testing import CliRunner

from nmt_cli import __version__, calling, cli
from nmt_cli.config import SECTIONS, Search, recipe_folder
from nmt_cli.errors import Exit, UserError

ROOT = Path(__file__).parent.parent
GROUP = typer.main.get_command(cli.app)
COMMANDS = GROUP.commands
NAMES = sorted(COMMANDS)


def nmt(*arguments):
    """The outcome of a command line, inside this process."""
    return CliRunner().invoke(cli.app, list(arguments), prog_name="nmt")


@pytest.fixture
def run_info(monkeypatch, tmp_path):
    """Run `nmt info` with another body; returns the exit code."""

    def run_with(body):
        module = ModuleType("nmt_cli.commands.info")
        module.run = body
        monkeypatch.setitem(sys.modules, "nmt_cli.commands", ModuleType("nmt_cli.commands"))
        monkeypatch.setitem(sys.modules, "nmt_cli.commands.info", module)
        monkeypatch.setattr(sys, "argv", ["nmt", "info", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    return run_with


def start_info(body: str, **options) -> subprocess.Popen:
    """`nmt info` in a process of its own, with another body."""
    program = (
        "import sys, types\n"
        "module = types.ModuleType('nmt_cli.commands.info')\n"
        f"def run(**given):\n    {body}\n"
        "module.run = run\n"
        "sys.modules['nmt_cli.commands'] = types.ModuleType('nmt_cli.commands')\n"
        "sys.modules['nmt_cli.commands.info'] = module\n"
        "sys.argv = ['nmt', 'info', 'somewhere']\n"
        "from nmt_cli.cli import main\n"
        "main()\n"
    )
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)


def complete(words: str) -> list[str]:
    """What a shell is offered for the last of these words."""
    at = str(len(words.split(" ")) - 1)
    environment = {"_NMT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": at}
    return CliRunner().invoke(cli.app, [], prog_name="nmt", env=environment).stdout.split()


def test_the_commands_are_those_of_the_readme():
    assert NAMES == ["average", "demo", "eval", "info", "prepare", "score", "train", "translate", "verify", "visualize"]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_page(name):
    page = nmt(name, "--help")
    assert page.exit_code == 0
    assert page.stdout.startswith(f"Usage: nmt {name} ")
    assert page.stdout == nmt(name, "-h").stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_explained(name):
    unexplained = [parameter.name for parameter in COMMANDS[name].params if not getattr(parameter, "help", None)]
    assert unexplained == []


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"demo"}))
def test_help_shows_examples_that_parse(name, monkeypatch):
    ran = []
    monkeypatch.setattr(calling, "call", lambda command, given: ran.append(command))
    lines = [line.strip() for line in nmt(name, "--help").stdout.splitlines()]
    examples = [line.partition("nmt ")[2].split() for line in lines if line.startswith(("nmt ", "echo "))]
    assert examples
    for example in examples:
        outcome = nmt(*example)
        assert outcome.exit_code == 0, outcome.output
    assert set(ran) == {name}


def test_the_overview_cuts_no_sentence_at_eighty_columns():
    overview = nmt("--help")
    assert overview.exit_code == 0
    assert "..." not in overview.stdout.replace("[ARGS]...", "")
    assert all(name in overview.stdout for name in NAMES)


def test_nothing_given_shows_the_overview():
    outcome = nmt()
    assert outcome.exit_code == Exit.USAGE
    assert outcome.output == nmt("--help").stdout


def test_version():
    assert nmt("--version").stdout == f"nmt-cli {__version__}\n"


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "nmt_cli", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"nmt-cli {__version__}\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_a_usage_error(name):
    outcome = nmt(name, "--no-such-option")
    assert outcome.exit_code == Exit.USAGE
    assert "--no-such-option" in outcome.stderr
    assert outcome.stdout == ""


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["trian"], "train"),
        (["train", "data", "run", "--recipee", "x"], "--recipe"),
        (["translate", "run", "--device", "abacus"], "auto"),
        (["translate", "run", "--n-best", "0"], "--n-best"),
        (["train", "data"], "RUN"),
    ],
)
def test_a_usage_error_names_what_is_meant(given, named):
    outcome = nmt(*given)
    assert outcome.exit_code == Exit.USAGE
    assert named in outcome.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_command_takes_what_its_signature_hands_over(name):
    tree = ast.parse((ROOT / "nmt_cli" / "commands" / f"{name}.py").read_text(encoding="utf-8"))
    run = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    taken = {argument.arg for argument in run.args.posonlyargs + run.args.args + run.args.kwonlyargs}
    given = {parameter.name for parameter in COMMANDS[name].params if parameter.name != "help"}
    assert taken <= given
    # The rest are settings of the search, by their names, where the command takes such.
    assert given - taken <= ({field.name for field in fields(Search)} if run.args.kwarg else set())


def test_options_reach_the_command_by_their_names(monkeypatch):
    seen = {}
    monkeypatch.setattr(calling, "call", lambda command, given: seen.update(given, command=command))
    nmt("train", "data", "run", "--set", "model.dropout=0.3", "--set", "train.seed=2", "--device", "cpu")
    assert seen["command"] == "train"
    assert (seen["data_directory"], seen["run_directory"]) == (Path("data"), Path("run"))
    assert seen["overrides"] == ["model.dropout=0.3", "train.seed=2"]
    assert seen["device"] == "cpu"
    assert seen["recipe"] is None


def test_options_that_repeat_start_empty(monkeypatch):
    seen = {}
    monkeypatch.setattr(calling, "call", lambda command, given: seen.update(given))
    nmt("prepare", "data")
    assert [seen[name] for name in ("source", "target", "corpus", "overrides")] == [[], [], [], []]


@pytest.mark.parametrize("code", [Exit.USAGE, Exit.DATA, Exit.INTEGRITY, Exit.LOCKED, Exit.DIVERGED])
def test_a_user_error_is_a_message_and_an_exit_code(run_info, capsys, code):
    def refuse(**given):
        raise UserError("train.fr:3: not UTF-8", "convert it, or use --bad-lines skip", code)

    assert run_info(refuse) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "nmt: train.fr:3: not UTF-8\n  convert it, or use --bad-lines skip\n"


def test_an_error_of_the_system_names_the_file(run_info, capsys):
    def fill_the_disk(**given):
        raise OSError(28, "No space left on device", "run/metrics.jsonl")

    assert run_info(fill_the_disk) == Exit.RESOURCE
    assert capsys.readouterr().err == "nmt: No space left on device: run/metrics.jsonl\n"


def test_ctrl_c_is_quiet(run_info, capsys):
    def interrupt(**given):
        raise KeyboardInterrupt

    assert run_info(interrupt) == Exit.INTERRUPTED
    assert capsys.readouterr().err == ""


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def crash(**given):
        raise ZeroDivisionError

    module = ModuleType("nmt_cli.commands.info")
    module.run = crash
    monkeypatch.setitem(sys.modules, "nmt_cli.commands", ModuleType("nmt_cli.commands"))
    monkeypatch.setitem(sys.modules, "nmt_cli.commands.info", module)
    outcome = nmt("info", "somewhere")
    assert isinstance(outcome.exception, ZeroDivisionError)
    assert outcome.exit_code == Exit.UNEXPECTED


@pytest.mark.fault(34)
def test_a_reader_that_goes_away_is_no_error():
    process = start_info("[print('line', n) for n in range(100_000)]", stdout=subprocess.PIPE)
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == Exit.CLOSED_PIPE
    assert complaint == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.fault(35)
def test_a_full_stdout_is_said_in_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a file
        process = start_info("print('a line')", stdout=full)
        complaint = process.communicate(timeout=60)[1]
    assert process.returncode == Exit.RESOURCE
    assert complaint == "nmt: No space left on device: stdout\n"


def test_completion_offers_commands():
    assert complete("nmt tra") == ["train", "translate"]


def test_completion_offers_the_shipped_recipes():
    assert set(complete("nmt train data run --recipe ")) >= {path.stem for path in recipe_folder().glob("*.toml")}


def test_completion_offers_every_setting():
    assert complete("nmt train data run --set model.drop") == ["model.dropout="]
    assert len(complete("nmt train data run --set ")) == sum(len(s.__dataclass_fields__) for s in SECTIONS.values())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for(shell):
    outcome = CliRunner().invoke(cli.app, [], prog_name="nmt", env={"_NMT_COMPLETE": f"source_{shell}"})
    assert outcome.exit_code == 0
    assert "_NMT_COMPLETE=complete_" in outcome.stdout
