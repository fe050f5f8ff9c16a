"""One experiment: overrides reach it, and every mistake is one line that names key, value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hrm.config import Experiment, load_experiment, read_params
from hrm.errors import UserError

PARAMS = Path(__file__).parents[2] / "params.yaml"


def load(name: str = "sudoku-mini", *overrides: str) -> Experiment:
    return load_experiment(name, PARAMS, overrides)


def error_of(*overrides: str, name: str = "sudoku-mini") -> str:
    with pytest.raises(UserError) as caught:
        load(name, *overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.batchsize=3", ["experiments.sudoku-mini", "train.batchsize", "no such setting"]),
        ("train.batch_size=many", ["train.batch_size", "'many'", "integer"]),
        ("train.batch_size=0", ["train.batch_size", "0", "greater than 0"]),
        ("train.optimizer.lr_min_ratio=1.5", ["train.optimizer.lr_min_ratio", "1.5", "less than or equal to 1"]),
        ("train.optimizer.beta1=1.5", ["train.optimizer.beta1", "1.5", "less than 1"]),
        ("train.optimizer.beta2=1", ["train.optimizer.beta2", "less than 1"]),
        ("train.seed=true", ["train.seed = True", "integer"]),
        ("train.epochs=true", ["train.epochs = True", "integer"]),
        ("train.epochs=1.5", ["train.epochs = 1.5", "integer"]),
        ("train.batch_size='64'", ["train.batch_size = '64'", "integer"]),
        ("train.optimizer.lr='1e-4'", ["train.optimizer.lr = '1e-4'", "number"]),
        ("train.optimizer.lr=yes", ["train.optimizer.lr = 'yes'", "number"]),
        ("train.processes=true", ["train.processes = True: ", "integer or ", "'auto'"]),
        ("train.model.hidden=9007199254740993.0", ["train.model.hidden", "integer"]),
        ("train=null", ["train = None", "object"]),
        ("train.model.expansion=0.001", ["train.model", "hidden = 64", "expansion = 0.001"]),
        ("vote.ks=[]", ["vote.ks", "at least 1"]),
        ("vote.ks=[1, 2, 2]", ["vote.ks", "larger than the one before"]),
        ("vote.ks=[10, 1]", ["vote.ks", "larger than the one before"]),
        ("vote.ks=[0, 1]", ["vote.ks.0 = 0", "greater than 0"]),
        ("build.sources=3", ["build.sources = 3", "array"]),
        ("build.sources=null", ["build.sources = None", "array"]),
        ("build.sources=[]", ["build.sources = []", "at least 1"]),
        ("build.sources=sudoku-4x4", ["build.sources = 'sudoku-4x4'", "array"]),
        ("build.sources=[3, [x]]", ["build.sources.0 = 3", "build.sources.1 = ['x']"]),
        ("build.sources=[../x]", ["build.sources", "'../x' is not under sources"]),
        ("build=3", ["build = 3", "object"]),
        ("build.puzzle=3", ["build.puzzle = 3", "object"]),
        ("build.puzzle.size=3", ["sudoku-mini: build.puzzle.size = 3", "no such setting"]),
        ("build.puzzle.box=[2, true]", ["sudoku-mini: build.puzzle.box.1 = True", "integer"]),
        ("build.puzzle.box=[5, 5]", ["sudoku-mini: build.puzzle.box = [5, 5]", "at most 9 cells"]),
        ("build.puzzle.kind=[1]", ["build.puzzle.kind", "'arc', 'sudoku', 'maze'"]),
        ("build.puzzle={box: [2, 2]}", ["build.puzzle.kind: Field required"]),
        ("sources=3", ["-o sources=3", "sources.NAME.key"]),
        ("name=x", ["-o name=x", "cannot be changed"]),
        ("sources.nowhere.origin=hub", ["sources.nowhere: no such source", "sudoku-4x4"]),
        ("train.seed={a: 1, a: 2}", ["-o train.seed=", "not valid YAML", "found duplicate key"]),
        ("train.seed=!!python/name:os.system", ["-o train.seed=", "not valid YAML"]),
        ("train.seed=2024-01-01", ["train.seed = '2024-01-01'", "integer"]),
        (r'register.description="\ud800"', ["no text"]),
        ("train.a\nb=3", ["train.a b", "no such setting"]),
        ("train.epochs.a\nb=3", ["epochs is not a block"]),
        ("a\nb", ["-o a b", "key=value"]),
        ("=3", ["-o =3", "key=value"]),
        ("train.optimizer.lr=.nan", ["train.optimizer.lr", "finite"]),
        ("train.processes=3", ["batch_size = 128", "processes = 3"]),
        ("train.model.heads=5", ["train.model", "hidden = 64", "heads = 5"]),
        ("build.sources=[sudoku-4x4, sudoku-4x4]", ["build.sources", "each source may stand here once"]),
        ("build.sources=[nowhere]", ["build.sources", "'nowhere'", "sudoku-4x4"]),
        ("build.puzzle.kind=chess", ["build.puzzle", "chess", "sudoku"]),
        ("train", ["-o train", "key=value"]),
        ("train.batch_size.x=1", ["batch_size", "not a block"]),
        ("surprise=1", ["surprise", "no such setting"]),
    ],
)
def test_a_mistake_is_one_line(override: str, parts: list[str]) -> None:
    message = error_of(override)
    assert all(part in message for part in parts), message


def test_several_mistakes_are_told_at_once() -> None:
    message = error_of("train.batchsize=3", "vote.kk=1")
    assert "train.batchsize" in message
    assert "vote.kk" in message


def test_an_unknown_experiment_names_the_known_ones() -> None:
    message = error_of(name="sudoku-maxi")
    assert "sudoku-maxi" in message
    assert "sudoku-mini" in message


def test_overrides_reach_settings_that_the_file_leaves_out() -> None:
    experiment = load("arc-1", "train.model.hidden=64", "sources.arc-agi-1.dataset=arc-agi-2")
    assert experiment.train.model.hidden == 64
    assert yaml.safe_load(experiment.model_dump_json())["sources"]["arc-agi-1"]["dataset"] == "arc-agi-2"


def test_an_experiment_is_its_own_json() -> None:
    """The resolved block, as JSON, is what a pipeline is given."""
    experiment = load()
    assert Experiment.model_validate_json(experiment.model_dump_json(by_alias=True)) == experiment


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("sources.sudoku-4x4.generator.bux=3", ["sources.sudoku-4x4.generator.bux = 3: no such setting"]),
        ("sources.sudoku-4x4.generator.box=[2, 9]", ["sources.sudoku-4x4.generator.box = [2, 9]: a box has"]),
        ("sources.sudoku-4x4.generator.train=true", ["sources.sudoku-4x4.generator.train = True: ", "integer"]),
        ("sources.sudoku-4x4.generator.givens=99", ["sources.sudoku-4x4.generator: givens = 99 must be"]),
        ("sources.sudoku-4x4.generator.kind=chess", ["sources.sudoku-4x4.generator.kind = 'chess': ", "'maze'"]),
        ("sources.sudoku-4x4.generator={box: [2, 2]}", ["sources.sudoku-4x4.generator.kind: Field required"]),
        (
            "sources.sudoku-4x4.generator={kind: sudoku}",
            ["sources.sudoku-4x4.generator.train: Field required; sources.sudoku-4x4.generator.test: Field required"],
        ),
        ("sources.sudoku-4x4.origin=moon", ["sources.sudoku-4x4.origin = 'moon': ", "'package', 'folder'"]),
        ("sources.sudoku-4x4={generator: 3}", ["sources.sudoku-4x4.origin: Field required"]),
        ("sources.sudoku-4x4=generate", ["sources.sudoku-4x4 = 'generate': ", "object"]),
        ("sources.sudoku-4x4=null", ["sources.sudoku-4x4 = None: ", "object"]),
    ],
)
def test_a_mistake_in_a_source_is_told_under_sources(override: str, parts: list[str]) -> None:
    message = error_of(override)
    assert message.startswith(f"{PARAMS}: sources.sudoku-4x4")
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("name", ["../x", "/abs", "", "a b", "a\nb", ".hidden", "-x", "a/b", "é"])
def test_a_name_is_safe(tmp_path: Path, name: str) -> None:
    """A name becomes a folder: it cannot lead out of its place, in no part of the file and in no override."""
    content = read_params(PARAMS)
    for part, old in {"experiments": "sudoku-mini", "sources": "sudoku-4x4"}.items():
        message = file_error(tmp_path, content | {part: {name: content[part][old]}}, name)
        assert repr(name) in message
        assert "a name has only letters" in message
    source = "{origin: package, dataset: arc-agi-1}"
    if "." not in name:
        error_of(f"build.sources={[name]!r}", f"sources.{name}={source}")


@pytest.mark.parametrize("key", ["name", "sources"])
def test_name_and_sources_are_no_settings_of_an_experiment(tmp_path: Path, key: str) -> None:
    content = read_params(PARAMS)
    content["experiments"]["sudoku-mini"][key] = content["sources"]
    assert f"experiments.sudoku-mini.{key}: no such setting" in file_error(tmp_path, content, "sudoku-mini")


def test_without_a_needed_block_it_is_told(tmp_path: Path) -> None:
    content = read_params(PARAMS)
    content["experiments"]["sudoku-mini"] = {"train": {}}
    message = file_error(tmp_path, content, "sudoku-mini")
    assert "build: Field required; register: Field required" in message


def file_error(folder: Path, content: dict[str, Any], name: str) -> str:
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError) as caught:
        load_experiment(name, folder / "params.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "value"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("-0.0", 0), ("1", 1.0), ("+1.5e+1", 15), (".5", 0.5), ("3.", 3.0)],
)
def test_a_number_is_written_as_anywhere(override: str, value: float) -> None:
    assert load("sudoku-mini", f"train.optimizer.lr={override}").train.optimizer.lr == value


def test_a_new_source_can_be_named_on_the_command_line(tmp_path: Path) -> None:
    experiment = load(
        "sudoku-mini",
        "build.sources=[mine]",
        "sources.mine.origin=folder",
        "sources.mine.path=x",
        "sources.mine.kind=table",
    )
    assert list(experiment.sources) == ["mine"]
    content = read_params(PARAMS)
    content["sources"]["v1.0"] = content["sources"]["sudoku-4x4"]
    content["experiments"]["sudoku-mini"]["build"]["sources"] = ["v1.0"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    dotted = load_experiment("sudoku-mini", tmp_path / "params.yaml", ["sources.v1.0.generator.seed=7"])
    assert dotted.model_dump()["sources"]["v1.0"]["generator"]["seed"] == 7


def test_an_override_leaves_a_block_that_shares_an_alias_alone(tmp_path: Path) -> None:
    text = PARAMS.read_text().replace("evaluate: {copies: 8}\n    vote: {}", "evaluate: &e {}\n    vote: *e", 1)
    (tmp_path / "params.yaml").write_text(text)
    experiment = load_experiment("sudoku-mini", tmp_path / "params.yaml", ["evaluate.copies=3"])
    assert (experiment.evaluate.copies, experiment.vote.max_copies) == (3, None)
