"""The Docker engine and compose: what must be there, and how they are called."""

import json
import os
import shutil
import subprocess

import project
from console import Failure, output, run

FILE = project.ROOT / "envoy" / "docker-compose.yaml"
INSTALL = "on Debian: `apt-get install docker.io docker-compose`"


def docker(*arguments):
    return ["docker", *arguments]


def require():
    """Says what to install where no engine answers."""
    if shutil.which("docker") is None:
        raise Failure(f"missing: docker; install Docker ({INSTALL})")
    done = subprocess.run(docker("version", "--format", "{{.Server.Version}}"), capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise Failure(f"no Docker engine answers ({why}); start one (`systemctl start docker`, or `dockerd` as root), or name it with DOCKER_HOST=")
    return done.stdout.strip()


def compose(*arguments):
    """A compose command on our file, with compose v2 (`docker compose`) or v1 (`docker-compose`)."""
    return [*_compose(), "--project-name", project_name(), "--file", str(FILE), *arguments]


_found = []


def _compose():
    if not _found:
        for command in (["docker", "compose"], ["docker-compose"]):
            if output([*command, "version"]) is not None:
                _found.append(command)
                break
        else:
            raise Failure(f"missing: compose, as `docker compose` or `docker-compose`; install it ({INSTALL})")
    return _found[0]


def project_name():
    return os.environ.get("COMPOSE_PROJECT_NAME") or "portcullis"


def inspect(*names):
    """What the engine knows of these containers or images, or None if it does not know one."""
    said = output(docker("inspect", *names))
    return None if said is None else json.loads(said)


def labels(images):
    """The labels of those images that are there, by their names."""
    done = subprocess.run(docker("image", "inspect", *images), capture_output=True, text=True)
    # What it does not know it leaves out, and says so by its exit code.
    found = json.loads(done.stdout or "[]")
    by_name = {name: image["Config"].get("Labels") or {} for image in found for name in image["RepoTags"] or []}
    return {image: by_name[image] for image in images if image in by_name}


def logs(container, lines=None):
    """All that a container wrote, both streams in one."""
    tail = ["--tail", str(lines)] if lines else []
    done = subprocess.run(docker("logs", *tail, container), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.decode(errors="replace")


def quietly(*arguments):
    run(docker(*arguments), quiet=True)
