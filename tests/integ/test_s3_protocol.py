"""The S3 protocol byte by byte: signatures, bodies, what is refused, and HTTP itself."""
import base64
import datetime
import hashlib
import http.client
import re
import socket
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest
from s3_clients import (  # noqa: F401
    MIB, REGION, all_keys, bucket, code_of, make_client, plain, raw, s3, signed)


# Signatures


def test_strangers(shared_node, bucket):
    answer = plain(shared_node, "GET", "/")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    answer = plain(shared_node, "PUT", f"/{bucket}/k", b"data")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert answer.headers["x-amz-request-id"] in answer.body.decode()
    answer = signed(shared_node, "GET", "/", access_key="AKUNKNOWN")
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId")
    answer = signed(shared_node, "GET", "/", secret="wrong")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    for text in "AWS4-HMAC-SHA256 rubbish", "AWS4-HMAC-SHA256 Credential=a/b":
        answer = plain(shared_node, "GET", "/", headers={"Authorization": text})
        assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
    for text in "Basic abc", "AWS4 rubbish", "AWS rubbish":
        answer = plain(shared_node, "GET", "/", headers={"Authorization": text})
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    answer = plain(shared_node, "GET", "/", headers={"Authorization": ""})
    assert (answer.status, answer.code) == (403, "AccessDenied")
    answer = plain(shared_node, "GET", "/", headers={"Authorization": "AWS AK:sig"})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    answer = signed(shared_node, "GET", "/", region="mars-1")
    assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
    assert b"us-east-1" in answer.body


@pytest.mark.parametrize("date,code", [
    ("20100707T215304Z", "RequestTimeTooSkewed"), ("99990707T215304Z", "RequestTimeTooSkewed"),
    ("19500707T215304Z", "AccessDenied"), ("", "AccessDenied"), ("yesterday", "AccessDenied")])
def test_other_dates(shared_node, s3, bucket, date, code):
    """What was signed today is sent with another date."""
    def change(request, **_):
        request.headers["X-Amz-Date"] = date.encode()
    s3.meta.events.register("before-send.s3.PutObject", change)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == code


def test_strange_signatures(shared_node):
    """Who signs is looked at before how."""
    now = datetime.datetime.utcnow()
    for key, day, signature, expected in (
            ("AKUNKNOWN", "20150930", "FWeDfwojDSdS2Ztmpfeubhd9isU=", (403, "InvalidAccessKeyId")),
            (shared_node.access_key, now.strftime("%Y%m%d"), "FWeDfwojDSdS2Ztmpfeubhd9isU=",
             (403, "SignatureDoesNotMatch")),
            (shared_node.access_key, "20150930", "0" * 64,
             (400, "AuthorizationHeaderMalformed"))):
        answer = plain(shared_node, "GET", "/", headers={
            "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ"),
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "authorization": f"AWS4-HMAC-SHA256 Credential={key}/{day}/us-east-1/s3/aws4_request,"
                             f"SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
                             f"Signature={signature}"})
        assert (answer.status, answer.code) == expected


@pytest.mark.parametrize("minutes", [-16, 16])
def test_skew(shared_node, minutes):
    when = datetime.datetime.utcnow() + datetime.timedelta(minutes=minutes)
    answer = signed(shared_node, "GET", "/", when=when)
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")
    when = datetime.datetime.utcnow() + datetime.timedelta(minutes=minutes * 14 / 16)
    assert signed(shared_node, "GET", "/", when=when).status == 200


def test_presigned(shared_node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b", Body=b"hello")
    sigv4 = make_client(shared_node, signature_version="s3v4")
    url = sigv4.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b"}, 60)
    target = url[len(shared_node.s3_url):]
    assert plain(shared_node, "GET", target).body == b"hello"
    assert plain(shared_node, "GET", target + "&x=y").code == "SignatureDoesNotMatch"
    assert plain(shared_node, "DELETE", target).code == "SignatureDoesNotMatch"
    # Over at once: said in those words, whatever the signature is.
    over = re.sub("X-Amz-Expires=[0-9]+", "X-Amz-Expires=0", target)
    answer = plain(shared_node, "GET", over)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    broken = target.replace("X-Amz-Date", "X-Amz-Dote")
    assert plain(shared_node, "GET", broken).code == "AuthorizationQueryParametersError"
    url = sigv4.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "new"}, 60)
    assert plain(shared_node, "PUT", url[len(shared_node.s3_url):], b"data").status == 200
    assert s3.get_object(Bucket=bucket, Key="new")["Body"].read() == b"data"
    url = sigv4.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b"}, 1)
    time.sleep(2.1)
    answer = plain(shared_node, "GET", url[len(shared_node.s3_url):])
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"Request has expired" in answer.body


def test_unsigned_extras(shared_node, bucket):
    """A header that means something must be signed."""
    sigv4 = make_client(shared_node, signature_version="s3v4")
    url = sigv4.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"}, 60)
    answer = plain(shared_node, "PUT", url[len(shared_node.s3_url):], b"data",
                   {"x-amz-meta-a": "b"})
    assert (answer.status, answer.code) == (403, "AccessDenied")


# Bodies


def test_payload_hash(shared_node, s3, bucket):
    wrong = hashlib.sha256(b"other").hexdigest()
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"data", payload=wrong)
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"data" * 100000, payload=wrong)
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert all_keys(s3, bucket) == []
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"data", payload="UNSIGNED-PAYLOAD")
    assert answer.status == 200


@pytest.mark.parametrize("name,value,code", [
    ("Content-MD5", base64.b64encode(hashlib.md5(b"data").digest()).decode(), None),
    ("Content-MD5", base64.b64encode(hashlib.md5(b"x").digest()).decode(), "BadDigest"),
    ("Content-MD5", "rubbish", "InvalidDigest"),
    ("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(b"data").digest()).decode(), None),
    ("x-amz-checksum-sha256", base64.b64encode(hashlib.sha256(b"x").digest()).decode(),
     "BadDigest"),
    ("x-amz-checksum-sha1", base64.b64encode(hashlib.sha1(b"data").digest()).decode(), None),
    ("x-amz-checksum-crc32", "rfPyiQ==", "BadDigest"),
    ("x-amz-checksum-md5", "rfPyiQ==", "NotImplemented"),
])
def test_checksums(shared_node, s3, bucket, name, value, code):
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"data", {name: value})
    assert (answer.code if answer.status != 200 else None) == code
    assert all_keys(s3, bucket) == ([] if code else ["k"])


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksum_trailer(s3, bucket, algorithm):
    """boto3 sends aws-chunked with a trailer when it cannot rewind the body."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello" * 50000, ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello" * 50000
    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="k")


def test_aws_chunked_unsigned(shared_node, s3, bucket):
    def put(body, length, **headers):
        return signed(shared_node, "PUT", f"/{bucket}/k", body,
                      {"x-amz-decoded-content-length": str(length),
                       "Content-Encoding": "aws-chunked,gzip", **headers},
                      payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    assert put(b"4\r\ndata\r\n0\r\n\r\n", 4).status == 200
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ContentEncoding"]) == (4, "gzip")
    assert put(b"4\r\ndata\r\n0\r\n\r\n", 5).code == "IncompleteBody"
    assert put(b"4\r\ndata\r\n0\r\n\r\n", 3).code == "IncompleteBody"
    assert put(b"4\r\ndata\r\n0\r\n", 4).code == "IncompleteBody"
    assert put(b"4\r\ndatax\r\n0\r\n", 4).code == "InvalidRequest"
    assert put(b"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", 4,
               **{"x-amz-trailer": "x-amz-checksum-crc32"}).code == "BadDigest"


def test_missing_length(shared_node, bucket):
    host = urllib.parse.urlsplit(shared_node.s3_url).netloc
    request = botocore.awsrequest.AWSRequest(
        "PUT", f"{shared_node.s3_url}/{bucket}/k",
        headers={"Transfer-Encoding": "chunked", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    credentials = botocore.credentials.Credentials(shared_node.access_key, shared_node.secret_key)
    botocore.auth.S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    answer = raw(shared_node, f"PUT /{bucket}/k HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
                 f"{lines}\r\n4\r\ndata\r\n0\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 411 ") and b"MissingContentLength" in answer


def test_too_large(shared_node, bucket):
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"", {
        "Content-Length": str((5 << 30) + 1), "Expect": "100-continue"})
    assert (answer.status, answer.code) == (400, "EntityTooLarge")
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"", {"x-amz-meta-a": "x" * 2100})
    assert (answer.status, answer.code) == (400, "MetadataTooLarge")


# What is not there says so


@pytest.mark.parametrize("method,query", [
    ("PUT", "website"), ("PUT", "logging"), ("GET", "inventory"), ("PUT", "accelerate"),
    ("PUT", "replication"), ("PUT", "requestPayment"), ("POST", "restore"), ("GET", "torrent"),
    ("POST", "select&select-type=2")])
@pytest.mark.parametrize("level", ["bucket", "object"])
def test_not_implemented(shared_node, s3, bucket, method, query, level):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    target = f"/{bucket}/k?{query}" if level == "object" else f"/{bucket}?{query}"
    answer = signed(shared_node, method, target)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert all_keys(s3, bucket) == ["k"]


def test_never_configured(shared_node, s3, bucket):
    """What clients ask every bucket for, and no bucket has."""
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    assert code_of(s3.get_bucket_replication, Bucket=bucket) == \
        "ReplicationConfigurationNotFoundError"
    assert code_of(s3.get_bucket_website, Bucket=bucket) == "NoSuchWebsiteConfiguration"
    s3.delete_bucket_website(Bucket=bucket)
    s3.delete_bucket_replication(Bucket=bucket)
    assert plain(shared_node, "GET", f"/{bucket}?logging").code == "AccessDenied"


def test_words_of_others(shared_node, s3, bucket):
    """What is none of S3's parameters changes nothing that is read, and nothing is written."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert signed(shared_node, "GET", f"/{bucket}/k?utm_source=mail").body == b"x"
    assert b"<Key>k</Key>" in signed(shared_node, "GET", f"/{bucket}?key=k").body
    for method, target in (("PUT", f"/{bucket}/k?novelty"), ("DELETE", f"/{bucket}/k?novelty"),
                           ("GET", f"/{bucket}/k?x-amz-novelty"), ("GET", f"/{bucket}/k?cors")):
        assert signed(shared_node, method, target).code == "NotImplemented"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


@pytest.mark.parametrize("name,value", [
    ("x-amz-server-side-encryption", "aws:kms"),
    ("x-amz-server-side-encryption-context", "e30="),
    ("x-amz-storage-class", "GLACIER"), ("x-amz-website-redirect-location", "/")])
def test_headers_not_implemented(shared_node, s3, bucket, name, value):
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"x", {name: value})
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert all_keys(s3, bucket) == []


def test_methods(shared_node, bucket):
    assert signed(shared_node, "PATCH", f"/{bucket}/k").code == "MethodNotAllowed"
    assert signed(shared_node, "DELETE", "/").code == "MethodNotAllowed"


@pytest.mark.parametrize("body", [
    b"", b"rubbish", b"<Delete/>", b"<Delete><Object></Object></Delete>",
    b"<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Delete><Object><Key>&x;</Key>"
    b"</Object></Delete>",
    b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>"])
def test_malformed_xml(shared_node, s3, bucket, body):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = signed(shared_node, "POST", f"/{bucket}?delete", body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert all_keys(s3, bucket) == ["k"]


# HTTP itself


@pytest.mark.parametrize("data,status", [
    (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
    (b"G T / HTTP/1.1\r\nHost: a\r\n\r\n", None),
    (b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", b"400"),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", b"400"),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"431"),
    (b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", (b"414", b"431")),
    (b"\x00" * 100 + b"\r\n\r\n", None),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", None),
])
def test_malformed_http(shared_node, data, status):
    try:
        answer = raw(shared_node, data, timeout=30 if status else 2)
    except (ConnectionError, TimeoutError):
        answer = b""
    if status:
        assert answer[9:12] in status if isinstance(status, tuple) else answer[9:12] == status
    else:
        assert answer[9:12] in (b"", b"400", b"405", b"505")
    assert plain(shared_node, "GET", "/").status == 403


def test_large_headers_work(shared_node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers={"X-Big": "x" * 15000})
    assert answer.status == 200


def test_keep_alive(shared_node, bucket):
    """An error leaves the connection usable."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(shared_node.s3_url).netloc)
    for _ in range(3):
        connection.request("PUT", f"/{bucket}/k", body=b"x" * 100000)
        answer = connection.getresponse()
        assert answer.status == 403 and b"AccessDenied" in answer.read()
    sock = connection.sock
    connection.request("GET", "/")
    connection.getresponse().read()
    assert connection.sock is sock
    connection.close()


def test_refused_upload_can_be_read(shared_node, bucket):
    """The answer to a refused, long upload gets through although the client is still writing."""
    answer = plain(shared_node, "PUT", f"/{bucket}/k", b"x" * (8 * MIB))
    assert answer.code == "AccessDenied"
    address = urllib.parse.urlsplit(shared_node.s3_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as sock:
        sock.sendall(f"PUT /{bucket}/k HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 1073741824\r\n\r\n".encode())
        sock.sendall(b"x" * 100000)
        assert sock.recv(100).startswith(b"HTTP/1.1 403 ")


def test_slow_sender(shared_node, s3, bucket):
    """Slow, but not too slow; and a client that leaves in the middle changes nothing."""
    address = urllib.parse.urlsplit(shared_node.s3_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as sock:
        for piece in b"GET / HTT", b"P/1.1\r\nHo", b"st: a\r\nConnection: close\r\n", b"\r\n":
            sock.sendall(piece)
            time.sleep(0.2)
        assert sock.recv(100).startswith(b"HTTP/1.1 403 ")
    request = botocore.awsrequest.AWSRequest(
        "PUT", f"{shared_node.s3_url}/{bucket}/k",
        headers={"Content-Length": "100", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    credentials = botocore.credentials.Credentials(shared_node.access_key, shared_node.secret_key)
    botocore.auth.S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection((address.hostname, address.port), timeout=30) as sock:
        sock.sendall(f"PUT /{bucket}/k HTTP/1.1\r\nHost: {address.netloc}\r\n{lines}\r\n"
                     f"part of the body".encode())
    time.sleep(0.3)
    assert all_keys(s3, bucket) == []


def test_many_idle_connections(shared_node):
    address = urllib.parse.urlsplit(shared_node.s3_url)
    socks = [socket.create_connection((address.hostname, address.port)) for _ in range(50)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\n")
    assert plain(shared_node, "GET", "/").status == 403
    for sock in socks:
        sock.close()
