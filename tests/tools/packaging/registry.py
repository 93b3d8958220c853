"""A registry on the loopback (Debian's docker-registry), and what a client asks of one."""

import contextlib
import hashlib
import json
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import subprocess

from console import Failure

PROGRAM = "docker-registry"
READY_SECONDS = 30
# What a gateway's client says it takes.
MANIFESTS = ", ".join([
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
])


class Registry:
    """One that runs. Its name is what stands before the first `/` of a reference."""

    def __init__(self, name):
        self.name = name

    def get(self, path, accept="*/*"):
        """A body, as it was sent."""
        asked = urllib.request.Request(f"http://{self.name}/v2/{path}", headers={"accept": accept})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Failure(f"the registry answers {error.code} to {path}") from None

    def manifest(self, repository, reference):
        """A manifest and its digest, by tag or digest."""
        body = self.get(f"{repository}/manifests/{reference}", MANIFESTS)
        return json.loads(body), f"sha256:{hashlib.sha256(body).hexdigest()}"

    def blob(self, repository, described):
        """A layer: what its descriptor says, and nothing else."""
        body = self.get(self.path_of(repository, described))
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != described["digest"] or len(body) != described["size"]:
            raise Failure(f"{repository}: a blob is not what its descriptor says")
        return body

    @staticmethod
    def path_of(repository, described):
        return f"{repository}/blobs/{described['digest']}"


@contextlib.contextmanager
def running():
    """A registry with nothing in it, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="registry-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{probe.getsockname()[1]}"
    configuration = {"version": 0.1, "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": str(folder / "data")}}, "http": {"addr": name}}
    (folder / "config.yml").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", folder / "config.yml"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(name, process, folder / "log")
        yield Registry(name)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _wait(name, process, log):
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{name}/v2/", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise Failure(f"{PROGRAM} does not serve: {log.read_text(errors='replace')[-500:]}")
