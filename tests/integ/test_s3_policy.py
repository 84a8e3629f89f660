"""Who may do what: bucket policies, access control lists, the public access block, strangers."""
import json
import uuid

import botocore
import pytest
from s3_clients import code_of, make_client, plain, s3, bucket, signed  # noqa: F401

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture(scope="module")
def other(shared_node):
    """Another tenant: its name and its client."""
    name = f"t{uuid.uuid4().hex[:8]}"
    key = shared_node.cli_json("tenant", "create", name)
    return name, make_client(shared_node, key["access_key"], key["secret_key"])


def put_policy(client, bucket, *statements):
    """Statements of (effect, principal, actions, resources[, conditions])."""
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Principal": principal, "Action": action,
         "Resource": [f"arn:aws:s3:::{bucket}{suffix}" for suffix in resources],
         **({"Condition": condition[0]} if condition else {})}
        for effect, principal, action, resources, *condition in statements]}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    return document


def test_policy_document(s3, bucket):
    assert code_of(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    document = put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/*"]))
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == document
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    s3.delete_bucket_policy(Bucket=bucket)
    assert code_of(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    s3.delete_bucket_policy(Bucket=bucket)


def test_anonymous_reads(shared_node, s3, bucket):
    s3.put_object(Bucket=bucket, Key="public/a b", Body=b"hello")
    s3.put_object(Bucket=bucket, Key="private", Body=b"secret")
    assert plain(shared_node, "GET", f"/{bucket}/public/a%20b").code == "AccessDenied"
    put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/public/*"]))
    assert plain(shared_node, "GET", f"/{bucket}/public/a%20b").body == b"hello"
    assert plain(shared_node, "GET", f"/{bucket}/private").code == "AccessDenied"
    assert plain(shared_node, "GET", f"/{bucket}/public/../private").code == "NoSuchKey"
    assert plain(shared_node, "GET", f"/{bucket}").code == "AccessDenied"
    assert plain(shared_node, "PUT", f"/{bucket}/public/x", b"data").code == "AccessDenied"
    assert plain(shared_node, "DELETE", f"/{bucket}/public/a%20b").code == "AccessDenied"
    assert plain(shared_node, "GET", "/").code == "AccessDenied"
    assert plain(shared_node, "PUT", "/new-bucket").code == "AccessDenied"


def test_anonymous_overrides(shared_node, s3, bucket):
    """Only who signs may say what the answer's headers are."""
    put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/*"]))
    s3.put_object(Bucket=bucket, Key="k", Body=b"<script>")
    answer = plain(shared_node, "GET", f"/{bucket}/k?response-content-type=text/html")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert plain(shared_node, "GET", f"/{bucket}/k").body == b"<script>"


def test_anonymous_writes(shared_node, s3, bucket):
    put_policy(s3, bucket, ("Allow", {"AWS": "*"}, ["s3:PutObject"], ["/in/*"]))
    assert plain(shared_node, "PUT", f"/{bucket}/in/x", b"data").status == 200
    assert s3.get_object(Bucket=bucket, Key="in/x")["Body"].read() == b"data"
    assert plain(shared_node, "GET", f"/{bucket}/in/x").code == "AccessDenied"
    # A chunk's signature needs a key.
    answer = plain(shared_node, "PUT", f"/{bucket}/in/x", b"0;chunk-signature=0\r\n\r\n", {
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-decoded-content-length": "0"})
    assert answer.code == "AccessDenied"


def test_cross_tenant(s3, bucket, other):
    name, client = other
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    for principal in (f"arn:aws:iam::{name}:root", name, f"arn:aws:iam:::user/{name}"):
        put_policy(s3, bucket, ("Allow", {"AWS": [principal]}, ["s3:GetObject"], ["/*"]),
                   ("Allow", {"AWS": principal}, "s3:ListBucket", [""]))
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
        assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        assert code_of(client.put_object, Bucket=bucket, Key="k", Body=b"x") == "AccessDenied"
        assert code_of(client.put_bucket_policy, Bucket=bucket, Policy="{}") == "AccessDenied"
        s3.delete_bucket_policy(Bucket=bucket)
        assert code_of(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    put_policy(s3, bucket, ("Allow", {"AWS": "arn:aws:iam::someone-else:root"}, "s3:*", ["/*"]))
    assert code_of(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"


def test_deny_wins(s3, bucket, other):
    _, client = other
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    put_policy(s3, bucket, ("Allow", "*", "s3:*", ["", "/*"]),
               ("Deny", "*", "s3:GetObject", ["/*"]))
    assert code_of(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    client.put_object(Bucket=bucket, Key="k2", Body=b"y")
    # The owner cannot lock itself out.
    put_policy(s3, bucket, ("Deny", "*", "s3:*", ["", "/*"]))
    assert code_of(s3.list_objects_v2, Bucket=bucket) == "AccessDenied"
    s3.delete_bucket_policy(Bucket=bucket)
    s3.get_object(Bucket=bucket, Key="k")


def test_delete_many_asks_for_each(s3, bucket, other):
    _, client = other
    for key in "a/1", "b/1":
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    put_policy(s3, bucket, ("Allow", "*", "s3:DeleteObject", ["/a/*"]))
    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/1"},
                                                                      {"Key": "b/1"}]})
    assert [item["Key"] for item in answer["Deleted"]] == ["a/1"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [("b/1", "AccessDenied")]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b/1"]


@pytest.mark.parametrize("condition,expected", [
    ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
    ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}}, False),
    ({"NotIpAddress": {"aws:SourceIp": "::1/128"}}, True),
    # No range of IPv6 has those of IPv4, but their own block.
    ({"IpAddress": {"aws:SourceIp": "::/32"}}, False),
    ({"IpAddress": {"aws:SourceIp": "::ffff:7f00:0/104"}}, True),
    ({"Bool": {"aws:SecureTransport": "true"}}, False),
    ({"Bool": {"aws:SecureTransport": "false"}}, True),
    ({"StringLike": {"aws:UserAgent": "*otocore*"}}, True),
    ({"StringEquals": {"aws:UserAgent": "nobody"}}, False),
    ({"StringNotEquals": {"aws:Referer": "http://x"}}, True),
    ({"StringEquals": {"aws:Referer": "http://x"}}, False),
    ({"StringEqualsIfExists": {"aws:Referer": "http://x"}}, True),
    ({"Null": {"aws:Referer": "true"}}, True),
    ({"Null": {"aws:Referer": "false"}}, False),
    ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
    ({"StringEquals": {"s3:authType": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256"}},
     True),
    ({"IpAddress": {"aws:SourceIp": "127.0.0.1"}, "StringEquals": {"aws:Referer": "x"}}, False),
    ({"StringEquals": {"s3:ExistingObjectTag/a": "b"}}, False),
])
def test_conditions(s3, bucket, other, condition, expected):
    _, client = other
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/*"], condition))
    if expected:
        client.get_object(Bucket=bucket, Key="k")
    else:
        assert code_of(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"


def test_list_conditions(s3, bucket, other):
    _, client = other
    put_policy(s3, bucket, ("Allow", "*", "s3:ListBucket", [""], {
        "StringLike": {"s3:prefix": ["home/*", "public"]},
        "NumericLessThanEquals": {"s3:max-keys": "10"}}))
    client.list_objects_v2(Bucket=bucket, Prefix="home/x", MaxKeys=10)
    client.list_objects(Bucket=bucket, Prefix="public", MaxKeys=1)
    for arguments in {}, {"Prefix": "home"}, {"Prefix": "home/x", "MaxKeys": 11}, {"MaxKeys": 1}:
        assert code_of(client.list_objects_v2, Bucket=bucket, **arguments) == "AccessDenied"


@pytest.mark.parametrize("source", ["::/32", "::ffff:0:0/96", "::ffff:0:0/100", "0.0.0.0/0"])
def test_wide_ranges_are_public(s3, bucket, source):
    condition = {"IpAddress": {"aws:SourceIp": source}}
    put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/*"], condition))
    # The narrowest of IPv6's is bounded, and lets in nobody of IPv4's.
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] == \
        (source != "::/32")


def test_policy_status_of_lists(s3, bucket):
    def is_public():
        return s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]

    assert not is_public()
    for acl in "public-read", "authenticated-read":
        s3.put_bucket_acl(Bucket=bucket, ACL=acl)
        assert is_public()
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={
        "IgnorePublicAcls": True})
    assert not is_public()


def test_denied_however_it_is_written(shared_node, s3, bucket):
    """A Deny is about what a request means: its tags, its source, its version, its grants."""
    def deny(action, condition=None):
        put_policy(s3, bucket, ("Deny", "*", action, ["/*"], *([condition] if condition else [])))

    def put(**headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return signed(shared_node, "PUT", f"/{bucket}/n", b"" if "x-amz-copy-source" in headers
                      else b"x", headers).status

    s3.put_object(Bucket=bucket, Key="private/k", Body=b"x")
    deny("s3:PutObject", {"StringEquals": {"s3:RequestObjectTag/level": "top secret"}})
    assert [put(x_amz_tagging=f"level={v}") for v in ("top+secret", "top%20secret", "low")] == \
        [403, 403, 200]
    assert put(**{"x-amz-tagging": "%6Cevel=top+secret"}) == 403
    deny("s3:PutObject", {"StringLike": {"s3:x-amz-copy-source": f"{bucket}/private/*"}})
    for source in f"{bucket}/private/k", f"/{bucket}/private/k", f"{bucket}/priv%61te%2Fk":
        assert put(x_amz_copy_source=source) == 403
    deny("s3:PutObjectAcl")
    assert put() == 200
    assert put(x_amz_acl="public-read") == 403
    for name in "read", "write", "read-acp", "write-acp", "full-control":
        assert put(**{f"x-amz-grant-{name}": "id=edgeos"}) == 403
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="v", Body=b"x")["VersionId"]
    deny("s3:DeleteObjectVersion", {"StringEquals": {"s3:VersionId": version}})
    assert code_of(s3.delete_object, Bucket=bucket, Key="v", VersionId=version) == "AccessDenied"
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": "v", "VersionId": version}]})
    assert [e["Code"] for e in answer["Errors"]] == ["AccessDenied"]


def test_strangers_cannot_lock(s3, other):
    """Who may write into a bucket may not write what its owner cannot delete."""
    _, client = other
    name = f"t-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, ACL="public-read-write")
    held = {"Bucket": name, "Key": "k", "Body": b"x", "ObjectLockLegalHoldStatus": "ON"}
    assert code_of(client.put_object, **held) == "AccessDenied"
    client.put_object(Bucket=name, Key="k", Body=b"x")
    put_policy(s3, name, ("Allow", "*", "s3:PutObjectLegalHold", ["/*"]))
    client.put_object(**held)


def test_put_conditions(s3, bucket, other):
    _, client = other
    put_policy(s3, bucket, ("Allow", "*", "s3:PutObject", ["/*"]),
               ("Deny", "*", "s3:PutObject", ["/*"],
                {"StringLike": {"s3:x-amz-acl": "public*"}}))
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(client.put_object, Bucket=bucket, Key="k", Body=b"x",
                   ACL="public-read") == "AccessDenied"
    client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")


@pytest.mark.parametrize("text", [
    "", "{}", "[]", "null", "{", '{"Statement": []}', '{"Statement": "x"}',
    '{"Version": "2030-01-01", "Statement": [OK]}',
    '{"Statement": [OK], "More": 1}',
    '{"Statement": [{"Effect": "Maybe", REST}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Resource": "arn:aws:s3:::B/*"}]}',
    '{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::B"}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "somebody else", ACTION}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:role/x"}, ACTION}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": {"Federated": "x"}, ACTION}]}',
    '{"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": "acme"}, ACTION}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:Fly", RES}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ec2:*", RES}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": [], RES}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*",'
    ' "Resource": "arn:aws:s3:::other-bucket/*"}]}',
    '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*",'
    ' "Resource": "arn:aws:s3:::B/${aws:username}/*"}]}',
    '{"Statement": [{CONDITION: {"StringEquals": {"aws:MultiFactorAuthAge": "1"}}}]}',
    '{"Statement": [{CONDITION: {"StringAlmost": {"aws:Referer": "1"}}}]}',
    '{"Statement": [{CONDITION: {"IpAddress": {"aws:SourceIp": "300.1.1.1"}}}]}',
    '{"Statement": [{CONDITION: {"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}}}]}',
    '{"Statement": [{CONDITION: {"StringEquals": {"aws:SourceIp": "10.0.0.1"}}}]}',
    '{"Statement": [{CONDITION: {"NumericEquals": {"s3:max-keys": "ten"}}}]}',
    '{"Statement": [{CONDITION: {"Bool": {"aws:SecureTransport": "yes"}}}]}',
    '{"Statement": [{CONDITION: {"ForAllValues:StringEquals": {"aws:Referer": "1"}}}]}',
    '{"Statement": [{CONDITION: []}]}',
    '{"Statement": [OK], "Id": "' + "x" * 21000 + '"}',
    "[" * 100,
])
def test_bad_policies(s3, bucket, text):
    rest = '"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::B/*"'
    for word, value in (
            ("OK", '{"Effect": "Allow", REST}'), ("CONDITION", '"Effect": "Allow", REST, "Condition"'),
            ("REST", rest), ("ACTION", '"Action": "s3:GetObject", RES'),
            ("RES", '"Resource": "arn:aws:s3:::B/*"'), (":::B", f":::{bucket}")):
        text = text.replace(word, value)
    assert code_of(s3.put_bucket_policy, Bucket=bucket, Policy=text) == "MalformedPolicy"
    assert code_of(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"


# Access control lists


def test_default_acl(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for acl in s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(Bucket=bucket, Key="k"):
        assert acl["Owner"]["ID"] == "edgeos"
        assert [(g["Grantee"]["ID"], g["Permission"]) for g in acl["Grants"]] == \
            [("edgeos", "FULL_CONTROL")]


def test_canned_on_buckets(shared_node, s3, bucket, other):
    _, client = other
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert b"<Key>k</Key>" in plain(shared_node, "GET", f"/{bucket}").body
    assert plain(shared_node, "GET", f"/{bucket}/k").code == "AccessDenied"
    assert plain(shared_node, "GET", f"/{bucket}/none").code == "NoSuchKey"
    assert plain(shared_node, "PUT", f"/{bucket}/n", b"x").code == "AccessDenied"
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert [(g["Grantee"]["Type"], g["Permission"]) for g in
            s3.get_bucket_acl(Bucket=bucket)["Grants"]] == [
        ("Group", "READ"), ("Group", "WRITE"), ("CanonicalUser", "FULL_CONTROL")]
    assert plain(shared_node, "PUT", f"/{bucket}/n", b"x").status == 200
    assert plain(shared_node, "DELETE", f"/{bucket}/n").status == 204
    s3.put_bucket_acl(Bucket=bucket, ACL="authenticated-read")
    assert plain(shared_node, "GET", f"/{bucket}").code == "AccessDenied"
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert code_of(client.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert code_of(s3.put_bucket_acl, Bucket=bucket, ACL="log-delivery-write") == "InvalidArgument"


def test_canned_on_objects(shared_node, s3, bucket, other):
    _, client = other
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    assert plain(shared_node, "GET", f"/{bucket}/k").body == b"x"
    grants = s3.get_object_acl(Bucket=bucket, Key="k")["Grants"]
    assert {"Grantee": {"Type": "Group", "URI": ALL_USERS}, "Permission": "READ"} in grants
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="authenticated-read")
    assert plain(shared_node, "GET", f"/{bucket}/k").code == "AccessDenied"
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert code_of(client.get_object_acl, Bucket=bucket, Key="k") == "AccessDenied"
    # A new object is private again, also a copy.
    s3.put_object(Bucket=bucket, Key="k", Body=b"y", ACL="public-read")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert plain(shared_node, "GET", f"/{bucket}/copy").code == "AccessDenied"
    s3.put_object(Bucket=bucket, Key="k", Body=b"z")
    assert plain(shared_node, "GET", f"/{bucket}/k").code == "AccessDenied"


def test_multipart_acl(shared_node, s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ACL="public-read")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert plain(shared_node, "GET", f"/{bucket}/k").body == b"x"


def test_grants(s3, bucket, other):
    name, client = other
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", GrantRead=f'id="{name}"')
    client.get_object(Bucket=bucket, Key="k")
    assert code_of(client.get_object_acl, Bucket=bucket, Key="k") == "AccessDenied"
    acl = s3.get_object_acl(Bucket=bucket, Key="k")
    del acl["ResponseMetadata"]
    acl["Grants"].append({"Grantee": {"Type": "CanonicalUser", "ID": name},
                          "Permission": "FULL_CONTROL"})
    s3.put_object_acl(Bucket=bucket, Key="k", AccessControlPolicy=acl)
    seen = client.get_object_acl(Bucket=bucket, Key="k")
    assert [(g["Grantee"]["ID"], g["Permission"]) for g in seen["Grants"]] == [
        (name, "READ"), (name, "FULL_CONTROL")]
    client.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    assert code_of(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_bucket_acl(Bucket=bucket, GrantWrite=f"id={name}", GrantFullControl="id=edgeos")
    client.put_object(Bucket=bucket, Key="theirs", Body=b"y")
    owner = s3.get_object_acl(Bucket=bucket, Key="theirs")["Owner"]["ID"]
    assert owner == name


def test_owners_in_listings(s3, bucket, other):
    name, client = other
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    client.put_object(Bucket=bucket, Key="b", Body=b"x")
    for key in "a", "b":
        (s3 if key == "a" else client).create_multipart_upload(Bucket=bucket, Key=key)
    expected = [{"ID": owner, "DisplayName": owner} for owner in ("edgeos", name)]
    for entries in (s3.list_objects(Bucket=bucket)["Contents"],
                    s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"],
                    s3.list_object_versions(Bucket=bucket)["Versions"],
                    s3.list_multipart_uploads(Bucket=bucket)["Uploads"]):
        assert [entry["Owner"] for entry in entries] == expected
    own = f"b-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=own)
    client.put_object(Bucket=own, Key="k", Body=b"x")
    assert client.list_objects(Bucket=own)["Contents"][0]["Owner"]["ID"] == name


def test_bucket_owner_canned(s3, bucket, other):
    name, client = other
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    client.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-read")
    acl = s3.get_object_acl(Bucket=bucket, Key="k")
    assert acl["Owner"]["ID"] == name
    assert [(g["Grantee"]["ID"], g["Permission"]) for g in acl["Grants"]] == [
        (name, "FULL_CONTROL"), ("edgeos", "READ")]


def test_ownership_of_what_others_write(s3, bucket, other):
    name, client = other
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert code_of(s3.put_bucket_ownership_controls, Bucket=bucket,
                   OwnershipControls=enforced) == "InvalidBucketAclWithObjectOwnership"
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={
        "Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]})
    client.put_object(Bucket=bucket, Key="kept", Body=b"x")
    client.put_object(Bucket=bucket, Key="given", Body=b"x", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=bucket, Key="kept")["Owner"]["ID"] == name
    given = s3.get_object_acl(Bucket=bucket, Key="given")
    assert given["Owner"]["ID"] == "edgeos" and len(given["Grants"]) == 1
    assert code_of(client.get_object, Bucket=bucket, Key="given") == "AccessDenied"
    new = f"t-{uuid.uuid4().hex[:12]}"
    assert code_of(s3.create_bucket, Bucket=new, ObjectOwnership="BucketOwnerEnforced",
                   ACL="public-read") == "InvalidBucketAclWithObjectOwnership"
    assert code_of(s3.list_objects_v2, Bucket=new) == "NoSuchBucket"


@pytest.mark.parametrize("arguments,code", [
    ({"GrantRead": "id=nobody-here"}, "InvalidArgument"),
    ({"GrantRead": 'uri="http://example.com/"'}, "InvalidArgument"),
    ({"GrantRead": "emailAddress=a@b"}, "UnresolvableGrantByEmailAddress"),
    ({"GrantRead": "rubbish"}, "InvalidArgument"),
    ({"ACL": "private", "GrantRead": "id=edgeos"}, "InvalidRequest"),
    ({"ACL": "everybody"}, "InvalidArgument"),
])
def test_bad_acls(s3, bucket, arguments, code):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(s3.put_object_acl, Bucket=bucket, Key="k", **arguments) == code
    assert code_of(s3.put_object, Bucket=bucket, Key="n", Body=b"x", **arguments) == code
    assert code_of(s3.put_bucket_acl, Bucket=bucket, **arguments) == code
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("body,code", [
    (b"", "MissingSecurityHeader"), (b"rubbish", "MalformedACLError"),
    (b"<AccessControlPolicy/>", "MalformedACLError"),
    (b"<AccessControlPolicy><Owner><ID>edgeos</ID></Owner><AccessControlList><Grant><Grantee>"
     b"<ID>edgeos</ID></Grantee><Permission>FLY</Permission></Grant></AccessControlList>"
     b"</AccessControlPolicy>", "MalformedACLError"),
    (b"<AccessControlPolicy><Owner><ID>else</ID></Owner><AccessControlList/>"
     b"</AccessControlPolicy>", "AccessDenied"),
    (b"<AccessControlPolicy><Owner><ID>edgeos</ID></Owner><AccessControlList>"
     + b"<Grant><Grantee><ID>edgeos</ID></Grantee><Permission>READ</Permission></Grant>" * 101
     + b"</AccessControlList></AccessControlPolicy>", "InvalidArgument"),
])
def test_bad_acl_documents(shared_node, s3, bucket, body, code):
    assert signed(shared_node, "PUT", f"/{bucket}?acl", body).code == code
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1


def test_public_access_block(shared_node, s3, bucket):
    assert code_of(s3.get_public_access_block, Bucket=bucket) == \
        "NoSuchPublicAccessBlockConfiguration"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="k2", Body=b"x")
    put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/k2"]))
    def block(**flags):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=flags)
    assert plain(shared_node, "GET", f"/{bucket}/k").status == 200
    block(IgnorePublicAcls=True)
    assert plain(shared_node, "GET", f"/{bucket}/k").status == 403
    assert plain(shared_node, "GET", f"/{bucket}/k2").status == 200
    block(RestrictPublicBuckets=True)
    assert plain(shared_node, "GET", f"/{bucket}/k").status == 200
    assert plain(shared_node, "GET", f"/{bucket}/k2").status == 403
    block(BlockPublicAcls=True, BlockPublicPolicy=True)
    assert code_of(s3.put_object, Bucket=bucket, Key="n", Body=b"", ACL="public-read") == \
        "AccessDenied"
    assert code_of(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == "AccessDenied"
    with pytest.raises(botocore.exceptions.ClientError):
        put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/*"]))
    put_policy(s3, bucket, ("Allow", "*", "s3:GetObject", ["/*"],
                            {"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}))
    assert not s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    s3.delete_public_access_block(Bucket=bucket)
    assert plain(shared_node, "GET", f"/{bucket}/k").status == 200


def test_ownership(shared_node, s3, other):
    name, client = other
    bucket = f"t-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced")
    rule = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"][0]
    assert rule["ObjectOwnership"] == "BucketOwnerEnforced"
    for call in s3.put_bucket_acl, s3.put_object_acl:
        extra = {"Key": "k"} if call == s3.put_object_acl else {}
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        assert code_of(call, Bucket=bucket, ACL="public-read", **extra) == \
            "AccessControlListNotSupported"
    put_policy(s3, bucket, ("Allow", {"AWS": name}, "s3:PutObject", ["/*"]))
    client.put_object(Bucket=bucket, Key="theirs", Body=b"x", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=bucket, Key="theirs")["Owner"]["ID"] == "edgeos"
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={
        "Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    assert code_of(s3.get_bucket_ownership_controls, Bucket=bucket) == \
        "OwnershipControlsNotFoundError"


def test_tagging(s3, bucket):
    assert code_of(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    tags = [{"Key": "a", "Value": "1"}, {"Key": "ö", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    for bad in ([{"Key": "a", "Value": ""}] * 2,
                [{"Key": "x" * 129, "Value": ""}], [{"Key": "x", "Value": "x" * 257}],
                [{"Key": "aws:x", "Value": ""}],
                [{"Key": str(i), "Value": ""} for i in range(51)]):
        assert code_of(s3.put_bucket_tagging, Bucket=bucket,
                       Tagging={"TagSet": bad}) == "InvalidTag"
    s3.delete_bucket_tagging(Bucket=bucket)
    assert code_of(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"


def test_versioning_configuration(shared_node, s3, bucket):
    for status in "Enabled", "Suspended", "Enabled":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    assert code_of(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={
        "Status": "Enabled", "MFADelete": "Enabled"}) == "NotImplemented"
    for body in b"", b"x", b"<VersioningConfiguration/>", \
            b"<VersioningConfiguration><Status>Off</Status></VersioningConfiguration>":
        assert signed(shared_node, "PUT", f"/{bucket}?versioning", body).code == \
            "IllegalVersioningConfigurationException"


def test_encryption_configuration(s3, bucket):
    assert code_of(s3.get_bucket_encryption, Bucket=bucket) == \
        "ServerSideEncryptionConfigurationNotFoundError"
    def rule(**default):
        return {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    # Nobody is told that something is encrypted which is not. What is: test_s3_encryption.py.
    assert code_of(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration=rule(
        SSEAlgorithm="AES256", KMSMasterKeyID="x")) == "InvalidArgument"
    assert code_of(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration=rule(
        SSEAlgorithm="aws:kms", KMSMasterKeyID="x")) == "NotImplemented"
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x",
                   ServerSideEncryption="aws:kms") == "NotImplemented"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert "ServerSideEncryption" not in s3.put_object(Bucket=bucket, Key="k3", Body=b"x")
    assert code_of(s3.get_bucket_encryption, Bucket=bucket) == \
        "ServerSideEncryptionConfigurationNotFoundError"



def test_bucket_with_lock(s3):
    bucket = f"t-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert code_of(s3.put_bucket_versioning, Bucket=bucket,
                   VersioningConfiguration={"Status": "Suspended"}) == "InvalidBucketState"


def test_tags_are_asked_about(s3, bucket):
    """Tags that come with an object, whatever makes it."""
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    put_policy(s3, bucket, ("Deny", "*", "s3:PutObjectTagging", ["/k*"]))
    calls = [(s3.put_object, {"Body": b"x"}), (s3.create_multipart_upload, {}),
             (s3.copy_object, {"CopySource": f"{bucket}/source", "TaggingDirective": "REPLACE"})]
    for call, arguments in calls:
        assert code_of(call, Bucket=bucket, Key="k", Tagging="a=b", **arguments) == "AccessDenied"
        call(Bucket=bucket, Key="k", **arguments)
        call(Bucket=bucket, Key="other", Tagging="a=b", **arguments)
    # Read as they will be kept.
    put_policy(s3, bucket, ("Deny", "*", "s3:PutObject", ["/*"],
                            {"StringEquals": {"s3:RequestObjectTag/a b": "c d"}}))
    for tagging in "a+b=c+d", "a%20b=c%20d", "x=y&a+b=c%20d":
        assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x", Tagging=tagging) == \
            "AccessDenied"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a+b=d")
