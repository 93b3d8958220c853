"""A release as it goes to a registry and comes from it, all on the loopback: pushed, pulled, loaded by a real Envoy, and the
script that signs it tried."""

import shutil
import tempfile
from pathlib import Path

from console import Failure, say
from packaging import gateway, loading, oci, registry, signing, transfer

# As a registry of many has it.
OWNER = "portcullis-filters"


def rehearse(release, modules, made):
    """`release`: the folder of it; `modules`: files; `made`: (folder, reference without registry, digest) of each image."""
    by_name = {path.stem.replace("_", "-"): path for path in modules}
    with registry.running() as here:
        target = f"{here.name}/{OWNER}"
        transfer.push(made, target)
        pulled = Path(tempfile.mkdtemp(prefix="modules-"))
        try:
            codes = {form: {} for form in oci.FORMS}
            for _, reference, digest in made:
                transfer.pull(target, reference, digest)
                name, _, tag = reference.partition(":")
                form = oci.ARTIFACT if tag.endswith(f"-{oci.ARTIFACT}") else oci.IMAGE
                codes[form][name] = _comes_back(here, name, tag, digest, form, by_name[name], pulled)
            say(f"    {len(made)} images come back with their digests, and what gateways take out of each is its module")
            loading.serves(codes, here)
        finally:
            shutil.rmtree(pulled)
        signing.rehearse(release, made, target)


def _comes_back(here, name, tag, digest, form, module, into):
    """By tag and by digest a gateway gets this very module. Gives the code from which Envoy loads it."""
    repository = f"{OWNER}/{name}"
    for reference in (tag, digest):
        got, named = gateway.module(here, repository, reference)
        if named != digest or got != module.read_bytes():
            raise Failure(f"{repository}, {reference}: what a gateway takes out of it is not {module.name}")
    manifest, _ = here.manifest(repository, digest)
    if form == oci.IMAGE:
        if not oci.COMPAT.items() <= manifest["annotations"].items():
            raise Failure(f"{repository}:{tag} lacks the annotation {oci.COMPAT}")
        pulled = into / module.name
        pulled.write_bytes(got)
        return loading.local(pulled)
    described = next(layer for layer in manifest["layers"] if layer["mediaType"] == oci.MODULE)
    return loading.remote(here, here.path_of(repository, described), described["digest"].partition(":")[2])
