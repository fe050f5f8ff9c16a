"""The part of Trainer's webhook and controllers: a TrainJob is checked, and becomes pods."""

import json
import re
import time
from typing import Any

from kubeflow_trainer_api import models

NAMESPACE = "team"
GROUP = "trainer.kubeflow.org"
JOBSET, REPLICATED = "jobset.sigs.k8s.io/jobset-name", "jobset.sigs.k8s.io/replicatedjob-name"
INDEX = "batch.kubernetes.io/job-completion-index"
RUNTIME: dict[str, Any] = {
    "apiVersion": f"{GROUP}/v1alpha1",
    "kind": "ClusterTrainingRuntime",
    "metadata": {"name": "torch-distributed", "labels": {f"{GROUP}/framework": "torch"}},
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {}},
        "template": {
            "spec": {
                "replicatedJobs": [
                    {
                        "name": "node",
                        "template": {
                            "metadata": {"labels": {f"{GROUP}/trainjob-ancestor-step": "trainer"}},
                            "spec": {
                                "template": {"spec": {"containers": [{"name": "node", "image": "runtime:of-trainer"}]}}
                            },
                        },
                    }
                ]
            }
        },
    },
}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def refused(body: dict[str, Any]) -> str:
    """What the API server, by the type's schema, or Trainer's webhook has against a TrainJob; empty for nothing."""
    try:
        known = models.TrainerV1alpha1TrainJob.from_dict(body)
    except ValueError as error:
        return str(error)
    if known is None or json.loads(json.dumps(known.to_dict())) != body:
        return f"unknown fields: {body}"
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", body["metadata"]["name"]):
        return "metadata.name: no DNS label"
    for job in replicated_jobs(body):
        if job["name"] != "node" or any(each["name"] != "node" for each in pod_patch(body)["spec"]["containers"]):
            return "must not have a job or a container that doesn't exist in the runtime"
        if any("env" in container for container in pod_patch(body)["spec"]["containers"]):
            return "must not have envs for the node containers"
    return ""


def replicated_jobs(trainjob: dict[str, Any]) -> list[dict[str, Any]]:
    (patch,) = trainjob["spec"]["runtimePatches"]
    jobs: list[dict[str, Any]] = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    return jobs


def pod_patch(trainjob: dict[str, Any]) -> dict[str, Any]:
    """What a TrainJob changes of the runtime's pods."""
    (job,) = replicated_jobs(trainjob)
    patch: dict[str, Any] = job["template"]["spec"]["template"]
    return patch


def pod_of(trainjob: dict[str, Any], index: int, suffix: str = "abcde") -> dict[str, Any]:
    """The pod of a node, as Trainer, JobSet and Job make it together."""
    name, trainer, patch = trainjob["metadata"]["name"], trainjob["spec"]["trainer"], pod_patch(trainjob)
    gpus = any("gpu" in resource for resource in trainer["resourcesPerNode"]["limits"])
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    meeting = {"PET_MASTER_ADDR": f"{name}-node-0-0.{name}", "PET_MASTER_PORT": "29500"}
    numbers = {"PET_NNODES": str(trainer["numNodes"]), "PET_NPROC_PER_NODE": "auto" if gpus else "1"}
    told = [{"name": key, "value": value} for key, value in {**meeting, **numbers}.items()]
    (changed,) = patch["spec"]["containers"]
    container = {key: trainer[key] for key in ("image", "command", "args")} | {
        "name": "node",
        "resources": trainer["resourcesPerNode"],
        "env": [*trainer.get("env", []), *told, {"name": "PET_NODE_RANK", "valueFrom": rank}],
        "volumeMounts": changed["volumeMounts"],
        "ports": [{"containerPort": 29500}],
    }
    labels = {**patch["metadata"]["labels"], JOBSET: name, REPLICATED: "node", INDEX: str(index)}
    about = {"name": f"{name}-node-0-{index}-{suffix}", "namespace": NAMESPACE, "labels": labels}
    kept = {key: value for key, value in patch["spec"].items() if key != "containers"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**about, "creationTimestamp": now()},
        "spec": {**kept, "restartPolicy": "Never", "containers": [container]},
        "status": {"phase": "Pending"},
    }
