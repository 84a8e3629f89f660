"""Deploying small functions in tests."""
import pathlib

from edgeos_node import wait_for
from edgeos_wasm import compile_c

HEADER = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"


def deploy_c(node, name, source, manifest=""):
    """Deploys C text as function NAME; MANIFEST are further lines of YAML."""
    module = compile_c(HEADER + source)
    path = pathlib.Path(node.folder) / f"{name}.yaml"
    path.write_text(f"function: {name}\nimage: {module}\n{manifest}")
    node.cli("deploy", path)
    return path


def http_trigger(path):
    return f"triggers:\n  - http: {{path: {path}}}\n"


def object_trigger(source, target=None, extra=""):
    grants = f"grants:\n  - {{bucket: {source}, access: read}}\n"
    if target:
        grants += f"  - {{bucket: {target}, access: write}}\n"
    return f"{grants}triggers:\n  - object: {{bucket: {source}, events: [ObjectCreated]{extra}}}\n"


def keys(s3, bucket):
    """All keys of a bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def wait_for_object(s3, bucket, key, timeout_s=30.0):
    """The bytes of an object that will be there."""
    wait_for(lambda: key in keys(s3, bucket), f"s3://{bucket}/{key}", timeout_s)
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
