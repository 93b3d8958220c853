"""docs/performance.md: each command rewrites its own section and leaves the rest as it was written."""

import datetime
import os
import platform
import re

import project
from console import Failure, output, say

PAGE = project.ROOT / "docs" / "performance.md"


def table(header, rows):
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return [f"| {' | '.join(row)} |" for row in [header, rule, *rows]]


def write(section, lines):
    """Prints the lines and puts them between the section's marks."""
    for line in lines:
        say(line)
    begin, end = f"<!-- measured: {section} -->", f"<!-- end: {section} -->"
    text = PAGE.read_text()
    body = f"{begin}\n" + "\n".join(lines) + f"\n{end}"
    pattern = re.escape(begin) + r".*?" + re.escape(end)
    text, found = re.subn(pattern, lambda _: body, text, flags=re.S)
    if found != 1:
        raise Failure(f"{project.relative(PAGE)} must hold `{begin}` and `{end}` once")
    PAGE.write_text(text)


def circumstances(command):
    """The command, the day and the versions."""
    envoy = (output([project.envoy(), "--version"]) or "").split("version:")[-1].strip().split("/")
    h2load = (output(["h2load", "--version"]) or "?").strip()
    parts = [
        f"Envoy {envoy[1] if len(envoy) > 1 else '?'}",
        f"Rust {project.toolchain()[0]}",
        h2load,
        f"Linux {platform.release().split('-')[0]}",
        f"{_cpu()}, {os.cpu_count()} cores",
    ]
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return f"`{command}`, {today.isoformat()}: {', '.join(parts)}."


def _cpu():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()
