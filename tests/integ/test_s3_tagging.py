"""Tags of objects."""
import pytest
from s3_clients import bucket, code_of, s3, signed  # noqa: F401
from test_s3_post import encode, policy_for, post, sign


def tags_of(s3, bucket, key="k", **arguments):
    answer = s3.get_object_tagging(Bucket=bucket, Key=key, **arguments)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def tag_set(tags):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def test_tags(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    assert tags_of(s3, bucket) == {}
    assert "TagCount" not in s3.get_object(Bucket=bucket, Key="k")
    before = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tag_set({"a": "1", "b": "zwei"}))
    assert tags_of(s3, bucket) == {"a": "1", "b": "zwei"}
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["TagCount"], got["ETag"], got["LastModified"]) == (2, etag, before)
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tag_set({"c": ""}))
    assert tags_of(s3, bucket) == {"c": ""}
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert tags_of(s3, bucket) == {}
    for call in s3.get_object_tagging, s3.delete_object_tagging:
        assert code_of(call, Bucket=bucket, Key="absent") == "NoSuchKey"
    assert code_of(s3.put_object_tagging, Bucket=bucket, Key="absent",
                   Tagging=tag_set({})) == "NoSuchKey"


def test_tags_at_put(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=x%20y%2Fz+w&c=")
    assert tags_of(s3, bucket) == {"a": "1", "b": "x y/z w", "c": ""}
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert tags_of(s3, bucket) == {}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Tagging="m=1",
                                        Metadata={"n": "2"})["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"y")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert tags_of(s3, bucket) == {"m": "1"}
    assert s3.head_object(Bucket=bucket, Key="k")["Metadata"] == {"n": "2"}


def test_tags_of_copies(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1")
    source = {"Bucket": bucket, "Key": "k"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert tags_of(s3, bucket, "copy") == {"a": "1"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, TaggingDirective="REPLACE",
                   Tagging="b=2")
    assert tags_of(s3, bucket, "copy") == {"b": "2"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, TaggingDirective="REPLACE")
    assert tags_of(s3, bucket, "copy") == {}
    # Metadata and tags are replaced each on its own.
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE",
                   Metadata={"m": "1"})
    assert tags_of(s3, bucket, "copy") == {"a": "1"}
    assert code_of(s3.copy_object, Bucket=bucket, Key="copy", CopySource=source,
                   TaggingDirective="rubbish") == "InvalidArgument"


def test_tags_of_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging=f"n={n}")["VersionId"]
           for n in range(2)]
    answer = s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=ids[0],
                                   Tagging=tag_set({"old": "yes"}))
    assert answer["VersionId"] == ids[0]
    assert tags_of(s3, bucket) == {"n": "1"}
    assert tags_of(s3, bucket, VersionId=ids[0]) == {"old": "yes"}
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["VersionId"] == ids[1]
    s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=ids[1])
    assert tags_of(s3, bucket) == {}
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    assert code_of(s3.put_object_tagging, Bucket=bucket, Key="k", VersionId=marker,
                   Tagging=tag_set({})) == "MethodNotAllowed"
    assert code_of(s3.put_object_tagging, Bucket=bucket, Key="k",
                   Tagging=tag_set({})) == "NoSuchKey"


LONG_KEY, LONG_VALUE = "ü" * 128, "語" * 256


def test_limits(s3, bucket):
    """Limits are in characters."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tag_set({LONG_KEY: LONG_VALUE}))
    assert tags_of(s3, bucket) == {LONG_KEY: LONG_VALUE}
    most = {f"{i}" * 128: "v" * 256 for i in range(10)}
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tag_set(most))
    assert tags_of(s3, bucket) == most


@pytest.mark.parametrize("tags", [
    {f"{i}": "" for i in range(11)}, {LONG_KEY + "x": ""}, {"k": LONG_VALUE + "x"},
    {"aws:k": "x"}, {"a;b": "x"}, {"k": "a\nb"}])
def test_bad_tags(shared_node, s3, bucket, tags):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="kept=1")
    assert code_of(s3.put_object_tagging, Bucket=bucket, Key="k",
                   Tagging=tag_set(tags)) == "InvalidTag"
    assert tags_of(s3, bucket) == {"kept": "1"}


@pytest.mark.parametrize("header,code", [
    ("a=1&a=2", "InvalidTag"), ("&".join(f"{i}=" for i in range(11)), "InvalidTag"),
    ("a=%zz", "InvalidArgument"), ("a=%00", "InvalidArgument"), ("a=%FF", "InvalidTag"),
    ("=1", "InvalidTag"), ("a=" + "x" * 6000, "InvalidTag")])
def test_bad_headers(shared_node, s3, bucket, header, code):
    answer = signed(shared_node, "PUT", f"/{bucket}/k", b"x", {"x-amz-tagging": header})
    assert (answer.status, answer.code) == (400, code)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("body", [
    b"", b"rubbish", b"<Tagging/>", b"<TagSet/>", b"<Tagging><TagSet><Tag/></TagSet></Tagging>",
    b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
    b"<!DOCTYPE t [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Tagging><TagSet><Tag><Key>a</Key>"
    b"<Value>&x;</Value></Tag></TagSet></Tagging>", b"<Tagging><TagSet>" + b"<Tag>" * 5000])
def test_malformed(shared_node, s3, bucket, body):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="kept=1")
    answer = signed(shared_node, "PUT", f"/{bucket}/k?tagging", body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert tags_of(s3, bucket) == {"kept": "1"}


@pytest.mark.parametrize("tagging,code", [
    ("<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>", None),
    ("<Tagging/>", "MalformedXML"), ("a=1", "MalformedXML")])
def test_form(shared_node, s3, bucket, tagging, code):
    policy = policy_for(shared_node, bucket, {"key": "k"}, ["starts-with", "$tagging", ""])
    fields = [("key", "k"), ("tagging", tagging)] + sign(shared_node, policy)
    answer = post(shared_node, bucket, encode(fields, b"file"))
    if code:
        assert (answer.status, answer.code) == (400, code)
    else:
        assert answer.status == 204 and tags_of(s3, bucket) == {"a": "1"}
