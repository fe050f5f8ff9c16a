"""What a cluster is told: read from the compiled YAML, as the server reads it."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import IMAGE
from pipelines.catalogue import PIPELINES
from pipelines.compile import FOLDER, compiled
from pipelines.kubernetes import SECRETS

ROOT = FOLDER.parents[1]
TRAINED = [name for name in PIPELINES if name != "evaluate"]
DATA = ("fetch", "build")


@cache
def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    spec, platform = yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())
    return spec, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def tasks(name: str) -> dict[str, dict[str, Any]]:
    """Every step of a pipeline, at any depth, by its name."""
    spec, _ = documents(name)
    graphs = [spec["root"], *(part for part in spec["components"].values() if "dag" in part)]
    found = {step: task for graph in graphs for step, task in graph["dag"]["tasks"].items()}
    return {step: task for step, task in found.items() if task["componentRef"]["name"] == f"comp-{step}"}


def steps(name: str) -> dict[str, dict[str, Any]]:
    """Those that run in a container."""
    spec, _ = documents(name)
    executors = spec["deploymentSpec"]["executors"]
    return {step: task for step, task in tasks(name).items() if "container" in executors.get(f"exec-{step}", {})}


def container(name: str, step: str) -> dict[str, Any]:
    spec, _ = documents(name)
    found: dict[str, Any] = spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    return found


def kubernetes(name: str, step: str) -> dict[str, Any]:
    _, platform = documents(name)
    return platform[f"exec-{step}"]


@pytest.mark.parametrize("name", PIPELINES)
def test_the_files_are_current_and_the_same_each_time(name: str) -> None:
    text = compiled(name)
    assert (FOLDER / f"{name}.yaml").read_text() == text, "run `python -m pipelines compile`"
    elsewhere = {**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)}
    code = f"from pipelines.compile import compiled; print(compiled({name!r}), end='')"
    again = subprocess.run([sys.executable, "-c", code], cwd="/", env=elsewhere, capture_output=True, text=True)
    assert again.stdout == text, again.stderr


def test_no_other_file_is_there() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == set(PIPELINES)


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_training_has_its_gpus(name: str) -> None:
    spec, _ = documents(name)
    asked = container(name, "train")["resources"]["accelerator"]
    assert asked["resourceType"] == "nvidia.com/gpu"
    assert asked["resourceCount"] == "{{$.inputs.parameters['pipelinechannel--gpus']}}"
    default = spec["root"]["inputDefinitions"]["parameters"]["gpus"]
    assert (default["defaultValue"], default["parameterType"]) == ("8", "STRING")  # the server reads text alone here
    # The parameter reaches the step through every graph around it.
    graphs = [part for part in spec["components"].values() if "train" in part.get("dag", {}).get("tasks", {})]
    (graph,) = graphs
    assert "pipelinechannel--gpus" in graph["inputDefinitions"]["parameters"]
    assert "pipelinechannel--gpus" in graph["dag"]["tasks"]["train"]["inputs"]["parameters"]


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_training_has_memory_time_retries_and_secrets_and_no_cache(name: str) -> None:
    task, more = tasks(name)["train"], kubernetes(name, "train")
    assert task["cachingOptions"] == {}
    assert task["retryPolicy"]["maxRetryCount"] >= 3
    assert int(more["activeDeadlineSeconds"]) >= 24 * 3600
    (memory,) = more["emptyDirMounts"]
    assert (memory["mountPath"], memory["medium"]) == ("/dev/shm", "Memory")
    assert {secret["secretName"] for secret in more["secretAsEnv"]} == {"hrm-mlflow", "hrm-s3", "hrm-wandb"}
    assert more["nodeSelector"] == {"nodeSelectorJson": {"componentInputParameter": "pipelinechannel--node_selector"}}
    assert more["tolerations"] == [{"tolerationJson": {"componentInputParameter": "pipelinechannel--tolerations"}}]


@pytest.mark.parametrize("name", ["train", "train-nodes"])
def test_the_registration_reaches_both_records_of_the_run(name: str) -> None:
    secrets = {one["secretName"]: one["optional"] for one in kubernetes(name, "register")["secretAsEnv"]}
    assert secrets == {"hrm-mlflow": False, "hrm-wandb": True}


@pytest.mark.parametrize("name", PIPELINES)
def test_data_steps_are_cached_and_no_other(name: str) -> None:
    cached = {step for step, task in steps(name).items() if task["cachingOptions"].get("enableCache")}
    assert cached == set(DATA)


@pytest.mark.parametrize("name", PIPELINES)
def test_every_step_has_limits_and_the_image_of_the_run(name: str) -> None:
    for step in steps(name):
        asked, more = container(name, step), kubernetes(name, step)
        assert asked["image"] == "{{$.inputs.parameters['pipelinechannel--image']}}", step
        assert {"resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit"} <= asked["resources"].keys(), step
        assert int(more["activeDeadlineSeconds"]) > 0, step
        assert steps(name)[step]["retryPolicy"]["maxRetryCount"] >= 1, step
    parameters = documents(name)[0]["root"]["inputDefinitions"]["parameters"]
    assert parameters["image"]["defaultValue"] == IMAGE


@pytest.mark.parametrize("name", PIPELINES)
def test_a_step_may_be_tried_again_as_long_as_it_may_take(name: str) -> None:
    """Argo tries no more, and ends what it tries, this long after the first attempt began: not only while it pauses."""
    for step, task in steps(name).items():
        window = int(task["retryPolicy"]["backoffMaxDuration"].removesuffix("s"))
        assert window == int(kubernetes(name, step)["activeDeadlineSeconds"]), step


@pytest.mark.parametrize("name", PIPELINES)
def test_mlflow_is_required_where_a_result_would_be_lost(name: str) -> None:
    for step in steps(name):
        for secret in kubernetes(name, step).get("secretAsEnv", []):
            assert bool(secret.get("optional")) == (secret["secretName"] != "hrm-mlflow"), (step, secret)
    needing = {
        step
        for step in steps(name)
        if "hrm-mlflow" in {secret["secretName"] for secret in kubernetes(name, step).get("secretAsEnv", [])}
    }
    assert needing == {"finish", "register"} | ({"train"} & steps(name).keys()) | ({"train-job"} & steps(name).keys())


@pytest.mark.parametrize("name", PIPELINES)
def test_no_credential_and_no_path_of_a_machine_is_in_the_file(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert not re.findall(r"(?<![\w.}])/(?:home|root|work|Users|tmp/\w|var|mnt)\b[^'\s]*", text)
    assert str(ROOT) not in text
    keys = {key for secret in SECRETS.values() for key in secret}
    for line in text.splitlines():
        if any(key in line for key in keys):
            assert re.fullmatch(r"\s*(- )?(envVar|secretKey): [A-Z_]+", line), line
    assert not re.search(r"(?i)(password|secret|token|api_?key)\s*[:=]\s*['\"]?(?!hrm-)[a-z0-9+/]{8,}", text)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_failure_is_recorded_whatever_happens(name: str) -> None:
    finish = documents(name)[0]["root"]["dag"]["tasks"]["finish"]
    assert finish["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert "taskFinalStatus" in finish["inputs"]["parameters"]["status"]
    # What registers and what looks for the registration go by the same name.
    runs = [step["inputs"]["parameters"]["run_id"] for step in (finish, tasks(name)["register"])]
    assert runs == [{"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}] * 2


@pytest.mark.parametrize("name", PIPELINES)
def test_datasets_and_models_travel_as_artifacts(name: str) -> None:
    """No step has a volume that another one has."""
    for step in steps(name):
        volumes = set(kubernetes(name, step)) & {"pvcMount", "genericEphemeralVolume", "secretAsVolume"}
        assert not volumes, step
    spec, _ = documents(name)
    wanted = spec["components"]["comp-register"]["inputDefinitions"]["artifacts"]
    assert {"dataset", "model", "evaluation", "answers"} == set(wanted)


def test_artifacts_have_the_types_that_the_page_of_a_run_can_show() -> None:
    spec, _ = documents("train")
    found = {
        (step, name): artifact["artifactType"]["schemaTitle"].removeprefix("system.")
        for step in steps("train")
        for name, artifact in spec["components"][f"comp-{step}"]
        .get("outputDefinitions", {})
        .get("artifacts", {})
        .items()
    }
    assert found == {
        ("fetch", "raw"): "Dataset",
        ("build", "dataset"): "Dataset",
        ("train", "model"): "Model",
        ("evaluate", "evaluation"): "Artifact",
        ("evaluate", "scores"): "Metrics",
        ("vote", "answers"): "Artifact",
        ("vote", "report"): "HTML",
        ("vote", "summary"): "Markdown",
        ("vote", "scores"): "Metrics",
        ("register", "registration"): "Artifact",
    }


def test_the_check_finds_a_file_that_is_not_current(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines", "compile", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert subprocess.run([*command, "--check"], cwd=ROOT, capture_output=True).returncode == 0
    (tmp_path / "train.yaml").write_text("changed")
    done = subprocess.run([*command, "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"hrm: error: {tmp_path}/train.yaml: not what pipelines/ says")
