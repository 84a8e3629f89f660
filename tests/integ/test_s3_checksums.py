"""Checksums: given in headers and trailers, computed, kept, and told again."""
import base64
import hashlib
import os
import zlib

import pytest
from s3_clients import MIB, bucket, code_of, s3, signed  # noqa: F401
from test_s3_post import encode, policy_for, post, sign


def crc(data, reversed_polynomial, bits):
    """Bit by bit, which is slow and obvious."""
    value = ones = (1 << bits) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (reversed_polynomial if value & 1 else 0)
    return base64.b64encode((value ^ ones).to_bytes(bits // 8, "big")).decode()


SUMS = {
    "CRC32": lambda data: base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode(),
    "CRC32C": lambda data: crc(data, 0x82F63B78, 32),
    "CRC64NVME": lambda data: crc(data, 0x9A6C9329AC4BC9B5, 64),
    "SHA1": lambda data: base64.b64encode(hashlib.sha1(data).digest()).decode(),
    "SHA256": lambda data: base64.b64encode(hashlib.sha256(data).digest()).decode(),
}
KINDS = list(SUMS)
ENABLED = {"x-amz-checksum-mode": "ENABLED"}


def header(kind):
    return f"x-amz-checksum-{kind.lower()}"


def told(answer):
    """The checksum that an answer's headers tell."""
    found = {kind: answer.headers[header(kind)] for kind in KINDS if header(kind) in answer.headers}
    return found, answer.headers.get("x-amz-checksum-type")


@pytest.mark.parametrize("kind", KINDS)
def test_header(shared_node, s3, bucket, kind):
    data = b"some bytes, not many"
    value = SUMS[kind](data)
    answer = signed(shared_node, "PUT", f"/{bucket}/k", data, {header(kind): value})
    assert (answer.status, told(answer)) == (200, ({kind: value}, "FULL_OBJECT"))
    for method in "GET", "HEAD":
        answer = signed(shared_node, method, f"/{bucket}/k", headers=ENABLED)
        assert told(answer) == ({kind: value}, "FULL_OBJECT")
        assert told(signed(shared_node, method, f"/{bucket}/k")) == ({}, None)
    # It is that of the whole, and says nothing of a range.
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers={**ENABLED, "Range": "bytes=1-2"})
    assert told(answer) == ({}, None)
    answer = signed(shared_node, "PUT", f"/{bucket}/bad", data, {header(kind): SUMS[kind](b"x")})
    assert (answer.status, answer.code) == (400, "BadDigest")
    for bad in "", "rubbish", "AAAA", value + "AAAA", value[:-1]:
        answer = signed(shared_node, "PUT", f"/{bucket}/bad", data, {header(kind): bad})
        assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert code_of(s3.head_object, Bucket=bucket, Key="bad") == "404"


@pytest.mark.parametrize("kind", KINDS)
def test_trailer(shared_node, s3, bucket, kind):
    data = b"0123456789" * 10

    def put(key, value, name=header(kind)):
        body = b"64\r\n%s\r\n0\r\n%s:%s\r\n\r\n" % (data, name.encode(), value.encode())
        return signed(shared_node, "PUT", f"/{bucket}/{key}", body, {
            "x-amz-decoded-content-length": "100", "Content-Encoding": "aws-chunked",
            "x-amz-trailer": header(kind), "x-amz-sdk-checksum-algorithm": kind},
            payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    answer = put("k", SUMS[kind](data))
    assert (answer.status, told(answer)) == (200, ({kind: SUMS[kind](data)}, "FULL_OBJECT"))
    answer = signed(shared_node, "HEAD", f"/{bucket}/k", headers=ENABLED)
    assert told(answer) == ({kind: SUMS[kind](data)}, "FULL_OBJECT")
    assert put("bad", SUMS[kind](b"x")).code == "BadDigest"
    assert put("bad", "rubbish").code == "InvalidRequest"
    other = header(KINDS[KINDS.index(kind) - 1])
    assert put("bad", SUMS[kind](data), other).code == "InvalidRequest"
    assert code_of(s3.head_object, Bucket=bucket, Key="bad") == "404"


def test_announced(shared_node, bucket):
    """A checksum that the client speaks of must be there."""
    put = lambda **headers: signed(shared_node, "PUT", f"/{bucket}/k", b"x", {  # noqa: E731
        name.replace("_", "-"): value for name, value in headers.items()})
    assert put(x_amz_sdk_checksum_algorithm="CRC32").code == "InvalidRequest"
    assert put(x_amz_sdk_checksum_algorithm="MD5").code == "InvalidRequest"
    assert put(x_amz_sdk_checksum_algorithm="SHA1",
               x_amz_checksum_crc32=SUMS["CRC32"](b"x")).code == "InvalidRequest"
    assert put(x_amz_checksum_crc32=SUMS["CRC32"](b"x"),
               x_amz_checksum_sha1=SUMS["SHA1"](b"x")).code == "InvalidRequest"
    assert put(x_amz_checksum_md5="x").code == "NotImplemented"
    assert signed(shared_node, "PUT", f"/{bucket}/k", b"x").status == 200
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers={"x-amz-checksum-mode": "on"})
    assert answer.code == "InvalidArgument"


@pytest.mark.parametrize("kind", ["CRC32", "SHA256"])
def test_client(s3, bucket, kind):
    """boto3 computes and compares by itself."""
    data = os.urandom(200000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=data, ChecksumAlgorithm=kind)
    assert put[f"Checksum{kind}"] == SUMS[kind](data)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == data and got[f"Checksum{kind}"] == SUMS[kind](data)
    for name, arguments in [("same", {}), ("other", {"ChecksumAlgorithm": "SHA1"})]:
        result = s3.copy_object(Bucket=bucket, Key=name, CopySource=f"{bucket}/k",
                                **arguments)["CopyObjectResult"]
        wanted = arguments.get("ChecksumAlgorithm", kind)
        assert result[f"Checksum{wanted}"] == SUMS[wanted](data)
        head = s3.head_object(Bucket=bucket, Key=name, ChecksumMode="ENABLED")
        assert head[f"Checksum{wanted}"] == SUMS[wanted](data)


# Objects made of parts


def composite(kind, parts):
    raw = b"".join(base64.b64decode(SUMS[kind](part)) for part in parts)
    return f"{SUMS[kind](raw)}-{len(parts)}"


def create(node, bucket, kind, sum_type=None):
    headers = {"x-amz-checksum-algorithm": kind}
    if sum_type:
        headers["x-amz-checksum-type"] = sum_type
    answer = signed(node, "POST", f"/{bucket}/k?uploads", b"", headers)
    if answer.status != 200:
        return answer
    return answer.body.decode().partition("<UploadId>")[2].partition("<")[0]


def send(node, bucket, upload, kind, parts, with_sums=True):
    """Sends PARTS; the CompleteMultipartUpload document."""
    rows = ""
    for number, part in enumerate(parts, 1):
        value = SUMS[kind](part)
        answer = signed(node, "PUT", f"/{bucket}/k?uploadId={upload}&partNumber={number}", part,
                        {header(kind): value} if number % 2 else {})
        # What the client does not send is computed.
        assert answer.status == 200 and answer.headers[header(kind)] == value
        rows += f"<Part><PartNumber>{number}</PartNumber><ETag>{answer.headers['ETag']}</ETag>"
        rows += f"<Checksum{kind}>{value}</Checksum{kind}>" if with_sums else ""
        rows += "</Part>"
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def complete(node, bucket, upload, document, **headers):
    return signed(node, "POST", f"/{bucket}/k?uploadId={upload}", document, {
        name.replace("_", "-"): value for name, value in headers.items()})


# Five MiB of zeros bit by bit takes Python too long for all kinds.
PARTS = {kind: ([b"\0" * (5 * MIB), b"end"] if kind in ("CRC32", "SHA1", "SHA256") else [b"one"])
         for kind in KINDS}


@pytest.mark.parametrize("kind", ["CRC32", "CRC32C", "SHA1", "SHA256"])
def test_composite(shared_node, s3, bucket, kind):
    parts = PARTS[kind]
    upload = create(shared_node, bucket, kind)
    document = send(shared_node, bucket, upload, kind, parts)
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)
    assert listed["ChecksumAlgorithm"] == kind
    assert [part[f"Checksum{kind}"] for part in listed["Parts"]] == [SUMS[kind](p) for p in parts]
    uploads = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert uploads[0]["ChecksumAlgorithm"] == kind
    expected = composite(kind, parts)
    bad = complete(shared_node, bucket, upload, document,
                   **{header(kind): SUMS[kind](b"x") + f"-{len(parts)}"})
    assert (bad.status, bad.code) == (400, "BadDigest")
    bad = complete(shared_node, bucket, upload, document, **{header(kind): "rubbish"})
    assert (bad.status, bad.code) == (400, "InvalidRequest")
    missing = document.replace(f"<Checksum{kind}>".encode(), b"<X>").replace(
        f"</Checksum{kind}>".encode(), b"</X>")
    assert complete(shared_node, bucket, upload, missing).code == "InvalidRequest"
    wrong = document.replace(SUMS[kind](parts[0]).encode(), SUMS[kind](b"x").encode())
    assert complete(shared_node, bucket, upload, wrong).code == "InvalidPart"
    total = sum(map(len, parts))
    assert complete(shared_node, bucket, upload, document,
                    x_amz_mp_object_size=str(total + 1)).code == "InvalidRequest"
    answer = complete(shared_node, bucket, upload, document, **{header(kind): expected},
                      x_amz_mp_object_size=str(total))
    assert answer.status == 200 and expected.encode() in answer.body
    answer = signed(shared_node, "HEAD", f"/{bucket}/k", headers=ENABLED)
    assert told(answer) == ({kind: expected}, "COMPOSITE")
    for number, part in enumerate(parts, 1):
        answer = signed(shared_node, "GET", f"/{bucket}/k?partNumber={number}", headers=ENABLED)
        assert answer.body == part and told(answer)[0] == {kind: SUMS[kind](part)}
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    assert attributes["Checksum"][f"Checksum{kind}"] == expected.partition("-")[0]
    assert [part[f"Checksum{kind}"] for part in attributes["ObjectParts"]["Parts"]] == \
        [SUMS[kind](part) for part in parts]
    # A copy is one piece, and so is its checksum.
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    answer = signed(shared_node, "HEAD", f"/{bucket}/copy", headers=ENABLED)
    assert told(answer) == ({kind: SUMS[kind](b"".join(parts))}, "FULL_OBJECT")


@pytest.mark.parametrize("kind", ["CRC32", "CRC32C", "CRC64NVME"])
def test_full_object(shared_node, bucket, kind):
    parts = PARTS[kind]
    upload = create(shared_node, bucket, kind, "FULL_OBJECT")
    document = send(shared_node, bucket, upload, kind, parts, with_sums=False)
    expected = SUMS[kind](b"".join(parts))
    bad = complete(shared_node, bucket, upload, document, **{header(kind): SUMS[kind](b"x")})
    assert bad.code == "BadDigest"
    bad = complete(shared_node, bucket, upload, document, x_amz_checksum_type="COMPOSITE")
    assert bad.code == "InvalidRequest"
    answer = complete(shared_node, bucket, upload, document, **{header(kind): expected},
                      x_amz_checksum_type="FULL_OBJECT")
    assert answer.status == 200, answer.body
    answer = signed(shared_node, "HEAD", f"/{bucket}/k", headers=ENABLED)
    assert told(answer) == ({kind: expected}, "FULL_OBJECT")


def test_bad_kinds(shared_node, bucket):
    for kind, sum_type in [("MD5", None), ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"),
                           ("CRC64NVME", "COMPOSITE"), ("CRC32", "x")]:
        answer = create(shared_node, bucket, kind, sum_type)
        assert (answer.status, answer.code) == (400, "InvalidRequest")
    upload = create(shared_node, bucket, "SHA1")
    answer = signed(shared_node, "PUT", f"/{bucket}/k?uploadId={upload}&partNumber=1", b"x",
                    {"x-amz-checksum-crc32": SUMS["CRC32"](b"x")})
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_copied_parts(s3, bucket):
    data = b"0123456789" * 1000
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k",
                                        ChecksumAlgorithm="SHA256")["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1,
                               CopySource=f"{bucket}/source",
                               CopySourceRange="bytes=10-19")["CopyPartResult"]
    assert part["ChecksumSHA256"] == SUMS["SHA256"](data[10:20])
    answer = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [
            {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]})
    assert answer["ChecksumSHA256"] == composite("SHA256", [data[10:20]])


# Forms


@pytest.mark.parametrize("kind", KINDS)
def test_form(shared_node, s3, bucket, kind):
    def send_form(key, value):
        name = header(kind)
        fields = [("key", key), (name, value)]
        policy = policy_for(shared_node, bucket, {"key": key}, {name: value})
        return post(shared_node, bucket, encode(fields + sign(shared_node, policy), b"file"))
    assert send_form("k", SUMS[kind](b"file")).status == 204
    answer = signed(shared_node, "HEAD", f"/{bucket}/k", headers=ENABLED)
    assert told(answer) == ({kind: SUMS[kind](b"file")}, "FULL_OBJECT")
    assert send_form("bad", SUMS[kind](b"x")).code == "BadDigest"
    assert send_form("bad", "rubbish").code == "InvalidRequest"
    assert code_of(s3.head_object, Bucket=bucket, Key="bad") == "404"
