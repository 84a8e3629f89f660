"""S3 as real clients speak it: boto3 and the aws command."""
import concurrent.futures
import datetime
import hashlib
import os
import subprocess
import urllib.parse
import uuid

import pytest
from s3_clients import MIB, REGION, all_keys, bucket, code_of, make_client, s3, signed  # noqa: F401

AWS = "/usr/bin/aws"


# Buckets


def test_buckets(s3, bucket):
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert not any(entry["Name"].startswith(".") for entry in s3.list_buckets()["Buckets"])
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert code_of(s3.create_bucket, Bucket=bucket) == "BucketAlreadyOwnedByYou"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    assert code_of(s3.delete_bucket, Bucket=bucket) == "NoSuchBucket"
    assert code_of(s3.head_bucket, Bucket=bucket) == "404"
    assert code_of(s3.list_objects_v2, Bucket=bucket) == "NoSuchBucket"
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x") == "NoSuchBucket"
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "NoSuchBucket"
    assert code_of(s3.delete_object, Bucket=bucket, Key="k") == "NoSuchBucket"


def test_location_constraint(s3):
    name = f"t-{uuid.uuid4().hex[:12]}"
    where = {"LocationConstraint": "eu-west-1"}
    assert code_of(s3.create_bucket, Bucket=name, CreateBucketConfiguration=where) == \
        "IllegalLocationConstraintException"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


@pytest.mark.parametrize("name", ["ab", "Abc", ".multipart", "a_b", "-abc", "1.2.3.4", "a%00b",
                                  "a" * 64])
def test_bucket_names(shared_node, name):
    answer = signed(shared_node, "PUT", f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName")


def test_own_buckets_are_unreachable(shared_node):
    assert signed(shared_node, "GET", "/.multipart?list-type=2").code == "InvalidBucketName"
    assert signed(shared_node, "GET", "/.multipart/x").code == "InvalidBucketName"


def test_virtual_host(shared_node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"hello")
    port = urllib.parse.urlsplit(shared_node.s3_url).port
    answer = signed(shared_node, "GET", "/a/b", host=f"{bucket}.localhost:{port}")
    assert (answer.status, answer.body) == (200, b"hello")
    answer = signed(shared_node, "GET", "/?list-type=2", host=f"{bucket}.LOCALHOST")
    assert b"<Key>a/b</Key>" in answer.body


# Objects


def test_object(s3, bucket):
    put = s3.put_object(
        Bucket=bucket, Key="k", Body=b"hello", ContentType="text/csv", CacheControl="no-cache",
        ContentEncoding="gzip", ContentDisposition="inline", ContentLanguage="de",
        Expires=datetime.datetime(2030, 1, 1), Metadata={"One": "1", "two": "zwei"})
    etag = f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert put["ETag"] == etag
    got = s3.get_object(Bucket=bucket, Key="k")
    head = s3.head_object(Bucket=bucket, Key="k")
    for answer in got, head:
        assert answer["ContentLength"] == 5
        assert answer["ETag"] == etag
        assert answer["ContentType"] == "text/csv"
        assert answer["CacheControl"] == "no-cache"
        assert answer["ContentEncoding"] == "gzip"
        assert answer["ContentDisposition"] == "inline"
        assert answer["ContentLanguage"] == "de"
        assert answer["Metadata"] == {"one": "1", "two": "zwei"}
        assert answer["ResponseMetadata"]["RequestId"]
    assert got["Body"].read() == b"hello"
    assert s3.get_object(Bucket=bucket, Key="k", ResponseContentType="a/b")["ContentType"] == "a/b"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "NoSuchKey"
    assert code_of(s3.head_object, Bucket=bucket, Key="k") == "404"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 5 * MIB + 3])
def test_sizes(s3, bucket, size):
    data = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


ODD_KEYS = [
    "a b", "a+b", "a%b", "a%2Fb", "..", "../../etc/passwd", "a/../b", "./x", "/", "//", "/x",
    "x/", "a//b", "ü/日本語/🙂", "'\"<>&", "a?b=c", "a#b", "a;b,c=d", "\\", "~", "*", "x" * 1024,
    "é" * 512, "tab\there", "new\nline", "\u00a0", "%00", "{}", "a:b@c",
]


def test_odd_keys(s3, bucket):
    for key in ODD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ODD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert all_keys(s3, bucket) == sorted(ODD_KEYS, key=str.encode)
    answer = s3.delete_objects(Bucket=bucket, Delete={
        "Objects": [{"Key": key} for key in ODD_KEYS if key.isprintable()]})
    assert "Errors" not in answer
    assert all_keys(s3, bucket) == [key for key in sorted(ODD_KEYS) if not key.isprintable()]


def test_bad_keys(shared_node, bucket):
    answer = signed(shared_node, "PUT", f"/{bucket}/" + "x" * 1025)
    assert (answer.status, answer.code) == (400, "KeyTooLongError")
    answer = signed(shared_node, "PUT", f"/{bucket}/a%00b")
    assert (answer.status, answer.code) == (400, "InvalidArgument") and b"NUL" in answer.body
    answer = signed(shared_node, "PUT", f"/{bucket}/a%FFb")
    assert (answer.status, answer.code) == (400, "InvalidArgument") and b"UTF-8" in answer.body
    answer = signed(shared_node, "GET", f"/{bucket}/a%G0b")
    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_target_is_signed_by_meaning(shared_node, s3, bucket):
    """Clients encode differently on the wire; the signature is over the one canonical form."""
    s3.put_object(Bucket=bucket, Key="a+b!~c", Body=b"x")
    for wire in "a+b!~c", "a%2Bb%21%7Ec", "a%2bb!~c":
        answer = signed(shared_node, "GET", f"/{bucket}/{wire}",
                        path_signed=f"/{bucket}/a%2Bb%21~c")
        assert answer.status == 200


def test_ranges(s3, bucket):
    data = os.urandom(200000)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    for text, expected in [("0-9", data[:10]), ("100-", data[100:]), ("-7", data[-7:]),
                           ("150000-999999", data[150000:]), ("65530-65545", data[65530:65546]),
                           ("1000-180000", data[1000:180001])]:
        answer = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={text}")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["Body"].read() == expected
    assert answer["ContentRange"] == "bytes 1000-180000/200000"
    assert code_of(s3.get_object, Bucket=bucket, Key="k", Range="bytes=200000-") == "InvalidRange"
    whole = s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-1,5-6")
    assert whole["ResponseMetadata"]["HTTPStatusCode"] == 200
    head = s3.head_object(Bucket=bucket, Key="k", Range="bytes=0-9")
    assert head["ContentLength"] == 10


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    now = datetime.datetime.utcnow()
    past, future = now - datetime.timedelta(days=1), now + datetime.timedelta(days=1)
    get = lambda **arguments: s3.get_object(Bucket=bucket, Key="k", **arguments)  # noqa: E731
    assert get(IfMatch=etag)["Body"].read() == b"x"
    assert code_of(get, IfMatch='"other"') == "PreconditionFailed"
    assert code_of(get, IfNoneMatch=etag) == "304"
    get(IfNoneMatch='"other"')
    assert code_of(get, IfModifiedSince=future) == "304"
    get(IfModifiedSince=past)
    get(IfUnmodifiedSince=future)
    assert code_of(get, IfUnmodifiedSince=past) == "PreconditionFailed"


def test_put_if_absent(shared_node, s3, bucket):
    put = lambda body: signed(  # noqa: E731
        shared_node, "PUT", f"/{bucket}/k", body, {"If-None-Match": "*"})
    assert put(b"first").status == 200
    answer = put(b"second")
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"


def test_delete_many(s3, bucket):
    for i in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{i}", Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={
        "Objects": [{"Key": "k0"}, {"Key": "absent"}, {"Key": "k1"}]})
    assert [entry["Key"] for entry in answer["Deleted"]] == ["k0", "absent", "k1"]
    answer = s3.delete_objects(Bucket=bucket, Delete={
        "Quiet": True, "Objects": [{"Key": "k2"}, {"Key": "x" * 1025}]})
    assert "Deleted" not in answer
    assert answer["Errors"][0]["Code"] == "KeyTooLongError"
    assert all_keys(s3, bucket) == ["k3", "k4"]


def test_copy(s3, bucket):
    data = os.urandom(300000)
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=data, ContentType="text/csv",
                  Metadata={"m": "1"})
    source = {"Bucket": bucket, "Key": "a b/ü"}
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (
        data, "text/csv", {"m": "1"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE",
                   ContentType="a/b", Metadata={"n": "2"})
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["ContentType"], head["Metadata"]) == ("a/b", {"n": "2"})
    assert code_of(s3.copy_object, Bucket=bucket, Key="a b/ü", CopySource=source) == \
        "InvalidRequest"
    assert code_of(s3.copy_object, Bucket=bucket, Key="x", CopySource={
        "Bucket": bucket, "Key": "absent"}) == "NoSuchKey"
    assert code_of(s3.copy_object, Bucket=bucket, Key="x", CopySource=source,
                   CopySourceIfMatch='"other"') == "PreconditionFailed"


# Listings


@pytest.fixture(scope="module")
def many(shared_node):
    """A bucket of 1,250 keys below 5 prefixes: more than one page."""
    s3 = make_client(shared_node)
    s3.create_bucket(Bucket="many-keys")
    keys = [f"p{i % 5}/key{i:05}" for i in range(1250)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="many-keys", Key=key, Body=b""), keys))
    return sorted(keys)


def test_list_pages(s3, many):
    assert all_keys(s3, "many-keys") == many
    assert all_keys(s3, "many-keys", PaginationConfig={"PageSize": 7}, Prefix="p3/") == \
        [key for key in many if key.startswith("p3/")]
    first = s3.list_objects_v2(Bucket="many-keys")
    assert first["IsTruncated"] and first["KeyCount"] == 1000
    pages = s3.get_paginator("list_objects").paginate(Bucket="many-keys")
    assert [item["Key"] for page in pages for item in page["Contents"]] == many


def test_list_delimiter(s3, many):
    answer = s3.list_objects_v2(Bucket="many-keys", Delimiter="/")
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == \
        [f"p{i}/" for i in range(5)]
    assert "Contents" not in answer and not answer["IsTruncated"] and answer["KeyCount"] == 5
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="many-keys", Delimiter="/", PaginationConfig={"PageSize": 2})
    found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    assert found == [f"p{i}/" for i in range(5)]
    pages = s3.get_paginator("list_objects").paginate(
        Bucket="many-keys", Delimiter="/", PaginationConfig={"PageSize": 2})
    found = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    assert found == [f"p{i}/" for i in range(5)]
    answer = s3.list_objects_v2(Bucket="many-keys", Delimiter="0", Prefix="p1/")
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == ["p1/key0"]


def test_list_parameters(shared_node, s3, many):
    answer = s3.list_objects_v2(Bucket="many-keys", StartAfter="p4/key01200", FetchOwner=True)
    assert [item["Key"] for item in answer["Contents"]] == \
        [key for key in many if key > "p4/key01200"]
    assert "Owner" in answer["Contents"][0]
    answer = s3.list_objects_v2(Bucket="many-keys", MaxKeys=0)
    assert answer["KeyCount"] == 0 and not answer["IsTruncated"]
    assert s3.list_objects_v2(Bucket="many-keys", MaxKeys=5000)["KeyCount"] == 1000
    assert code_of(s3.list_objects_v2, Bucket="many-keys", ContinuationToken="rubbish") == \
        "InvalidArgument"
    answer = s3.list_objects_v2(Bucket="many-keys", ContinuationToken="", MaxKeys=2)
    assert answer["ContinuationToken"] == "" and answer["KeyCount"] == 2
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions,
                 s3.list_multipart_uploads):
        assert "Delimiter" not in call(Bucket="many-keys", Delimiter="")
    assert s3.list_objects_v2(Bucket="many-keys", Prefix="x" * 2000)["KeyCount"] == 0
    for query in "max-keys=x", "max-keys=-1", "encoding-type=xml", "list-type=3":
        answer = signed(shared_node, "GET", f"/many-keys?list-type=2&{query}".replace(
            "list-type=2&list-type", "list-type"))
        assert answer.code == "InvalidArgument"


# Multipart uploads


def start_multipart(s3, bucket, parts, **arguments):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", **arguments)["UploadId"]
    done = [{"PartNumber": number, "ETag": s3.upload_part(
        Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, Body=data)["ETag"]}
        for number, data in parts]
    return upload, done


def test_multipart(s3, bucket):
    parts = [(1, os.urandom(5 * MIB)), (3, os.urandom(5 * MIB + 1)), (7, b"end")]
    upload, done = start_multipart(s3, bucket, parts, ContentType="a/b", Metadata={"m": "1"})
    assert all_keys(s3, bucket) == []
    listed = s3.list_parts(Bucket=bucket, Key="big", UploadId=upload)["Parts"]
    assert [(part["PartNumber"], part["ETag"], part["Size"]) for part in listed] == \
        [(n, d["ETag"], len(data)) for (n, data), d in zip(parts, done)]
    page = s3.list_parts(Bucket=bucket, Key="big", UploadId=upload, MaxParts=1, PartNumberMarker=1)
    assert [part["PartNumber"] for part in page["Parts"]] == [3] and page["IsTruncated"]
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["UploadId"] == upload
    answer = s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload,
                                          MultipartUpload={"Parts": done})
    digest = hashlib.md5(b"".join(hashlib.md5(data).digest() for _, data in parts)).hexdigest()
    assert answer["ETag"] == f'"{digest}-3"'
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == b"".join(data for _, data in parts)
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("a/b", {"m": "1"}, answer["ETag"])
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"] == answer["ETag"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    # The same bytes: a new ETag would have to be computed of all of them.
    assert s3.head_object(Bucket=bucket, Key="copy")["ETag"] == answer["ETag"]


def test_multipart_errors(s3, bucket):
    upload, done = start_multipart(s3, bucket, [(1, b"small"), (2, b"end")])
    finish = lambda parts, upload=upload: code_of(  # noqa: E731
        s3.complete_multipart_upload, Bucket=bucket, Key="big", UploadId=upload,
        MultipartUpload={"Parts": parts})
    assert finish(done) == "EntityTooSmall"
    assert finish([done[1], done[0]]) == "InvalidPartOrder"
    assert finish([{"PartNumber": 5, "ETag": "x"}]) == "InvalidPart"
    assert finish([{"PartNumber": 1, "ETag": done[1]["ETag"]}]) == "InvalidPart"
    assert finish(done, "0" * 32) == "NoSuchUpload"
    assert finish(done, "../../x") == "NoSuchUpload"
    assert code_of(s3.upload_part, Bucket=bucket, Key="other", UploadId=upload, PartNumber=1,
                   Body=b"x") == "NoSuchUpload"
    assert code_of(s3.upload_part, Bucket=bucket, Key="big", UploadId=upload, PartNumber=10001,
                   Body=b"x") == "InvalidArgument"
    s3.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload)
    assert finish(done) == "NoSuchUpload"
    assert code_of(s3.abort_multipart_upload, Bucket=bucket, Key="big", UploadId=upload) == \
        "NoSuchUpload"
    assert all_keys(s3, bucket) == []


def test_multipart_copy(s3, bucket):
    data = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="source", Body=data)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    done = []
    for number, text in enumerate([f"bytes=0-{5 * MIB - 1}", f"bytes={5 * MIB}-{6 * MIB - 1}"], 1):
        answer = s3.upload_part_copy(
            Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, CopySourceRange=text,
            CopySource={"Bucket": bucket, "Key": "source"})
        done.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload,
                                 MultipartUpload={"Parts": done})
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == data


def test_restart(node):
    """Objects and uploads under way survive a restart."""
    s3 = make_client(node)
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"hello")
    upload, done = start_multipart(s3, "kept", [(1, b"part")])
    node.stop()
    node.start()
    s3 = make_client(node)
    assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == b"hello"
    s3.complete_multipart_upload(Bucket="kept", Key="big", UploadId=upload,
                                 MultipartUpload={"Parts": done})
    assert s3.get_object(Bucket="kept", Key="big")["Body"].read() == b"part"


# The aws command


@pytest.fixture
def aws(shared_node, tmp_path):
    def run(*arguments):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": shared_node.access_key,
               "AWS_SECRET_ACCESS_KEY": shared_node.secret_key, "AWS_DEFAULT_REGION": REGION,
               "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
        result = subprocess.run([AWS, "--endpoint-url", shared_node.s3_url, *map(str, arguments)],
                                env=env, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr
        return result.stdout
    return run


def test_aws_command(aws, tmp_path):
    bucket = f"s3://aws-{uuid.uuid4().hex[:8]}"
    aws("s3", "mb", bucket)
    assert bucket[5:] in aws("s3", "ls")
    folder = tmp_path / "tree"
    (folder / "sub dir").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "sub dir" / "b+c.txt").write_text("beta")
    aws("s3", "sync", folder, f"{bucket}/tree")
    assert aws("s3", "sync", folder, f"{bucket}/tree") == ""
    listing = aws("s3", "ls", "--recursive", bucket)
    assert "tree/a.txt" in listing and "tree/sub dir/b+c.txt" in listing
    assert "PRE tree/" in aws("s3", "ls", bucket)
    assert aws("s3", "cp", f"{bucket}/tree/a.txt", "-") == "alpha"
    url = aws("s3", "presign", f"{bucket}/tree/sub dir/b+c.txt").strip()
    curl = subprocess.run(["curl", "-sf", url], capture_output=True, text=True, check=True)
    assert curl.stdout == "beta"
    aws("s3", "cp", f"{bucket}/tree/a.txt", f"{bucket}/copy.txt")
    aws("s3", "rm", f"{bucket}/copy.txt")
    aws("s3", "rb", "--force", bucket)


def test_aws_multipart(aws, s3, bucket, tmp_path):
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20 * MIB))
    aws("s3", "cp", big, f"s3://{bucket}/big")
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-3"')
    aws("s3", "cp", f"s3://{bucket}/big", f"s3://{bucket}/copy")
    aws("s3", "cp", f"s3://{bucket}/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
