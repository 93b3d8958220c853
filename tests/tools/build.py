"""`make build`: the modules into dist/, the command into dist/bin/."""

import os
import pathlib
import shutil

import project
import setup
from console import Command, Failure, run, say

# What each module should weigh. Those that do not are held to project.MAX_MODULE_BYTES; see docs/performance.md.
GOAL_BYTES = 160 * 1024


def native(*packages):
    """Builds native programs and gives the folder they are in."""
    command = ["cargo", "build", *project.LOCKED, "--profile", "tools"]
    for package in packages:
        command += ["-p", package]
    run(command, cwd=project.ROOT)
    return project.TARGET / "tools"


def module(crate, into, features=(), root=project.ROOT, target=project.TARGET):
    """Compiles one crate to a module and removes the exports that its filters do not need. Gives the finished module.

    Another clone can be built: the one in `root`, with what Cargo keeps in `target`."""
    package = project.package(crate)
    # `cargo rustc --crate-type` rather than a crate-type in Cargo.toml: a library that is also an rlib is linked
    # without link-time optimisation.
    command = ["cargo", "rustc", *project.LOCKED, "--release", "--target", project.MODULE_TARGET, "-p", package]
    command += ["--lib", "--crate-type", "cdylib"]
    if features:
        command += ["--features", ",".join(features)]
    run(command, cwd=root, extra_env={"CARGO_TARGET_DIR": str(target), "CARGO_ENCODED_RUSTFLAGS": _without_paths(root)})
    linked = target / project.MODULE_TARGET / "release" / (package.replace("-", "_") + ".wasm")
    finished = into / project.module_file(crate)
    into.mkdir(parents=True, exist_ok=True)
    if project.uses_adapter(crate):
        run([project.TARGET / "tools" / "portcullis-link", linked, finished])
    else:
        # The yardstick: what the SDK and the linker alone make.
        shutil.copyfile(linked, finished)
    return finished


def _without_paths(root):
    """The compiler's flags with which panics name no folder of this machine, so that every machine makes the same bytes."""
    cargo_home = pathlib.Path(os.environ.get("CARGO_HOME") or pathlib.Path.home() / ".cargo")
    remapped = [f"--remap-path-prefix={cargo_home}=/cargo", f"--remap-path-prefix={root}=/portcullis"]
    return "\x1f".join([*os.environ.get("RUSTFLAGS", "").split(), *remapped])


def sizes(modules):
    """Prints what each module weighs, and refuses one that is too heavy."""
    heavy = []
    for path in modules:
        size = path.stat().st_size
        allowed = project.MAX_MODULE_BYTES.get(path.name)
        if allowed is None:
            raise Failure(f"{path.name} has no limit in tests/tools/project.py (MAX_MODULE_BYTES)")
        goal = "within" if size <= GOAL_BYTES else f"{size / GOAL_BYTES:.1f} times"
        say(f"    {project.relative(path)}: {size} bytes ({goal} the goal of {GOAL_BYTES}; {size / allowed:.0%} of the {allowed} allowed)")
        if size > allowed:
            heavy.append(project.relative(path))
    if heavy:
        raise Failure(f"{', '.join(heavy)}: heavier than tests/tools/project.py allows (MAX_MODULE_BYTES)")


def programs(command):
    with command.stage("native programs"):
        folder = native("portcullis-link", "portcullis-cli", "portcullis-upstream")
        (project.DIST / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / "portcullis", project.DIST / "bin" / "portcullis")
    return folder


def modules(command):
    with command.stage("modules"):
        finished = [module(crate, project.DIST, ["module"]) for crate in project.modules()]
        sizes(finished)
    return finished


def test_modules(command):
    with command.stage("test modules"):
        return [module(crate, project.DIST / "test") for crate in project.test_modules()]


def everything(command):
    with command.stage("set-up"):
        setup.for_build()
    programs(command)
    return modules(command)


def main(command):
    finished = everything(command)
    return f"{len(finished)} modules in dist/, the command in dist/bin/portcullis"


if __name__ == "__main__":
    Command("build").run(main)
