"""The script that signs a release, and its rehearsal."""

import os
import shutil
import tempfile
from pathlib import Path

import project
from console import Failure, run, say

STAND_IN = project.ROOT / "tests" / "release" / "stand-in"
SCRIPT = """#!/bin/sh
# Signs this release with cosign: `sign.sh REGISTRY`, keyless, or with the key that COSIGN_KEY names (a file, or a KMS' address).
# Digests are signed, not tags: a tag can be moved.
set -eu
registry=${1:?which registry is it in? sign.sh REGISTRY}
cd "$(dirname "$0")"
cosign sign-blob --yes ${COSIGN_KEY:+--key "$COSIGN_KEY"} --bundle SHA256SUMS.sigstore.json SHA256SUMS
for image in \\
    %s
do
    cosign sign --yes ${COSIGN_KEY:+--key "$COSIGN_KEY"} "$registry/$image"
done
"""


def by_digest(made):
    """`made`: (folder, reference without registry, digest) of each image. What of each is signed."""
    return [f"{reference.partition(':')[0]}@{digest}" for _, reference, digest in made]


def write(folder, made):
    script = folder / "sign.sh"
    script.write_text(SCRIPT % " \\\n    ".join(by_digest(made)))
    script.chmod(0o755)


def rehearse(release, made, registry):
    """Runs a release's own script before a stand-in of cosign, which takes what cosign takes and asks the registry for each
    digest. No signature is made."""
    work = Path(tempfile.mkdtemp(prefix="signing-"))
    try:
        for file in release.iterdir():
            if file.is_file():
                shutil.copy2(file, work)
        for key in ("", "signing.key"):
            told = work / f"told-{key}"
            environment = {"PATH": f"{STAND_IN}{os.pathsep}{os.environ['PATH']}", "COSIGN_KEY": key, "COSIGN_TOLD": str(told)}
            run([work / "sign.sh", registry], quiet=True, extra_env=environment)
            signed = told.read_text().split()
            wanted = ["SHA256SUMS", *(f"{registry}/{image}" for image in by_digest(made))]
            if signed != wanted:
                raise Failure(f"sign.sh signs {signed}, not {wanted}")
        say(f"    sign.sh would sign SHA256SUMS and {len(made)} images by digests that the registry has")
    finally:
        shutil.rmtree(work)
