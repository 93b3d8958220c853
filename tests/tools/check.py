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


def groups():
    """What Envoy or a control plane reads together: a file, or a folder of files that name one another. Neither overlays nor
    what other programs read."""
    examples = ENVOY / "examples"
    files = [ENVOY / "envoy.yaml", *sorted(examples.glob("*.yaml")), *sorted((examples / "kubernetes").glob("*.yaml"))]
    return [*([file] for file in files), sorted((examples / "live").glob("*.yaml"))]


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
    # Envoy Gateway has no setting for what its warning is about.
    strict = [] if files[0].stem == "envoy-gateway" else ["--deny-warnings"]
    run([PORTCULLIS, "check", *strict, *map(project.relative, files)], cwd=project.ROOT)


def configurations():
    if len(groups()) < 3 or not all(groups()) or not overlays():
        raise Failure("envoy/ lacks its examples or its overlays")
    for group in groups():
        validate(*group)
    for overlay in overlays():
        validate(render(RENDERED / f"{overlay.stem}.json", ENVOY / "envoy.yaml", overlay))


def main(command):
    with command.stage("set-up"):
        setup.for_build()
    build.programs(command)
    with command.stage("validator over envoy/"):
        configurations()
    return f"{sum(map(len, groups()))} files and {len(overlays())} overlays in envoy/ are good"


if __name__ == "__main__":
    Command("check").run(main)
