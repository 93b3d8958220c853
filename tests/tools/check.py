"""`make check`: the validator over every configuration in envoy/, each overlay laid over the configuration it is for."""

import subprocess

import project
import build
import setup
from console import Command, Failure, run

ENVOY = project.ROOT / "envoy"
OVERLAYS = ENVOY / "overlays"
# Where overlays that were laid over their base stand.
RENDERED = project.TOOLS / "check"
PORTCULLIS = project.DIST / "bin" / "portcullis"


def files():
    """What Envoy or a control plane reads, as it is. Neither overlays nor what other programs read."""
    examples = [path for path in (ENVOY / "examples").rglob("*") if path.suffix in (".yaml", ".yml", ".json")]
    return [ENVOY / "envoy.yaml", *sorted(examples)]


def overlays():
    return sorted(OVERLAYS.glob("*.yaml"))


def render(into, *files):
    """The first file with the others laid over it."""
    done = subprocess.run([str(PORTCULLIS), "render", *map(str, files)], stdout=subprocess.PIPE, cwd=project.ROOT)
    if done.returncode:
        raise Failure(f"{project.relative(files[-1])} cannot be laid over {project.relative(files[0])}; see above")
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_bytes(done.stdout)
    return into


def validate(*files):
    run([PORTCULLIS, "check", "--deny-warnings", *map(project.relative, files)], cwd=project.ROOT)


def configurations():
    if len(files()) < 2 or not overlays():
        raise Failure("envoy/ lacks its examples or its overlays")
    validate(*files())
    for overlay in overlays():
        validate(render(RENDERED / f"{overlay.stem}.json", ENVOY / "envoy.yaml", overlay))


def main(command):
    with command.stage("set-up"):
        setup.for_build()
    build.programs(command)
    with command.stage("validator over envoy/"):
        configurations()
    return f"{len(files())} files and {len(overlays())} overlays in envoy/ are good"


if __name__ == "__main__":
    Command("check").run(main)
