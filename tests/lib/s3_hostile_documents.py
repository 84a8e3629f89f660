"""Hostile S3 requests whose documents, queries and forms are bad: see s3_hostile.py."""
import base64
import datetime
import hashlib
import json

from s3_hostile import (
    DONE, REFUSALS, REGION, Hostile, aws_chunked, bodies, head_of, hmac_sha256, malformed_http,
    mutated, pipelined, presigned_urls, quote, signatures, signed, signing_key, smuggling)

# Documents


def bad_documents(root, inner, random):
    """Documents that must not be taken for <root>inner</root>."""
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(12))
    good = f"<{root}>{inner}</{root}>"
    yield f"<!DOCTYPE {root} [{entities}]>" + good
    yield f"<!DOCTYPE {root} [{entities}]><{root}>&e11;</{root}>"
    yield f'<!DOCTYPE {root} [<!ENTITY x SYSTEM "file:///etc/passwd">]><{root}>&x;{inner}</{root}>'
    yield f'<!DOCTYPE {root} SYSTEM "http://127.0.0.1:1/x.dtd">{good}'
    yield f'<!DOCTYPE {root} [<!ENTITY % x SYSTEM "file:///dev/zero"> %x;]>{good}'
    yield f'<!DOCTYPE {root} [<!ENTITY x "{"a" * 60000}">]><{root}>{"&x;" * 9000}</{root}>'
    yield f"<{root}>&x;{inner}</{root}>"
    yield f"<{root}>" * 5000
    yield f"<{root}>" * 5000 + f"</{root}>" * 5000
    yield "<a>" * 100000
    attributes = " ".join(f"a{i}=''" for i in range(9000))
    yield f"<Wrong {attributes}>{inner}</Wrong>"
    yield f'<{root} a="1" a="2">{inner}</{root}>'
    yield f"<x:{root}>{inner}</x:{root}>x"
    yield good[:-1]
    yield good[: len(good) // 2]
    yield good + good
    yield good + "rubbish"
    yield f"<{root}>{inner}\0</{root}>"
    yield f"<{root}>{inner}\x01</{root}>"
    yield f"<{root}>&#0;{inner}</{root}>"
    yield f"<{root}>&#xFFFFFFFFFF;{inner}</{root}>"
    yield f"<{root}>{inner}".encode() + b"\xff\xfe\xc0\x80" + f"</{root}>".encode()
    yield f"<{root}><![CDATA[{inner}</{root}>"
    yield "<!--" + "-" * 9000 + good
    yield f"<?xml version='9.9' encoding='nothing'?><Wrong>{inner}</Wrong>"
    yield f"<Wrong>{'x' * (1 << 20)}</Wrong>"
    yield "x" * (2 << 20) + good
    yield f"<!{'x' * 5000}>{good}"
    yield json.dumps({root: inner})
    yield b"\0" * 500
    yield random.randbytes(3000)


def operations(place):
    """Every operation that reads XML: method, target, the root, a document that it understands."""
    bucket, key = f"/{place.scratch}", f"/{place.scratch}/thing"
    locked = f"/{place.locked}/thing"
    grantee = ('<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
               'xsi:type="CanonicalUser">'
               "<ID>edgeos</ID></Grantee>")
    acl = (f"<Owner><ID>edgeos</ID></Owner><AccessControlList><Grant>{grantee}"
           "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>")
    rule = ("<Rule><ID>r</ID><Filter><Prefix>none/</Prefix></Filter><Status>Enabled</Status>"
            "<Expiration><Days>9</Days></Expiration></Rule>")
    cors = ("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
            "</CORSRule>")
    tags = "<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"
    retention = "<Mode>GOVERNANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate>"
    return [
        ("POST", bucket + "?delete", "Delete", "<Object><Key>none</Key></Object>"),
        ("PUT", bucket + "?versioning", "VersioningConfiguration", "<Status>Enabled</Status>"),
        ("PUT", bucket + "?acl", "AccessControlPolicy", acl),
        ("PUT", key + "?acl", "AccessControlPolicy", acl),
        ("PUT", bucket + "?cors", "CORSConfiguration", cors),
        ("PUT", bucket + "?lifecycle", "LifecycleConfiguration", rule),
        ("PUT", bucket + "?tagging", "Tagging", tags),
        ("PUT", key + "?tagging", "Tagging", tags),
        ("PUT", bucket + "?encryption", "ServerSideEncryptionConfiguration",
         "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
         "</ApplyServerSideEncryptionByDefault></Rule>"),
        ("PUT", bucket + "?publicAccessBlock", "PublicAccessBlockConfiguration",
         "<BlockPublicAcls>true</BlockPublicAcls>"),
        ("PUT", bucket + "?ownershipControls", "OwnershipControls",
         "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"),
        ("PUT", f"/{place.locked}?object-lock", "ObjectLockConfiguration",
         "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"),
        ("PUT", locked + "?retention", "Retention", retention),
        ("PUT", locked + "?legal-hold", "LegalHold", "<Status>ON</Status>"),
        ("POST", f"/{place.scratch}/mp?uploadId={place.upload}", "CompleteMultipartUpload",
         f'<Part><PartNumber>1</PartNumber><ETag>"{"0" * 32}"</ETag></Part>'),
        ("PUT", bucket + "?notification", "NotificationConfiguration",
         "<TopicConfiguration><Id>x</Id><Topic>x</Topic><Event>s3:ObjectCreated:*</Event>"
         "</TopicConfiguration>"),
        ("PUT", "/hostile-new-bucket", "CreateBucketConfiguration",
         "<LocationConstraint>mars-1</LocationConstraint>"),
    ]


def xml_request(place, method, target, document, statuses=REFUSALS):
    body = document if isinstance(document, bytes) else document.encode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    return Hostile(f"xml {method} {target}",
                   signed(place, method, target, body, [("content-md5", md5)]),
                   statuses)


def documents(place, random):
    for method, target, root, inner in operations(place):
        for document in bad_documents(root, inner, random):
            yield xml_request(place, method, target, document)
        # Mutated ones may well mean something: then they are done, or refused.
        for _ in range(8):
            if "new-bucket" in target:
                continue
            data = bytearray(f"<{root}>{inner}</{root}>".encode())
            for _ in range(random.randrange(1, 4)):
                at = random.randrange(len(data))
                data[at:at + random.randrange(3)] = random.choice(
                    (b"<", b">", b"&", b"\0", b"9999999999999999999", b"-1", b"<Rule>", b"</",
                     b"<!--", b" ", b"\xc3", b"]]>", data[:at], b"<Status>", b"\xe2\x80\xae"))
            yield xml_request(place, method, target, bytes(data), REFUSALS | DONE)
    many = "".join(f"<Object><Key>none{i}</Key></Object>" for i in range(10000))
    yield xml_request(place, "POST", f"/{place.scratch}?delete", f"<Delete>{many}</Delete>")
    for key in ("k" * 1025, "\ufffd" * 999):
        yield xml_request(place, "POST", f"/{place.scratch}?delete",
                          f"<Delete><Object><Key>{key}</Key></Object></Delete>", REFUSALS | DONE)
    parts = "".join(f"<Part><PartNumber>{i}</PartNumber><ETag>x</ETag></Part>"
                    for i in range(1, 10001))
    for number in (parts, "<Part/>", "<Part><PartNumber>0</PartNumber><ETag>x</ETag></Part>",
                   "<Part><PartNumber>99999999999999999999</PartNumber><ETag>x</ETag></Part>",
                   "<Part><PartNumber>-1</PartNumber><ETag>x</ETag></Part>"):
        yield xml_request(place, "POST", f"/{place.scratch}/mp?uploadId={place.upload}",
                          f"<CompleteMultipartUpload>{number}</CompleteMultipartUpload>")


def policies(place, random):
    def statement(**changes):
        return {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{place.scratch}/none", **changes}

    def policy(**changes):
        return json.dumps({"Version": "2012-10-17", "Statement": [statement(**changes)]})

    texts = ["[" * 100000, '{"a":' * 100000, "[" * 5000 + "]" * 5000, "{}", "null", "1e999", '"x"',
             "",
             '{"Version":"2012-10-17"}', '{"Version":"9","Statement":[]}',
             "{" + '"a":1,' * 5000 + '"a":1}',
             json.dumps({"Version": "2012-10-17", "Statement": [statement()] * 3000}), "x" * 30000,
             policy(Effect="Maybe"), policy(Action=[]), policy(Action="s3:Nothing"),
             policy(Action={}),
             policy(Resource="arn:aws:s3:::other/*"), policy(Resource=[["a"]]),
             policy(Principal={"X": "y"}),
             policy(Principal=7), policy(Condition={"NoSuch": {"a": "b"}}), policy(Condition=[]),
             policy(Condition={"IpAddress": {"aws:SourceIp": "999.1.1.1/99"}}),
             policy(Condition={"IpAddress": {"aws:SourceIp": "::/129"}}),
             policy(Condition={"NumericLessThan": {"s3:max-keys": "x"}}),
             policy(Condition={"DateLessThan": {"aws:CurrentTime": "never"}}),
             policy(Condition={"StringLike": {"aws:Referer": {"deep": ["x"]}}}),
             policy(NotAction="s3:*"), policy(Sid=[]), policy(Unknown="x"), policy(Effect=None),
             policy()[:-3], policy() + "x", policy().replace("Deny", "De\\u0000ny"),
             policy().replace("Deny", "\\ud800")]
    for text in texts:
        body = text.encode()
        yield Hostile("policy", signed(place, "PUT", f"/{place.scratch}?policy", body))
    for raw in (b"\xff\xfe" * 50, policy().encode("utf-16"),
                policy().encode().replace(b"Deny", b"De\xffny"),
                random.randbytes(999), b"\xef\xbb\xbf" * 9 + policy().encode()):
        yield Hostile("policy", signed(place, "PUT", f"/{place.scratch}?policy", raw))


# Queries and headers


NUMBERS = ("-1", "0", "", "x", "1.5", "1e3", "99999999999999999999", "0x1", "%201", "1%20", "+1",
           "10001", "%00")


def queries(place, random):
    bucket, key, mp = f"/{place.bucket}", f"/{place.bucket}/kept", f"/{place.scratch}/mp"

    def request(method, target, statuses=REFUSALS | DONE, body=b""):
        return Hostile(f"query {target[:90]}", signed(place, method, target, body), statuses,
                       method == "HEAD")

    for number in NUMBERS:
        yield request("PUT", f"{mp}?partNumber={number}&uploadId={place.upload}", REFUSALS, b"x")
        yield request("GET", f"{key}?partNumber={number}")
        yield request("GET", f"{bucket}?max-keys={number}")
        yield request("GET", f"{bucket}?uploads&max-uploads={number}")
        yield request("GET", f"{bucket}?versions&max-keys={number}")
        yield request("GET", f"{mp}?uploadId={place.upload}&max-parts={number}")
        yield request("GET", f"{mp}?uploadId={place.upload}&part-number-marker={number}")
    for word in ("x", "", "null%00", "-1", "0", "99999999999999999999", "%ff", "a" * 3000, "..",
                 "%2e%2e%2f",
                 "ffffffffffffffff", "0" * 32, "'; drop", "%0d%0aX-Evil:%201"):
        for method in ("GET", "HEAD", "DELETE"):
            yield request(method, f"{key}?versionId={word}", REFUSALS)
        yield request("PUT", f"{mp}?partNumber=1&uploadId={word}", REFUSALS, b"x")
        yield request("DELETE", f"{mp}?uploadId={word}", REFUSALS)
        yield request("GET", f"{mp}?uploadId={word}", REFUSALS)
        yield request("GET", f"{bucket}?list-type=2&continuation-token={word}")
        yield request("GET", f"{bucket}?list-type={word}")
        yield request("GET", f"{bucket}?encoding-type={word}")
        yield request("GET", f"{bucket}?delimiter={word}&prefix={word}&marker={word}")
        yield request("GET", f"{bucket}?versions&key-marker={word}&version-id-marker={word}")
        yield request("GET", f"{key}?response-content-type={word}&response-expires={word}")
    for name in ("acl", "policy", "cors", "nothing", "website", "torrent", "select", "%00",
                 "x" * 3000, "%01", "%ff",
                 "%e2%82" * 60, "a%c3%a9" * 60):
        yield request("POST", f"{key}?{name}", REFUSALS)
        yield request("PUT", f"{bucket}?{name}&{name}&policy", REFUSALS)
    for name in ("x", "..", "a" * 64, "UPPER", "127.0.0.1", ".functions", ".multipart", "a..b",
                 "-a", "a-", "xn--a",
                 "%00abc", "a%2fb", "%c3%a9abc", "."):
        for method in ("PUT", "GET", "DELETE", "HEAD"):
            yield request(method, f"/{name}", REFUSALS)
        yield request("PUT", f"/{name}/k", REFUSALS, b"x")


def ranges(place, random):
    key = f"/{place.bucket}/kept"
    forms = ["bytes=-", "bytes=--1", "bytes=-0", "bytes=5-4", "bytes=x-y", "bytes=0-0,1-1",
             "bytes=" + "0-0," * 2000,
             "bytes=99999999999999999999-", "bytes=0-99999999999999999999",
             "bytes=-99999999999999999999",
             "bytes=18446744073709551615-18446744073709551615", "lines=0-1", "bytes 0-1",
             "bytes=0 - 1", "=0-1",
             "bytes=0x0-0x1", "bytes=1e0-2", "bytes=+0-+1", "", "bytes", "bytes=0-1;",
             "bytes=" + "9" * 5000, "bytes=0",
             "bytes=-1-2", "bytes=1000-", "bytes=-9223372036854775808", "BYTES=0-1",
             "bytes=0-18446744073709551616",
             "bytes=9223372036854775807-9223372036854775808", "bytes=\t0-1"]
    for form in forms:
        for method in ("GET", "HEAD"):
            yield Hostile("range", signed(place, method, key, headers=[("range", form)]),
                          REFUSALS | DONE,
                          method == "HEAD")
        yield Hostile("copy range", signed(
            place, "PUT", f"/{place.scratch}/mp?partNumber=1&uploadId={place.upload}",
            headers=[("x-amz-copy-source", f"/{place.bucket}/kept"),
                     ("x-amz-copy-source-range", form)]))
    dates = ("", "x", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT", "0",
             "9" * 3000,
             "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
             "Sun, 06 Nov 9999999999 08:49:37 GMT")
    for name in ("if-modified-since", "if-unmodified-since", "if-match", "if-none-match",
                 "if-range"):
        for value in (*dates, '"', "*", "W/\"x\"", '"x",' * 900, '""', "\\"):
            yield Hostile("condition", signed(place, "GET", key, headers=[(name, value)]),
                          REFUSALS | DONE | {304})


def forms(place, random):
    """POST forms. All that are signed are signed for a key of their own, and are broken behind."""
    def post(body, content_type="multipart/form-data; boundary=b", extra=()):
        headers = [("Host", place.host), ("Content-Type", content_type),
                   ("Content-Length", len(body)), *extra]
        return Hostile("form", head_of("POST", f"/{place.bucket}", headers) + body)

    def field(name, value):
        return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()

    file = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            b"data\r\n--b--\r\n")
    for content_type in ("", "multipart/form-data", "multipart/form-data; boundary=",
                         "multipart/form-data; boundary=\"",
                         "multipart/form-data; boundary=" + "b" * 5000,
                         "multipart/mixed; boundary=b", "text/plain",
                         "multipart/form-data; boundary=b; boundary=c",
                         "multipart/form-data; boundary=\"b",
                         "application/x-www-form-urlencoded", "multipart/form-data;" + ";" * 5000):
        yield post(field("key", "k") + file, content_type)
    stamp = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"

    def signed_form(policy, *more, tail=file, signature=None):
        policy = policy if isinstance(policy, bytes) else json.dumps(policy).encode()
        text = base64.b64encode(policy).decode()
        made = hmac_sha256(signing_key(place.secret_key, scope), text).hex()
        fields = [("key", "k"), ("policy", text), ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
                  ("x-amz-credential", f"{place.access_key}/{scope}"), ("x-amz-date", stamp),
                  ("x-amz-signature", signature if signature is not None else made), *more]
        return post(b"".join(field(n, v) for n, v in fields) + tail)

    until = datetime.datetime.utcnow() + datetime.timedelta(minutes=9)
    until = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    anything = [["starts-with", f"${n}", ""] for n in
                ("key", "bucket", "x-amz-algorithm", "x-amz-credential", "x-amz-date")]
    good = {"expiration": until, "conditions": anything}
    for policy in (b"", b"{", b"[" * 14000, b'{"a":' * 2500, b"\0" * 99, {}, {"expiration": until},
                   {**good, "expiration": "x"},
                   {**good, "expiration": "2001-01-01T00:00:00Z"}, {**good, "conditions": {}},
                   {**good, "conditions": []},
                   {**good, "conditions": [*anything, ["content-length-range", 9, 1]]},
                   {**good, "conditions": [*anything, ["content-length-range", -1, 10**30]]},
                   {**good, "conditions": [*anything, ["eq", "$key"]]},
                   {**good, "conditions": [*anything, [[[]]]]},
                   {**good, "conditions": [*anything, ["eq", "$key", "other"]]},
                   {**good, "conditions": [7]},
                   {**good, "conditions": [*anything, ["content-length-range", 100, 200]]}):
        yield signed_form(policy)
    yield signed_form(good, signature="0" * 64)
    yield signed_form(good, signature="")
    yield signed_form(good, ("x-amz-meta-unasked", "x"))
    yield signed_form(good, ("acl", "everyone"))
    yield signed_form(good, *[(f"x-ignore-{i}", "") for i in range(3000)])
    yield signed_form(good, ("x-ignore-large", "x" * 30000))
    for tail in (b"", b"--b", b"--b--\r\n", file[:-9], file[:40], b"--b\r\n" * 5000,
                 b"--b\r\n" + b"X: y\r\n" * 5000,
                 file.replace(b"name=", b"nome="), b"--b\r\n\r\n\r\n", b"\r\n" * 5000,
                 random.randbytes(3000),
                 file.replace(b"Content-Disposition", b"X" * 30000), file.replace(b'"file"', b'"')):
        yield signed_form(good, tail=tail)
    for _ in range(20):
        body = bytearray(field("key", "k") + field("policy", "x") + file)
        for _ in range(4):
            body[random.randrange(len(body))] = random.randrange(256)
        yield post(bytes(body))


SELECTORS = (
    "acl", "policy", "policyStatus", "cors", "lifecycle", "tagging", "versioning", "location",
    "uploads", "versions", "encryption", "object-lock", "publicAccessBlock", "ownershipControls",
    "notification", "list-type", "delete", "retention", "legal-hold", "attributes", "uploadId",
    "partNumber", "versionId", "max-keys", "prefix", "delimiter", "marker", "start-after",
    "continuation-token", "encoding-type", "fetch-owner", "response-content-type", "key-marker",
    "version-id-marker", "max-parts", "part-number-marker", "max-uploads", "x-id")
HEADERS = (
    "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
    "content-type", "content-encoding", "content-md5", "cache-control", "expires", "expect",
    "origin", "access-control-request-method", "access-control-request-headers", "x-amz-acl",
    "x-amz-grant-read", "x-amz-tagging", "x-amz-tagging-directive", "x-amz-metadata-directive",
    "x-amz-meta-a", "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match",
    "x-amz-storage-class", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold", "x-amz-bypass-governance-retention", "x-amz-checksum-crc32",
    "x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type",
           "x-amz-mp-object-size",
    "x-amz-sdk-checksum-algorithm", "x-amz-object-attributes", "x-amz-max-parts",
    "x-amz-part-number-marker", "x-amz-server-side-encryption", "x-amz-expected-bucket-owner",
    "x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5", "x-amz-bucket-object-lock-enabled",
    "x-amz-object-ownership", "x-amz-website-redirect-location", "x-amz-request-payer")
VALUES = (
    "", "0", "1", "-1", "10000", "99999999999999999999", "null", "true", "*", "x", '"x"', "a=b&c=d",
    "bytes=0-9", "CRC32", "SHA256", "COMPOSITE", "REPLACE", "COPY", "AAAAAA==", "AES256",
          "STANDARD",
    "private", "public-read", "GOVERNANCE", "ON", "2030-01-01T00:00:00Z", "PUT", "ETag,ObjectParts",
    "Sun, 06 Nov 1994 08:49:37 GMT", "http://a.example", "gzip", "100-continue", "0" * 32,
    "0000000000000001", "/", "url", "2", "a" * 900, "%e4", "=?UTF-8?B?w6k=?=", "id=edgeos",
    "BucketOwnerEnforced", "a,b", ", ,", "text/html; charset=x")


def combinations(place, random):
    """Selectors, headers, values and bodies that do not belong together."""
    bodies_of = [f"<{root}>{inner}</{root}>".encode() for _, _, root, inner in operations(place)]
    sources = (f"/{place.wild}/a", f"{place.wild}/b?versionId=null", f"/{place.bucket}/kept",
               "/x/y")
    for _ in range(600):
        target = f"/{place.wild}" + random.choice(("", "", "/a", "/b", "/a%20%C3%A9", "/d/e/"))
        query = [f"{random.choice(SELECTORS)}={quote(random.choice(VALUES))}"
                 for _ in range(random.choice((0, 0, 1, 1, 2, 4)))]
        headers = {random.choice(HEADERS): random.choice(VALUES)
                   for _ in range(random.choice((0, 1, 2, 5)))}
        if "x-amz-copy-source" in headers:
            headers["x-amz-copy-source"] = random.choice(sources)
        method = random.choice(("GET", "HEAD", "PUT", "PUT", "POST", "DELETE", "OPTIONS"))
        body = random.choice((b"", b"data", b"{}", random.randbytes(3000), *bodies_of))
        if method in ("GET", "HEAD", "DELETE"):
            body = b""
        if target == f"/{place.wild}" and method == "DELETE" and not query:
            continue
        target += "?" + "&".join(query) if query else ""
        yield Hostile(f"combination {method} {target} {headers}",
                      signed(place, method, target, body, list(headers.items())),
                      REFUSALS | DONE | {304}, method == "HEAD")


FAMILIES = (malformed_http, mutated, smuggling, pipelined, signatures, presigned_urls, bodies,
            aws_chunked, documents, policies, queries, ranges, combinations, forms)


def generate(place, random):
    return [request for family in FAMILIES for request in family(place, random)]
