"""What the Dockerfile says, read without a docker engine."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.docker_runner import IMAGE_USER

ROOT = Path(__file__).parents[2]
FINAL = ("cpu", "gpu")


@dataclass
class Stage:
    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and what follows it."""

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.lines if name == instruction]


def parse(text: str) -> dict[str, Stage]:
    """The stages by name; what stands before the first is that of the empty name."""
    stages = {"": Stage("", "")}
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in without_comments.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            stages[name] = Stage(name, base)
        elif instruction:
            list(stages.values())[-1].lines.append((instruction, " ".join(rest.split())))
    return stages


STAGES = parse((ROOT / "docker/Dockerfile").read_text())


def ancestry(name: str) -> list[Stage]:
    """A stage and those it starts from."""
    stage = STAGES[name]
    return [stage, *(ancestry(stage.base) if stage.base in STAGES else [])]


@pytest.mark.parametrize("target", FINAL)
def test_the_user_of_an_image_is_a_number_and_not_root(target: str) -> None:
    users = STAGES[target].all("USER")
    assert users == [f"{IMAGE_USER}:{IMAGE_USER}"], "Kubernetes' runAsNonRoot takes numbers only"
    assert STAGES[target].lines[-1][0] == "USER", "nothing is done as root after it"
    assert IMAGE_USER > 0
    assert f"useradd --uid {IMAGE_USER} " in " ".join(STAGES["runtime"].all("RUN"))


def test_every_stage_begins_from_another_or_from_a_named_version() -> None:
    assert {stage.base for stage in STAGES.values()} - set(STAGES) == {"${BASE_IMAGE}"}
    (default,) = [rest.partition("=")[2] for rest in STAGES[""].all("ARG") if rest.startswith("BASE_IMAGE=")]
    assert re.fullmatch(r"python:3\.\d+-slim", default)


def test_nothing_is_fetched_but_by_pip_and_apt() -> None:
    for stage in STAGES.values():
        assert not stage.all("ADD"), stage.name
        for command in stage.all("RUN"):
            assert not re.search(r"https?://|\bcurl\b|\bwget\b|git clone", command), command


def test_what_pip_installs_is_locked() -> None:
    with_pip = [stage for stage in STAGES.values() if re.search(r"\bpip (install|wheel)", " ".join(stage.all("RUN")))]
    assert {stage.name for stage in with_pip} >= {"cpu-builder", "gpu-builder", "flash-builder"}
    for stage in with_pip:
        before = ancestry(stage.name)
        settings = " ".join(rest for each in before for rest in each.all("ENV"))
        assert "PIP_CONSTRAINT=/build/requirements.lock" in settings, stage.name
        copies = " ".join(rest for each in before for rest in each.all("COPY"))
        assert "requirements.lock" in copies, stage.name
    lines = [line for line in (ROOT / "docker/gpu.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines), lines


@pytest.mark.parametrize("target", FINAL)
def test_an_image_holds_no_installer_and_learns_no_index(target: str) -> None:
    for stage in ancestry(target):
        assert stage.name in {target, "runtime"}
        assert set(stage.all("ARG")) <= {"VERSION", "COMMIT"}
        commands = " ".join(stage.all("RUN"))
        assert "pip" not in commands
        assert commands.count("apt-get update") == commands.count("rm -rf /var/lib/apt/lists/*")
    copies = [rest for rest in STAGES[target].all("COPY") if rest.startswith("--from=")]
    assert copies == [f"--from={target}-builder /opt/hrm /opt/hrm"]


def test_nothing_is_sent_to_the_builder_but_what_it_copies() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")} - {"docker"}
    copied = {
        source
        for stage in STAGES.values()
        for rest in stage.all("COPY")
        if not rest.startswith("--from=")
        for source in re.sub(r"--\w+=\S+ ", "", rest).split()[:-1]
    }
    assert copied - {"hrm/__init__.py"} == let_in
