"""A thousand hostile requests and more: the node refuses them, serves on, and keeps what it had.

tests/lib/s3_hostile.py and s3_hostile_documents.py make them.
"""
import concurrent.futures
import json
import os
import random
import re
import socket
import threading
import time
import urllib.parse
import xml.etree.ElementTree

import pytest
from edgeos_node import IS_SANITIZED, wait_for
from s3_clients import all_keys, make_client
from s3_hostile import DONE, REFUSALS, Hostile, Place, signed
from s3_hostile_documents import generate

SEED = 20261122
THREADS = 12
MIB = 1 << 20
SECRET = b"the-secret-of-another-tenant"
# libmicrohttpd writes the head of some of its refusals twice, and closes.
DOUBLED = re.compile(rb"(HTTP/1\.1 4\d\d [^\r\n]*\r\n(?:[^\r\n]+\r\n)*Connection: close\r\n"
                     rb"(?:[^\r\n]+\r\n)*\r\n)\1")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) [ -~]*\r\n")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t -~\x80-\xff]*)\r\n")


def connect(node, timeout=60):
    address = urllib.parse.urlsplit(node.s3_url)
    return socket.create_connection((address.hostname, address.port), timeout=timeout)


def exchange(node, data):
    """All that is answered to DATA until the server closes; a server that does neither fails."""
    answer = b""
    with connect(node) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise
        except OSError:
            pass  # refused before it was all sent
        try:
            while part := sock.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    return answer


def take_answer(data, is_head):
    """The first answer in DATA as its status and body, and what is behind it."""
    line = STATUS_LINE.match(data)
    assert line, f"no status line: {data[:200]}"
    at, headers = line.end(), {}
    while not data.startswith(b"\r\n", at):
        header = HEADER_LINE.match(data, at)
        assert header, f"no header: {data[at:at + 200]}"
        headers[header[1].lower()] = header[2]
        at = header.end()
    at += 2
    status = int(line[1])
    has_body = not is_head and status >= 200 and status not in (204, 304)
    length = int(headers.get(b"content-length", b"0")) if has_body else 0
    body = data[at:at + length]
    assert len(body) == length, f"{status} with {len(body)} of {length} bytes"
    if body and headers.get(b"content-type") == b"application/xml":
        xml.etree.ElementTree.fromstring(body)
    return status, body, data[at + length:]


def judge(request, answer):
    """What is wrong with ANSWER, or None."""
    rest = answer
    try:
        while rest:
            rest = DOUBLED.sub(rb"\1", rest, count=1) if DOUBLED.match(rest) else rest
            status, body, rest = take_answer(rest, request.is_head)
            if status not in request.statuses and status != 100:
                return f"{status} {body[:300]}"
            if SECRET in body:
                return f"a leak: {body[:300]}"
    except (AssertionError, ValueError, xml.etree.ElementTree.ParseError) as error:
        return f"{error!r}"
    return None


def send_all(node, requests):
    """Sends them from several threads; the lines about those whose answer was wrong."""
    def one(request):
        try:
            wrong = judge(request, exchange(node, request.data))
        except TimeoutError:
            wrong = "neither answered nor closed"
        return f"{request.family}: {request.data[:300]!r}: {wrong}" if wrong else None

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        return [line for line in pool.map(one, requests) if line]


def fd_count(node):
    return len(os.listdir(f"/proc/{node.edged_pid()}/fd"))


def rss_bytes(node):
    with open(f"/proc/{node.edged_pid()}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Witness:
    """A good client that puts and gets all the while."""

    def __init__(self, s3, bucket):
        self.s3, self.bucket = s3, bucket
        self.rounds, self.error = 0, None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.is_over.is_set():
                self.round()
                time.sleep(0.02)
        except Exception as error:  # told by whoever stops it
            self.error = error

    def round(self):
        body = os.urandom(5000)
        self.s3.put_object(Bucket=self.bucket, Key="w", Body=body)
        assert self.s3.get_object(Bucket=self.bucket, Key="w")["Body"].read() == body
        self.rounds += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        if self.error:
            raise self.error


@pytest.fixture(scope="module")
def place(shared_node):
    s3 = shared_node.s3()
    for bucket in ("hostile-kept", "hostile-scratch", "hostile-witness", "hostile-wild"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="hostile-kept", Key="kept", Body=b"k" * 1000)
    s3.put_object(Bucket="hostile-scratch", Key="thing", Body=b"t" * 1000)
    s3.create_bucket(Bucket="hostile-locked", ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket="hostile-locked", Key="thing", Body=b"t" * 1000)
    upload = s3.create_multipart_upload(Bucket="hostile-scratch", Key="mp")["UploadId"]
    return Place(urllib.parse.urlsplit(shared_node.s3_url).netloc, shared_node.access_key,
                 shared_node.secret_key, "hostile-kept", "hostile-scratch", "hostile-locked",
                 "hostile-wild",
                 upload)


def picture(node):
    """What may not change: all buckets, the kept bucket, the keys and uploads of the other."""
    s3 = node.s3()
    uploads = s3.list_multipart_uploads(Bucket="hostile-scratch").get("Uploads", [])
    return (
        [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
        *(all_keys(s3, f"hostile-{name}") for name in ("kept", "scratch", "locked")),
        s3.get_object(Bucket="hostile-kept", Key="kept")["Body"].read(),
        s3.get_object_tagging(Bucket="hostile-kept", Key="kept")["TagSet"],
        s3.get_bucket_acl(Bucket="hostile-kept")["Grants"],
        s3.get_bucket_versioning(Bucket="hostile-kept").get("Status"),
        s3.list_multipart_uploads(Bucket="hostile-kept").get("Uploads", []),
        [(upload["Key"], upload["UploadId"]) for upload in uploads],
        node.cli("tenant", "list").stdout,
    )  # fmt: skip


def test_a_thousand_hostile_requests(shared_node, place):
    requests = generate(place, random.Random(SEED))
    assert len(requests) >= 1000
    assert len({request.data for request in requests}) >= 1000
    before = picture(shared_node)
    pid = shared_node.edged_pid()
    with Witness(shared_node.s3(), "hostile-witness") as witness:
        # A few first: caches and threads' stacks are not what grows.
        wrong = send_all(shared_node, requests[::10])
        fds, rss = fd_count(shared_node), rss_bytes(shared_node)
        wrong += send_all(shared_node, requests)
    assert not wrong, f"{len(wrong)} of {len(requests)}:\n" + "\n".join(wrong)
    assert witness.rounds > 5
    assert shared_node.edged_pid() == pid
    assert picture(shared_node) == before
    wait_for(lambda: fd_count(shared_node) <= fds + 4, "descriptors to be given back")
    grown = rss_bytes(shared_node) - rss
    # A sanitizer keeps what was freed for a while: 256 MiB.
    assert grown < (400 if IS_SANITIZED else 48) * MIB, f"{grown >> 20} MiB more"
    Witness(shared_node.s3(), "hostile-witness").round()


# Tenants


def every_operation(name):
    """Method, target, headers, body of every operation on the bucket NAME and on its object."""
    bucket, key = f"/{name}", f"/{name}/secret"
    selectors = ("acl", "policy", "policyStatus", "cors", "lifecycle", "tagging", "versioning",
                 "location", "uploads",
                 "versions", "encryption", "object-lock", "publicAccessBlock", "ownershipControls",
                 "notification",
                 "logging", "website", "list-type=2", "")
    for selector in selectors:
        for method in ("GET", "PUT", "DELETE", "HEAD", "POST"):
            # The bucket itself would be whoever's asks for it first, if it were not there.
            yield method, f"{bucket}?{selector}", (), b""
    for selector in ("", "acl", "tagging", "retention", "legal-hold", "attributes", "torrent",
                     "uploads", "versionId=null",
                     "uploadId=x", "partNumber=1", "partNumber=1&uploadId=x",
                     "tagging&versionId=null", "restore"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "POST"):
            yield method, f"{key}?{selector}", (), b""
            yield method, f"{bucket}/other?{selector}", (), b"x" if method == "PUT" else b""
    yield "POST", f"{bucket}?delete", (), b"<Delete><Object><Key>secret</Key></Object></Delete>"
    yield "PUT", f"{bucket}/copy", [("x-amz-copy-source", key)], b""
    for header in ("x-amz-acl", "x-amz-grant-full-control"):
        yield "PUT", f"{bucket}?acl", [(header, "public-read")], b""
        yield "PUT", f"{key}?acl", [(header, "public-read")], b""
    yield "GET", key, [("range", "bytes=0-3")], b""
    yield "GET", key, [("if-none-match", "*")], b""
    yield "PUT", key, [("x-amz-bypass-governance-retention", "true")], b"x"


def test_the_bucket_of_another_tenant(shared_node, place):
    """No operation reads, changes or deletes it, or says whether a key is there."""
    one, two = (shared_node.cli_json("tenant", "create", name) for name in ("hostile-one",
                                                                            "hostile-two"))
    owner = make_client(shared_node, one["access_key"], one["secret_key"])
    owner.create_bucket(Bucket="hostile-others")
    owner.put_object(Bucket="hostile-others", Key="secret", Body=SECRET,
                     Metadata={"a": SECRET.decode()})
    owner.put_object_tagging(Bucket="hostile-others", Key="secret",
                             Tagging={"TagSet": [{"Key": "t", "Value": SECRET.decode()}]})
    stranger = make_client(shared_node, two["access_key"], two["secret_key"])
    stranger.create_bucket(Bucket="hostile-own")
    requests, keys = [], (two["access_key"], two["secret_key"])
    for who in (keys, (one["access_key"], two["secret_key"]), None):
        for method, target, headers, body in every_operation("hostile-others"):
            data = signed(place, method, target, body, headers, keys=keys if who is None else who)
            if who is None:  # anonymous
                data = re.sub(rb"authorization: .*\r\n", b"", data)
            is_delete = method == "POST" and target.endswith("?delete")
            requests.append(Hostile(f"tenant {method} {target}", data,
                                    REFUSALS | (DONE if is_delete else frozenset()),
                                    method == "HEAD"))
    for source in ("/hostile-others/secret", "hostile-others/secret?versionId=null",
                   "/hostile-own/../hostile-others/secret",
                   "/hostile%2dothers/secret", "/hostile-others/none"):
        requests.append(Hostile("tenant copy", signed(place, "PUT", "/hostile-own/stolen", b"", [
            ("x-amz-copy-source", source)], keys=keys)))
    assert not (wrong := send_all(shared_node, requests)), "\n".join(wrong)
    head = owner.head_object(Bucket="hostile-others", Key="secret")
    assert head["Metadata"] == {"a": SECRET.decode()} and all_keys(owner,
                                                                   "hostile-others") == ["secret"]
    assert owner.get_object(Bucket="hostile-others", Key="secret")["Body"].read() == SECRET
    grants = owner.get_bucket_acl(Bucket="hostile-others")["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    assert all_keys(stranger, "hostile-own") == []


# Time


def test_slow_senders_do_not_hold_others_up(shared_node, place):
    """Two hundred clients, a byte now and then: heads, bodies and chunks that never end."""
    put = signed(place, "PUT", "/hostile-kept/slow", b"x" * 5000)
    beginnings = (b"GET /hostile-kept/kept HTTP/1.1\r\nHost: x\r\nX-", put[:len(put) - 4999],
                  put[:60],
                  b"PUT /hostile-kept/slow HTTP/1.1\r\nHost: x\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\nfff")
    pid, socks = shared_node.edged_pid(), []
    before = fd_count(shared_node)
    try:
        for i in range(200):
            socks.append(connect(shared_node))
            socks[-1].sendall(beginnings[i % len(beginnings)])
        witness = Witness(shared_node.s3(), "hostile-witness")
        for _ in range(4):
            begin = time.monotonic()
            witness.round()
            assert time.monotonic() - begin < (20 if IS_SANITIZED else 5)
            for sock in socks:
                try:
                    sock.send(b"a")
                except ConnectionError:
                    pass  # had enough of it
            time.sleep(0.5)
    finally:
        for sock in socks:
            sock.close()
    wait_for(lambda: fd_count(shared_node) <= before + 4, "descriptors to be given back")
    assert shared_node.edged_pid() == pid
    assert all_keys(shared_node.s3(), "hostile-kept") == ["kept"]


def test_patterns_of_a_policy_end(shared_node, place):
    """Wildcards that a naive matcher would be busy with for years."""
    s3 = shared_node.s3()
    s3.create_bucket(Bucket="hostile-patterns")
    resource = "arn:aws:s3:::hostile-patterns/" + "*a" * 400 + "b"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*O*b*j*e*c*t",
                 "Resource": [resource] * 8,
                 "Condition": {"StringLike": {"aws:Referer": ["*a" * 100 + "b"] * 5}}}
    allow = {**statement, "Action": "s3:GetObject"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement, allow]})
    s3.put_bucket_policy(Bucket="hostile-patterns", Policy=policy)
    request = (f"GET /hostile-patterns/{'a' * 1000} HTTP/1.1\r\nHost: {place.host}\r\n"
               f"Referer: {'a' * 4000}\r\n"
               "Connection: close\r\n\r\n").encode()
    begin = time.monotonic()
    assert not send_all(shared_node, [Hostile("patterns", request)] * 50)
    assert time.monotonic() - begin < (60 if IS_SANITIZED else 15)
