"""What the documents say is so: links lead somewhere, settings are accepted, commands run.

A document is any Markdown file of the repository. In a ```console block a line behind `$ ` is a command. Those of ours run for real, in a
folder with the files that they name; `make` commands must exist and run in stages of their own; anything else must stand in ELSEWHERE with
its reason, so that nothing gets in that nobody tried."""

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile

import project
from console import Failure, say

# Commands that only somebody else's machine can run, by their first word.
ELSEWHERE = {
    "sudo": "installs packages: .ci/run installs the same ones",
    "envoy/drain.py": "stops an Envoy: the suite audit_ends runs it",
    "curl": "asks an example's server; the suites ask a real Envoy",
}
KEY = "0123456789abcdef0123456789abcdef"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")


def pages():
    tracked = subprocess.run(["git", "-C", project.ROOT, "ls-files", "*.md"], capture_output=True, text=True)
    if tracked.returncode:
        raise Failure("this is no git repository: `git ls-files` names the documents")
    return [project.ROOT / line for line in tracked.stdout.splitlines()]


def anchors(text):
    """The anchors that GitHub gives to headings."""
    found, seen = set(), {}
    for heading in re.findall(r"^#{1,6} +(.*?) *$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = seen.get(slug, 0)
        seen[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


def links():
    """Relative links lead to files of the repository, and their anchors to headings. Gives how many there are."""
    broken, count = [], 0
    for page in pages():
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
        for target in LINK.findall(text):
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists():
                broken.append(f"{project.relative(page)}: {target} leads to no file")
            elif anchor and anchor not in anchors(there.read_text()):
                broken.append(f"{project.relative(page)}: {target} leads to no heading of {project.relative(there)}")
    if broken:
        raise Failure("; ".join(broken))
    return count


def commands():
    """(page, command) of every console block. Those of the runbooks run against a proxy, in the stages of monitoring."""
    for page in pages():
        if page.name == "runbooks.md":
            continue
        for language, body in BLOCK.findall(page.read_text()):
            if language == "console":
                for line in body.splitlines():
                    if line.startswith("$ "):
                        yield page, re.sub(r"\s+# .*$", "", line[2:])


def run_commands():
    """Runs those of ours. Gives how many ran and how many are stages of their own."""
    targets = set(re.findall(r"^([a-z-]+):", (project.ROOT / "Makefile").read_text(), re.M))
    ran, others = 0, 0
    with workplace() as folder:
        for page, command in commands():
            words = shlex.split(command)
            while re.match(r"[A-Z_]+=", words[0]):
                del words[0]
            where = f"{project.relative(page)}: `{command}`"
            if words[0] == "make":
                missing = [word for word in words[1:] if "=" not in word and word not in targets]
                if missing:
                    raise Failure(f"{where}: the Makefile has no {', '.join(missing)}")
                others += 1
            elif words[0] in ELSEWHERE:
                others += 1
            elif words[0] in ("portcullis", "dist/bin/portcullis", "export"):
                _run(where, command, folder)
                ran += 1
            else:
                raise Failure(f"{where}: nobody runs it; run it in tests/tools/documents.py, or say in ELSEWHERE why not")
    return ran, others


def _run(where, command, folder):
    path = f"{project.DIST / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "AUDIT_KEY": KEY}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{where} exited with {done.returncode}: {(done.stdout + done.stderr).strip()[:800]}")


@contextlib.contextmanager
def workplace():
    """A folder with what the commands name: the repository's envoy/ and dist/, one's own envoy.yaml, and records."""
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        shutil.copytree(project.ROOT / "envoy", folder / "envoy")
        (folder / "dist").symlink_to(project.DIST)
        (folder / "envoy.yaml").write_text(_own_configuration())
        (folder / "audit.ndjson").write_text("".join(_records()))
        (folder / "keyed.ndjson").write_text("".join(_records(KEY)))
        yield folder


def _own_configuration():
    """A configuration with the settings that docs/rate-limit.md and docs/problem-json.md show."""
    filters = [_plugin("problem-json", settings("problem-json")), _plugin("rate-limit", settings("rate-limit"))]
    text = "\n".join(filters)
    return f"""static_resources:
  listeners:
  - name: edge
    address: {{socket_address: {{address: 127.0.0.1, port_value: 10000}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          use_remote_address: true
          # local-replies:problem-json
          # /local-replies
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: []}}]}}
          http_filters:
{text}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"""


def _plugin(name, body):
    indented = "\n".join(" " * 18 + line for line in body.splitlines())
    return f"""          - name: {name}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                root_id: {name}
                failure_policy: FAIL_RELOAD
                vm_config: {{runtime: envoy.wasm.runtime.v8, code: {{local: {{filename: dist/{name.replace('-', '_')}.wasm}}}}}}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.Struct
                  value:
{chr(10).join(' ' * 20 + line for line in body.splitlines())}"""


def settings(name):
    """The example of a filter's page: its first YAML block behind the heading Settings."""
    text = (project.ROOT / "docs" / f"{name}.md").read_text()
    behind = text.partition("\n## Settings\n")[2]
    found = re.search(r"^```yaml\n(.*?)^```", behind, re.S | re.M)
    if not found:
        raise Failure(f"docs/{name}.md: no YAML block behind `## Settings`")
    return found[1]


def _records(key=None):
    """A chain of two records, made as docs/audit-evidence.md says."""
    before = "0" * 64
    for number in (1, 2):
        chain = {"alg": "hmac-sha256", "key_id": "c1"} if key else {"alg": "sha256"}
        chain |= {"emitter": "edge-1/00c0ffee00c0ffee/0", "prev": before, "seq": number}
        record = {"action": {"method": "GET", "path": "/v1/orders"}, "chain": chain, "status": 200}
        text = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
        text = b"portcullis/audit-chain/v1\n" + text
        before = hmac.new(key.encode(), text, "sha256").hexdigest() if key else hashlib.sha256(text).hexdigest()
        chain["hash"] = before
        yield json.dumps(record, separators=(",", ":"), sort_keys=True) + "\n"


def examples():
    """The settings that pages show are accepted by the filter they belong to. Gives how many."""
    names = [path.stem for path in sorted((project.ROOT / "docs").glob("*.md")) if "\n## Settings\n" in path.read_text()]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            file = pathlib.Path(folder) / f"{name}.yaml"
            file.write_text(settings(name))
            done = subprocess.run([project.DIST / "bin" / "portcullis", "check", "--filter", name, file], capture_output=True, text=True)
            if done.returncode:
                raise Failure(f"docs/{name}.md: the settings it shows are refused: {(done.stdout + done.stderr).strip()[:800]}")
    return len(names)


def judge():
    count = links()
    say(f"    {count} links lead somewhere")
    say(f"    the settings of {examples()} pages are accepted")
    ran, others = run_commands()
    say(f"    {ran} commands ran; {others} are stages of their own, or somebody else's")
