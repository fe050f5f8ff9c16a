"""What is asked of the cluster: the TrainJob, its pods, and the rights that the launcher needs for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kube_api import KubeApi
from launching import completing, work_in
from trainer_objects import pod_of, pod_patch

from hrm.cluster import Job, Toleration, train_on_nodes
from hrm.cluster.job import work_of
from hrm.cluster.trainjobs import TrainJobs
from hrm.config import CheckpointSettings, TrainSettings
from hrm.data.dataset import open_dataset
from hrm.errors import UserError
from hrm.settings import validate

MANIFEST = Path(__file__).parents[2] / "pipelines/manifests/trainjob.yaml"
KUBERNETES = "1.31"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD")


SETTINGS = TrainSettings(checkpoints=CheckpointSettings(mirror="s3://bucket/hrm/"), wandb_project="hrm")


@pytest.fixture
def trainjob(api: KubeApi, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two nodes of two GPUs; the launcher's own environment is full of credentials."""
    job = Job(
        image="registry.test/hrm:1",
        nodes=2,
        gpus_per_node=2,
        node_selector={"gpu": "h100"},
        tolerations=(Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),),
        shared_memory="32Gi",
        timeout=3600,
        run_id="run-1",
    )
    monkeypatch.setenv("MLFLOW_RUN_ID", "parent")
    for name in CREDENTIALS:
        monkeypatch.setenv(name, f"secret of {name}")
    TrainJobs(None).create("hrm-tiny", job, work_of("tiny", SETTINGS, open_dataset(dataset), "hrm-tiny"))
    (created,) = api.created
    return created


def test_the_trainjob(trainjob: dict[str, Any]) -> None:
    """All of it; the API server of the tests has refused what Trainer's types do not have."""
    metadata, spec = trainjob["metadata"], trainjob["spec"]
    assert metadata["labels"] == {"app.kubernetes.io/part-of": "hrm", "hrm/run-id": "run-1"}
    assert metadata["annotations"] == {"hrm/experiment": "tiny"}
    assert spec.keys() == {"runtimeRef", "trainer", "activeDeadlineSeconds", "runtimePatches"}
    assert spec["runtimeRef"] == {"name": "torch-distributed", "kind": "ClusterTrainingRuntime"}
    assert spec["activeDeadlineSeconds"] == 3600
    trainer = spec["trainer"]
    *arguments, _ = trainer.pop("args")
    assert arguments == ["--max-restarts=3", "-m", "hrm.cluster.node", "/etc/hrm"]
    gpus = {"nvidia.com/gpu": "2"}
    assert trainer == {
        "command": ["torchrun"],
        "env": [{"name": "MLFLOW_RUN_ID", "value": "parent"}],
        "image": "registry.test/hrm:1",
        "numNodes": 2,
        "resourcesPerNode": {"limits": gpus, "requests": gpus},
    }


def test_the_nodes_are_told_all_settings(trainjob: dict[str, Any], dataset: Path) -> None:
    """The defaults too, which another version may have changed."""
    assert work_in(trainjob) == {
        "name": "tiny",
        "train": SETTINGS.model_dump(mode="json"),
        "dataset": f"s3://bucket/hrm/.nodes/datasets/{open_dataset(dataset).digest}",
        "run": "s3://bucket/hrm/.nodes/runs/hrm-tiny",
    }


def test_what_the_pods_get(trainjob: dict[str, Any]) -> None:
    patch = pod_patch(trainjob)
    assert patch["metadata"]["labels"] == {"app.kubernetes.io/part-of": "hrm", "sidecar.istio.io/inject": "false"}
    spec = patch["spec"]
    assert spec["nodeSelector"] == {"gpu": "h100"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    volumes = {volume.pop("name"): volume for volume in spec["volumes"]}
    assert volumes == {
        "dshm": {"emptyDir": {"medium": "Memory", "sizeLimit": "32Gi"}},
        "hrm-s3": {"secret": {"secretName": "hrm-s3", "optional": False}},
        "hrm-mlflow": {"secret": {"secretName": "hrm-mlflow", "optional": False}},
        "hrm-wandb": {"secret": {"secretName": "hrm-wandb", "optional": True}},
    }
    (container,) = spec["containers"]
    assert container["name"] == "node"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secrets = {name: f"/etc/hrm/{name}" for name in ("hrm-s3", "hrm-mlflow", "hrm-wandb")}
    assert mounts == {"dshm": "/dev/shm", **secrets}


def test_no_credential_is_in_it(trainjob: dict[str, Any]) -> None:
    assert "secret of" not in json.dumps(trainjob)


def test_kubernetes_takes_the_pods(trainjob: dict[str, Any]) -> None:
    trainjob["metadata"]["namespace"] = "team"
    for index in range(2):
        kubernetes_validate.validate(pod_of(trainjob, index), KUBERNETES, strict=True)


def test_kubernetes_takes_the_manifest() -> None:
    for document in manifest():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_manifest_grants_what_a_launcher_does_and_no_more(
    api: KubeApi, settings: TrainSettings, dataset: Path, finished: Path, job: Job, tmp_path: Path
) -> None:
    """In its fullest life: a job that fails, is deleted, and made anew."""

    def on_create(trainjob: dict[str, Any]) -> None:
        api.run_quietly(trainjob)
        for pod in api.pods:
            api.end_pod(pod, 1)
        api.end(trainjob["metadata"]["name"], "Failed")

    api.on_create = on_create
    with pytest.raises(RuntimeError):
        train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    completing(api, finished)
    train_on_nodes(settings, dataset, tmp_path / "run", "tiny", job)
    assert set(granted("Role", "ClusterRole")) == api.calls
    assert {resource for _, _, resource in granted("ClusterRole")} == {"clustertrainingruntimes"}


def test_both_roles_are_bound_to_who_runs_the_steps() -> None:
    roles = {(each["kind"], each["metadata"]["name"]) for each in manifest() if "rules" in each}
    bindings = [each for each in manifest() if "roleRef" in each]
    assert {(each["roleRef"]["kind"], each["roleRef"]["name"]) for each in bindings} == roles
    assert {each["kind"].removesuffix("Binding") for each in bindings} == {kind for kind, _ in roles}
    subjects = {each["kind"]: (each["subjects"][0]["kind"], each["subjects"][0]["name"]) for each in bindings}
    everybody = ("Group", "system:serviceaccounts")
    assert subjects == {"RoleBinding": ("ServiceAccount", "pipeline-runner"), "ClusterRoleBinding": everybody}
    assert not any("namespace" in each["metadata"] for each in manifest()), "kubectl -n says which"


def manifest() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))


def granted(*kinds: str) -> Iterator[tuple[str, str, str]]:
    """Verb, group and resource of every rule."""
    for role in (each for each in manifest() if each["kind"] in kinds):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                yield from ((verb, group, resource) for resource in rule["resources"] for verb in rule["verbs"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nodes": 0}, "nodes = 0"),
        ({"tolerations": [{"key": "a", "operater": "Exists"}]}, "operater.*no such setting"),
        ({"shared_memory": "lots"}, "shared_memory = 'lots'"),
        ({"run_id": "{{workflow.name}}"}, "run_id = "),
        ({"image": ""}, "image = ''"),
    ],
)
def test_a_job_that_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(Job, {"image": "x", "nodes": 2, "run_id": "r", **values}, "job")
