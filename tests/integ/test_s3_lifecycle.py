"""Lifecycle rules: the document, and what becomes of objects, with days of half a second."""
import datetime
import time

import pytest
from edgeos_node import wait_for
from s3_clients import all_keys, bucket, code_of, make_client, s3, signed  # noqa: F401

PREFIX = {"Prefix": ""}
NAME = "lifecycle"


@pytest.fixture
def client(make_node):
    node = make_node(s3_config=", lifecycle_interval: 100ms, lifecycle_day: 500ms")
    client = make_client(node)
    client.create_bucket(Bucket=NAME)
    return client


def put_rules(client, *rules, bucket=NAME):
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={
        "Rules": [{"Status": "Enabled", "Filter": PREFIX, **rule} for rule in rules]})


def versions(client):
    answer = client.list_object_versions(Bucket=NAME)
    return [(v["Key"], v["VersionId"]) for v in answer.get("Versions", [])], \
        [(m["Key"], m["VersionId"]) for m in answer.get("DeleteMarkers", [])]


def test_document(s3, bucket):
    assert code_of(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == \
        "NoSuchLifecycleConfiguration"
    rules = [
        {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}},
        {"ID": "b", "Status": "Disabled", "Filter": {"And": {
            "Prefix": "y", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 5,
            "ObjectSizeLessThan": 10}}, "NoncurrentVersionExpiration": {
                "NoncurrentDays": 2, "NewerNoncurrentVersions": 3}},
        {"ID": "c", "Status": "Enabled", "Filter": {"Prefix": ""},
         "Expiration": {"ExpiredObjectDeleteMarker": True},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        {"ID": "d", "Status": "Enabled", "Filter": {"Tag": {"Key": "k", "Value": "v"}},
         "Expiration": {"Date": datetime.datetime(2035, 1, 1, tzinfo=datetime.timezone.utc)}},
        {"Status": "Enabled", "Prefix": "old", "Expiration": {"Days": 1}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert got[:4] == rules[:4]
    assert got[4] == {**rules[4], "ID": "rule-5"}
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert code_of(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == \
        "NoSuchLifecycleConfiguration"


def test_expiration_is_told(s3, bucket):
    def told(answer):
        return answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-expiration")

    put_rules(s3, {"ID": "a b", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}},
              {"ID": "c", "Filter": {"Tag": {"Key": "k", "Value": "v"}},
               "Expiration": {"Days": 9}}, bucket=bucket)
    day = datetime.datetime.utcnow().replace(hour=0, minute=0, second=0) + \
        datetime.timedelta(days=2)
    for answer in (s3.put_object(Bucket=bucket, Key="x/k", Body=b"x", Tagging="k=v"),
                   s3.head_object(Bucket=bucket, Key="x/k")):
        assert told(answer) == \
            f'expiry-date="{day:%a, %d %b %Y} 00:00:00 GMT", rule-id="a%20b"'
    assert 'rule-id="c"' in told(s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="k=v"))
    assert told(s3.put_object(Bucket=bucket, Key="k", Body=b"x")) is None
    assert told(s3.get_object(Bucket=bucket, Key="k")) is None


RULE = "<Rule><Status>Enabled</Status><Filter><Prefix/></Filter>{}</Rule>"
DAYS = "<Expiration><Days>1</Days></Expiration>"


@pytest.mark.parametrize("body,code", [
    ("", "MalformedXML"), ("<Rule/>", "MalformedXML"), (RULE.format(""), "InvalidArgument"),
    (RULE.format("<Expiration/>"), "MalformedXML"),
    (RULE.format("<Expiration><Days>0</Days></Expiration>"), "InvalidArgument"),
    (RULE.format("<Expiration><Days>-1</Days></Expiration>"), "InvalidArgument"),
    (RULE.format("<Expiration><Days>99999999999</Days></Expiration>"), "InvalidArgument"),
    (RULE.format("<Expiration><Days>1</Days><Date>2035-01-01T00:00:00Z</Date></Expiration>"),
     "MalformedXML"),
    (RULE.format("<Expiration><Date>2035-01-01T01:00:00Z</Date></Expiration>"),
     "InvalidArgument"),
    (RULE.format("<Expiration><Date>soon</Date></Expiration>"), "InvalidArgument"),
    (RULE.format("<Expiration><Date>4060-01-01T00:00:00Z</Date></Expiration>"),
     "InvalidArgument"),
    (RULE.format(DAYS + "<Fly/>"), "MalformedXML"),
    # Of two, one would be forgotten, and more deleted than was meant.
    (RULE.format(DAYS + "<Filter><Prefix>a</Prefix></Filter>"), "MalformedXML"),
    (RULE.format(DAYS + DAYS), "MalformedXML"),
    (RULE.format(DAYS).replace("<Prefix/>", "<And><Prefix>a</Prefix><Prefix>b</Prefix></And>"),
     "MalformedXML"),
    (RULE.format("<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"),
     "NotImplemented"),
    (RULE.format("<Transition><Date>20350101</Date><StorageClass>GLACIER</StorageClass>"
                 "</Transition>"), "InvalidArgument"),
    (RULE.format("<NoncurrentVersionExpiration/>"), "InvalidArgument"),
    (RULE.format("<AbortIncompleteMultipartUpload/>"), "InvalidArgument"),
    (RULE.format("<PressureExpiration><FreeBytes>x</FreeBytes></PressureExpiration>"),
     "InvalidArgument"),
    (RULE.format(DAYS) .replace("Enabled", "Perhaps"), "MalformedXML"),
    (RULE.format(DAYS + f"<ID>{'x' * 256}</ID>"), "InvalidArgument"),
    (RULE.format(DAYS + "<ID>a</ID>") * 2, "InvalidArgument"),
    ("<Rule><Status>Enabled</Status>" + DAYS + "</Rule>", "MalformedXML"),
    ("<Rule><Status>Enabled</Status><Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value/></Tag>"
     "</Filter>" + DAYS + "</Rule>", "MalformedXML"),
    ("<Rule><Status>Enabled</Status><Filter><Tag><Key>k</Key><Value/></Tag></Filter>"
     "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
     "</AbortIncompleteMultipartUpload></Rule>", "InvalidArgument"),
    (RULE.format(DAYS) * 1001, "MalformedXML"),
])
def test_bad_rules(shared_node, s3, bucket, body, code):
    body = f"<LifecycleConfiguration>{body}</LifecycleConfiguration>".encode()
    assert signed(shared_node, "PUT", f"/{bucket}?lifecycle", body).code == code
    assert code_of(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == \
        "NoSuchLifecycleConfiguration"


def test_expiration(client):
    client.put_object(Bucket=NAME, Key="log/a", Body=b"x")
    client.put_object(Bucket=NAME, Key="keep", Body=b"x")
    client.put_object(Bucket=NAME, Key="log/small", Body=b"")
    put_rules(client, {"Filter": {"And": {"Prefix": "log/", "ObjectSizeGreaterThan": 0}},
                       "Expiration": {"Days": 2}},
              {"Expiration": {"Days": 1}, "Status": "Disabled"})
    begin = time.monotonic()
    wait_for(lambda: all_keys(client, NAME) == ["keep", "log/small"], "the expiration")
    assert time.monotonic() - begin > 0.4
    time.sleep(0.5)
    assert all_keys(client, NAME) == ["keep", "log/small"]


def test_many_and_dates(client):
    for i in range(600):
        client.put_object(Bucket=NAME, Key=f"{i:04}", Body=b"x")
    put_rules(client, {"Filter": {"Prefix": "0"}, "Expiration": {
        "Date": datetime.datetime(2035, 1, 1)}})
    time.sleep(0.5)
    assert len(all_keys(client, NAME)) == 600
    put_rules(client, {"Filter": {"Prefix": "0"}, "Expiration": {
        "Date": datetime.datetime(2020, 1, 1)}})
    wait_for(lambda: all_keys(client, NAME) == [], "the date")


def test_versions(client):
    client.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
    ids = [client.put_object(Bucket=NAME, Key="k", Body=b"x")["VersionId"] for _ in range(5)]
    put_rules(client, {"NoncurrentVersionExpiration": {
        "NoncurrentDays": 1, "NewerNoncurrentVersions": 2}})
    wait_for(lambda: versions(client)[0] == [("k", v) for v in reversed(ids[2:])], "the old ones")
    time.sleep(1.2)
    assert versions(client) == ([("k", v) for v in reversed(ids[2:])], [])
    # The latest becomes noncurrent behind a marker, then all go, and then the marker.
    put_rules(client, {"Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {
        "NoncurrentDays": 1}})
    wait_for(lambda: versions(client) == ([], []), "all of it")


def test_markers(client):
    client.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=NAME, Key="hidden", Body=b"x")
    client.delete_object(Bucket=NAME, Key="hidden")
    client.delete_object(Bucket=NAME, Key="nothing")
    put_rules(client, {"Expiration": {"ExpiredObjectDeleteMarker": True}})
    wait_for(lambda: [k for k, _ in versions(client)[1]] == ["hidden"], "the lonely marker")
    time.sleep(0.4)
    assert [k for k, _ in versions(client)[0]] == ["hidden"]


def test_uploads(client):
    first = client.create_multipart_upload(Bucket=NAME, Key="a/k")["UploadId"]
    client.upload_part(Bucket=NAME, Key="a/k", UploadId=first, PartNumber=1, Body=b"x")
    client.create_multipart_upload(Bucket=NAME, Key="b/k")
    put_rules(client, {"Filter": {"Prefix": "a/"}, "AbortIncompleteMultipartUpload": {
        "DaysAfterInitiation": 1}})
    wait_for(lambda: [u["Key"] for u in client.list_multipart_uploads(Bucket=NAME)["Uploads"]] ==
             ["b/k"], "the abort")
    assert code_of(client.list_parts, Bucket=NAME, Key="a/k", UploadId=first) == "NoSuchUpload"


def test_pressure(make_node):
    node = make_node(s3_config=", lifecycle_interval: 100ms")
    client = make_client(node)
    client.create_bucket(Bucket=NAME)
    for key in "keep", "cache/1", "cache/2":
        client.put_object(Bucket=NAME, Key=key, Body=b"x")
    def put(free_bytes):
        body = ("<LifecycleConfiguration>" + RULE.format(
            f"<PressureExpiration><FreeBytes>{free_bytes}</FreeBytes></PressureExpiration>")
            .replace("<Prefix/>", "<Prefix>cache/</Prefix>") + "</LifecycleConfiguration>")
        assert signed(node, "PUT", f"/{NAME}?lifecycle", body.encode()).status == 200
    put(1)
    time.sleep(0.5)
    assert len(all_keys(client, NAME)) == 3
    put(1 << 62)
    wait_for(lambda: all_keys(client, NAME) == ["keep"], "the pressure")
