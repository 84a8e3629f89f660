"""Clients of a node's S3: boto3, requests signed by hand, raw sockets."""
import datetime
import hashlib
import hmac
import http.client
import socket
import urllib.parse
import uuid
import xml.etree.ElementTree

import boto3
import botocore.config
import botocore.exceptions
import pytest

REGION = "us-east-1"
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
MIB = 1 << 20


def make_client(node, access_key=None, secret_key=None, **options):
    return boto3.client(
        "s3",
        endpoint_url=node.s3_url,
        aws_access_key_id=access_key or node.access_key,
        aws_secret_access_key=secret_key or node.secret_key,
        region_name=options.pop("region", REGION),
        config=botocore.config.Config(
            s3={"addressing_style": "path", **options.pop("s3", {})},
            retries={"max_attempts": 0}, **options),
    )


@pytest.fixture
def s3(shared_node):
    return make_client(shared_node)


@pytest.fixture
def bucket(s3):
    name = f"t-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def code_of(call, **arguments):
    """The code of the error that CALL must raise."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def all_keys(s3, bucket, **arguments):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **arguments)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def code(self):
        return xml.etree.ElementTree.fromstring(self.body).findtext("Code")


def signed(node, method, target, body=b"", headers=None, *, secret=None, access_key=None,
           payload=None, when=None, region=REGION, host=None, path_signed=None):
    """Signs and sends a request whose target goes out exactly as given."""
    address = urllib.parse.urlsplit(node.s3_url).netloc
    when = when or datetime.datetime.utcnow()
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    headers = {k.lower(): v for k, v in (headers or {}).items()}
    headers["host"] = host or address
    headers["x-amz-date"] = stamp
    payload = payload or hashlib.sha256(body).hexdigest()
    headers["x-amz-content-sha256"] = payload
    path, _, query = target.partition("?")
    quoted = sorted(
        (urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~"))
        for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True))
    pairs = [f"{k}={v}" for k, v in quoted]
    names = sorted(headers)
    canonical = "\n".join(
        [method, path_signed or path, "&".join(pairs),
         *[f"{name}:{headers[name].strip()}" for name in names], "", ";".join(names), payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + (secret or node.secret_key)).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key or node.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}")
    return plain(node, method, target, body, headers)


def plain(node, method, target, body=b"", headers=None):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(node.s3_url).netloc, timeout=30)
    connection.putrequest(method, target, skip_host="host" in (headers or {}),
                          skip_accept_encoding=True)
    headers = dict(headers or {})
    if body or method in ("PUT", "POST"):
        headers.setdefault("content-length", str(len(body)))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    if body:
        connection.send(body)
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def raw(node, data, timeout=10):
    """Sends bytes and returns all that comes until the server closes."""
    address = urllib.parse.urlsplit(node.s3_url)
    with socket.create_connection((address.hostname, address.port), timeout=timeout) as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received
