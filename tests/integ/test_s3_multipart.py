"""Multipart uploads: listings, limits, parts of finished objects, GetObjectAttributes."""
import concurrent.futures
import hashlib
import io
import os

import pytest
import requests
from s3_clients import (  # noqa: F401
    MIB, all_keys, bucket, code_of, make_client, s3, signed)


def begin(s3, bucket, key="k", **arguments):
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)["UploadId"]


def send(s3, bucket, upload, number, data, key="k"):
    return {"PartNumber": number, "ETag": s3.upload_part(
        Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=data)["ETag"]}


def finish(s3, bucket, upload, parts, key="k"):
    return s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload,
                                        MultipartUpload={"Parts": parts})


def test_parts_of_the_object(shared_node, s3, bucket):
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(6 * MIB), b"end"]
    upload = begin(s3, bucket)
    # The numbers of parts only say in which order they are.
    done = [send(s3, bucket, upload, number, data)
            for number, data in zip((2, 5, 7, 10000), parts)]
    etag = finish(s3, bucket, upload, done)["ETag"]
    digest = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    assert etag == f'"{digest}-4"'
    total, offset = sum(map(len, parts)), 0
    for number, part in enumerate(parts, 1):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=number)
        assert got["Body"].read() == part and got["PartsCount"] == 4
        assert got["ContentRange"] == f"bytes {offset}-{offset + len(part) - 1}/{total}"
        head = s3.head_object(Bucket=bucket, Key="k", PartNumber=number)
        assert (head["ContentLength"], head["PartsCount"], head["ETag"]) == (len(part), 4, etag)
        offset += len(part)
    assert code_of(s3.get_object, Bucket=bucket, Key="k", PartNumber=5) == "InvalidPart"
    for number in "0", "10001", "x", "":
        answer = signed(shared_node, "GET", f"/{bucket}/k?partNumber={number}")
        assert (answer.status, answer.code) == (400, "InvalidArgument")
    answer = signed(shared_node, "GET", f"/{bucket}/k?partNumber=1", headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    answer = s3.get_object_attributes(
        Bucket=bucket, Key="k", MaxParts=2, PartNumberMarker=1,
        ObjectAttributes=["ETag", "ObjectParts", "StorageClass", "ObjectSize", "Checksum"])
    listed = answer["ObjectParts"]
    assert (answer["ETag"], answer["ObjectSize"], answer["StorageClass"]) == (
        etag.strip('"'), total, "STANDARD")
    assert (listed["TotalPartsCount"], listed["IsTruncated"], listed["NextPartNumberMarker"]) == (
        4, True, 3)
    assert [part["Size"] for part in listed["Parts"]] == [5 * MIB, 6 * MIB]
    assert "Checksum" not in answer


def test_part_of_a_whole(shared_node, s3, bucket):
    """What was not made of parts has one."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
    assert got["Body"].read() == b"data" and "PartsCount" not in got
    assert code_of(s3.get_object, Bucket=bucket, Key="k", PartNumber=2) == "InvalidPart"
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty", PartNumber=1)["Body"].read() == b""
    answer = s3.get_object_attributes(Bucket=bucket, Key="k",
                                      ObjectAttributes=["ObjectParts", "ObjectSize"])
    assert "ObjectParts" not in answer and answer["ObjectSize"] == 4
    for value, code in (None, "InvalidRequest"), ("", "InvalidRequest"), ("x", "InvalidArgument"):
        headers = {"x-amz-object-attributes": value} if value is not None else {}
        answer = signed(shared_node, "GET", f"/{bucket}/k?attributes", headers=headers)
        assert (answer.status, answer.code) == (400, code)


def test_resent_part(s3, bucket):
    upload = begin(s3, bucket)
    first = send(s3, bucket, upload, 1, b"first")
    second = send(s3, bucket, upload, 1, b"second")
    assert code_of(finish, s3=s3, bucket=bucket, upload=upload, parts=[first]) == "InvalidPart"
    finish(s3, bucket, upload, [second])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"
    # Who did not get the answer may ask again, as long as the object is there.
    again = finish(s3, bucket, upload, [second])
    assert again["ETag"] == s3.head_object(Bucket=bucket, Key="k")["ETag"]
    assert code_of(finish, s3=s3, bucket=bucket, upload=upload, parts=[first]) == "InvalidPart"
    assert code_of(s3.abort_multipart_upload, Bucket=bucket, Key="k", UploadId=upload) == \
        "NoSuchUpload"
    s3.put_object(Bucket=bucket, Key="k", Body=b"other")
    assert code_of(finish, s3=s3, bucket=bucket, upload=upload, parts=[second]) == "NoSuchUpload"


def test_completed_twice_at_once(s3, bucket):
    for _ in range(5):
        upload = begin(s3, bucket)
        part = send(s3, bucket, upload, 1, b"x" * 20000)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            futures = [pool.submit(finish, s3, bucket, upload, [part]) for _ in range(6)]
            assert len({future.result()["ETag"] for future in futures}) == 1


def test_unused_parts(s3, bucket):
    """What is sent and not listed at the end is dropped."""
    upload = begin(s3, bucket)
    parts = [send(s3, bucket, upload, number, b"%d" % number) for number in (1, 2, 3)]
    finish(s3, bucket, upload, parts[1:2])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


@pytest.mark.parametrize("body", [
    b"", b"rubbish", b"<CompleteMultipartUpload/>", b"<x/>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
    b"<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber><ETag>x</ETag></Part>"
    b"</CompleteMultipartUpload>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag>"
    b"<ChecksumCRC32>AAAA</ChecksumCRC32><ChecksumSHA1>AAAA</ChecksumSHA1></Part>"
    b"</CompleteMultipartUpload>",
    b"<CompleteMultipartUpload>" + b"<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>" * 10001
    + b"</CompleteMultipartUpload>"])
def test_malformed(shared_node, s3, bucket, body):
    upload = begin(s3, bucket)
    send(s3, bucket, upload, 1, b"x")
    answer = signed(shared_node, "POST", f"/{bucket}/k?uploadId={upload}", body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert len(s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]) == 1


def test_list_parts(shared_node, s3, bucket):
    key = "k ü"
    upload = begin(s3, bucket, key)
    done = [send(s3, bucket, upload, number, b"%d" % number, key) for number in (1, 2, 9, 10000)]
    listed = []
    for page in s3.get_paginator("list_parts").paginate(
            Bucket=bucket, Key=key, UploadId=upload, PaginationConfig={"PageSize": 3}):
        listed += page["Parts"]
    assert [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed] == done
    answer = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)
    assert (answer["Key"], answer["IsTruncated"], answer["StorageClass"]) == (
        key, False, "STANDARD")
    assert answer["Initiator"]["ID"] and answer["Owner"]["ID"]
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key=key, UploadId=upload, MaxParts=0)
    for query in "max-parts=x", "part-number-marker=-1", "encoding-type=xml":
        answer = signed(shared_node, "GET", f"/{bucket}/k%20%C3%BC?uploadId={upload}&{query}")
        assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_list_uploads(s3, bucket):
    """By key, and for each key in the order in which they began; pages of every size."""
    keys = ["c", "a", "b/2", "b/1", "a", "d ü/x", "a", "b/1"]
    begun = sorted(((key, number, begin(s3, bucket, key)) for number, key in enumerate(keys)))
    expected = [(key, upload) for key, _, upload in begun]
    send(s3, bucket, expected[0][1], 1, b"x", "a")
    for size in range(1, 10):
        found, markers = [], {}
        while True:
            page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=size, **markers)
            found += [(row["Key"], row["UploadId"]) for row in page.get("Uploads", [])]
            if not page["IsTruncated"]:
                break
            markers = {"KeyMarker": page["NextKeyMarker"],
                       "UploadIdMarker": page["NextUploadIdMarker"]}
        assert found == expected
    list_uploads = lambda **arguments: s3.list_multipart_uploads(  # noqa: E731
        Bucket=bucket, **arguments)
    answer = list_uploads(Delimiter="/")
    assert [row["Prefix"] for row in answer["CommonPrefixes"]] == ["b/", "d ü/"]
    assert [row["Key"] for row in answer["Uploads"]] == ["a", "a", "a", "c"]
    answer = list_uploads(Delimiter="/", MaxUploads=4)
    assert answer["IsTruncated"] and answer["NextKeyMarker"] == "b/"
    answer = list_uploads(Delimiter="/", KeyMarker="b/")
    assert [row["Key"] for row in answer["Uploads"]] == ["c"]
    assert [row["Prefix"] for row in answer["CommonPrefixes"]] == ["d ü/"]
    assert [row["Key"] for row in list_uploads(Prefix="b/")["Uploads"]] == ["b/1", "b/1", "b/2"]
    # A key alone is behind all of its uploads.
    assert [row["Key"] for row in list_uploads(KeyMarker="a", Prefix="a").get("Uploads", [])] == []
    assert "Uploads" not in list_uploads(MaxUploads=0)
    assert code_of(s3.list_multipart_uploads, Bucket="no-such-bucket-9") == "NoSuchBucket"
    for key, upload in expected:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    assert "Uploads" not in list_uploads()


def test_uploads_are_their_buckets(s3, bucket):
    other = bucket + "x"
    s3.create_bucket(Bucket=other)
    upload = begin(s3, bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=other)
    assert code_of(s3.upload_part, Bucket=other, Key="k", UploadId=upload, PartNumber=1,
                   Body=b"x") == "NoSuchUpload"
    assert code_of(s3.abort_multipart_upload, Bucket=other, Key="k", UploadId=upload) == \
        "NoSuchUpload"


def test_upload_ends_with_its_bucket(s3, bucket):
    upload = begin(s3, bucket)
    part = send(s3, bucket, upload, 1, b"secret")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    for call, arguments in ((s3.list_parts, {}), (s3.abort_multipart_upload, {}),
                            (s3.complete_multipart_upload, {"MultipartUpload": {"Parts": [part]}})):
        assert code_of(call, Bucket=bucket, Key="k", UploadId=upload, **arguments) == \
            "NoSuchUpload"


def test_part_of_a_bucket_that_goes(shared_node, s3, bucket):
    """A part that was under way when its bucket was deleted leaves nothing."""
    upload = begin(s3, bucket)

    class Body(io.BytesIO):
        def read(self, size=-1):
            data = super().read(size)
            if data and self.tell() == len(self.getvalue()) and is_sent:
                s3.delete_bucket(Bucket=bucket)
                is_sent.clear()
            return data
    before = shared_node.cli_json("store", "stats")["chunks"]
    is_sent = []
    body = Body(os.urandom(3 * MIB))
    url = make_client(shared_node, signature_version="s3v4").generate_presigned_url(
        "upload_part", {"Bucket": bucket, "Key": "k", "UploadId": upload, "PartNumber": 1})
    is_sent.append(True)
    answer = requests.put(url, data=body)
    assert answer.status_code == 404 and "NoSuchBucket" in answer.text
    assert shared_node.cli_json("store", "stats")["chunks"] == before


def test_parts_and_abort_at_once(shared_node, s3, bucket):
    """A part is either refused or there; after the abort nothing is."""
    for _ in range(5):
        upload = begin(s3, bucket)

        def write(number, upload=upload):
            return signed(shared_node, "PUT", f"/{bucket}/k?uploadId={upload}&partNumber={number}",
                          b"x" * 20000).status
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(write, number) for number in range(1, 17)]
            s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
            assert {future.result() for future in futures} <= {200, 404}
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_large_by_reference(s3, bucket):
    """Parts are taken over, not copied: the whole has them in any order of sizes."""
    parts = [os.urandom(5 * MIB + i * 1000) for i in range(8)]
    upload = begin(s3, bucket)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda item: send(s3, bucket, upload, *item), enumerate(parts, 1)))
    finish(s3, bucket, upload, done)
    whole = b"".join(parts)
    got = s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert hashlib.sha256(got).digest() == hashlib.sha256(whole).digest()
    first = 5 * MIB - 10
    piece = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{first + 6 * MIB}")
    assert piece["Body"].read() == whole[first:first + 6 * MIB + 1]
