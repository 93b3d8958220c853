"""`make test`: everything that must hold, in the order in which a mistake is cheapest to find."""

import json
import os
import pathlib
import subprocess

import build
import check
import demo
import documents
import evidence
import judging
import monitoring
import otlp
import project
import setup
import workflows
from console import Command, Failure, run, say

# Iterations per fuzz target: bounded, so that a run takes about as long every time.
FUZZ_ITERATIONS = os.environ.get("FUZZ_ITERATIONS") or "20000"
# Packages whose tests need more than the native code, each in a stage of its own.
IN_PROCESS_HOST = "portcullis-host"
REAL_ENVOY = "portcullis-suites"
# Crates that know no host: their tests/web.rs runs in Node too, where `usize` has 32 bits as it has in a module.
PURE = ["portcullis-kit", "security-headers", "request-tracing", "rate-limit", "problem-json", "audit-chain", "audit-log"]


def clippy(*arguments):
    run(["cargo", "clippy", *project.LOCKED, *arguments, "--", "-D", "warnings"], cwd=project.ROOT)


def each(packages):
    """`-p` for each package."""
    return [argument for package in packages for argument in ("-p", package)]


def suites_are_programs():
    """Cargo would build a suite that is not listed with a test harness of its own, which finds no test in it, and is content."""
    listed = (project.ROOT / "tests" / "suites" / "Cargo.toml").read_text()
    for suite in sorted(project.ROOT.glob("tests/suites/tests/*.rs")):
        if f'name = "{suite.stem}"\nharness = false\n' not in listed:
            raise Failure(f"{project.relative(suite)} is not in tests/suites/Cargo.toml; add it there with `harness = false`")


def lints(command):
    with command.stage("every suite is listed"):
        suites_are_programs()
    with command.stage("formatting"):
        run(["cargo", "fmt", "--all", "--check"], cwd=project.ROOT, hint="run `make fmt`")
    with command.stage("clippy, native"):
        clippy("--workspace", "--all-targets")
    with command.stage(f"clippy, {project.MODULE_TARGET}"):
        for crate in project.modules():
            clippy("--target", project.MODULE_TARGET, "-p", project.package(crate), "--features", "module")
        clippy("--target", project.MODULE_TARGET, *each(project.package(crate) for crate in project.test_modules()))
    with command.stage(f"clippy, {project.PURE_TARGET}"):
        clippy("--target", project.PURE_TARGET, *each([*PURE, "portcullis-adapter"]), "--lib", "--test", "web")


def test_binaries(command):
    """Builds every native test once. Gives (package folder, executable) in the order of the workspace.

    `cargo test -p A` and `cargo test -p B` would each resolve features anew and build shared crates twice."""
    build_them = ["cargo", "test", *project.LOCKED, "--workspace", "--no-run", "--message-format=json-render-diagnostics"]
    with command.stage("native tests: build"):
        done = run(build_them, cwd=project.ROOT, stdout=subprocess.PIPE)
        found = []
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message.get("reason") == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
                found.append((pathlib.Path(message["manifest_path"]).parent, pathlib.Path(message["executable"])))
        if not found:
            raise Failure("cargo built no test")
    return sorted(found)


def run_tests(binaries, *arguments, extra_env=None):
    """Runs test executables as `cargo test` does: in their package's folder. All run before one fails the stage."""
    failed = []
    for folder, executable in binaries:
        say(f"    {project.relative(folder)}: {executable.name.rsplit('-', 1)[0]}")
        environment = {
            "CARGO_MANIFEST_DIR": str(folder),
            "ENVOY": str(project.envoy()),
            "PORTCULLIS_DIST": str(project.DIST),
        }
        done = subprocess.run([executable, *arguments], cwd=folder, env={**os.environ, **environment, **(extra_env or {})})
        if done.returncode:
            failed.append(executable.name.rsplit("-", 1)[0])
    if failed:
        raise Failure(f"tests failed in {', '.join(failed)}")


def tests(command):
    binaries = test_binaries(command)
    of = lambda package: [b for b in binaries if project.package(b[0]) == package]
    with command.stage("native tests"):
        run_tests([b for b in binaries if project.package(b[0]) not in (IN_PROCESS_HOST, REAL_ENVOY)])
        run(["cargo", "test", *project.LOCKED, "--workspace", "--doc"], cwd=project.ROOT)
    with command.stage("wasm-bindgen tests in Node"):
        # The kit's unit tests lean on native crates; its cases for 32 bits stand in tests/web.rs.
        packages = [*each(PURE), "--test", "web"]
        runner = {"CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER": str(project.test_runner())}
        run(["cargo", "test", *project.LOCKED, "--target", project.PURE_TARGET, *packages], cwd=project.ROOT, extra_env=runner)
        filters = [*each([package for package in PURE if package != "portcullis-kit"]), "--lib"]
        run(["cargo", "test", *project.LOCKED, "--target", project.PURE_TARGET, *filters], cwd=project.ROOT, extra_env=runner)
    with command.stage("modules in the in-process host"):
        run_tests(of(IN_PROCESS_HOST))
    with command.stage("suites on a real Envoy"):
        run_tests(of(REAL_ENVOY), extra_env={**otlp.collect(), **evidence.collect()})
    with command.stage("what the suites' sinks got, before OTLP's judges"):
        otlp.judge()
    with command.stage("the suites' audit records, before the schemas of their forms"):
        evidence.judge()


def shipped(command, programs):
    with command.stage("validator over envoy/"):
        check.configurations()
    with command.stage("docs match the code"):
        pages = [str(p.relative_to(project.ROOT)) for p in sorted(project.ROOT.glob("docs/*.md")) if "<!-- options:" in p.read_text()]
        run([project.DIST / "bin" / "portcullis", "docs", "--check", *pages], cwd=project.ROOT)
    with command.stage("documents: links, and every fenced block"):
        documents.judge(programs)
    with command.stage("the forge's workflow, before judges"):
        workflows.judge()


def demo_serves(command, folder):
    with command.stage("what `make run` starts serves"):
        demo.smoke(folder)


def judged(command, folder):
    with command.stage("errors before judges from outside"):
        judging.judge(folder)


def fuzz(command, iterations):
    with command.stage(f"fuzzing, {iterations} iterations a target"):
        run(["bash", "tests/fuzz/run.sh", iterations], cwd=project.ROOT)


def main(command):
    with command.stage("set-up"):
        setup.for_tests()
    lints(command)
    folder = build.programs(command)
    build.modules(command)
    build.test_modules(command)
    shipped(command, folder)
    tests(command)
    demo_serves(command, folder)
    judged(command, folder)
    monitoring.stages(command, folder)
    fuzz(command, FUZZ_ITERATIONS)
    for name, seconds in command.timings:
        say(f"    {seconds:7.1f} s  {name}")
    return f"{len(command.timings)} stages passed"


if __name__ == "__main__":
    Command("test").run(main)
