"""Notification configurations of buckets: the document, its targets, and functions that hear."""
import json
import os
import subprocess
import uuid

import pytest
import requests
from edgeos_functions import deploy_c, keys
from edgeos_node import wait_for
from s3_clients import MIB, bucket, code_of, make_client, plain, s3, signed  # noqa: F401

# Writes the event, a line break and the event's object to /heard-TENANT/SEQUENCER; does nothing and
# fails for an object that says so.
SOURCE = """
int main(void) {
    static char event[16384], name[128], data[4096];
    size_t n = fread(event, 1, sizeof(event) - 1, stdin);
    const char *at = strstr(event, "\\"sequencer\\":\\"");
    snprintf(name, sizeof(name), "%s/%.16s", getenv("OUTPUT"), at + 13);
    FILE *in = fopen("/event/object", "r");
    size_t len = in != NULL ? fread(data, 1, sizeof(data), in) : 0;
    if (len == 4 && memcmp(data, "fail", 4) == 0) return 1;
    FILE *out = fopen(name, "w");
    if (out == NULL) return 2;
    fwrite(event, 1, n, out);
    putc('\\n', out);
    fwrite(data, 1, len, out);
    return fclose(out) == 0 ? 0 : 3;
}
"""


def arn(name, tenant="default", region="us-east-1"):
    return f"arn:aws:lambda:{region}:{tenant}:function:{name}"


def rule(target, *events, prefix=None, suffix=None, **more):
    filters = [{"Name": name, "Value": value}
               for name, value in (("prefix", prefix), ("suffix", suffix)) if value is not None]
    return {"LambdaFunctionArn": target, "Events": [f"s3:{event}" for event in events],
            **({"Filter": {"Key": {"FilterRules": filters}}} if filters else {}), **more}


def put(client, bucket, *rules, **others):
    configuration = {**({"LambdaFunctionConfigurations": list(rules)} if rules else {}), **others}
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration)


def get(client, bucket):
    answer = client.get_bucket_notification_configuration(Bucket=bucket)
    return {k: v for k, v in answer.items() if k != "ResponseMetadata"}


def refusal(client, bucket, *rules, **others):
    return code_of(put, client=client, bucket=bucket) if not rules and not others else code_of(
        lambda: put(client, bucket, *rules, **others))


@pytest.fixture(scope="module")
def hearer(shared_node):
    """The function "hearer" of the tenant "default", which writes what it hears to heard-default."""
    return deploy_hearer(shared_node, "hearer", "default", make_client(shared_node))


def deploy_hearer(node, name, tenant, client):
    output = f"heard-{tenant}"
    client.create_bucket(Bucket=output)
    deploy_c(node, name, SOURCE,
             f"tenant: {tenant}\ngrants: [{{bucket: {output}, access: write}}]\n"
             f"config: {{OUTPUT: /{output}}}\nretry: {{attempts: 2, backoff: 2s}}\n")
    return output


def heard(client, output, bucket, count):
    """The COUNT events of BUCKET in their order: (name, key, rule's id, the object)."""
    def look():
        records = []
        for key in keys(client, output):
            event, _, data = client.get_object(Bucket=output, Key=key)["Body"].read().partition(
                b"\n")
            record = json.loads(event)["Records"][0]
            if record["s3"]["bucket"]["name"] == bucket:
                records.append((record["eventName"], record["s3"]["object"]["key"],
                                record["s3"]["configurationId"], data))
        return records if len(records) >= count else None
    found = wait_for(look, f"{count} events of {bucket}")
    assert len(found) == count, found
    return found


def test_document(s3, bucket, hearer):
    assert get(s3, bucket) == {}
    rules = [rule(arn("hearer"), "ObjectCreated:*", prefix="a/", suffix=".csv", Id="first"),
             rule("arn:edgeos:function:::default/hearer", "ObjectRemoved:Delete",
                  "ObjectRemoved:DeleteMarkerCreated")]
    put(s3, bucket, *rules)
    got = get(s3, bucket)["LambdaFunctionConfigurations"]
    assert got[0] == rules[0]
    assert got[1] == {**rules[1], "Id": got[1]["Id"]} and got[1]["Id"]
    put(s3, bucket)
    assert get(s3, bucket) == {}
    for name in "no-such-bucket-here", "UPPER":
        assert refusal(s3, name, rules[0]) in ("NoSuchBucket", "InvalidBucketName")


def test_refused(shared_node, s3, bucket, hearer):
    good = rule(arn("hearer"), "ObjectCreated:*")
    put(s3, bucket, good)
    queue = [{"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"]}]
    topic = [{"TopicArn": "arn:aws:sns:us-east-1:1:t", "Events": ["s3:ObjectCreated:*"]}]
    assert refusal(s3, bucket, QueueConfigurations=queue) == "NotImplemented"
    assert refusal(s3, bucket, TopicConfigurations=topic) == "NotImplemented"
    assert refusal(s3, bucket, EventBridgeConfiguration={}) == "NotImplemented"
    assert refusal(s3, bucket, rule(arn("hearer"), "ObjectTagging:Put")) == "NotImplemented"
    for bad in (rule(arn("nobody"), "ObjectCreated:*"), rule("hearer", "ObjectCreated:*"),
                rule(arn("hearer", "other"), "ObjectCreated:*"),
                rule(arn("hearer", region="eu-west-1"), "ObjectCreated:*"),
                rule(arn("hearer"), "ObjectCreated:Patch")):
        assert refusal(s3, bucket, bad) == "InvalidArgument"
    assert refusal(s3, bucket, good, rule(arn("hearer"), "ObjectCreated:Put", prefix="x")) == \
        "InvalidArgument"
    # What the function writes would be told to it.
    assert refusal(s3, hearer, good) == "InvalidArgument"
    for body in b"", b"<a", b"<!DOCTYPE a []><NotificationConfiguration/>":
        assert signed(shared_node, "PUT", f"/{bucket}?notification", body).code == "MalformedXML"
    # All that changed nothing.
    assert len(get(s3, bucket)["LambdaFunctionConfigurations"]) == 1


def test_functions_hear(shared_node, s3, bucket, hearer):
    put(s3, bucket,
        rule(arn("hearer"), "ObjectCreated:*", prefix="in/", suffix=".txt", Id="new"),
        rule(arn("hearer"), "ObjectRemoved:*", prefix="in/", suffix=".txt", Id="gone"))
    for key in "in/no", "out/a.txt":
        s3.put_object(Bucket=bucket, Key=key, Body=b"not heard of")
    s3.put_object(Bucket=bucket, Key="in/a b.txt", Body=b"hello")
    heard(s3, hearer, bucket, 1)
    s3.copy_object(Bucket=bucket, Key="in/c.txt", CopySource=f"{bucket}/in/no")
    heard(s3, hearer, bucket, 2)
    form = make_client(shared_node, signature_version="s3v4").generate_presigned_post(bucket, "in/f.txt")
    parts = b"".join(f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
                     for k, v in [*form["fields"].items(), ("file", "form")])
    assert plain(shared_node, "POST", f"/{bucket}", parts + b"--x--\r\n", {
        "Content-Type": "multipart/form-data; boundary=x"}).status == 204
    heard(s3, hearer, bucket, 3)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="in/m.txt")["UploadId"]
    names = {"Bucket": bucket, "Key": "in/m.txt", "UploadId": upload}
    etags = [s3.upload_part(PartNumber=n, Body=body, **names)["ETag"]
             for n, body in ((1, b"p" * 5 * MIB), (2, b"q"))]
    s3.complete_multipart_upload(MultipartUpload={"Parts": [
        {"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(etags)]}, **names)
    heard(s3, hearer, bucket, 4)
    s3.delete_object(Bucket=bucket, Key="in/a b.txt")
    assert heard(s3, hearer, bucket, 5) == [
        ("ObjectCreated:Put", "in/a+b.txt", "new", b"hello"),
        ("ObjectCreated:Copy", "in/c.txt", "new", b"not heard of"),
        ("ObjectCreated:Post", "in/f.txt", "new", b"form"),
        ("ObjectCreated:CompleteMultipartUpload", "in/m.txt", "new", b"p" * 4096),
        ("ObjectRemoved:Delete", "in/a+b.txt", "gone", b"")]
    # Taken back.
    put(s3, bucket)
    s3.put_object(Bucket=bucket, Key="in/z.txt", Body=b"not heard of")
    put(s3, bucket, rule(arn("hearer"), "ObjectCreated:Put", Id="again"))
    s3.put_object(Bucket=bucket, Key="last", Body=b"x")
    assert heard(s3, hearer, bucket, 6)[-1] == ("ObjectCreated:Put", "last", "again", b"x")


def test_lifecycle_and_restart(make_node):
    node = make_node(s3_config=", lifecycle_interval: 100ms, lifecycle_day: 500ms")
    client = make_client(node)
    output = deploy_hearer(node, "hearer", "default", client)
    client.create_bucket(Bucket="old")
    put(client, "old", rule(arn("hearer"), "LifecycleExpiration:*", Id="expired"))
    node.restart()
    client = make_client(node)
    client.put_object(Bucket="old", Key="k", Body=b"x")
    client.put_bucket_lifecycle_configuration(Bucket="old", LifecycleConfiguration={"Rules": [
        {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]})
    assert heard(client, output, "old", 1) == [
        ("LifecycleExpiration:Delete", "k", "expired", b"")]


@pytest.fixture(scope="module")
def tenants(shared_node):
    """Two tenants, each with a function: {name: (client, bucket of what it heard, function)}."""
    made = {}
    for _ in range(2):
        name = f"t{uuid.uuid4().hex[:8]}"
        key = shared_node.cli_json("tenant", "create", name)
        client = make_client(shared_node, key["access_key"], key["secret_key"])
        made[name] = (client, deploy_hearer(shared_node, f"f-{name}", name, client), f"f-{name}")
    return made


def test_tenants(shared_node, s3, tenants):
    (a, (a_client, a_heard, a_function)), (b, (b_client, _, b_function)) = tenants.items()
    bucket = f"of-{a}"
    a_client.create_bucket(Bucket=bucket)
    mine, others = (rule(arn(f, t), "ObjectCreated:*", Id=f)
                    for f, t in ((a_function, a), (b_function, b)))
    # Only its own functions, and only in its own buckets.
    assert refusal(a_client, bucket, others) == "InvalidArgument"
    assert refusal(a_client, bucket, rule(arn(b_function, a), "ObjectCreated:*")) == \
        "InvalidArgument"
    assert refusal(b_client, bucket, others) == "AccessDenied"
    assert code_of(get, client=b_client, bucket=bucket) == "AccessDenied"
    assert plain(shared_node, "GET", f"/{bucket}?notification").code == "AccessDenied"
    # Whom the policy lets in cannot start the owner's functions, nor have the owner start its own.
    a_client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}",
            "Action": ["s3:PutBucketNotification", "s3:GetBucketNotification"]}]}))
    assert get(b_client, bucket) == {}
    assert refusal(b_client, bucket, mine) == refusal(b_client, bucket, others) == \
        "InvalidArgument"
    assert plain(shared_node, "PUT", f"/{bucket}?notification",
                 b"<NotificationConfiguration/>").code == "AccessDenied"
    put(a_client, bucket, mine)
    a_client.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert heard(a_client, a_heard, bucket, 1) == [("ObjectCreated:Put", "k", a_function, b"x")]
    # The operator's buckets may start anybody's functions.
    name = f"operators-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    put(s3, name, mine)
    s3.put_object(Bucket=name, Key="k", Body=b"y")
    heard(a_client, a_heard, name, 1)


def test_a_bucket_in_other_hands(shared_node, tenants):
    """An event is tried again when the bucket has become another tenant's: it reads nothing."""
    (a, (a_client, a_heard, a_function)), (_, (b_client, _, _)) = tenants.items()
    bucket = f"sold-{a}"
    a_client.create_bucket(Bucket=bucket)
    put(a_client, bucket, rule(arn(a_function, a), "ObjectCreated:*"))
    a_client.put_object(Bucket=bucket, Key="k", Body=b"fail")
    wait_for(lambda: "attempt 1 of 2" in shared_node.cli("function", "logs", a_function).stdout,
             "the first attempt")
    a_client.delete_object(Bucket=bucket, Key="k")
    a_client.delete_bucket(Bucket=bucket)
    b_client.create_bucket(Bucket=bucket)
    b_client.put_object(Bucket=bucket, Key="k", Body=b"secret")
    assert [e[3] for e in heard(a_client, a_heard, bucket, 1)] == [b""]


def test_damage_is_heard_of(make_node):
    """An object that a read, or the scrub, found to be damaged is one that S3 calls lost."""
    node = make_node(config="store: {scrub_rate: 1GiB, scrub_interval: 1h}\n")
    client = node.s3()
    output = deploy_hearer(node, "hearer", "default", client)
    client.create_bucket(Bucket="data")
    put(client, "data", rule(arn("hearer"), "ReducedRedundancyLostObject"))
    body = os.urandom(MIB)
    client.put_object(Bucket="data", Key="ill", Body=body)
    client.put_object(Bucket="data", Key="well", Body=b"x")
    for segment in (node.data_dir / "store" / "segments").iterdir():
        at = segment.read_bytes().find(body[:64])
        if at >= 0:
            with segment.open("r+b") as file:
                file.seek(at)
                file.write(bytes([body[0] ^ 1]))
    assert signed(node, "GET", "/data/ill").code == "InternalError"
    ((name, key, _, data),) = heard(client, output, "data", 1)
    # Nor can the function read it.
    assert (name, key, data) == ("ReducedRedundancyLostObject", "ill", b"")


def metric(node, name):
    lines = requests.get(node.http_url + "/metrics", timeout=30).text.splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"edgeos_{name} "))


def dropped(node):
    return metric(node, "trigger_events_dropped_total")


def test_rules_go_with_their_bucket(shared_node, s3, hearer):
    before = metric(shared_node, "s3_notification_buckets")
    names = [f"gone-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    for name in names:
        s3.create_bucket(Bucket=name)
        put(s3, name, rule(arn("hearer"), "ObjectCreated:*"))
    assert metric(shared_node, "s3_notification_buckets") == before + 2
    s3.delete_bucket(Bucket=names[0])
    shared_node.cli("bucket", "rm", names[1])
    assert metric(shared_node, "s3_notification_buckets") == before


def test_a_function_that_is_gone(shared_node, s3, bucket):
    deploy_c(shared_node, "brief", "int main(void) { return 0; }")
    put(s3, bucket, rule(arn("brief"), "ObjectCreated:*"))
    shared_node.cli("function", "rm", "brief")
    before = dropped(shared_node)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    wait_for(lambda: dropped(shared_node) == before + 1, "the counter of dropped events")
    wait_for(lambda: f"event=event_dropped function=brief bucket={bucket}" in shared_node.log(),
             "a line about the dropped event")
    # A new bucket of the same name has no rules.
    put(s3, bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert get(s3, bucket) == {}


def test_aws_cli(shared_node, s3, bucket, hearer):
    """The command of docs/s3-access.md."""
    configuration = json.dumps({"LambdaFunctionConfigurations": [
        rule("arn:edgeos:function:::default/hearer", "ObjectCreated:*", suffix=".csv")]})
    subprocess.run(
        ["aws", "s3api", "put-bucket-notification-configuration", "--bucket", bucket,
         "--notification-configuration", configuration, "--endpoint-url", shared_node.s3_url],
        check=True, timeout=60, env={
            "PATH": "/usr/bin:/bin:/usr/local/bin", "AWS_ACCESS_KEY_ID": shared_node.access_key,
            "AWS_SECRET_ACCESS_KEY": shared_node.secret_key, "AWS_DEFAULT_REGION": "us-east-1"})
    s3.put_object(Bucket=bucket, Key="a.csv", Body=b"1,2")
    assert [e[0] for e in heard(s3, hearer, bucket, 1)] == ["ObjectCreated:Put"]
