"""Images into a registry and out of it again, by skopeo, which knows nothing of how they came about."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from console import Failure, output, run


def digest_of(where, *options):
    """The digest of an image, or None."""
    said = output(["skopeo", "inspect", *options, "--raw", where])
    return said and f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"


def can_be_read(folder, tag, digest):
    """The layout is one for others, too: they find the same image in it, and all of its blobs."""
    if digest_of(f"oci:{folder}:{tag}") != digest:
        raise Failure(f"skopeo does not find {digest} in {folder}")
    copied = Path(tempfile.mkdtemp(prefix="copied-"))
    run(["skopeo", "copy", "--quiet", f"oci:{folder}:{tag}", f"dir:{copied}"], quiet=True)
    shutil.rmtree(copied)


def push(made, registry):
    """`made`: (folder, reference without registry, digest) of each image."""
    for folder, reference, digest in made:
        tag = reference.partition(":")[2]
        there = f"docker://{registry}/{reference}"
        run(["skopeo", "copy", "--quiet", "--preserve-digests", *_plain(registry, "--dest-tls-verify"), f"oci:{folder}:{tag}", there], quiet=True)
        if digest_of(there, *_plain(registry, "--tls-verify")) != digest:
            raise Failure(f"{registry}/{reference} is not {digest}")


def pull(registry, reference, digest):
    """Pulls an image by its digest, and compares what came."""
    repository = reference.partition(":")[0]
    folder = Path(tempfile.mkdtemp(prefix="pulled-"))
    run(["skopeo", "copy", "--quiet", "--preserve-digests", *_plain(registry, "--src-tls-verify"), f"docker://{registry}/{repository}@{digest}", f"oci:{folder}:pulled"], quiet=True)
    if digest_of(f"oci:{folder}:pulled") != digest:
        raise Failure(f"{registry}/{reference} was pulled as another image than {digest}")
    shutil.rmtree(folder)


def _plain(registry, option):
    """A registry on the loopback speaks HTTP."""
    return [f"{option}=false"] if registry.startswith(("127.0.0.1", "localhost")) else []
