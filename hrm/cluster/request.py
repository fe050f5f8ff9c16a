"""The TrainJob that is asked for, in the words of Kubeflow's SDK."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from hrm.cluster.job import SECRETS, Job, Work, command_of

CONTAINER = "node"
"""The name of the runtime's replicated job, and of its container."""
MOUNTED = {"hrm-s3": False, "hrm-mlflow": False, "hrm-wandb": True}
"""The secrets of a node, and whether it can do without."""
PASSED_ON = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
"""Variables of the launcher that say where in MLflow the run belongs; none of them is a credential."""
POD_LABELS = {"app.kubernetes.io/part-of": "hrm", "sidecar.istio.io/inject": "false"}
"""Processes meet at ports that a mesh's sidecar would not let through."""


def trainer_of(job: Job) -> Any:
    """The image, and how often it runs with which devices."""
    from kubeflow.trainer import CustomTrainerContainer

    # Without any resources, torchrun would start a process for every core of a machine.
    resources = {"gpu": str(job.gpus_per_node)} if job.gpus_per_node else {"cpu": "1"}
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return CustomTrainerContainer(image=job.image, num_nodes=job.nodes, resources_per_node=resources, env=env or None)


def options_of(name: str, job: Job, work: Work) -> list[Any]:
    """Everything else: the command, and what is changed of the runtime's pods."""
    from kubeflow.trainer import options

    launcher, *arguments = command_of(work)
    return [
        options.Name(name),
        options.Labels({"app.kubernetes.io/part-of": "hrm", "hrm/run-id": job.run_id}),
        options.Annotations({"hrm/experiment": work.name}),
        options.ActiveDeadlineSeconds(job.timeout),
        options.TrainerCommand([launcher]),
        options.TrainerArgs(arguments),
        _pod_patch(job),
    ]


def _pod_patch(job: Job) -> Any:
    from kubeflow.trainer import options

    shared = {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": job.shared_memory}}
    mounts: list[dict[str, Any]] = [{"name": "dshm", "mountPath": "/dev/shm"}]  # noqa: S108
    mounts += [{"name": secret, "mountPath": f"{SECRETS}/{secret}", "readOnly": True} for secret in MOUNTED]
    spec = options.PodSpecPatch(
        volumes=[shared, *_secret_volumes()],
        containers=[options.ContainerPatch(CONTAINER, volume_mounts=mounts)],
        node_selector=job.node_selector or None,
        tolerations=[toleration.model_dump(exclude_none=True) for toleration in job.tolerations] or None,
    )
    pod = options.PodTemplatePatch(metadata={"labels": POD_LABELS}, spec=spec)
    nodes = options.ReplicatedJobPatch(CONTAINER, options.JobTemplatePatch(spec=options.JobSpecPatch(pod)))
    jobs = options.JobSetTemplatePatch(spec=options.JobSetSpecPatch([nodes]))
    return options.RuntimePatch(options.TrainingRuntimeSpecPatch(jobs))


def _secret_volumes() -> Iterator[dict[str, Any]]:
    for secret, optional in MOUNTED.items():
        yield {"name": secret, "secret": {"secretName": secret, "optional": optional}}
