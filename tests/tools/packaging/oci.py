"""OCI image layouts of one module, in the two forms that gateways load, the variants of the Wasm Image Specification
(https://github.com/solo-io/wasm/tree/master/spec):

- `image`, its variant `compat`: an image from scratch whose one layer holds `/plugin.wasm`;
- `artifact`, its variant `oci`: two layers, what the module is for and the module itself. Gateways take neither one nor three.

The same module makes the same bytes: no time, no user, no machine stands in them. https://github.com/opencontainers/image-spec
"""

import gzip
import hashlib
import io
import json
import tarfile

IMAGE = "image"
ARTIFACT = "artifact"
FORMS = (IMAGE, ARTIFACT)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ARCHIVE = "application/vnd.oci.image.layer.v1.tar+gzip"
MODULE = "application/vnd.module.wasm.content.layer.v1+wasm"
ABOUT = "application/vnd.module.wasm.config.v1+json"
# By which an image says that it is none of an operating system.
COMPAT = {"module.wasm.image/variant": "compat"}
ABI = "0.2.1"
# The epoch, so that archives do not depend on when they were made.
EPOCH = 0


class Layout:
    """A folder in the form of the image layout, with one image in it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(self, content, media_type):
        """Stores a blob, and gives its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def close(self, config, layers, annotations, tag):
        """Writes manifest and index. Gives the digest by which the image is known."""
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers, "annotations": annotations}
        described = self.blob(_json(manifest), MANIFEST)
        described["annotations"] = {"org.opencontainers.image.ref.name": tag}
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [described]}
        (self.folder / "index.json").write_bytes(_json(index))
        (self.folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        return described["digest"]


def write(form, module, root_id, folder, annotations, tag):
    """Writes the layout of one module. Gives the image's digest."""
    layout = Layout(folder)
    if form == ARTIFACT:
        config = layout.blob(_json({}), "application/vnd.oci.image.config.v1+json")
        about = layout.blob(_json({"type": "envoy_proxy", "abiVersions": [ABI], "config": {"rootIds": [root_id]}}), ABOUT)
        about["annotations"] = {"org.opencontainers.image.title": "runtime-config.json"}
        layer = layout.blob(module, MODULE)
        layer["annotations"] = {"org.opencontainers.image.title": "plugin.wasm"}
        return layout.close(config, [about, layer], annotations, tag)
    archive = _archive(module)
    packed = gzip.compress(archive, compresslevel=9, mtime=EPOCH)
    described = {
        "architecture": "wasm",
        "os": "wasip1",
        "config": {"Labels": annotations},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(archive).hexdigest()}"]},
    }
    config = layout.blob(_json(described), "application/vnd.oci.image.config.v1+json")
    return layout.close(config, [layout.blob(packed, ARCHIVE)], {**annotations, **COMPAT}, tag)


def _archive(module):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("plugin.wasm")
        entry.size = len(module)
        entry.mtime = EPOCH
        entry.mode = 0o644
        archive.addfile(entry, io.BytesIO(module))
    return written.getvalue()


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
