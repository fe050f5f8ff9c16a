"""Runs the pods of a TrainJob as processes of this machine, each in an empty folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from kube_api import KubeApi, Pod
from trainer_objects import pod_of


def kill_all(process: "subprocess.Popen[str]") -> None:
    """A process and all that it started: torchrun gives each of its processes a session."""
    if process.poll() is None:
        process.send_signal(signal.SIGSTOP)  # it starts no more
        family = [process.pid]
        for pid in family:
            family += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        for pid in family:
            os.kill(pid, signal.SIGKILL)


class Kubelet:
    """Every node of the cluster, and the Job's controller: a pod that fails is replaced, up to a number of times."""

    def __init__(self, api: KubeApi, folder: Path, secrets: dict[str, dict[str, str]], replacements: int = 0) -> None:
        self.api, self.folder, self.secrets, self.replacements = api, folder, secrets, replacements
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.folders: dict[str, Path] = {}
        self._threads: list[threading.Thread] = []
        self._started = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        api.on_create, api.on_delete = self.start, lambda name: self.stop()

    def start(self, trainjob: dict[str, Any]) -> None:
        """The nodes of a TrainJob."""
        for index in range(trainjob["spec"]["trainer"]["numNodes"]):
            self._start_pod(trainjob, index)

    def kill(self, index: int) -> Pod:
        """The machine of a node is gone, and its disk."""
        pod = self._newest(index)
        kill_all(self.processes[pod.name])
        shutil.rmtree(self.folders[pod.name], ignore_errors=True)
        return pod

    def stop(self) -> None:
        """SIGTERM for all, as when a pod is deleted."""
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()  # the first process of a container alone hears of it

    def close(self) -> None:
        """Leave nothing behind."""
        self.replacements = 0
        for process in self.processes.values():
            kill_all(process)
        for thread in self._threads:
            thread.join()

    def _newest(self, index: int) -> Pod:
        return [pod for pod in self.api.pods if f"-node-0-{index}-" in pod.name][-1]

    def _start_pod(self, trainjob: dict[str, Any], index: int) -> None:
        self._started += 1
        pod = self.api.add_pod(pod_of(trainjob, index, f"pod-{self._started}"), "Running")
        folder = self.folders[pod.name] = self.folder / pod.name
        folder.mkdir(parents=True)
        (container,) = pod.body["spec"]["containers"]
        root = self._mounted(pod, self.folder / f"root-{self._started}")
        # The one thing that a container's file system would do: what is below /etc/hrm lies below a root of its own.
        command = [f"{root}{word}" if word.startswith("/etc/hrm") else word for word in self._command(container)]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=self._environment(container, index),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes[pod.name] = process
        thread = threading.Thread(target=self._attend, args=(trainjob, index, pod, process))
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _command(container: dict[str, Any]) -> list[str]:
        return [*container["command"], *container["args"]]

    def _environment(self, container: dict[str, Any], index: int) -> dict[str, str]:
        """Nothing of this process's own that a container would not have."""
        told = {each["name"]: each.get("value", str(index)) for each in container["env"]}
        of_image = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        of_image |= {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(self.folder)}
        here = {"PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(self._port), "GLOO_SOCKET_IFNAME": "lo"}
        return {**of_image, **told, **here}

    def _mounted(self, pod: Pod, root: Path) -> Path:
        """The secrets, as files below the paths at which the pod mounts them."""
        (container,) = pod.body["spec"]["containers"]
        volumes = {volume["name"]: volume for volume in pod.body["spec"]["volumes"]}
        for mount in container["volumeMounts"]:
            if secret := volumes[mount["name"]].get("secret"):
                folder = Path(f"{root}{mount['mountPath']}")
                folder.mkdir(parents=True)
                assert secret["optional"] or secret["secretName"] in self.secrets
                for key, value in self.secrets.get(secret["secretName"], {}).items():
                    # The kubelet keeps the files in a hidden folder, which it can exchange, and links to them.
                    (folder / "..data").mkdir(exist_ok=True)
                    (folder / "..data" / key).write_text(value)
                    (folder / key).symlink_to(f"..data/{key}")
        return root

    def _attend(self, trainjob: dict[str, Any], index: int, pod: Pod, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.api.say(pod, line.rstrip("\n"))
        status = process.wait()
        process.stdout.close()
        name = trainjob["metadata"]["name"]
        with self.api.changed:
            self.api.end_pod(pod, status if status >= 0 else 128 - status)
            if name not in self.api.trainjobs or "deletionTimestamp" in self.api.trainjobs[name]["metadata"]:
                return
            if status and self.replacements:
                self.replacements -= 1
                self._start_pod(trainjob, index)
            elif status:
                self.api.end(name, "Failed", "FailedJobs", "jobset failed due to one or more job failures")
            elif all(self._newest(each).body["status"]["phase"] == "Succeeded" for each in range(2)):
                self.api.end(name, "Complete")
