"""Versions of objects: every operation that names one, delete markers, ListObjectVersions."""
import concurrent.futures
import urllib.parse
import xml.etree.ElementTree

import pytest
from s3_clients import NS, all_keys, bucket, code_of, make_client, s3, signed  # noqa: F401


def set_versioning(s3, bucket, status):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


@pytest.fixture
def versioned(s3, bucket):
    set_versioning(s3, bucket, "Enabled")
    return bucket


def put(s3, bucket, key, body):
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def read(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def versions_of(s3, bucket, **arguments):
    """(key, version, is latest, is a marker) of all, as they are listed."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **arguments):
        rows = [(row, False) for row in page.get("Versions", [])]
        rows += [(row, True) for row in page.get("DeleteMarkers", [])]
        found += [(row["Key"], row["VersionId"], row["IsLatest"], marker) for row, marker in rows]
    return found


def test_unversioned(s3, bucket):
    """A bucket that was never versioned has null versions, which nobody is told of."""
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"one")
    assert "VersionId" not in answer
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert read(s3, bucket, "k", VersionId="null") == b"one"
    assert versions_of(s3, bucket) == [("k", "null", True, False)]
    assert code_of(s3.get_object, Bucket=bucket, Key="k", VersionId="0" * 15 + "1") == \
        "NoSuchVersion"
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert versions_of(s3, bucket) == []


def test_versions(s3, versioned):
    ids = [put(s3, versioned, "k", body) for body in (b"one", b"two", b"three")]
    assert len(set(ids)) == 3 and "null" not in ids
    assert read(s3, versioned, "k") == b"three"
    for version, body in zip(ids, (b"one", b"two", b"three")):
        got = s3.get_object(Bucket=versioned, Key="k", VersionId=version)
        assert (got["Body"].read(), got["VersionId"]) == (body, version)
        head = s3.head_object(Bucket=versioned, Key="k", VersionId=version)
        assert (head["ContentLength"], head["VersionId"]) == (len(body), version)
    assert versions_of(s3, versioned) == [
        ("k", ids[2], True, False), ("k", ids[1], False, False), ("k", ids[0], False, False)]
    assert all_keys(s3, versioned) == ["k"]


def test_delete_marker(s3, versioned):
    version = put(s3, versioned, "k", b"one")
    answer = s3.delete_object(Bucket=versioned, Key="k")
    marker = answer["VersionId"]
    assert answer["DeleteMarker"] is True and marker != version
    assert all_keys(s3, versioned) == []
    assert read(s3, versioned, "k", VersionId=version) == b"one"
    assert sorted(versions_of(s3, versioned)) == sorted([
        ("k", marker, True, True), ("k", version, False, False)])
    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (answer["DeleteMarker"], answer["VersionId"]) == (True, marker)
    assert read(s3, versioned, "k") == b"one"
    # Of a key that never was, too.
    assert s3.delete_object(Bucket=versioned, Key="never")["DeleteMarker"] is True
    assert code_of(s3.delete_bucket, Bucket=versioned) == "BucketNotEmpty"


def test_answers_for_markers(shared_node, s3, versioned):
    put(s3, versioned, "k", b"one")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    for method in "GET", "HEAD":
        answer = signed(shared_node, method, f"/{versioned}/k")
        assert answer.status == 404
        assert answer.headers["x-amz-delete-marker"] == "true"
        assert answer.headers["x-amz-version-id"] == marker
        answer = signed(shared_node, method, f"/{versioned}/k?versionId={marker}")
        assert answer.status == 405
        assert answer.headers["x-amz-delete-marker"] == "true"
        assert answer.headers["Last-Modified"] and answer.headers["Allow"] == "DELETE"
    answer = signed(shared_node, "GET", f"/{versioned}/k?versionId={marker}")
    assert answer.code == "MethodNotAllowed"
    for query in "tagging", "attributes":
        answer = signed(shared_node, "GET", f"/{versioned}/k?{query}&versionId={marker}",
                        headers={"x-amz-object-attributes": "ETag"})
        assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    for method, headers in ("GET", {}), ("PUT", {"x-amz-acl": "public-read"}):
        answer = signed(shared_node, method, f"/{versioned}/k?acl&versionId={marker}",
                        headers=headers)
        assert (answer.status, answer.code) == (405, "MethodNotAllowed")
        answer = signed(shared_node, method, f"/{versioned}/k?acl&versionId={'0' * 15}1",
                        headers=headers)
        assert (answer.status, answer.code) == (404, "NoSuchVersion")
    source = {"Bucket": versioned, "Key": "k"}
    assert code_of(s3.copy_object, Bucket=versioned, Key="x", CopySource=source) == "NoSuchKey"
    assert code_of(s3.copy_object, Bucket=versioned, Key="x",
                   CopySource={**source, "VersionId": marker}) == "InvalidRequest"


def test_suspended(s3, bucket):
    """While versions are suspended there is one null version, which is replaced."""
    put(s3, bucket, "k", b"before")
    set_versioning(s3, bucket, "Enabled")
    version = put(s3, bucket, "k", b"versioned")
    assert read(s3, bucket, "k", VersionId="null") == b"before"
    set_versioning(s3, bucket, "Suspended")
    # As in S3, the answers to writes name no version then.
    assert put(s3, bucket, "k", b"null one") is None
    assert put(s3, bucket, "k", b"null two") is None
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert "VersionId" not in copied and copied["CopySourceVersionId"] == "null"
    s3.delete_object(Bucket=bucket, Key="copy", VersionId="null")
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    assert versions_of(s3, bucket) == [("k", "null", True, False), ("k", version, False, False)]
    assert read(s3, bucket, "k", VersionId="null") == b"null two"
    answer = s3.delete_object(Bucket=bucket, Key="k")
    assert (answer["DeleteMarker"], answer["VersionId"]) == (True, "null")
    assert sorted(versions_of(s3, bucket)) == sorted([
        ("k", "null", True, True), ("k", version, False, False)])
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert read(s3, bucket, "k") == b"versioned"


def test_restore(s3, versioned):
    """An old version becomes the latest by a copy onto its own key."""
    first = put(s3, versioned, "k", b"one")
    put(s3, versioned, "k", b"two")
    source = {"Bucket": versioned, "Key": "k", "VersionId": first}
    answer = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert answer["CopySourceVersionId"] == first
    assert answer["VersionId"] == versions_of(s3, versioned)[0][1]
    assert read(s3, versioned, "k") == b"one"
    assert len(versions_of(s3, versioned)) == 3


@pytest.mark.parametrize("text,code", [
    ("", "InvalidArgument"), ("x", "InvalidArgument"), ("0" * 16, "InvalidArgument"),
    ("f" * 16, "InvalidArgument"), ("0" * 17, "InvalidArgument"), ("%00", "InvalidURI"),
    ("NULL", "InvalidArgument"), ("0" * 15 + "7", "NoSuchVersion"), ("null", "NoSuchVersion")])
def test_bad_versions(shared_node, s3, versioned, text, code):
    put(s3, versioned, "k", b"x")
    answer = signed(shared_node, "GET", f"/{versioned}/k?versionId={text}")
    assert answer.code == code
    assert len(versions_of(s3, versioned)) == 1


def test_delete_of_what_is_not_there(s3, versioned):
    version = put(s3, versioned, "k", b"x")
    s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
    answer = s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert versions_of(s3, versioned) == []


def test_delete_many(s3, versioned):
    ids = [put(s3, versioned, "k", b"x") for _ in range(3)]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [
        {"Key": "k", "VersionId": ids[0]}, {"Key": "k"}, {"Key": "never"},
        {"Key": "k", "VersionId": "rubbish"}]})
    first, marked, never = answer["Deleted"]
    assert (first["Key"], first["VersionId"]) == ("k", ids[0]) and "DeleteMarker" not in first
    assert marked["DeleteMarker"] is True and "VersionId" not in marked
    assert never["DeleteMarker"] is True
    assert answer["Errors"][0]["Code"] == "InvalidArgument"
    assert answer["Errors"][0]["VersionId"] == "rubbish"
    marker = marked["DeleteMarkerVersionId"]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [
        {"Key": "k", "VersionId": marker}]})["Deleted"][0]
    assert (answer["DeleteMarker"], answer["VersionId"], answer["DeleteMarkerVersionId"]) == (
        True, marker, marker)
    assert [row[1] for row in versions_of(s3, versioned, Prefix="k")] == [ids[2], ids[1]]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Quiet": True, "Objects": [
        {"Key": key, "VersionId": version} for key, version, *_ in versions_of(s3, versioned)]})
    assert "Deleted" not in answer and "Errors" not in answer
    s3.delete_bucket(Bucket=versioned)


def test_list_pages(shared_node, s3, versioned):
    """Pages of every size end anywhere and lose nothing."""
    expected = []
    for key in "a", "b/1", "b/2", "c", "d d/\u00fc":
        ids = [put(s3, versioned, key, b"x") for _ in range(3)]
        if key == "c":
            ids.append(s3.delete_object(Bucket=versioned, Key=key)["VersionId"])
        expected += [(key, version) for version in reversed(ids)]
    for size in range(1, 18):
        found, query = [], ""
        for _ in range(40):
            answer = signed(shared_node, "GET",
                            f"/{versioned}?versions&max-keys={size}&encoding-type=url{query}")
            root = xml.etree.ElementTree.fromstring(answer.body)
            rows = [row for row in root
                    if row.tag in (f"{NS}Version", f"{NS}DeleteMarker")]
            assert len(rows) <= size
            found += [(urllib.parse.unquote(row.findtext(f"{NS}Key")),
                       row.findtext(f"{NS}VersionId")) for row in rows]
            if root.findtext(f"{NS}IsTruncated") == "false":
                break
            query = (f"&key-marker={root.findtext(f'{NS}NextKeyMarker')}"
                     f"&version-id-marker={root.findtext(f'{NS}NextVersionIdMarker')}")
        assert found == expected, size


def test_list_parameters(shared_node, s3, versioned):
    ids = {key: put(s3, versioned, key, b"x") for key in ("a", "b/1", "b/2", "c/1")}
    answer = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [row["Key"] for row in answer["Versions"]] == ["a"]
    assert [row["Prefix"] for row in answer["CommonPrefixes"]] == ["b/", "c/"]
    assert answer["Delimiter"] == "/" and answer["Name"] == versioned
    answer = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=2)
    assert answer["IsTruncated"] and answer["NextKeyMarker"] == "b/"
    answer = s3.list_object_versions(Bucket=versioned, Delimiter="/",
                                     KeyMarker=answer["NextKeyMarker"])
    assert [row["Prefix"] for row in answer["CommonPrefixes"]] == ["c/"]
    answer = s3.list_object_versions(Bucket=versioned, Prefix="b/", KeyMarker="b/1")
    assert [row["VersionId"] for row in answer["Versions"]] == [ids["b/2"]]
    row = answer["Versions"][0]
    assert (row["Size"], row["StorageClass"]) == (1, "STANDARD")
    assert row["ETag"] and row["LastModified"] and row["Owner"]["ID"]
    answer = s3.list_object_versions(Bucket=versioned, MaxKeys=0)
    assert "Versions" not in answer and not answer["IsTruncated"]
    for query in ("max-keys=x", "max-keys=-1", "encoding-type=xml", "version-id-marker=null",
                  "key-marker=a&version-id-marker=rubbish"):
        answer = signed(shared_node, "GET", f"/{versioned}?versions&{query}")
        assert (answer.status, answer.code) == (400, "InvalidArgument"), query
    assert signed(shared_node, "GET", "/no-such-bucket-1?versions").code == "NoSuchBucket"
    assert signed(shared_node, "GET", f"/{versioned}?versions&list-type=2").code == \
        "NotImplemented"


def test_many_writers(shared_node, versioned):
    """Everything that was acknowledged is a version, exactly once."""
    def write(number):
        client = make_client(shared_node)
        return [put(client, versioned, f"k{i % 2}", b"%d" % (10 * number + i)) for i in range(10)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = sum(pool.map(write, range(8)), [])
    found = versions_of(make_client(shared_node), versioned)
    assert sorted(row[1] for row in found) == sorted(ids) and len(set(ids)) == 80
    assert sum(row[2] for row in found) == 2


def test_multipart_version(s3, versioned):
    put(s3, versioned, "k", b"one")
    upload = s3.create_multipart_upload(Bucket=versioned, Key="k")["UploadId"]
    etag = s3.upload_part(Bucket=versioned, Key="k", UploadId=upload, PartNumber=1,
                          Body=b"two")["ETag"]
    answer = s3.complete_multipart_upload(
        Bucket=versioned, Key="k", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert answer["VersionId"] == versions_of(s3, versioned)[0][1]
    assert read(s3, versioned, "k") == b"two"
