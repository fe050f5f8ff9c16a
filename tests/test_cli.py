"""The command line: help a newcomer can work from, and one line with exit status 2 for each mistake."""

import argparse
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import torch
import yaml

from hrm.cli import carry_out, main
from hrm.cli.experiment import VERBS
from hrm.config import load_experiment
from hrm.model.published import to_published
from hrm.training.state import build_model

HRM = Path(sysconfig.get_path("scripts")) / "hrm"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's params.yaml, and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    return tmp_path


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("hrm: error: ")
    assert sum(line.startswith("hrm: error") for line in lines) == 1
    return lines[-1]


def test_the_installed_command_and_the_module_are_the_same() -> None:
    command = subprocess.run([HRM, "--help"], capture_output=True, text=True, check=True).stdout
    module = subprocess.run([sys.executable, "-m", "hrm", "--help"], capture_output=True, text=True, check=True).stdout
    assert command == module
    assert all(verb in command for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("EXPERIMENT", "--params", "-o KEY=VALUE", "-q", "-v"))


@pytest.mark.parametrize(
    ("action", "options"), [("import", ("FILE", "--recipe NAME", "--step N")), ("export", ("EXPERIMENT", "--out FILE"))]
)
def test_the_verbs_of_checkpoints_explain_themselves(
    action: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["checkpoint", action, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in (*options, "--params", "-o KEY=VALUE", "-q", "-v"))


def test_help_is_quick() -> None:
    """Nobody waits for torch to read a help page."""
    code = (
        "import sys; from hrm.cli import main, parser; parser(); print('torch' in sys.modules, 'mlflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["fetch", "chess"], ["experiments.chess", "no such experiment", "sudoku-mini"]),
        (["build", "sudoku-mini"], ["data/raw/sudoku-4x4", "hrm fetch"]),
        (["train", "sudoku-mini"], ["data/built/sudoku-mini", "hrm build"]),
        (["evaluate", "sudoku-mini"], ["sudoku-mini", "hrm build"]),
        (["vote", "sudoku-mini"], ["sudoku-mini", "hrm build"]),
        (["register", "sudoku-mini"], ["sudoku-mini", "hrm"]),
        (["scores", "sudoku-mini"], ["runs/sudoku-mini/evaluate.json: no such file; run `hrm evaluate sudoku-mini`"]),
        (["checkpoint", "import", "step_7", "--recipe", "chess"], ["experiments.chess", "no such experiment"]),
        (["checkpoint", "import", "step_7", "--recipe", "sudoku-mini"], ["step_7", "no such file"]),
        (["checkpoint", "import", "params.yaml", "--recipe", "sudoku-mini"], ["params.yaml", "tensors alone"]),
        (["checkpoint", "export", "sudoku-mini", "--out", "x"], ["runs/sudoku-mini/checkpoints", "no checkpoint here"]),
        (["adapt", "arc-mini", "--tasks", "params.yaml"], ["runs/arc-mini/checkpoints", "no checkpoint here"]),
        (["adapt", "chess", "--tasks", "params.yaml"], ["experiments.chess", "no such experiment"]),
        (["train", "sudoku-mini", "-o", "train.batchsize=3"], ["train.batchsize", "no such setting"]),
        (["train", "sudoku-mini", "--params", "none.yaml"], ["none.yaml", "--params FILE"]),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], parts: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = error_of(capsys, *arguments)
    assert all(part in message for part in parts), message
    assert [file.name for file in place.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        ("contradictory givens", ["train.csv", "line 2"]),
        ("wrong length", ["train.csv", "line 2"]),
        ("cut off", ["train.csv"]),
        ("missing", ["train.csv"]),
    ],
)
def test_damaged_raw_files_stop_the_build(
    damage: str, parts: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "sudoku-mini", "-q", "-o", "sources.sudoku-4x4.generator.train=50"]) == 0
    file = place / "data/raw/sudoku-4x4/train.csv"
    header, first, *rest = file.read_text().splitlines()
    source, question, answer, rating = first.split(",")
    match damage:
        case "contradictory givens":
            file.write_text("\n".join([header, f"{source},11{question[2:]},{answer},{rating}", *rest, ""]))
        case "wrong length":
            file.write_text("\n".join([header, f"{source},{question}.,{answer},{rating}", *rest, ""]))
        case "cut off":
            file.write_text(file.read_text()[:-7])
        case "missing":
            file.unlink()
    message = error_of(capsys, "build", "sudoku-mini")
    assert all(part in message for part in parts), message
    assert not (place / "data/built").exists() or not list((place / "data/built").iterdir())


def test_without_a_name_it_takes_what_is_under_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = yaml.safe_load((place / "params.yaml").read_text())
    params["run"] = ["sudoku-mini"]
    params["sources"]["sudoku-4x4"]["generator"] |= {"train": 20, "test": 10}
    (place / "params.yaml").write_text(yaml.safe_dump(params))
    assert main(["fetch"]) == 0
    assert main(["build"]) == 0
    assert [folder.name for folder in (place / "data/raw").iterdir() if folder.is_dir()] == ["sudoku-4x4"]
    assert "20 train and 10 test examples" in capsys.readouterr().err


def test_what_the_machine_refuses_is_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where a folder is needed; more memory than there is."""
    (place / "data").touch()
    assert "data" in error_of(capsys, "fetch", "sudoku-mini", "-q")
    (place / "data").unlink()
    assert main(["fetch", "sudoku-mini", "-q"]) == 0
    assert "memory" in error_of(capsys, "build", "sudoku-mini", "-o", "build.variants=100000000000")
    assert not (place / "data/built/sudoku-mini").exists()


def test_memory_that_pytorch_does_not_get_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def greedy(options: argparse.Namespace) -> None:
        torch.zeros(10**15)

    loud = {"quiet": False, "verbose": False}
    assert carry_out(argparse.Namespace(action=greedy, verb="greedy", **loud)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hrm: error: greedy: not enough memory (")


def test_an_empty_name_is_no_experiment(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As when a shell variable is not set."""
    assert "no such experiment" in error_of(capsys, "fetch", "")


def test_a_terminated_command_leaves_nothing_half_written(place: Path) -> None:
    many = "sources.sudoku-4x4.generator.train=60000"
    process = subprocess.Popen([HRM, "fetch", "sudoku-mini", "-o", many], cwd=place)
    while not list((place / "data/raw").glob(".*.part")):
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait() == 143
    assert list((place / "data/raw").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "part"), [("{}", "count, exact_accuracy"), ("[]", "missing"), ("{", "not valid JSON")]
)
def test_scores_of_a_damaged_record_are_one_line(
    content: str, part: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "runs/sudoku-mini"
    run.mkdir(parents=True)
    (run / "evaluate.json").write_text(content)
    message = error_of(capsys, "scores", "sudoku-mini")
    assert part in message
    assert "evaluate.json" in message


def test_a_checkpoint_of_the_release_comes_in_and_goes_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_experiment("sudoku-mini", place / "params.yaml").train
    weights = to_published(build_model(settings, seq_len=16, vocab_size=6, num_puzzle_ids=1).state_dict())
    torch.save({f"_orig_mod.{name}": tensor for name, tensor in weights.items()}, place / "step_7")
    assert main(["checkpoint", "import", "step_7", "--recipe", "sudoku-mini", "--step", "7"]) == 0
    assert "hrm evaluate sudoku-mini" in capsys.readouterr().err
    assert (place / "runs/sudoku-mini/checkpoints/step-00000007/model.json").is_file()
    assert main(["checkpoint", "export", "sudoku-mini", "--out", "out/step_7", "-q"]) == 0
    given = torch.load(place / "out/step_7", weights_only=True)
    assert given.keys() == {f"_orig_mod.{name}" for name in weights}
    message = error_of(capsys, "checkpoint", "import", "step_7", "--recipe", "maze-mini")
    assert "the checkpoint does not match the model's settings" in message
    assert not (place / "runs/maze-mini").exists()
