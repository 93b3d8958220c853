"""`make check`: the validator over everything in envoy/, and Envoy's own over every bootstrap there."""

import project
import build
import setup
from console import Command, Failure, output, run, say


def files():
    folder = project.ROOT / "envoy"
    return sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml", ".json"))


def configurations():
    names = [str(path.relative_to(project.ROOT)) for path in files()]
    if not names:
        raise Failure("envoy/ holds no configuration")
    run([project.DIST / "bin" / "portcullis", "check", "--deny-warnings", *names], cwd=project.ROOT)


def main(command):
    with command.stage("set-up"):
        setup.for_build()
    build.programs(command)
    with command.stage("validator over envoy/"):
        configurations()
    return f"{len(files())} files in envoy/ are good"


if __name__ == "__main__":
    Command("check").run(main)
