"""Conditional requests, what is kept with an object, ranges, overrides."""
import base64
import concurrent.futures
import datetime
import email.header
import email.utils
import http.client

import pytest
from s3_clients import all_keys, bucket, code_of, make_client, s3, signed  # noqa: F401


def http_date(days):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return email.utils.format_datetime(when, usegmt=True)


PAST, FUTURE = http_date(-1), http_date(1)


@pytest.mark.parametrize("headers,status", [
    ({"If-Match": "ETAG"}, 200), ({"If-Match": "*"}, 200), ({"If-Match": '"x", ETAG'}, 200),
    ({"If-Match": '"x"'}, 412), ({"If-None-Match": "ETAG"}, 304), ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"x"'}, 200), ({"If-Modified-Since": PAST}, 200),
    ({"If-Modified-Since": FUTURE}, 304), ({"If-Modified-Since": "rubbish"}, 200),
    ({"If-Unmodified-Since": PAST}, 412), ({"If-Unmodified-Since": FUTURE}, 200),
    # ETags are more exact than times, and win (RFC 9110, 13.2.2).
    ({"If-Match": "ETAG", "If-Unmodified-Since": PAST}, 200),
    ({"If-None-Match": '"x"', "If-Modified-Since": FUTURE}, 200),
    ({"If-None-Match": "ETAG", "If-Modified-Since": PAST}, 304),
    ({"If-Match": '"x"', "If-None-Match": "ETAG"}, 412)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading(shared_node, s3, bucket, method, headers, status):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"data", CacheControl="no-cache")["ETag"]
    headers = {name: value.replace("ETAG", etag) for name, value in headers.items()}
    answer = signed(shared_node, method, f"/{bucket}/k", headers=headers)
    assert answer.status == status
    if status == 304:
        assert (answer.headers["ETag"], answer.body) == (etag, b"")
    if status == 412 and method == "GET":
        assert answer.code == "PreconditionFailed"


@pytest.mark.parametrize("headers,there,status", [
    ({"If-None-Match": "*"}, True, 412), ({"If-None-Match": "*"}, False, 200),
    ({"If-None-Match": "ETAG"}, True, 412), ({"If-None-Match": '"x"'}, True, 200),
    ({"If-Match": "ETAG"}, True, 200), ({"If-Match": "*"}, True, 200),
    ({"If-Match": '"x"'}, True, 412), ({"If-Match": '"x"'}, False, 404),
    ({"If-Match": "*"}, False, 404), ({"If-Unmodified-Since": FUTURE}, True, 501)])
@pytest.mark.parametrize("kind", ["put", "copy", "multipart"])
def test_writing(shared_node, s3, bucket, kind, headers, there, status):
    etag = ""
    if there:
        etag = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["ETag"]
    headers = {name: value.replace("ETAG", etag) for name, value in headers.items()}
    target, method, body = f"/{bucket}/k", "PUT", b"new"
    if kind == "copy":
        s3.put_object(Bucket=bucket, Key="source", Body=b"new")
        headers["x-amz-copy-source"], body = f"/{bucket}/source", b""
    elif kind == "multipart":
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"new")
        target, method = f"{target}?uploadId={upload}", "POST"
        body = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part['ETag']}"
                f"</ETag></Part></CompleteMultipartUpload>").encode()
    answer = signed(shared_node, method, target, body, headers)
    assert answer.status == status
    if status == 200:
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"new"
    elif there:
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"
    else:
        assert "k" not in all_keys(s3, bucket)
        assert answer.code == "NoSuchKey"
    if kind == "multipart" and status == 412:
        s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)


@pytest.mark.parametrize("name", ["If-None-Match", "If-Match"])
def test_one_writer_wins(shared_node, s3, bucket, name):
    """Of many who write at once under the same condition, one does."""
    value = "*"
    if name == "If-Match":
        value = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["ETag"]

    def write(number):
        body = b"%d" % number * 30000
        return signed(shared_node, "PUT", f"/{bucket}/k", body, {name: value}).status, body
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(16)))
    won = [body for status, body in answers if status == 200]
    assert len(won) == 1 and all(status in (200, 412) for status, _ in answers)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == won[0]


def test_etag_of_parts(shared_node, s3, bucket):
    """Conditions are about the ETag that clients see."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    etag = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})["ETag"]
    assert etag.endswith('-1"')
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"y", {"If-Match": '"x"'})
    assert answer.code == "PreconditionFailed"
    assert signed(shared_node, "DELETE", f"/{bucket}/k", headers={"If-Match": '"x"'}).status == 412
    assert signed(shared_node, "PUT", f"/{bucket}/k", b"y", {"If-Match": etag}).status == 200


def test_delete_if(shared_node, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    delete = lambda value: signed(  # noqa: E731
        shared_node, "DELETE", f"/{bucket}/k", headers={"If-Match": value})
    assert delete('"x"').code == "PreconditionFailed"
    assert all_keys(s3, bucket) == ["k"]
    assert delete(etag).status == 204
    assert delete(etag).code == "NoSuchKey"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    body = (f"<Delete><Object><Key>k</Key><ETag>{'x' * 32}</ETag></Object></Delete>").encode()
    assert b"PreconditionFailed" in signed(shared_node, "POST", f"/{bucket}?delete", body).body
    body = (f"<Delete><Object><Key>k</Key><ETag>{etag}</ETag></Object></Delete>").encode()
    assert b"<Deleted>" in signed(shared_node, "POST", f"/{bucket}?delete", body).body
    body = b"<Delete><Object><Key>k</Key><Size>1</Size></Object></Delete>"
    assert b"NotImplemented" in signed(shared_node, "POST", f"/{bucket}?delete", body).body


# What is kept with an object


def test_content_headers(shared_node, s3, bucket):
    kept = {"Content-Type": "text/x; charset=utf-8", "Cache-Control": "max-age=1",
            "Content-Disposition": 'attachment; filename="a"', "Content-Encoding": "gzip",
            "Content-Language": "de-AT", "Expires": "Thu, 01 Jan 2032 00:00:00 GMT"}
    assert signed(shared_node, "PUT", f"/{bucket}/k", b"x", kept).status == 200
    for method in "GET", "HEAD":
        answer = signed(shared_node, method, f"/{bucket}/k")
        assert {name: answer.headers[name] for name in kept} == kept
    query = "&".join(f"response-{name.lower()}=other" for name in kept)
    answer = signed(shared_node, "GET", f"/{bucket}/k?{query}")
    assert {answer.headers[name] for name in kept} == {"other"}
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    answer = signed(shared_node, "GET", f"/{bucket}/plain")
    assert answer.headers["Content-Type"] == "binary/octet-stream"
    # An answer cannot be split by what is in the query.
    answer = signed(shared_node, "GET",
                    f"/{bucket}/k?response-content-type=a%0D%0ASet-Cookie:%20x")
    assert "Set-Cookie" not in answer.headers


def test_empty_content_headers(shared_node, bucket):
    signed(shared_node, "PUT", f"/{bucket}/k", b"x", {"Content-Type": "", "Cache-Control": ""})
    head = signed(shared_node, "HEAD", f"/{bucket}/k").headers
    assert head["Content-Type"] == "binary/octet-stream" and "Cache-Control" not in head


def test_user_metadata(shared_node, s3, bucket, monkeypatch):
    monkeypatch.setattr(http.client, "_MAXHEADERS", 1000)
    many = {f"x-amz-meta-n{i}": f"{i}" for i in range(150)}
    assert signed(shared_node, "PUT", f"/{bucket}/k", b"x", many).status == 200
    answer = signed(shared_node, "HEAD", f"/{bucket}/k")
    assert {name: answer.headers[name] for name in many} == many
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"Empty": "", "UPPER": "a b"})
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"empty": "", "upper": "a b"}


@pytest.mark.parametrize("sent,meant", [
    ("=?UTF-8?B?w7zml6U=?=", "ü日"), ("=?UTF-8?Q?=C3=BC_x?=", "ü x"),
    ("=?ISO-8859-1?Q?=FC?=", "ü"), ("=?UTF-8?B?w7w=?= =?UTF-8?B?w7w=?=", "üü")])
def test_encoded_words(shared_node, bucket, sent, meant):
    """RFC 2047, as S3 has it for metadata that is not ASCII."""
    assert signed(shared_node, "PUT", f"/{bucket}/k", b"x", {"x-amz-meta-a": sent}).status == 200
    answer = signed(shared_node, "GET", f"/{bucket}/k")
    text, charset = email.header.decode_header(answer.headers["x-amz-meta-a"])[0]
    assert text.decode(charset) == meant


def test_metadata_limit(shared_node, bucket):
    """2 KB of names and values, as they are meant and not as they travel."""
    def put(**headers):
        return signed(shared_node, "PUT", f"/{bucket}/k", b"x",
                      {f"x-amz-meta-{name}": value for name, value in headers.items()})
    assert put(a="x" * 2047).status == 200
    assert put(a="x" * 1023, b="x" * 1024).code == "MetadataTooLarge"
    word = f"=?UTF-8?B?{base64.b64encode(('ü' * 22).encode()).decode()}?="
    assert put(a=" ".join([word] * 27) + "x" * 850).status == 200
    assert put(a=" ".join([word] * 27) + "x" * 860).code == "MetadataTooLarge"
    assert put(a="x" * 2048).code == "MetadataTooLarge"
    assert put(**{"n" * 2050: ""}).code == "MetadataTooLarge"


# Ranges


@pytest.mark.parametrize("text,status,expected", [
    ("bytes=0-0", 206, b"0"), ("bytes=9-", 206, b"9"), ("bytes=-1", 206, b"9"),
    ("bytes=-100", 206, b"0123456789"), ("bytes=5-100", 206, b"56789"),
    ("bytes=0-18446744073709551615", 206, b"0123456789"), ("bytes=10-", 416, None),
    ("bytes=10-20", 416, None), ("bytes=-0", 416, None), ("bytes=4-2", 200, b"0123456789"),
    ("bytes=", 200, b"0123456789"), ("bytes=-", 200, b"0123456789"),
    ("bytes=x-y", 200, b"0123456789"), ("octets=0-1", 200, b"0123456789"),
    ("bytes=0-1,3-4", 200, b"0123456789")])
def test_ranges(shared_node, s3, bucket, text, status, expected):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers={"Range": text})
    assert answer.status == status
    if status == 416:
        assert answer.code == "InvalidRange"
        assert answer.headers["Content-Range"] == "bytes */10"
    else:
        assert answer.body == expected
        assert ("Content-Range" in answer.headers) == (status == 206)


def test_range_of_nothing(shared_node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    answer = signed(shared_node, "GET", f"/{bucket}/k", headers={"Range": "bytes=0-"})
    assert (answer.status, answer.code) == (416, "InvalidRange")


def test_if_range(shared_node, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["ETag"]
    for value, status in [(etag, 206), ('"x"', 200), (PAST, 200)]:
        answer = signed(shared_node, "GET", f"/{bucket}/k",
                        headers={"Range": "bytes=0-1", "If-Range": value})
        assert answer.status == status
