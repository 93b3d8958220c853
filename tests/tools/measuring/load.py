"""Requests by h2load."""

import re
import subprocess

from console import Failure
from measuring.variants import REQUEST_HEADERS

CLIENTS = 8


def burst(proxy, requests, core):
    """Sends so many requests over HTTP/1.1 keep-alive connections; every one must be answered as the variant says."""
    command = ["taskset", "-c", str(core), "h2load", "--h1", "-n", str(requests), "-c", str(CLIENTS), "-t", "1"]
    for name, value in REQUEST_HEADERS.items():
        command += ["-H", f"{name}: {value}"]
    command.append(proxy.url)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    kind = f"{proxy.variant.status // 100}xx"
    good = re.search(rf"^status codes:.*?(\d+) {kind}", done.stdout, re.M)
    if done.returncode or not good or int(good.group(1)) != requests:
        raise Failure(f"h2load against '{proxy.variant.name}': {done.stdout.strip().splitlines()[-1:] or 'no output'}")
