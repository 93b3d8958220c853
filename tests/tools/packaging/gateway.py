"""What Istio and Envoy Gateway make of an image: the module in it, or why there is none. Both decide in this way (pkg/wasm and
internal/wasm, imagefetcher.go, of their repositories), so an image that passes here is one that they take.

1. A Docker manifest: the last layer is a Docker layer, and `plugin.wasm` is in its archive.
2. Else, if the last layer is an OCI archive with `plugin.wasm` in it: that.
3. Else there are exactly two layers, and one has the media type of modules: its bytes as they are.
"""

import gzip
import io
import pathlib
import tarfile

from console import Failure
from packaging import oci

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_ARCHIVE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def module(registry, repository, reference):
    """The module that a gateway loads of this image, and the image's digest."""
    manifest, digest = registry.manifest(repository, reference)
    layers = manifest.get("layers") or []
    if not layers:
        raise Failure(f"{repository}:{reference} has no layer")
    archive = DOCKER_ARCHIVE if manifest.get("mediaType") == DOCKER_MANIFEST else oci.ARCHIVE
    if layers[-1]["mediaType"] == archive:
        return _plugin(registry.blob(repository, layers[-1])), digest
    if len(layers) != 2:
        raise Failure(f"{repository}:{reference}: {layers[-1]['mediaType']} is no archive, and {len(layers)} layers are no artifact, which has 2")
    found = [layer for layer in layers if layer["mediaType"] == oci.MODULE]
    if not found:
        raise Failure(f"{repository}:{reference} has no layer of {oci.MODULE}")
    return registry.blob(repository, found[0]), digest


def _plugin(packed):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        for entry in archive:
            if pathlib.PurePath(entry.name).name == "plugin.wasm":
                return archive.extractfile(entry).read()
    raise Failure("the layer's archive holds no plugin.wasm")
