"""Writes a CycloneDX bill of materials for each tree: what is linked into a module or a program, as Cargo resolves it.

    sbom.py METADATA LOCK FOLDER TREE…

METADATA is what `cargo metadata` prints, LOCK is Cargo.lock (its checksums), each TREE what `cargo tree --prefix depth --no-dedupe
--format '|{p}'` prints; `X.tree` becomes `X.cdx.json`. The same input makes the same bytes."""

import json
import pathlib
import sys
import tomllib
import uuid

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


class Resolution:
    """What Cargo knows of packages."""

    def __init__(self, metadata, lock):
        self.packages = {(package["name"], package["version"]): package for package in metadata["packages"]}
        self.checksums = {(package["name"], package["version"]): package.get("checksum") for package in lock["package"]}


def edges(text):
    """The packages of a tree, the root first, and what each needs."""
    needs, above = {}, []
    for line in text.splitlines():
        depth, _, said = line.partition("|")
        name, version = said.split(" ")[:2]
        package = (name, version.removeprefix("v"))
        del above[int(depth) :]
        needs.setdefault(package, set())
        if above:
            needs[above[-1]].add(package)
        above.append(package)
    if not needs:
        raise SystemExit("sbom.py: an empty tree")
    return needs


def component(resolution, package, of_type):
    about = resolution.packages[package]
    name, version = package
    made = Component(
        name=name,
        version=version,
        type=of_type,
        bom_ref=f"{name}@{version}",
        description=about["description"],
        purl=PackageURL("cargo", None, name, version) if about["source"] else None,
        licenses=[LicenseFactory().make_from_string(about["license"])] if about["license"] else [],
    )
    if about["source"]:
        if about["source"] != REGISTRY:
            raise SystemExit(f"sbom.py: {name} comes from {about['source']}, which is not crates.io")
        made.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=resolution.checksums[name, version]))
    if about["repository"]:
        made.external_references.add(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(about["repository"])))
    return made


def bill(resolution, needs):
    root, *_ = needs
    name, version = root
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{name}@{version}"))
    made = {package: component(resolution, package, ComponentType.LIBRARY) for package in needs}
    made[root].type = ComponentType.APPLICATION
    bom.metadata.component = made[root]
    for package, listed in made.items():
        if package != root:
            bom.components.add(listed)
        bom.register_dependency(listed, [made[other] for other in needs[package]])
    return bom


def main(metadata, lock, folder, *trees):
    resolution = Resolution(json.loads(pathlib.Path(metadata).read_text()), tomllib.loads(pathlib.Path(lock).read_text()))
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for tree in map(pathlib.Path, trees):
        bom = bill(resolution, edges(tree.read_text()))
        text = JsonV1Dot6(bom).output_as_string(indent=2)
        # A file is the same whenever it is made; the time of a release stands in its tag.
        text = json.dumps(without_time(json.loads(text)), indent=2, sort_keys=True)
        file = f"{tree.stem}.cdx.json"
        mistake = validator.validate_str(text)
        if mistake:
            raise SystemExit(f"sbom.py: {file} is not valid CycloneDX 1.6: {mistake}")
        (pathlib.Path(folder) / file).write_text(text + "\n")
        print(f"    {file}: {len(bom.components)} components, valid CycloneDX 1.6")


def without_time(document):
    document["metadata"].pop("timestamp", None)
    return document


if __name__ == "__main__":
    main(*sys.argv[1:])
