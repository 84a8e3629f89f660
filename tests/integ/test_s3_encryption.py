"""Encryption: buckets', objects' (SSE-S3), customers' keys (SSE-C), and what is on the disk."""
import base64
import hashlib
import os

import pytest
import requests
from edgeos_functions import deploy_c
from s3_clients import MIB, bucket, code_of, make_client, s3, signed  # noqa: F401

MARKER = b"MARKER-THAT-NOBODY-MAY-FIND-"
KEY, OTHER = b"k" * 32, b"o" * 32
SSE = "x-amz-server-side-encryption"


def customer(key, prefix=""):
    return {f"{prefix}SSECustomerAlgorithm": "AES256", f"{prefix}SSECustomerKey": key}


def headers(key, prefix="x-amz"):
    name = f"{prefix}-server-side-encryption-customer"
    return {f"{name}-algorithm": "AES256", f"{name}-key": base64.b64encode(key).decode(),
            f"{name}-key-md5": base64.b64encode(hashlib.md5(key).digest()).decode()}


def status_of(call, **arguments):
    with pytest.raises(Exception) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def marked(size):
    return (b"".join(MARKER + b"%d " % n for n in range(size // len(MARKER))))[:size]


def found_on_disk(node):
    return [path for path in (node.data_dir / "store").rglob("*")
            if path.is_file() and MARKER in path.read_bytes()]


def encrypt(s3, bucket):
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})


def multipart(s3, bucket, key, parts, begin=None, each=None):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **(begin or {}))["UploadId"]
    done = [{"PartNumber": number, "ETag": s3.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part,
        **(each or {}))["ETag"]} for number, part in enumerate(parts, 1)]
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload,
                                        MultipartUpload={"Parts": done})


def test_bucket_default(node):
    s3 = make_client(node)
    for name in "safe", "plain":
        s3.create_bucket(Bucket=name)
    missing = "ServerSideEncryptionConfigurationNotFoundError"
    assert status_of(s3.get_bucket_encryption, Bucket="safe") == (404, missing)
    encrypt(s3, "safe")
    rules = s3.get_bucket_encryption(Bucket="safe")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert (node.data_dir / "store.key").stat().st_size == 32
    large, small = marked(6 * MIB), marked(900)
    for key, body in ("large", large), ("small", small), ("empty", b""):
        assert s3.put_object(Bucket="safe", Key=key, Body=body)["ServerSideEncryption"] == "AES256"
    answer = multipart(s3, "safe", "parts", [large, small])
    assert answer["ServerSideEncryption"] == "AES256"
    # One object that asks for it, in a bucket that does not.
    one = {"ServerSideEncryption": "AES256"}
    assert s3.put_object(Bucket="plain", Key="a", Body=large, **one)["ServerSideEncryption"]
    multipart(s3, "plain", "parts", [large, small], one)
    s3.copy_object(Bucket="plain", Key="copy", CopySource="safe/large", **one)
    assert found_on_disk(node) == []

    def check(name, key, body):
        head = s3.head_object(Bucket=name, Key=key)
        assert head["ServerSideEncryption"] == "AES256" and head["ContentLength"] == len(body)
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == body
        if body:
            got = s3.get_object(Bucket=name, Key=key, Range="bytes=100-799")["Body"].read()
            assert got == body[100:800]

    expected = [("safe", "large", large), ("safe", "small", small), ("safe", "empty", b""),
                ("safe", "parts", large + small), ("plain", "a", large),
                ("plain", "parts", large + small), ("plain", "copy", large)]
    for name, key, body in expected:
        check(name, key, body)
    s3.delete_bucket_encryption(Bucket="safe")
    assert status_of(s3.get_bucket_encryption, Bucket="safe") == (404, missing)
    assert "encryption     off" in node.cli("bucket", "show", "safe").stdout
    node.cli("bucket", "set", "safe", "--encrypt", "on")
    assert "encryption     on" in node.cli("bucket", "show", "safe").stdout
    before = (node.data_dir / "store.key").read_bytes()
    node.cli("store", "rekey")
    assert (node.data_dir / "store.key").read_bytes() != before
    node.stop()
    verdict = node.cli("store", "verify").stdout
    assert "damaged        0 objects, 0 chunks" in verdict
    node.cli("store", "rekey")
    node.start()
    s3 = make_client(node)
    for name, key, body in expected:
        assert s3.get_object(Bucket=name, Key=key)["Body"].read() == body
    # Without encryption it is found: the search can find.
    s3.put_object(Bucket="plain", Key="bare", Body=small)
    assert found_on_disk(node)


def test_customer_keys(node):
    s3 = make_client(node)
    s3.create_bucket(Bucket="raw")
    mine, others = customer(KEY), customer(OTHER)
    at = {"Bucket": "raw", "Key": "a"}
    for body in marked(6 * MIB), marked(900), b"":
        answer = s3.put_object(**at, Body=body, Metadata={"x": "y"}, **mine)
        assert answer["SSECustomerAlgorithm"] == "AES256" and answer["SSECustomerKeyMD5"]
        for call in s3.get_object, s3.head_object:
            assert status_of(call, **at)[0] == 400
            assert status_of(call, **at, **others)[0] == 403
        got = s3.get_object(**at, **mine)
        assert got["Body"].read() == body and got["Metadata"] == {"x": "y"}
        assert got["SSECustomerAlgorithm"] == "AES256" and "ServerSideEncryption" not in got
        assert s3.head_object(**at, **mine)["ContentLength"] == len(body)
        if body:
            got = s3.get_object(**at, **mine, Range="bytes=100-799")["Body"].read()
            assert got == body[100:800]
    body = marked(6 * MIB)
    s3.put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(**at, Body=body, **mine)
    for given, status in (headers(KEY), 200), (headers(OTHER), 403), ({}, 400):
        answer = signed(node, "GET", "/raw/a?attributes", headers={
            "x-amz-object-attributes": "ObjectSize", **given})
        assert answer.status == status, given
        assert ("x-amz-version-id" in answer.headers) == (status == 200)
    assert code_of(s3.get_object, **at, **others) == "AccessDenied"
    # Copies: to plain, to another key, onto itself with another key; the source's key is needed.
    source = customer(KEY, "CopySource")
    copy = {"Bucket": "raw", "CopySource": "raw/a"}
    assert status_of(s3.copy_object, **copy, Key="b")[0] == 400
    assert status_of(s3.copy_object, **copy, Key="b", **customer(OTHER, "CopySource"))[0] == 403
    s3.copy_object(**copy, Key="b", **source, **others)
    assert s3.get_object(Bucket="raw", Key="b", **others)["Body"].read() == body
    s3.copy_object(**copy, Key="a", **source, **others)
    assert s3.get_object(**at, **others)["Body"].read() == body
    assert status_of(s3.get_object, **at, **mine)[0] == 403
    # Retained settings that would let the key go are refused, tags go on.
    s3.put_object_tagging(**at, Tagging={"TagSet": [{"Key": "t", "Value": "v"}]})
    assert s3.get_object(**at, **others)["TagCount"] == 1
    assert found_on_disk(node) == []
    s3.copy_object(Bucket="raw", Key="c", CopySource="raw/a", **customer(OTHER, "CopySource"))
    assert s3.get_object(Bucket="raw", Key="c")["Body"].read() == body
    assert status_of(s3.get_object, Bucket="raw", Key="c", **mine) == (400, "InvalidRequest")


def test_customer_multipart(node):
    s3 = make_client(node)
    s3.create_bucket(Bucket="raw")
    mine, others = customer(KEY), customer(OTHER)
    parts = [marked(5 * MIB), os.urandom(5 * MIB), marked(700)]
    s3.put_object(Bucket="raw", Key="source", Body=parts[0], **others)
    multipart(s3, "raw", "a", parts, mine, mine)
    assert s3.get_object(Bucket="raw", Key="a", **mine)["Body"].read() == b"".join(parts)
    got = s3.get_object(Bucket="raw", Key="a", PartNumber=2, **mine)["Body"].read()
    assert got == parts[1]
    assert status_of(s3.get_object, Bucket="raw", Key="a", **others)[0] == 403
    at = {"Bucket": "raw", "Key": "b"}
    upload = {**at, "UploadId": s3.create_multipart_upload(**at, **mine)["UploadId"]}
    assert status_of(s3.upload_part, **upload, PartNumber=1, Body=b"x")[0] == 400
    assert status_of(s3.upload_part, **upload, PartNumber=1, Body=b"x", **others)[0] == 400
    etag = s3.upload_part_copy(**upload, PartNumber=1, CopySource="raw/source", **mine,
                               **customer(OTHER, "CopySource"))["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert s3.get_object(**at, **mine)["Body"].read() == parts[0]
    upload = {**at, "UploadId": s3.create_multipart_upload(**at)["UploadId"]}
    assert status_of(s3.upload_part, **upload, PartNumber=1, Body=b"x", **mine)[0] == 400
    s3.abort_multipart_upload(**upload)
    assert found_on_disk(node) == []


def test_customer_keys_tell_nothing(node):
    """Neither conditions, ranges nor listings get around the key; completion compares it."""
    s3 = make_client(node, signature_version="s3v4")
    s3.create_bucket(Bucket="raw")
    form = s3.generate_presigned_post("raw", "a", Fields=headers(KEY),
                                      Conditions=[{k: v} for k, v in headers(KEY).items()])
    body = marked(2 * MIB)
    answer = requests.post(form["url"], data=form["fields"], files={"file": ("f", body)},
                           timeout=30)
    assert answer.status_code == 204 and answer.headers[f"{SSE}-customer-algorithm"] == "AES256"
    for asked in {"if-none-match": "*"}, {"if-match": '"x"'}, {"range": "bytes=99999999-"}:
        for given, status in ({}, 400), (headers(OTHER), 403):
            for method in "GET", "HEAD":
                answer = signed(node, method, "/raw/a", headers={**asked, **given})
                assert answer.status == status
                assert not {"etag", "last-modified", "content-range"} & {
                    name.lower() for name in answer.headers}
    for start in range(0, len(body) - 70000, 99991):
        got = s3.get_object(Bucket="raw", Key="a", Range=f"bytes={start}-{start + 69999}",
                            **customer(KEY))["Body"].read()
        assert got == body[start:start + 70000]
    at = {"Bucket": "raw", "Key": "b"}
    mine, plain = customer(KEY), {}
    for begin, wrong in (mine, OTHER), (plain, KEY):
        upload = s3.create_multipart_upload(**at, **begin)["UploadId"]
        etag = s3.upload_part(**at, UploadId=upload, PartNumber=1, Body=b"abc", **begin)["ETag"]
        for target in "/raw?uploads", f"/raw/b?uploadId={upload}", "/raw?versions":
            answer = signed(node, "GET", target)
            assert answer.status == 200 and b"customer-key" not in answer.body
        document = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}"
                    "</ETag></Part></CompleteMultipartUpload>").encode()
        target = f"/raw/b?uploadId={upload}"
        assert signed(node, "POST", target, document, headers(wrong)).status == 400
        right = headers(KEY) if begin else {}
        assert signed(node, "POST", target, document, right).status == 200
        assert s3.get_object(**at, **begin)["Body"].read() == b"abc"
    assert found_on_disk(node) == []
    assert not any(base64.b64encode(key).decode() in node.log() for key in (KEY, OTHER))


def test_headers(shared_node, s3, bucket):  # noqa: F811
    good = headers(KEY)
    names = list(good)

    def put(given, expected):
        answer = signed(shared_node, "PUT", f"/{bucket}/k", b"x", headers=given)
        assert (answer.status, answer.code) == expected, given

    for name in names:
        put({n: v for n, v in good.items() if n != name}, (400, "InvalidArgument"))
    put({**good, names[0]: "AES128"}, (400, "InvalidEncryptionAlgorithmError"))
    put({**good, names[1]: base64.b64encode(b"short").decode()}, (400, "InvalidArgument"))
    put({**good, names[1]: "!" * 44}, (400, "InvalidArgument"))
    put({**good, names[2]: "AAAAAAAAAAAAAAAAAAAAAA=="}, (400, "InvalidArgument"))
    put({**good, SSE: "AES256"}, (400, "InvalidArgument"))
    put({SSE: "aws:kms"}, (501, "NotImplemented"))
    put({SSE: "aws:kms", f"{SSE}-aws-kms-key-id": "a"}, (501, "NotImplemented"))
    put({SSE: "aes:kms"}, (400, "InvalidArgument"))
    put({SSE: "AES256", f"{SSE}-aws-kms-key-id": "a"}, (400, "InvalidArgument"))
    put({f"{SSE}-aws-kms-key-id": "a"}, (400, "InvalidArgument"))
    # Where clients put it that presign URLs with headers in them: not ignored.
    for name in SSE, SSE.title(), SSE.title() + "-Customer-Algorithm", "X-Amz-Object-Lock-Mode":
        answer = signed(shared_node, "PUT", f"/{bucket}/k?{name}=AES256", b"x")
        assert (answer.status, answer.code) == (501, "NotImplemented"), name
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = signed(shared_node, "GET", f"/{bucket}/k?{SSE.title()}=AES256")
    assert (answer.status, answer.code) == (501, "NotImplemented")
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers={SSE: "AES256"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers=good)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    answer = signed(shared_node, "PUT", f"/{bucket}?encryption", (
        b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
        b"<SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
        b"</ServerSideEncryptionConfiguration>"))
    assert (answer.status, answer.code) == (501, "NotImplemented")


def test_customer_keys_need_privacy(make_node):
    """In plain HTTP only where nobody else can listen."""
    node = make_node()
    node.stop()
    node.s3_url = node.s3_url.replace("127.0.0.1", "0.0.0.0")
    node.start()
    s3 = make_client(node)
    s3.create_bucket(Bucket="raw")
    refused = (400, "InvalidRequest")
    assert status_of(s3.put_object, Bucket="raw", Key="a", Body=b"x", **customer(KEY)) == refused


def test_key_elsewhere_and_forms(make_node, tmp_path):
    """The node key on another medium, and an upload by a form that asks for encryption."""
    medium = tmp_path / "medium"
    medium.mkdir()
    node = make_node(f"store: {{key: {medium}/edgeos.key}}\n")
    s3 = make_client(node, signature_version="s3v4")
    s3.create_bucket(Bucket="raw")
    form = s3.generate_presigned_post("raw", "a", Fields={SSE: "AES256"},
                                      Conditions=[{SSE: "AES256"}])
    answer = requests.post(form["url"], data=form["fields"],
                           files={"file": ("f", marked(50000))}, timeout=30)
    assert answer.status_code == 204, answer.text
    assert answer.headers[SSE] == "AES256"
    node.cli("store", "rekey")
    assert s3.get_object(Bucket="raw", Key="a")["Body"].read() == marked(50000)
    assert (medium / "edgeos.key").exists() and not (node.data_dir / "store.key").exists()
    assert found_on_disk(node) == []
    node.stop()
    # Without the option verify cannot look as deep; a rekey must have the file.
    assert "damaged        0 objects" in node.cli("store", "verify").stdout
    assert node.cli("store", "rekey", check=False).returncode == 1
    node.cli("store", "rekey", "--key", str(medium / "edgeos.key"))
    node.start()
    assert make_client(node).get_object(Bucket="raw", Key="a")["Body"].read() == marked(50000)


def test_functions(node):
    """Functions read what the node encrypts, and are told that they cannot what customers do."""
    s3 = make_client(node)
    s3.create_bucket(Bucket="raw")
    encrypt(s3, "raw")
    deploy_c(node, "look", r"""
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        int main(void)
        {
                char text[64] = "";
                FILE *in = fopen(getenv("QUERY_STRING")[0] == 'a' ? "/raw/a" : "/raw/b", "r");
                int err = errno;
                printf("Content-Type: text/plain\n\n");
                if (in == NULL)
                        return printf("%s", err == EACCES ? "EACCES" : "other") < 0;
                fread(text, 1, 5, in);
                printf("%s", text);
                return 0;
        }""", manifest="grants:\n  - {bucket: raw, access: read}\n")
    s3.put_object(Bucket="raw", Key="a", Body=b"hello")
    s3.put_object(Bucket="raw", Key="b", Body=b"hello", **customer(KEY))
    assert requests.get(f"{node.http_url}/f/look?a", timeout=60).text == "hello"
    assert requests.get(f"{node.http_url}/f/look?b", timeout=60).text == "EACCES"


def test_functions_keep_encryption(node):
    """What a client had encrypted is not written back in plain by a function that adds to it."""
    s3 = make_client(node)
    s3.create_bucket(Bucket="raw")
    deploy_c(node, "add", r"""
        #include <stdio.h>
        int main(void)
        {
                FILE *out = fopen("/raw/a", "a");
                int err = out == NULL || fputs("more", out) < 0 || fclose(out) != 0;
                printf("Content-Type: text/plain\n\n%s", err ? "failed" : "ok");
                return 0;
        }""", manifest="grants:\n  - {bucket: raw, access: read-write}\n")
    for size in 900, 50000:
        s3.put_object(Bucket="raw", Key="a", Body=marked(size), ServerSideEncryption="AES256")
        assert requests.get(f"{node.http_url}/f/add", timeout=60).text == "ok"
        got = s3.get_object(Bucket="raw", Key="a")
        assert got["Body"].read() == marked(size) + b"more"
        assert got["ServerSideEncryption"] == "AES256"
    assert found_on_disk(node) == []


def test_node_key_lost(make_node):
    node = make_node()
    s3 = make_client(node)
    for name in "safe", "plain":
        s3.create_bucket(Bucket=name)
    encrypt(s3, "safe")
    for name in "safe", "plain":
        s3.put_object(Bucket=name, Key="a", Body=marked(100000))
    node.stop()
    key = node.data_dir / "store.key"
    key.rename(node.data_dir / "aside")
    node.start()
    s3 = make_client(node)
    assert status_of(s3.get_object, Bucket="safe", Key="a")[0] == 503
    assert status_of(s3.put_object, Bucket="safe", Key="b", Body=b"x")[0] == 503
    assert s3.get_object(Bucket="plain", Key="a")["Body"].read() == marked(100000)
    assert not key.exists() and str(key.name) in node.log()
    (node.data_dir / "aside").rename(key)
    node.restart()
    s3 = make_client(node)
    assert s3.get_object(Bucket="safe", Key="a")["Body"].read() == marked(100000)
