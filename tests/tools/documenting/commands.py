"""Commands of `console` and `sh` blocks: they run, and print what the page shows."""

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

import demo
import project
from console import Failure
from documenting import elsewhere, snippets
from watching import catalogue

KEY = "0123456789abcdef0123456789abcdef"
# What differs from one run to the next, and what stands for it.
VARIABLE = [
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\bt=\d+"), "t=SECONDS"),
    (re.compile(r"^(\S+\.yaml):\d+:", re.M), r"\1:LINE:"),
    (re.compile(r"Try again in \d+ seconds"), "Try again in SECONDS"),
]
# A line of a page that stands for any number of lines.
ANYTHING = "…"


def steady(text):
    for pattern, name in VARIABLE:
        text = pattern.sub(name, text)
    return text


def matches(shown, printed):
    """Whether what is printed is what the page shows, but for what differs each time."""
    lines = [steady(line.strip()) for line in shown]
    pattern = "".join(r"(?:.*\n)*" if line == ANYTHING else re.escape(line) + "\n" for line in lines)
    said = "".join(f"{steady(line.strip())}\n" for line in printed.strip().splitlines())
    return re.fullmatch(pattern, said) is not None


def of_console(block):
    """[(command, [lines that the page shows below it])]"""
    found = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((re.sub(r"\s+# .*$", "", line[2:]), []))
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            raise Failure(f"{block.where}: a line before the first `$ `")
    if not found:
        raise Failure(f"{block.where}: a `console` block has commands, each behind `$ `")
    return found


def of_script(block):
    lines = [re.sub(r"(^|\s+)# .*$", "", line) for line in block.text.splitlines()]
    return [(line, []) for line in lines if line.strip()]


class Runner:
    """Runs the commands of all pages, each once, in a folder with the files that they name."""

    def __init__(self, folder, served):
        self.folder, self.served = folder, served
        self.ran, self.others = {}, 0

    def block(self, block):
        page = project.relative(block.page)
        if page == elsewhere.RUNBOOKS[0]:
            elsewhere.shown(block.where, elsewhere.RUNBOOKS[1])
            if block.language == "sh":
                _defines_what_runbooks_use(block)
            self.others += 1
            return
        for command, shown in of_console(block) if block.language == "console" else of_script(block):
            self.command(f"{block.where}: `{command}`", command, shown)

    def command(self, where, command, shown):
        words = shlex.split(command)
        while re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        program = words[0]
        if program == "make" and words[1:2] != ["drain"]:
            for word in words[1:]:
                if "=" not in word:
                    elsewhere.stage(where, word)
            self.others += 1
        elif program == "sudo" and words[1:3] == ["apt-get", "install"]:
            elsewhere.packages(where, words[3:])
            self.others += 1
        elif program in elsewhere.SUITES and "--now" not in words:
            elsewhere.shown(where, elsewhere.SUITES[program])
            self._accepts(where, command)
            self.others += 1
        elif program in ("portcullis", "dist/bin/portcullis", "envoy/rollout/rollout.py", "printf", "python3"):
            self._run(where, command, shown)
        elif program in ("curl", "sed", "make", "envoy/drain.py"):
            self._run(where, command, shown, ends=program in ("make", "envoy/drain.py"))
        else:
            raise Failure(f"{where}: nobody runs it; run it in tests/tools/documenting/commands.py, or say in elsewhere.py who does")

    def _run(self, where, command, shown, ends=None):
        """`ends`: whether the command ends the proxy that it asks; None where it asks none."""
        if command not in self.ran:
            # `make` works in the repository, everything else in the copy.
            cwd = project.ROOT if command.startswith("make ") else self.folder
            with contextlib.nullcontext(str) if ends is None else self.served.for_one(ends) as moved:
                done = self._bash(moved(command), cwd)
                if done.returncode:
                    raise Failure(f"{where} exited with {done.returncode}: {(done.stdout + done.stderr).strip()[:800]}")
            self.ran[command] = done.stdout
        if shown and not matches(shown, self.ran[command]):
            raise Failure(f"{where} prints\n{self.ran[command]}\nand not what the page shows:\n" + "\n".join(shown))

    def _bash(self, command, cwd):
        path = f"{project.DIST / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "AUDIT_KEY": KEY, "AUDIT_HASH_KEY": KEY}
        return subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def answer(self, block, command):
        """The document that a command's answer is, but for what differs each time."""
        with self.served.for_one(False) as moved:
            done = self._bash(moved(command), self.folder)
        if done.returncode:
            raise Failure(f"{block.where}: `{command}` exited with {done.returncode}: {(done.stdout + done.stderr)[:800]}")
        try:
            given, wanted = json.loads(steady(done.stdout)), json.loads(steady(block.text))
        except ValueError as error:
            raise Failure(f"{block.where}: `{command}` gives or the page shows no JSON ({error}): {(done.stdout + done.stderr)[:800]}") from None
        if given != wanted:
            raise Failure(f"{block.where}: `{command}` gives\n{json.dumps(given)}\nand not what the page shows:\n{json.dumps(wanted)}")
        self.ran[f"{block.where} {command}"] = done.stdout

    def _accepts(self, where, command):
        """A script's own reader takes these arguments; with an option that is not there it must not."""
        for extra, wanted in ([], 0), (["--no-such-option"], 2):
            words = [*shlex.split(command), *extra]
            script = f"import sys, runpy; sys.argv = {words!r}; runpy.run_path({words[0]!r})['read_options']()"
            done = subprocess.run(["python3", "-c", script], cwd=self.folder, capture_output=True, text=True)
            if done.returncode != wanted:
                raise Failure(f"{where}: the script does not take it: {done.stderr.strip()[-400:]}")


def _defines_what_runbooks_use(block):
    """The variables of the commands are those that the page sets at its beginning, and those that the stage sets."""
    given = set(re.findall(r"^([A-Z]+)=", block.text, re.M))
    used = set(re.findall(r"\$([A-Z]+)\b", "\n".join(re.findall(r"^\$ (.*)$", catalogue.RUNBOOKS.read_text(), re.M))))
    if given != used:
        raise Failure(f"{block.where}: sets {', '.join(sorted(given))}, and the commands use {', '.join(sorted(used))}")
    if subprocess.run(["bash", "-n", "-c", block.text]).returncode:
        raise Failure(f"{block.where}: bash does not read it")


@contextlib.contextmanager
def workplace():
    """A folder with what the commands name: the repository's envoy/ and dist/, one's own envoy.yaml, and records."""
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made)
        shutil.copytree(project.ROOT / "envoy", folder / "envoy")
        (folder / "dist").symlink_to(project.DIST)
        (folder / ".tools").mkdir()
        (folder / ".tools" / "run").symlink_to(demo.RUN)
        (folder / "envoy.yaml").write_text(snippets.own_configuration())
        for name, key in ("audit.ndjson", None), ("keyed.ndjson", KEY):
            (folder / name).write_text("".join(_records(key)))
        yield folder


def _records(key):
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
