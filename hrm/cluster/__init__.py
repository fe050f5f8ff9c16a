"""Training on several nodes of a Kubernetes cluster, by a TrainJob of Kubeflow Trainer.

    launcher (a step of a pipeline)           bucket of train.checkpoints.mirror            node 0 ... node n-1
    dataset ──────────────────────────▶ .nodes/datasets/<digest> ───────────────▶ dataset, on each
    TrainJob: create, follow its log                                                        torchrun, training
                                              <experiment>/<run>/step-... ◀───────▶ checkpoints, of node 0
    the run's folder ◀───────────────── .nodes/runs/<TrainJob> ◀──────────────── the finished run, of node 0

No disk is shared. Whatever is stopped, launcher or node, is started again and goes on.
"""

from hrm.cluster.job import Job, Toleration
from hrm.cluster.launcher import train_on_nodes

__all__ = ["Job", "Toleration", "train_on_nodes"]
