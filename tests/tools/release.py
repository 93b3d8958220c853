"""`make release`: what a release consists of, into dist/release/, checked, and rehearsed with a registry on the loopback. With
REGISTRY= it is pushed; without, nothing leaves."""

import hashlib
import json
import os
import re
import shutil
import subprocess

import build
import project
import setup
from console import Command, Failure, output, run, say
from environment import Environment
from packaging import oci, registry, rehearsal, signing, transfer

FOLDER = project.DIST / "release"
BILLS = Environment("release", [project.ROOT / "tests" / "release" / "requirements.txt"], hint="is the network there, and python3 3.11 or newer?")
SOURCE = "https://github.com/portcullis-filters/portcullis"
TITLES = {
    "audit_log": "audit-log: a sealed record of every request",
    "portcullis": "Portcullis: all filters as one plugin",
    "problem_json": "problem-json: every error as problem details (RFC 9457)",
    "rate_limit": "rate-limit: plans with exact quotas",
    "request_tracing": "request-tracing: request ids, trace context, spans",
    "security_headers": "security-headers: response headers, CSRF protection, cookies",
}
# Where the second build is made: a folder of another name and length.
AGAIN = project.TOOLS / "build" / "a-second-clone"


def version():
    """The version of Cargo.toml, which CHANGELOG.md must have a section for."""
    found = re.search(r'^version = "([^"]+)"', (project.ROOT / "Cargo.toml").read_text(), re.M).group(1)
    changes = (project.ROOT / "CHANGELOG.md").read_text()
    if not re.search(rf"^## \[?{re.escape(found)}\b", changes, re.M):
        raise Failure(f"CHANGELOG.md has no section `## {found}`; write one, or set the version in Cargo.toml")
    tag = os.environ.get("GITHUB_REF_NAME") if os.environ.get("GITHUB_REF_TYPE") == "tag" else None
    if tag and tag != f"v{found}":
        raise Failure(f"the tag {tag} is not v{found}, the version of Cargo.toml")
    return found


def revision():
    """The commit that is built. What is not committed is not released."""
    commit = (output(["git", "-C", project.ROOT, "rev-parse", "HEAD"]) or "").strip()
    if not commit:
        raise Failure("this is no git repository: a release is made of a commit")
    if os.environ.get("REGISTRY") and output(["git", "-C", project.ROOT, "status", "--porcelain"]):
        raise Failure("there are changes that are not committed: commit or stash them before a release is pushed")
    return commit


def checks(command):
    with command.stage("licences, sources and bans of dependencies"):
        run([setup.cargo_deny(), "--offline", "--locked", "check", "licenses", "sources", "bans"], cwd=project.ROOT)


def digests(modules):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in modules}


def reproduced(command, modules):
    """Builds the commit again, from nothing and in another folder: the same bytes, or no release."""
    with command.stage("the same bytes again, from nothing and elsewhere"):
        shutil.rmtree(AGAIN, ignore_errors=True)
        AGAIN.mkdir(parents=True)
        archive = subprocess.run(["git", "-C", str(project.ROOT), "archive", "HEAD"], stdout=subprocess.PIPE, check=True)
        run(["tar", "-x", "-C", AGAIN], input=archive.stdout)
        again = []
        for crate in project.modules():
            there = AGAIN / crate.relative_to(project.ROOT)
            again.append(build.module(there, AGAIN / "dist", ["module"], root=AGAIN, target=AGAIN / "target"))
        first, second = digests(modules), digests(again)
        differ = sorted(name for name in first if first[name] != second.get(name))
        if differ:
            raise Failure(f"{', '.join(differ)}: not the same bytes in {project.relative(AGAIN)}; is everything committed?")
        shutil.rmtree(AGAIN)
        say(f"    {len(first)} modules have the same bytes")


def bills(command):
    with command.stage("bills of materials"):
        BILLS.install()
        work = project.TOOLS / "build" / "bills"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        metadata = work / "metadata.json"
        metadata.write_text(_cargo("metadata", "--format-version", "1"))
        lines = ["--edges", "normal,no-proc-macro", "--prefix", "depth", "--no-dedupe", "--format", "|{p}"]
        trees = []
        for crate in project.modules():
            trees.append(work / f"{project.module_file(crate).removesuffix('.wasm')}.tree")
            of = ["--package", project.package(crate), "--features", "module", "--target", project.MODULE_TARGET]
            trees[-1].write_text(_cargo("tree", *of, *lines))
        trees.append(work / "portcullis-cli.tree")
        trees[-1].write_text(_cargo("tree", "--package", "portcullis-cli", *lines))
        run([BILLS.python(), project.ROOT / "tests" / "release" / "sbom.py", metadata, project.ROOT / "Cargo.lock", FOLDER, *trees], quiet=False)


def _cargo(*arguments):
    said = output(["cargo", "--locked", *arguments])
    if said is None:
        raise Failure(f"`cargo --locked {' '.join(arguments)}` failed")
    return said


def images(command, modules, release, commit):
    """OCI layouts of each module in both forms. Gives (folder, reference without registry, digest)."""
    made = []
    with command.stage("OCI images"):
        for module in modules:
            name = module.stem
            annotations = {
                "org.opencontainers.image.title": TITLES[name],
                "org.opencontainers.image.version": release,
                "org.opencontainers.image.revision": commit,
                "org.opencontainers.image.source": SOURCE,
                "org.opencontainers.image.licenses": "Apache-2.0",
            }
            for form in oci.FORMS:
                tag = release if form == oci.IMAGE else f"{release}-artifact"
                folder = FOLDER / "oci" / f"{name.replace('_', '-')}-{form}"
                digest = oci.write(form, module.read_bytes(), name.replace("_", "-"), folder, annotations, tag)
                transfer.can_be_read(folder, tag, digest)
                made.append((folder, f"{name.replace('_', '-')}:{tag}", digest))
                say(f"    {project.relative(folder)}: {digest}")
    return made


def sums(command):
    with command.stage("checksums"):
        files = sorted(path for path in FOLDER.iterdir() if path.is_file())
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
        (FOLDER / "SHA256SUMS").write_text("".join(lines))
        run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=FOLDER, quiet=True)
        say(f"    {len(files)} files in {project.relative(FOLDER)}/SHA256SUMS")


def main(command):
    target = (os.environ.get("REGISTRY") or "").rstrip("/")
    release, commit = version(), revision()
    with command.stage("set-up"):
        setup.require("git", "tar", "skopeo", "sha256sum", registry.PROGRAM)
        setup.for_envoy()
    build.programs(command)
    modules = build.modules(command)
    checks(command)
    reproduced(command, modules)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for module in modules:
        shutil.copy2(module, FOLDER)
    bills(command)
    made = images(command, modules, release, commit)
    signing.write(FOLDER, made)
    (FOLDER / "release.json").write_text(json.dumps({"version": release, "commit": commit, "images": {r: d for _, r, d in made}}, indent=2) + "\n")
    sums(command)
    with command.stage("to a registry and back"):
        rehearsal.rehearse(FOLDER, modules, made)
    if target:
        with command.stage(f"push to {target}"):
            transfer.push(made, target)
        return f"{release} is in {target}; sign it with `dist/release/sign.sh {target}`"
    return f"{release} is in dist/release/, nothing was pushed (REGISTRY=host/path pushes)"


if __name__ == "__main__":
    Command("release").run(main)
