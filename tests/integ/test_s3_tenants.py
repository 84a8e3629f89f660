"""Tenants: their keys, their own buckets, what of others they cannot reach, quotas."""
import http.client
import time
import urllib.parse
import uuid
import xml.etree.ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from s3_clients import (  # noqa: F401
    NS, REGION, all_keys, bucket, code_of, make_client, s3, signed)


def make_tenant(node, *options):
    """A tenant's name and a client with its first key."""
    name = f"t{uuid.uuid4().hex[:8]}"
    key = node.cli_json("tenant", "create", name, *options)
    assert key["tenant"] == name
    return name, make_client(node, key["access_key"], key["secret_key"])


def new_name():
    return f"b-{uuid.uuid4().hex[:12]}"


def test_own_buckets(shared_node, s3, bucket):
    one, one_s3 = make_tenant(shared_node)
    two, two_s3 = make_tenant(shared_node)
    name = new_name()
    one_s3.create_bucket(Bucket=name)
    assert [b["Name"] for b in one_s3.list_buckets()["Buckets"]] == [name]
    assert one_s3.list_buckets()["Owner"]["ID"] == one
    assert two_s3.list_buckets()["Buckets"] == []
    assert name not in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert code_of(one_s3.create_bucket, Bucket=name) == "BucketAlreadyOwnedByYou"
    assert code_of(two_s3.create_bucket, Bucket=name) == "BucketAlreadyExists"
    assert code_of(s3.create_bucket, Bucket=name) == "BucketAlreadyExists"
    one_s3.put_object(Bucket=name, Key="k", Body=b"mine")
    for stranger in two_s3, s3:
        assert code_of(stranger.get_object, Bucket=name, Key="k") == "AccessDenied"
        assert code_of(stranger.get_object, Bucket=name, Key="no such") == "AccessDenied"
        assert code_of(stranger.put_object, Bucket=name, Key="k", Body=b"x") == "AccessDenied"
        assert code_of(stranger.delete_object, Bucket=name, Key="k") == "AccessDenied"
        assert code_of(stranger.list_objects_v2, Bucket=name) == "AccessDenied"
        assert code_of(stranger.delete_bucket, Bucket=name) == "AccessDenied"
        assert code_of(stranger.head_bucket, Bucket=name) == "403"
        assert code_of(stranger.get_bucket_acl, Bucket=name) == "AccessDenied"
        assert code_of(stranger.get_bucket_policy, Bucket=name) == "AccessDenied"
        assert code_of(stranger.create_multipart_upload, Bucket=name, Key="k") == "AccessDenied"
        answer = stranger.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "k"}]})
        assert "Deleted" not in answer and answer["Errors"][0]["Code"] == "AccessDenied"
    assert one_s3.get_object(Bucket=name, Key="k")["Body"].read() == b"mine"
    assert one_s3.get_bucket_acl(Bucket=name)["Owner"]["ID"] == one


def test_copies_do_not_leak(shared_node, s3, bucket):
    """Reading through a copy is reading."""
    _, other = make_tenant(shared_node)
    name = new_name()
    other.create_bucket(Bucket=name)
    s3.put_object(Bucket=bucket, Key="secret", Body=b"x")
    source = {"Bucket": bucket, "Key": "secret"}
    assert code_of(other.copy_object, Bucket=name, Key="k", CopySource=source) == "AccessDenied"
    # So is reading the tags that come with a copy.
    s3.put_object(Bucket=bucket, Key="shown", Body=b"x", ACL="public-read", Tagging="a=secret")
    shown = {"Bucket": bucket, "Key": "shown"}
    assert code_of(other.copy_object, Bucket=name, Key="k", CopySource=shown) == "AccessDenied"
    other.copy_object(Bucket=name, Key="k", CopySource=shown, TaggingDirective="REPLACE")
    assert other.get_object_tagging(Bucket=name, Key="k")["TagSet"] == []
    other.delete_object(Bucket=name, Key="k")
    upload = other.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
    assert code_of(other.upload_part_copy, Bucket=name, Key="k", UploadId=upload, PartNumber=1,
                   CopySource=source) == "AccessDenied"
    assert all_keys(other, name) == []


def test_uploads_of_others(shared_node, s3, bucket):
    _, other = make_tenant(shared_node)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for call, extra in ((other.list_parts, {}), (other.abort_multipart_upload, {}),
                        (other.upload_part, {"PartNumber": 1, "Body": b"x"})):
        assert code_of(call, Bucket=bucket, Key="k", UploadId=upload, **extra) == "AccessDenied"
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_keys(node):
    first = node.cli_json("tenant", "create", "acme")
    second = node.cli_json("tenant", "key", "acme")
    name = new_name()
    make_client(node, first["access_key"], first["secret_key"]).create_bucket(Bucket=name)
    client = make_client(node, second["access_key"], second["secret_key"])
    assert [b["Name"] for b in client.list_buckets()["Buckets"]] == [name]
    mixed = make_client(node, first["access_key"], second["secret_key"])
    assert code_of(mixed.list_buckets) == "SignatureDoesNotMatch"
    node.cli("tenant", "key", "acme", "--rm", first["access_key"])
    gone = make_client(node, first["access_key"], first["secret_key"])
    assert code_of(gone.list_buckets) == "InvalidAccessKeyId"
    node.restart()
    assert [b["Name"] for b in client.list_buckets()["Buckets"]] == [name]
    assert code_of(gone.list_buckets) == "InvalidAccessKeyId"
    shown = node.cli_json("tenant", "show", "acme")
    assert shown["access_keys"] == [second["access_key"]]
    assert second["secret_key"] not in node.cli("tenant", "show", "acme", "--json").stdout
    assert "owns buckets" in node.cli("tenant", "rm", "acme", check=False).stderr
    client.delete_bucket(Bucket=name)
    node.cli("tenant", "rm", "acme")
    assert code_of(client.list_buckets) == "InvalidAccessKeyId"
    assert node.cli_json("tenant", "list")["tenants"] == []


@pytest.mark.parametrize("name", ["Acme", "edgeos", "default", "a.b", "1a", "-a", "x" * 64])
def test_bad_names(shared_node, name):
    result = shared_node.cli("tenant", "create", "--", name, check=False)
    assert result.returncode == 1 and "not a tenant's name" in result.stderr
    assert shared_node.cli("tenant", "show", "nobody", check=False).returncode == 1


def test_quota_of_a_tenant(shared_node):
    name, client = make_tenant(shared_node, "--quota-bytes", "100KiB", "--quota-objects", "3")
    one, two = new_name(), new_name()
    client.create_bucket(Bucket=one)
    client.create_bucket(Bucket=two)
    client.put_object(Bucket=one, Key="a", Body=b"x" * 60000)
    assert code_of(client.put_object, Bucket=two, Key="b", Body=b"x" * 60000) == "QuotaExceeded"
    assert all_keys(client, two) == []
    client.put_object(Bucket=two, Key="b", Body=b"x")
    client.put_object(Bucket=two, Key="c", Body=b"x")
    assert code_of(client.put_object, Bucket=two, Key="d", Body=b"x") == "QuotaExceeded"
    shown = shared_node.cli_json("tenant", "show", name)
    assert (shown["objects"], shown["bytes"], shown["quota_objects"]) == (3, 60002, 3)
    shared_node.cli("tenant", "quota", name, "--quota-objects", "4")
    client.put_object(Bucket=two, Key="d", Body=b"x")
    assert code_of(client.put_object, Bucket=two, Key="b", Body=b"x" * 60000) == "QuotaExceeded"
    client.delete_object(Bucket=one, Key="a")
    client.put_object(Bucket=two, Key="b", Body=b"x" * 60000)


def test_quota_is_told_before_the_body(shared_node, s3, bucket):
    shared_node.cli("bucket", "set", bucket, "--quota-bytes", "100KiB")

    def announce(on_the_wire, headers, payload):
        # No body follows: without an answer now there would be none.
        return signed(shared_node, "PUT", f"/{bucket}/k", payload=payload, headers={
            "Content-Length": str(on_the_wire), "Expect": "100-continue", **headers}).code

    assert announce(102401, {}, "UNSIGNED-PAYLOAD") == "QuotaExceeded"
    # Of what comes in pieces those count, and not the signs between them.
    assert announce(102700, {"x-amz-decoded-content-length": "102401"},
                    "STREAMING-UNSIGNED-PAYLOAD-TRAILER") == "QuotaExceeded"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 102400)
    # A condition that does not hold comes first, as it does where there is no quota.
    assert signed(shared_node, "PUT", f"/{bucket}/k", b"x" * 200000,
                  headers={"If-None-Match": "*"}).code == "PreconditionFailed"


def test_quota_of_a_bucket(shared_node, s3, bucket):
    shared_node.cli("bucket", "set", bucket, "--quota-objects", "1")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert code_of(s3.put_object, Bucket=bucket, Key="b", Body=b"x") == "QuotaExceeded"
    s3.put_object(Bucket=bucket, Key="a", Body=b"y")
    shown = shared_node.cli_json("bucket", "show", bucket)
    assert (shown["objects"], shown["quota_objects"], shown["tenant"]) == (1, 1, "")
    shared_node.cli("bucket", "set", bucket, "--quota-objects", "none")
    s3.put_object(Bucket=bucket, Key="b", Body=b"x")


def test_expected_owner(shared_node, s3, bucket):
    name, client = make_tenant(shared_node)
    own = new_name()
    client.create_bucket(Bucket=own)
    client.head_bucket(Bucket=own, ExpectedBucketOwner=name)
    assert code_of(client.head_bucket, Bucket=own, ExpectedBucketOwner="edgeos") == "403"
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="edgeos")
    assert code_of(client.delete_objects, Bucket=own, ExpectedBucketOwner="edgeos",
                   Delete={"Objects": [{"Key": "k"}]}) == "AccessDenied"


def test_pages_of_buckets(shared_node):
    """By raw requests: Debian's boto3 knows no pages of them yet."""
    key = shared_node.cli_json("tenant", "create", f"t{uuid.uuid4().hex[:8]}")
    client = make_client(shared_node, key["access_key"], key["secret_key"])
    prefix = f"p-{uuid.uuid4().hex[:8]}"
    names = [f"{prefix}-{end}" for end in ("a", "b", "b1", "c")]
    for name in names:
        client.create_bucket(Bucket=name)

    def get(query):
        answer = signed(shared_node, "GET", f"/?{query}", access_key=key["access_key"],
                        secret=key["secret_key"])
        root = xml.etree.ElementTree.fromstring(answer.body)
        if answer.status != 200:
            return answer.code
        return [e.text for e in root.iter(f"{NS}Name")], root.findtext(f"{NS}ContinuationToken")

    page, token = get("max-buckets=3")
    assert page == names[:3]
    assert get(f"max-buckets=3&continuation-token={token}") == (names[3:], None)
    assert get("max-buckets=4") == (names, None)
    page, token = get(f"max-buckets=1&prefix={prefix}-b")
    assert page == names[1:2]
    assert get(f"prefix={prefix}-b&continuation-token={token}") == (names[2:3], None)
    assert get("bucket-region=us-east-1") == (names, None)
    assert get("bucket-region=mars-1") == ([], None)
    for count in "0", "10001", "-1", "x":
        assert get(f"max-buckets={count}") == "InvalidArgument"


def test_slow_documents(shared_node):
    """Who begins a request as a bucket's owner and ends it as somebody else gets nothing."""
    key = shared_node.cli_json("tenant", "create", f"t{uuid.uuid4().hex[:8]}")
    keys = botocore.credentials.Credentials(key["access_key"], key["secret_key"])
    first = make_client(shared_node, keys.access_key, keys.secret_key)
    _, second = make_tenant(shared_node)
    name = new_name()
    first.create_bucket(Bucket=name)
    documents = {
        "versioning": b"<VersioningConfiguration><Status>Enabled</Status>"
                      b"</VersioningConfiguration>",
        "policy": b'{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:*",'
                  b'"Resource": "*"}}',
    }
    connections = {}
    for kind, body in documents.items():
        request = botocore.awsrequest.AWSRequest("PUT", f"{shared_node.s3_url}/{name}?{kind}")
        botocore.auth.S3SigV4QueryAuth(keys, "s3", REGION).add_auth(request)
        url = urllib.parse.urlsplit(request.url)
        connection = http.client.HTTPConnection(url.netloc, timeout=30)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:5])
        connections[kind] = connection
    time.sleep(0.3)
    first.delete_bucket(Bucket=name)
    second.create_bucket(Bucket=name)
    second.put_object(Bucket=name, Key="k", Body=b"secret")
    for kind, connection in connections.items():
        connection.send(documents[kind][5:])
        assert connection.getresponse().status == 403
        connection.close()
    assert code_of(first.get_object, Bucket=name, Key="k") == "AccessDenied"
    assert second.get_object(Bucket=name, Key="k")["Body"].read() == b"secret"
    assert "Status" not in second.get_bucket_versioning(Bucket=name)


def test_uploads_of_a_bucket_before(shared_node):
    """A bucket's name goes to another tenant; what was uploaded to the first one does not."""
    _, first = make_tenant(shared_node)
    _, second = make_tenant(shared_node)
    name = new_name()
    first.create_bucket(Bucket=name)
    upload = {"Bucket": name, "Key": "k",
              "UploadId": first.create_multipart_upload(Bucket=name, Key="k")["UploadId"]}
    part = first.upload_part(**upload, PartNumber=1, Body=b"secret")
    first.delete_bucket(Bucket=name)
    second.create_bucket(Bucket=name)
    assert "Uploads" not in second.list_multipart_uploads(Bucket=name)
    assert code_of(second.list_parts, **upload) == "NoSuchUpload"
    assert code_of(second.complete_multipart_upload, **upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}) == "NoSuchUpload"
