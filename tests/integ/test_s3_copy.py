"""CopyObject and UploadPartCopy."""
import datetime
import os
import urllib.parse

import pytest
from s3_clients import MIB, bucket, code_of, s3, signed  # noqa: F401


@pytest.fixture
def source(s3, bucket):
    data = os.urandom(300000)
    s3.put_object(Bucket=bucket, Key="source", Body=data, ContentType="text/csv",
                  CacheControl="no-cache", Metadata={"m": "1"}, Tagging="t=1")
    return {"Bucket": bucket, "Key": "source"}, data


def copy(node, bucket, key, source, **headers):
    return signed(node, "PUT", f"/{bucket}/{key}", b"", {
        "x-amz-copy-source": source,
        **{name.replace("_", "-"): value for name, value in headers.items()}})


ODD_KEYS = ["a b", "a+b", "ü/日本語/🙂", "a?b=c&versionId=x", "..", "../../x", "//x", "a%2Fb",
            "'\"<>&#", "x" * 1024]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_source_names(shared_node, s3, bucket, key):
    """Clients encode the source's key, or all of it, with a slash in front or without."""
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    quoted = urllib.parse.quote(key, safe="/")
    for text in (f"/{bucket}/{quoted}", f"{bucket}/{quoted}",
                 urllib.parse.quote(f"{bucket}/{key}", safe="")):
        assert copy(shared_node, bucket, "copy", text).status == 200
        assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()
        s3.delete_object(Bucket=bucket, Key="copy")


@pytest.mark.parametrize("text,code", [
    ("", "InvalidArgument"), ("/", "InvalidArgument"), ("BUCKET", "InvalidArgument"),
    ("BUCKET/", "InvalidArgument"), ("/BUCKET/absent", "NoSuchKey"),
    ("no-such-bucket-9/x", "NoSuchBucket"), (".multipart/x", "InvalidBucketName"),
    ("A" * 64 + "/x", "InvalidBucketName"), ("BUCKET/" + "x" * 1025, "KeyTooLongError"),
    ("BUCKET/%zz", "InvalidArgument"), ("BUCKET/%00", "InvalidArgument"),
    ("BUCKET/%ff", "InvalidArgument"), ("BUCKET/x?versionId=", "InvalidArgument"),
    ("BUCKET/x?versionId=rubbish", "InvalidArgument"),
    ("BUCKET/x?versionId=0000000000000009", "NoSuchVersion")])
def test_bad_sources(shared_node, s3, bucket, text, code):
    answer = copy(shared_node, bucket, "copy", text.replace("BUCKET", bucket))
    assert answer.code == code
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_conditions(shared_node, s3, bucket, source):
    head = s3.head_object(**source[0])
    past, future = (head["LastModified"] + datetime.timedelta(days=days) for days in (-1, 1))
    call = lambda **arguments: s3.copy_object(  # noqa: E731
        Bucket=bucket, Key="copy", CopySource=source[0], **arguments)
    for good in ({"CopySourceIfMatch": head["ETag"]}, {"CopySourceIfNoneMatch": '"x"'},
                 {"CopySourceIfModifiedSince": past}, {"CopySourceIfUnmodifiedSince": future},
                 {"CopySourceIfMatch": head["ETag"], "CopySourceIfUnmodifiedSince": past}):
        call(**good)
    s3.delete_object(Bucket=bucket, Key="copy")
    for bad in ({"CopySourceIfMatch": '"x"'}, {"CopySourceIfNoneMatch": head["ETag"]},
                {"CopySourceIfModifiedSince": future}, {"CopySourceIfUnmodifiedSince": past},
                {"CopySourceIfNoneMatch": head["ETag"], "CopySourceIfModifiedSince": past}):
        assert code_of(call, **bad) == "PreconditionFailed"
    assert code_of(s3.head_object, Bucket=bucket, Key="copy") == "404"


def test_directives(shared_node, s3, bucket, source):
    where, data = source
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=where, Metadata={"ignored": "1"},
                   MetadataDirective="COPY")
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert got["Body"].read() == data
    assert (got["ContentType"], got["CacheControl"], got["Metadata"], got["TagCount"]) == (
        "text/csv", "no-cache", {"m": "1"}, 1)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=where, Metadata={"n": "2"},
                   MetadataDirective="REPLACE", ContentType="a/b")
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["ContentType"], got.get("CacheControl"), got["Metadata"]) == (
        "a/b", None, {"n": "2"})
    answer = copy(shared_node, bucket, "copy", f"{bucket}/source", x_amz_metadata_directive="x")
    assert answer.code == "InvalidArgument"


def test_onto_itself(s3, bucket, source):
    where, data = source
    assert code_of(s3.copy_object, Bucket=bucket, Key="source", CopySource=where) == \
        "InvalidRequest"
    answer = s3.copy_object(Bucket=bucket, Key="source", CopySource=where,
                            MetadataDirective="REPLACE", Metadata={"n": "2"})
    got = s3.get_object(**where)
    assert (got["Body"].read(), got["Metadata"]) == (data, {"n": "2"})
    assert got["ETag"] == answer["CopyObjectResult"]["ETag"]
    # Naming the class is asking for a change.
    s3.copy_object(Bucket=bucket, Key="source", CopySource=where, StorageClass="STANDARD")
    assert s3.get_object(**where)["Metadata"] == {"n": "2"}


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 70000, 5 * MIB + 17, 80 * MIB])
def test_sizes(s3, bucket, size):
    data = os.urandom(min(size, MIB)) * (size // MIB + 1)
    data = data[:size]
    etag = s3.put_object(Bucket=bucket, Key="source", Body=data)["ETag"]
    answer = s3.copy_object(Bucket=bucket, Key="copy",
                            CopySource={"Bucket": bucket, "Key": "source"})
    assert answer["CopyObjectResult"]["ETag"] == etag
    # The copy stands on its own.
    s3.delete_object(Bucket=bucket, Key="source")
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["Body"].read(), got["ETag"]) == (data, etag)


def test_between_buckets(s3, bucket, source):
    other = bucket + "-2"
    s3.create_bucket(Bucket=other)
    s3.copy_object(Bucket=other, Key="copy", CopySource=source[0])
    assert s3.get_object(Bucket=other, Key="copy")["Body"].read() == source[1]
    assert code_of(s3.copy_object, Bucket="no-such-bucket-9", Key="k", CopySource=source[0]) == \
        "NoSuchBucket"


@pytest.mark.parametrize("text", [
    "0-2", "bytes 0-2", "bytes=0", "bytes=-2", "bytes=2-", "bytes=2-1", "bytes=hello-world",
    "bytes=0-2,4-5", "bytes=0-300000", "bytes=300000-300001", "bytes=0-99999999999999999999"])
def test_bad_ranges(s3, bucket, source, text):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    assert code_of(s3.upload_part_copy, Bucket=bucket, Key="k", UploadId=upload, PartNumber=1,
                   CopySource=source[0], CopySourceRange=text) == "InvalidArgument"
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_parts_of_ranges(s3, bucket):
    data = os.urandom(12 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    done, expected = [], b""
    for number, (first, last) in enumerate([
            (7, 5 * MIB + 6), (0, 6 * MIB - 1), (MIB + 1, 12 * MIB - 1), (100, 100)], 1):
        result = s3.upload_part_copy(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number,
            CopySource={"Bucket": bucket, "Key": "source"},
            CopySourceRange=f"bytes={first}-{last}")["CopyPartResult"]
        done.append({"PartNumber": number, "ETag": result["ETag"]})
        expected += data[first:last + 1]
    assert len({part["ETag"] for part in done}) == 4
    s3.delete_object(Bucket=bucket, Key="source")
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload,
                                 MultipartUpload={"Parts": done})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == expected


def test_part_of_a_version(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="source", Body=b"old")["VersionId"]
    s3.put_object(Bucket=bucket, Key="source", Body=b"new")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    answer = s3.upload_part_copy(
        Bucket=bucket, Key="k", UploadId=upload, PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "source", "VersionId": old})
    assert answer["CopySourceVersionId"] == old
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [
            {"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"old"
