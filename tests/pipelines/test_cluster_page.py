"""README.md and docs/cluster.md are read, not retyped: their commands parse, their tables are what is compiled."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from hrm.config import read_params
from pipelines import kubernetes
from pipelines.__main__ import main, parser
from pipelines.catalogue import PIPELINES
from pipelines.kubernetes import REQUIRED, SECRETS, Needs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cluster.md").read_text()
TEXTS = {"README.md": (ROOT / "README.md").read_text(), "docs/cluster.md": PAGE}
STEPS = {
    "resolve, plan, finish": kubernetes.SETTINGS,
    "fetch, build": kubernetes.DATA,
    "train": kubernetes.TRAINING,
    "evaluate": kubernetes.EVALUATION,
    "vote, choose": kubernetes.VOTING,
    "register": kubernetes.REGISTRATION,
}


def commands(text: str) -> list[list[str]]:
    """Every command of the shell blocks, as words."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in blocks.splitlines() if line.strip()]


def typed() -> list[list[str]]:
    found = [
        words[3:] for text in TEXTS.values() for words in commands(text) if words[:3] == ["python", "-m", "pipelines"]
    ]
    assert len(found) > 5
    return found


def rows(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    _, _, rest = PAGE.partition(f"| {heading} |")
    lines = rest.splitlines()[2:]
    table = lines[: next(place for place, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table]


@pytest.mark.parametrize("words", typed(), ids=" ".join)
def test_every_command_is_one(words: list[str]) -> None:
    assert parser().parse_args(words).action


@pytest.mark.parametrize("words", [words for words in typed() if words[0] == "submit"], ids=" ".join)
def test_what_is_submitted_could_be_sent(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main([*(word for word in words if word != "--wait"), "--dry-run"]) == 0
    sent = yaml.safe_load(capsys.readouterr().out)
    assert sent["pipeline"] in PIPELINES
    assert sent["parameters"]["image"].startswith("registry.example.org/")


def test_every_pipeline_has_its_row() -> None:
    assert [row[0].strip("`") for row in rows("pipeline")] == list(PIPELINES)


def test_the_parameters_and_their_defaults_are_those_of_the_pipelines() -> None:
    known = {name: spec for pipeline in PIPELINES.values() for name, spec in pipeline.component_spec.inputs.items()}
    table = {row[0].strip("`"): row[2].strip("`") for row in rows("parameter")}
    given_otherwise = {"experiment", "experiments", "overrides", "catalogue", "model", "seeds"}
    assert table.keys() == known.keys() - given_otherwise
    train = PIPELINES["train"].component_spec.inputs
    assert table["gpus"] == train["gpus"].default
    assert table["image"] == train["image"].default
    for name in ("register_as", "minimum_scores", "mirror", "node_selector", "tolerations"):
        assert not train[name].default


def test_the_quotas_are_those_of_the_steps() -> None:
    table = {row[0]: row[1:] for row in rows("step")}
    assert table.keys() == STEPS.keys()
    for name, needs in STEPS.items():
        cpus, memory, _, ends = table[name]
        assert cpus == needs.cpu
        assert memory.split()[0] + "Gi" == needs.memory
        assert ends == (f"{needs.hours * 60:g} min" if needs.hours < 1 else f"{needs.hours:g} h")
        if needs.shared_memory:
            assert f"{needs.shared_memory.removesuffix('Gi')} of it `/dev/shm`" in memory
    assert all(isinstance(needs, Needs) for needs in STEPS.values())


def test_the_secrets_are_made_with_the_keys_that_steps_read() -> None:
    made = {}
    for words in commands(PAGE):
        if words[:1] == ["kubectl"] and "secret" in words:
            keys = [word.split("=")[1] for word in words if word.startswith("--from-")]
            made[words[words.index("generic") + 1]] = set(keys)
    assert made == {name: set(SECRETS[name]) for name in ("hrm-mlflow", "hrm-s3")}
    assert {"hrm-mlflow"} == REQUIRED
    assert all(name in PAGE for name in SECRETS)


def test_the_costs_are_those_of_the_catalogue() -> None:
    catalogue = (ROOT / "params.yaml").read_text()
    for names, gpus, time, hours in rows("experiment"):
        for name in re.findall(r"`([\w-]+)`", names):
            assert name in read_params(ROOT / "params.yaml")["experiments"]
            above = catalogue[: catalogue.index(f"\n  {name}:\n")].splitlines()
            comment = next(line for line in reversed(above) if "# Hardware:" in line)
            assert f"# Hardware: {gpus} GPUs" in comment, name
            assert re.search(rf"Time: {time}\b", comment), name
        amount, unit = time.split()
        assert float(hours) == pytest.approx(int(gpus) * int(amount) / (60 if unit == "min" else 1), abs=0.05)
