"""Uploads by HTML forms: POST with a signed policy."""
import base64
import datetime
import hashlib
import hmac
import json
import urllib.parse

import pytest
from s3_clients import REGION, all_keys, bucket, code_of, make_client, plain, s3  # noqa: F401

BOUNDARY = "x-boundary-x"


def encode(fields, data, filename="f.txt", tail=b""):
    body = b""
    for name, value in fields:
        body += (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
                 f"{value}\r\n").encode()
    body += (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"'
             f"\r\nContent-Type: text/plain\r\n\r\n").encode() + data
    return body + f"\r\n--{BOUNDARY}--\r\n".encode() + tail


def post(node, bucket, body, content_type=f"multipart/form-data; boundary={BOUNDARY}", **headers):
    return plain(node, "POST", f"/{bucket}", body, {"Content-Type": content_type, **headers})


def sign(node, policy, secret=None, day=None):
    """The fields that sign POLICY."""
    now = datetime.datetime.utcnow()
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day or stamp[:8]}/{REGION}/s3/aws4_request"
    key = ("AWS4" + (secret or node.secret_key)).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = base64.b64encode(json.dumps(policy).encode() if not isinstance(policy, bytes)
                            else policy).decode()
    return [("policy", text), ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", f"{node.access_key}/{scope}"), ("x-amz-date", stamp),
            ("x-amz-signature", hmac.new(key, text.encode(), hashlib.sha256).hexdigest())]


def policy_for(node, bucket, *conditions, minutes=10):
    until = datetime.datetime.utcnow() + datetime.timedelta(minutes=minutes)
    return {"expiration": until.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "conditions": [
        {"bucket": bucket}, ["starts-with", "$x-amz-credential", ""],
        ["eq", "$x-amz-algorithm", "AWS4-HMAC-SHA256"], ["starts-with", "$x-amz-date", ""],
        *conditions]}


def test_presigned_post(shared_node, s3, bucket):
    client = make_client(shared_node, signature_version="s3v4")
    form = client.generate_presigned_post(
        bucket, "dir/${filename}", Fields={"acl": "private", "Content-Type": "text/csv",
                                           "x-amz-meta-a": "b"},
        Conditions=[{"acl": "private"}, ["starts-with", "$Content-Type", "text/"],
                    {"x-amz-meta-a": "b"}, ["content-length-range", 1, 100]])
    answer = post(shared_node, bucket, encode(form["fields"].items(), b"a,b\r\n-", "C:\\my.csv"))
    assert (answer.status, answer.body) == (204, b"")
    got = s3.get_object(Bucket=bucket, Key="dir/my.csv")
    assert got["Body"].read() == b"a,b\r\n-"
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"a": "b"})
    assert answer.headers["ETag"] == got["ETag"]


@pytest.mark.parametrize("field,value,status", [
    ("success_action_status", "200", 200), ("success_action_status", "201", 201),
    ("success_action_status", "204", 204), ("success_action_status", "999", 204),
    ("success_action_redirect", "http://example.com/a?b=c", 303),
    ("success_action_redirect", "javascript:alert(1)", 204),
    ("success_action_redirect", "http://example.com/\r\nX-Evil: 1", 204)])
def test_answers(shared_node, s3, bucket, field, value, status):
    policy = policy_for(shared_node, bucket, {"key": "k &ö"}, ["starts-with", f"${field}", ""])
    fields = [("key", "k &ö"), (field, value), *sign(shared_node, policy)]
    answer = post(shared_node, bucket, encode(fields, b"data"))
    assert answer.status == status
    if status != 303:
        assert answer.headers["Location"] == f"{shared_node.s3_url}/{bucket}/k%20%26%C3%B6"
    if status == 201:
        assert b"<Key>k &amp;\xc3\xb6</Key>" in answer.body and b"<ETag>" in answer.body
    if status == 303:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)
        assert (query["b"], query["bucket"], query["key"]) == (["c"], [bucket], ["k &ö"])
    assert all_keys(s3, bucket) == ["k &ö"]


def test_large_file(shared_node, s3, bucket):
    """In pieces, with much that looks like a delimiter."""
    data = (b"\r\n--x-boundary-" + b"\r\n--" * 7 + bytes(range(256))) * 10000
    policy = policy_for(shared_node, bucket, {"key": "k"})
    answer = post(shared_node, bucket, encode([("key", "k"), *sign(shared_node, policy)], data))
    assert answer.status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


@pytest.mark.parametrize("conditions,fields,data,code", [
    ([{"key": "other"}], [], b"x", "AccessDenied"),
    ([["starts-with", "$key", "z"]], [], b"x", "AccessDenied"),
    ([], [], b"x", "AccessDenied"),
    ([["starts-with", "$key", ""]], [("x-amz-meta-a", "b")], b"x", "AccessDenied"),
    ([["starts-with", "$key", ""], {"x-amz-meta-a": "b"}], [], b"x", "AccessDenied"),
    ([["starts-with", "$key", ""], ["content-length-range", 2, 3]], [], b"x", "EntityTooSmall"),
    ([["starts-with", "$key", ""], ["content-length-range", 2, 3]], [], b"xxxx",
     "EntityTooLarge"),
    ([["starts-with", "$key", ""], ["content-length-range", 3, 2]], [], b"xxx",
     "InvalidPolicyDocument"),
    ([["ends-with", "$key", ""]], [], b"x", "InvalidPolicyDocument"),
    ([["starts-with", "key", ""]], [], b"x", "InvalidPolicyDocument"),
    (["rubbish"], [], b"x", "InvalidPolicyDocument"),
    ([["starts-with", "$key", ""], ["starts-with", "$acl", ""]], [("acl", "everybody")], b"x",
     "InvalidArgument"),
    ([["starts-with", "$key", ""], ["starts-with", "$x-amz-website-redirect-location", ""]],
     [("x-amz-website-redirect-location", "/")], b"x", "NotImplemented"),
    ([["starts-with", "$key", ""]], [("bucket", "another-bucket")], b"x", "AccessDenied"),
    ([["starts-with", "$key", ""]], [("key", "again")], b"x", "InvalidArgument"),
    ([["starts-with", "$key", ""]], [("x-ignore-this", "y")], b"x", None),
])
def test_conditions(shared_node, s3, bucket, conditions, fields, data, code):
    policy = policy_for(shared_node, bucket, *conditions)
    answer = post(shared_node, bucket,
                  encode([("key", "k"), *fields, *sign(shared_node, policy)], data))
    assert (answer.code if answer.status != 204 else None) == code
    assert all_keys(s3, bucket) == ([] if code else ["k"])


@pytest.mark.parametrize("condition,key,filename,is_good", [
    (["starts-with", "$key", "foo"], "${filename}", "foo.txt", True),
    (["starts-with", "$key", "foo"], "${filename}", "evil.txt", False),
    (["starts-with", "$key", "$"], "${filename}", "evil.txt", False),
    ({"key": "dir/${filename}"}, "dir/${filename}", "a/../f.txt", True),
    ({"key": "dir/${filename}"}, "dir/f.txt", "f.txt", False)])
def test_names_of_files(shared_node, s3, bucket, condition, key, filename, is_good):
    """A condition is about the key that comes of it, not about the word ${filename}."""
    policy = policy_for(shared_node, bucket, condition)
    answer = post(shared_node, bucket,
                  encode([("key", key), *sign(shared_node, policy)], b"x", filename))
    assert answer.status == (204 if is_good else 403)
    assert all_keys(s3, bucket) == ([key.replace("${filename}", filename.rpartition("/")[2])]
                                    if is_good else [])


def test_policy_without_bucket(shared_node, s3, bucket):
    policy = policy_for(shared_node, bucket, {"key": "k"})
    del policy["conditions"][0]
    answer = post(shared_node, bucket, encode([("key", "k"), *sign(shared_node, policy)], b"x"))
    assert answer.code == "AccessDenied"
    assert all_keys(s3, bucket) == []


def test_version_2(shared_node, s3, bucket):
    """Forms with an HMAC-SHA1 of the policy."""
    policy = policy_for(shared_node, bucket, {"key": "k"})
    text = base64.b64encode(json.dumps(policy).encode())
    mac = hmac.new(shared_node.secret_key.encode(), text, hashlib.sha1).digest()
    fields = {"key": "k", "AWSAccessKeyId": shared_node.access_key, "policy": text.decode(),
              "signature": base64.b64encode(mac).decode()}

    def send(**changed):
        names = [p for p in {**fields, **changed}.items() if p[1] is not None]
        answer = post(shared_node, bucket, encode(names, b"x"))
        return answer.code if answer.status != 204 else None

    # The conditions of policy_for() are about fields of version 4.
    assert send() == "AccessDenied"
    del policy["conditions"][1:4]
    text = base64.b64encode(json.dumps(policy).encode())
    mac = hmac.new(shared_node.secret_key.encode(), text, hashlib.sha1).digest()
    fields |= {"policy": text.decode(), "signature": base64.b64encode(mac).decode()}
    assert send(signature=fields["signature"][::-1]) == "SignatureDoesNotMatch"
    assert send(signature="") == "SignatureDoesNotMatch"
    assert send(AWSAccessKeyId="nobody") == "InvalidAccessKeyId"
    assert send(AWSAccessKeyId=None) == "InvalidArgument"
    assert send(signature=None) == "InvalidArgument"
    assert send(**{"x-amz-signature": "0" * 64}) == "InvalidArgument"
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"s3:signatureversion": "AWS"}}}]}))
    assert send() == "AccessDenied"
    assert all_keys(s3, bucket) == []
    s3.delete_bucket_policy(Bucket=bucket)
    assert send() is None
    assert all_keys(s3, bucket) == ["k"]


@pytest.mark.parametrize("name,value", [
    ("Content-Type", "text/plain\r\nX-Evil: 1"), ("Cache-Control", "a\nb"),
    ("x-amz-meta-a", "b\rc"), ("x-amz-meta-a:b", "c"), ("x-amz-meta-a b", "c")])
def test_fields_that_are_no_headers(shared_node, s3, bucket, name, value):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    answer = post(shared_node, bucket, encode([("key", "k"), (name, value)], b"x"))
    assert answer.code == "InvalidArgument"
    assert all_keys(s3, bucket) == []


def test_denied_tags(shared_node, s3, bucket):
    """The tags of a form count in policies, too."""
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>"
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    for action, condition in (
            ("s3:PutObject", {"StringEquals": {"s3:RequestObjectTag/a": "b c"}}),
            ("s3:PutObjectTagging", {})):
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": action,
            "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": condition}]}))
        answer = post(shared_node, bucket, encode([("key", "k"), ("tagging", tags)], b"x"))
        assert answer.code == "AccessDenied"
    assert all_keys(s3, bucket) == []
    assert post(shared_node, bucket, encode([("key", "k")], b"x")).status == 204


def test_signatures(shared_node, s3, bucket):
    policy = policy_for(shared_node, bucket, {"key": "k"})
    fields = dict(sign(shared_node, policy))
    def send(**changed):
        names = [("key", "k"), *{**fields, **changed}.items()]
        return post(shared_node, bucket, encode([p for p in names if p[1] is not None], b"x")).code
    other = sign(shared_node, policy_for(shared_node, bucket, ["starts-with", "$key", ""]))[0][1]
    assert send(policy=other) == "SignatureDoesNotMatch"
    assert send(**{"x-amz-signature": "0" * 64}) == "SignatureDoesNotMatch"
    assert send(**{"x-amz-signature": "rubbish"}) == "SignatureDoesNotMatch"
    assert send(**{"x-amz-signature": None}) == "InvalidArgument"
    assert send(**{"x-amz-date": None}) == "InvalidArgument"
    assert send(**{"x-amz-algorithm": "none"}) == "InvalidArgument"
    assert send(policy=None) == "InvalidArgument"
    assert send(**{"x-amz-credential": fields["x-amz-credential"].replace("EDGE", "EDGF", 1)}) == \
        "InvalidAccessKeyId"
    assert send(**{"x-amz-credential": fields["x-amz-credential"].replace(REGION, "mars-1")}) == \
        "InvalidArgument"
    late = sign(shared_node, policy_for(shared_node, bucket, {"key": "k"}, minutes=-1))
    answer = post(shared_node, bucket, encode([("key", "k"), *late], b"x"))
    assert answer.code == "AccessDenied" and b"expired" in answer.body
    rubbish = sign(shared_node, b"{rubbish")
    assert post(shared_node, bucket, encode([("key", "k"), *rubbish], b"x")).code == \
        "InvalidPolicyDocument"
    assert all_keys(s3, bucket) == []


def test_anonymous(shared_node, s3, bucket):
    assert post(shared_node, bucket, encode([("key", "k")], b"x")).code == "AccessDenied"
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert post(shared_node, bucket, encode([("key", "k")], b"x")).status == 204
    assert all_keys(s3, bucket) == ["k"]


def test_own_access_counts(shared_node, s3, bucket):
    """Who signs a policy for a bucket of others gets nothing by it."""
    key = shared_node.cli_json("tenant", "create", "form-poster")
    class Signer:
        access_key, secret_key = key["access_key"], key["secret_key"]
    policy = policy_for(shared_node, bucket, {"key": "k"})
    answer = post(shared_node, bucket, encode([("key", "k"), *sign(Signer, policy)], b"x"))
    assert answer.code == "AccessDenied"
    assert all_keys(s3, bucket) == []


@pytest.mark.parametrize("body,code", [
    (b"", "MalformedPOSTRequest"), (b"rubbish", "MalformedPOSTRequest"),
    (f"--{BOUNDARY}--\r\n".encode(), "MalformedPOSTRequest"),
    (encode([("key", "k")], b"x")[:-20], "MalformedPOSTRequest"),
    (encode([], b"x"), "InvalidArgument"),
    (encode([("key", "")], b"x"), "InvalidArgument"),
    (encode([("key", "x" * 1025)], b"x"), "KeyTooLongError"),
    (encode([("key", "k"), ("x-ignore-a", "x" * 21000)], b"x"), "MalformedPOSTRequest"),
    (encode([("key", "k")] + [(f"x-ignore-{i}", "") for i in range(101)], b"x"),
     "InvalidArgument"),
    (encode([("key", "k"), ("a\0b", "c")], b"x"), "MalformedPOSTRequest"),
    (encode([("key", "k\0b")], b"x"), "InvalidArgument"),
    (encode([("key", "k"), ("", "c")], b"x"), "MalformedPOSTRequest"),
    (f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n--{BOUNDARY}--".encode(),
     "MalformedPOSTRequest"),
    (f"--{BOUNDARY}\r\nX: {'x' * 5000}\r\n\r\nx\r\n--{BOUNDARY}--".encode(),
     "MalformedPOSTRequest"),
    (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="key\r\n\r\nx'.encode(),
     "MalformedPOSTRequest"),
])
def test_malformed(shared_node, s3, bucket, body, code):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert post(shared_node, bucket, body).code == code
    assert all_keys(s3, bucket) == []


def test_other_types(shared_node, s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    body = encode([("key", "k")], b"x")
    for content_type in ("text/plain", "multipart/form-data", "multipart/form-data; boundary=",
                         "multipart/form-data; boundary=" + "x" * 71):
        assert post(shared_node, bucket, body, content_type).code == "PreconditionFailed"
    assert plain(shared_node, "POST", f"/{bucket}", b"").code == "PreconditionFailed"
    assert post(shared_node, bucket, encode([("key", "k")], b"x", tail=b"rest")).status == 204


def test_tags_are_asked_about(shared_node, s3, bucket):
    """A policy's word about tags holds for the field tagging, too."""
    def send(value):
        tagging = f"<Tagging><TagSet><Tag><Key>a</Key><Value>{value}</Value></Tag></TagSet></Tagging>"
        policy = policy_for(shared_node, bucket, {"key": "k"}, ["starts-with", "$tagging", ""])
        fields = [("key", "k"), *([("tagging", tagging)] if value else []),
                  *sign(shared_node, policy)]
        answer = post(shared_node, bucket, encode(fields, b"x"))
        return answer.code if answer.status != 204 else 204

    def deny(action, **condition):
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Deny", "Principal": "*", "Action": action,
                "Resource": f"arn:aws:s3:::{bucket}/*", **condition}]}))

    deny("s3:PutObjectTagging")
    assert (send("b"), send("")) == ("AccessDenied", 204)
    deny("s3:PutObject", Condition={"StringEquals": {"s3:RequestObjectTag/a": "b +"}})
    assert (send("b &#43;"), send("b"), send("")) == ("AccessDenied", 204, 204)
