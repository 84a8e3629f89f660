"""Object lock: retention, legal hold, and a bucket's default."""
import datetime
import time
import uuid

import pytest
from s3_clients import bucket, code_of, s3, signed  # noqa: F401


def later(**delta):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return now + datetime.timedelta(**delta)


@pytest.fixture
def locked(s3):
    name = f"l-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def put(s3, bucket, **arguments):
    return s3.put_object(Bucket=bucket, Key="k", Body=b"x", **arguments)["VersionId"]


def retain(s3, bucket, version, mode, until, **arguments):
    s3.put_object_retention(Bucket=bucket, Key="k", VersionId=version, Retention={
        "Mode": mode, "RetainUntilDate": until}, **arguments)


def refuses(s3, bucket, version, **arguments):
    return code_of(s3.delete_object, Bucket=bucket, Key="k", VersionId=version,
                   **arguments) == "AccessDenied"


def test_retention(s3, locked):
    version, until = put(s3, locked), later(days=1)
    assert code_of(s3.get_object_retention, Bucket=locked, Key="k") == \
        "NoSuchObjectLockConfiguration"
    retain(s3, locked, version, "GOVERNANCE", until)
    assert s3.get_object_retention(Bucket=locked, Key="k")["Retention"] == {
        "Mode": "GOVERNANCE", "RetainUntilDate": until}
    head = s3.head_object(Bucket=locked, Key="k")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    assert refuses(s3, locked, version)
    # A marker in front of it can come and go.
    marker = s3.delete_object(Bucket=locked, Key="k")["VersionId"]
    s3.delete_object(Bucket=locked, Key="k", VersionId=marker)
    s3.delete_object(Bucket=locked, Key="k", VersionId=version, BypassGovernanceRetention=True)
    assert code_of(s3.head_object, Bucket=locked, Key="k") == "404"


def test_compliance(s3, locked):
    version = put(s3, locked, ObjectLockMode="COMPLIANCE",
                  ObjectLockRetainUntilDate=later(seconds=4))
    assert refuses(s3, locked, version)
    assert refuses(s3, locked, version, BypassGovernanceRetention=True)
    for mode, until in ("COMPLIANCE", later(seconds=1)), ("GOVERNANCE", later(days=1)):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            retain(s3, locked, version, mode, until, BypassGovernanceRetention=True)
    time.sleep(5)
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)


def test_changes_of_governance(s3, locked):
    version = put(s3, locked)
    retain(s3, locked, version, "GOVERNANCE", later(days=2))
    retain(s3, locked, version, "GOVERNANCE", later(days=3))
    for mode, until in ("GOVERNANCE", later(days=1)), ("COMPLIANCE", later(days=9)):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            retain(s3, locked, version, mode, until)
    retain(s3, locked, version, "GOVERNANCE", later(days=1), BypassGovernanceRetention=True)
    s3.put_object_retention(Bucket=locked, Key="k", Retention={}, BypassGovernanceRetention=True)
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)


def test_legal_hold(s3, locked):
    version = put(s3, locked)
    hold = lambda status: s3.put_object_legal_hold(  # noqa: E731
        Bucket=locked, Key="k", LegalHold={"Status": status})
    assert code_of(s3.get_object_legal_hold, Bucket=locked, Key="k") == \
        "NoSuchObjectLockConfiguration"
    hold("ON")
    assert s3.get_object_legal_hold(Bucket=locked, Key="k")["LegalHold"]["Status"] == "ON"
    assert s3.head_object(Bucket=locked, Key="k")["ObjectLockLegalHoldStatus"] == "ON"
    assert refuses(s3, locked, version, BypassGovernanceRetention=True)
    hold("OFF")
    assert s3.get_object_legal_hold(Bucket=locked, Key="k")["LegalHold"]["Status"] == "OFF"
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)


@pytest.mark.parametrize("way", ["put", "copy", "multipart"])
def test_at_creation(s3, locked, way):
    until = later(days=1)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until,
            "ObjectLockLegalHoldStatus": "ON"}
    if way == "put":
        put(s3, locked, **lock)
    elif way == "copy":
        s3.put_object(Bucket=locked, Key="source", Body=b"x")
        s3.copy_object(Bucket=locked, Key="k", CopySource=f"{locked}/source", **lock)
        assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="source")
    else:
        upload = s3.create_multipart_upload(Bucket=locked, Key="k", **lock)["UploadId"]
        part = s3.upload_part(Bucket=locked, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
        s3.complete_multipart_upload(Bucket=locked, Key="k", UploadId=upload, MultipartUpload={
            "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=locked)
    head = s3.head_object(Bucket=locked, Key="k")
    assert {name: head[name] for name in lock} == lock
    # Locks are not copied.
    s3.copy_object(Bucket=locked, Key="copy", CopySource=f"{locked}/k")
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="copy")


def test_default(s3, locked):
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == {
        "ObjectLockEnabled": "Enabled"}
    config = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {
        "Mode": "GOVERNANCE", "Days": 30}}}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=config)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == config
    version = put(s3, locked)
    head = s3.head_object(Bucket=locked, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert abs(head["ObjectLockRetainUntilDate"] - later(days=30)) < datetime.timedelta(minutes=1)
    assert refuses(s3, locked, version)
    put(s3, locked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=later(days=1))
    assert s3.head_object(Bucket=locked, Key="k")["ObjectLockMode"] == "COMPLIANCE"
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled"})
    put(s3, locked)
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key="k")


@pytest.mark.parametrize("rule,code", [
    ("<Mode>GOVERNANCE</Mode><Days>0</Days>", "InvalidRetentionPeriod"),
    ("<Mode>GOVERNANCE</Mode><Years>-1</Years>", "InvalidRetentionPeriod"),
    ("<Mode>GOVERNANCE</Mode><Days>99999999</Days>", "InvalidRetentionPeriod"),
    ("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>", "MalformedXML"),
    ("<Mode>GOVERNANCE</Mode>", "MalformedXML"), ("<Mode>x</Mode><Days>1</Days>", "MalformedXML"),
    ("<Mode>GOVERNANCE</Mode><Days>x</Days>", "MalformedXML"), ("<Days>1</Days>", "MalformedXML")])
def test_bad_defaults(shared_node, locked, rule, code):
    body = (f"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
            f"<DefaultRetention>{rule}</DefaultRetention></Rule></ObjectLockConfiguration>")
    answer = signed(shared_node, "PUT", f"/{locked}?object-lock", body.encode())
    assert (answer.status, answer.code) == (400, code)


def test_without_lock(s3, bucket):
    """A bucket that cannot lock does not seem to."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"y",
                   ObjectLockLegalHoldStatus="ON") == "InvalidRequest"
    assert code_of(s3.get_object_retention, Bucket=bucket, Key="k") == "InvalidRequest"
    assert code_of(s3.get_object_legal_hold, Bucket=bucket, Key="k") == "InvalidRequest"
    assert code_of(s3.put_object_legal_hold, Bucket=bucket, Key="k",
                   LegalHold={"Status": "ON"}) == "InvalidRequest"
    assert code_of(s3.get_object_lock_configuration, Bucket=bucket) == \
        "ObjectLockConfigurationNotFoundError"
    config = {"ObjectLockEnabled": "Enabled"}
    assert code_of(s3.put_object_lock_configuration, Bucket=bucket,
                   ObjectLockConfiguration=config) == "InvalidBucketState"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=config)
    put(s3, bucket, ObjectLockLegalHoldStatus="ON")
    assert code_of(s3.put_bucket_versioning, Bucket=bucket,
                   VersioningConfiguration={"Status": "Suspended"}) == "InvalidBucketState"


@pytest.mark.parametrize("headers", [
    {"x-amz-object-lock-mode": "GOVERNANCE"},
    {"x-amz-object-lock-retain-until-date": "2090-01-01T00:00:00Z"},
    {"x-amz-object-lock-mode": "x", "x-amz-object-lock-retain-until-date": "2090-01-01T00:00:00Z"},
    {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "tomorrow"},
    {"x-amz-object-lock-mode": "GOVERNANCE",
     "x-amz-object-lock-retain-until-date": "2001-01-01T00:00:00Z"},
    {"x-amz-object-lock-mode": "GOVERNANCE",
     "x-amz-object-lock-retain-until-date": "9999-01-01T00:00:00Z"},
    {"x-amz-object-lock-legal-hold": "on"}])
def test_bad_headers(shared_node, s3, locked, headers):
    answer = signed(shared_node, "PUT", f"/{locked}/k", b"x", headers)
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert s3.list_objects_v2(Bucket=locked)["KeyCount"] == 0


@pytest.mark.parametrize("query,body,code", [
    ("retention", "", "MalformedXML"), ("retention", "<x/>", "MalformedXML"),
    ("retention", "<Retention><Mode>x</Mode><RetainUntilDate>2090-01-01T00:00:00Z"
     "</RetainUntilDate></Retention>", "MalformedXML"),
    ("retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>", "MalformedXML"),
    ("retention", "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2001-01-01T00:00:00Z"
     "</RetainUntilDate></Retention>", "InvalidArgument"),
    ("retention", "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>x</RetainUntilDate>"
     "</Retention>", "MalformedXML"),
    ("legal-hold", "<LegalHold/>", "MalformedXML"),
    ("legal-hold", "<LegalHold><Status>abc</Status></LegalHold>", "MalformedXML")])
def test_malformed(shared_node, s3, locked, query, body, code):
    version = put(s3, locked)
    answer = signed(shared_node, "PUT", f"/{locked}/k?{query}", body.encode())
    assert (answer.status, answer.code) == (400, code)
    s3.delete_object(Bucket=locked, Key="k", VersionId=version)


def test_delete_many(s3, locked):
    held = put(s3, locked, ObjectLockLegalHoldStatus="ON")
    free = put(s3, locked)
    answer = s3.delete_objects(Bucket=locked, Delete={"Objects": [
        {"Key": "k", "VersionId": held}, {"Key": "k", "VersionId": free}]})
    assert answer["Deleted"] == [{"Key": "k", "VersionId": free}]
    assert [(row["VersionId"], row["Code"]) for row in answer["Errors"]] == [(held, "AccessDenied")]
