"""Hostile S3 requests by the hundred, the same for the same seed: tests/integ/test_s3_hostile.py.

Each family is a generator of Hostile. Where the hostility lies behind the signature, the signature
is right, so that the request reaches the code that it is meant for.
"""
import base64
import dataclasses
import datetime
import hashlib
import hmac
import urllib.parse

REGION = "us-east-1"
EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
# What a refusal may be. 500 is never the answer to what a client did.
REFUSALS = frozenset((400, 403, 404, 405, 408, 409, 411, 412, 413, 414, 416, 417, 431, 501, 505))
DONE = frozenset((200, 204, 206))


@dataclasses.dataclass
class Hostile:
    family: str
    data: bytes
    statuses: frozenset = REFUSALS
    is_head: bool = False


@dataclasses.dataclass
class Place:
    """Where the requests go and who signs them."""

    host: str
    access_key: str
    secret_key: str
    bucket: str  # holds the object "kept"; nothing in it may change
    scratch: str  # holds "thing"; its configuration may change, its keys may not
    locked: str  # the same, with object lock
    wild: str  # whatever becomes of it
    upload: str  # an upload under way of "mp" in the scratch bucket, without parts


def quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def head_of(method, target, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("utf-8", "surrogateescape")


def hmac_sha256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, scope):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac_sha256(key, part)
    return key


def canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(pairs))


def sign(place, method, target, body=b"", headers=(), *, payload=None, when=None, unsigned=(),
         keys=None, region=REGION):
    """The whole request, and its signature and key for those who sign on. UNSIGNED: headers that
    are added after the signature."""
    stamp = (when or datetime.datetime.utcnow()).strftime("%Y%m%dT%H%M%SZ")
    access_key, secret = keys or (place.access_key, place.secret_key)
    payload = payload or hashlib.sha256(body).hexdigest()
    given = {"host": place.host, "x-amz-date": stamp, "x-amz-content-sha256": payload}
    given.update((name.lower(), value) for name, value in headers)
    names = sorted(given)
    path, _, query = target.partition("?")
    canonical = "\n".join(
        [method, path, canonical_query(query), *[f"{n}:{given[n].strip()}" for n in names], "",
         ";".join(names), payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = signing_key(secret, scope)
    signature = hmac_sha256(key, text).hex()
    lines = [*given.items(), (
        "authorization", f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"), *unsigned]
    if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in lines):
        lines.append(("content-length", len(body)))
    return head_of(method, target, lines) + body, (stamp, scope, key, signature)


def signed(*args, **options):
    return sign(*args, **options)[0]


def presigned(place, method, path, **changes):
    """A target whose query is a signature, with some parameters changed before it is made, and
    those of AFTER changed behind its back."""
    after = changes.pop("after", {})
    stamp = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    params = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256",
              "X-Amz-Credential": f"{place.access_key}/{scope}", "X-Amz-Date": stamp,
              "X-Amz-Expires": "60", "X-Amz-SignedHeaders": "host", **changes}
    query = "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(params.items()) if v is not None)
    canonical = "\n".join([method, path, query, f"host:{place.host}", "", "host", UNSIGNED])
    text = "\n".join(["AWS4-HMAC-SHA256", params["X-Amz-Date"] or "", scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    params["X-Amz-Signature"] = hmac_sha256(signing_key(place.secret_key, scope), text).hex()
    params.update(after)
    query = "&".join(f"{k}={quote(v)}" for k, v in params.items() if v is not None)
    return f"{path}?{query}"


# HTTP itself


def malformed_http(place, random):
    host = f"Host: {place.host}\r\n"
    good = f"GET /{place.bucket}/kept HTTP/1.1\r\n{host}"

    def lines(text, rest=b""):
        return Hostile("http", text.encode("latin-1") + rest)

    for method in ("", "G", "get", "GE T", "GET\t", "\0", "X" * 5000, "GÄT", "CONNECT", "TRACE",
                   "PROPFIND", "PRI", "()", "GET,PUT", "PATCH", "PURGE", "%47ET", "G\rET"):
        yield lines(f"{method} /{place.bucket}/kept HTTP/1.1\r\n{host}\r\n")
    for version in ("", "HTTP/0.9", "HTTP/1.0.1", "HTTP/2.0", "HTTP/9999999999.1", "HTTP/1.",
                    "HTTP/-1.1", "http/1.1", "HTTP/1.1 x", "HTTP/1.\0", "ICY/1.1", "HTTP/1.10"):
        yield lines(f"GET /{place.bucket}/kept {version}\r\n{host}\r\n")
    for target in ("", "*", "kept", "http://", f"http://{place.host}/{place.bucket}/kept", "//",
                   "/%", "/%0", "/%zz", "/%00", "/%u0041", "/a b", "/\0", "/\x7f", "/\x80", "/#x",
                   "/%c0%ae%c0%ae/%c0%ae", "/" + "%2e" * 3000, "/" + "a" * 9000, "/?" + "&" * 9000,
                   "/?" + "a=b&" * 3000, "/?%", "/?%00", "/?=", "/?a=%zz", "/" + "/" * 8000,
                   "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%5c..", "/;x",
                   "/" + "%25" * 2000,
                   f"/{place.bucket}%00/kept", f"/{place.bucket}%2fkept", f"/%{place.bucket}",
                   f"/{place.bucket}/" + "%ff" * 20, f"/{place.bucket}/" + "k" * 1025,
                   f"/{place.bucket}/" + "%f4%90%80%80", f"/{place.bucket}/%ed%a0%80"):
        yield lines(f"GET {target} HTTP/1.1\r\n{host}\r\n")
    for header in ("no colon", ": empty", " folded: x", "Bad Name: x", "N\0ul: x", "X: \0",
                   "X: \r y",
                   "X : y", "Ünicode: x", "X:" + "y" * 40000, "X" * 40000 + ": y", "Host: twice",
                   "Content-Length: x", "Content-Length: -1", "Content-Length: 1e3",
                   "Content-Length: 0x10", "Content-Length: 18446744073709551616",
                   "Content-Length: 18446744073709551615", "Content-Length: 9223372036854775808",
                   "Content-Length: 1, 1", "Content-Length:", "Content-Length: 1 1",
                   "Transfer-Encoding: x", "Transfer-Encoding: chunked, x", "Transfer-Encoding: ,",
                   "Transfer-Encoding: \x0bchunked", "Transfer-Encoding : chunked",
                   "Connection: " + "close," * 4000, "Expect: 200-ok", "Expect: 100-continue, x",
                   "Upgrade: h2c\r\nConnection: Upgrade", "Upgrade: websocket",
                   "TE: " + "x," * 5000,
                   "Trailer: Content-Length", "X-A: b\nX-C: d", "Range: bytes=0-0\r\n\tx: y"):
        yield lines(f"{good}{header}\r\n\r\n")
    for count in (150, 1000, 20000):
        yield lines(good + "".join(f"X-{i}: {i}\r\n" for i in range(count)) + "\r\n")
        yield lines(good + "A:b\r\n" * count + "\r\n")
    for garbage in (b"\0" * 3000, b"\r\n" * 3000, b"\n" * 3000, b" " * 70000, b"\xff" * 3000,
                    b"\x16\x03\x01\x02\x00",
                    b"SSH-2.0-x\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET", b"GET /",
                    b"G" * 70000,
                    b"<xml/>\r\n\r\n", b"GET /\r\n", b"GET /\n\n", b"GET / HTTP/1.1\n\n"):
        yield Hostile("garbage", garbage)
    for _ in range(60):
        yield Hostile("garbage", random.randbytes(random.randrange(1, 4000)) + b"\r\n\r\n")


def mutated(place, random):
    """A good request with a few bytes changed: what is signed is all that means something."""
    base = signed(place, "GET", f"/{place.bucket}/none?versionId=null", b"",
                  [("range", "bytes=0-9")])
    for _ in range(120):
        data = bytearray(base)
        for _ in range(random.randrange(1, 6)):
            at = random.randrange(len(data) - 4)
            choice = random.randrange(3)
            if choice == 0:
                data[at] = random.randrange(256)
            elif choice == 1:
                del data[at:at + random.randrange(1, 9)]
            else:
                data[at:at] = random.choice((b"\r\n", b"\0", b" ", b":", b"%", b"\xff" * 8, b"&&",
                                             b"=="))
        yield Hostile("mutated", bytes(data))


def smuggling(place, random):
    """Two opinions about where a request ends; the second request of each must not be obeyed."""
    inner = signed(place, "PUT", f"/{place.bucket}/smuggled", b"x")
    for lines in ("Content-Length: 5\r\nTransfer-Encoding: chunked",
                  "Transfer-Encoding: chunked\r\nContent-Length: 5",
                  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
                  "Transfer-Encoding: xchunked\r\nContent-Length: 0",
                  "Transfer-Encoding: identity\r\nContent-Length: 0",
                  "Transfer-Encoding: chunked, identity", "Transfer-Encoding: \tchunked\t, gzip",
                  "Content-Length: 0\r\nContent-Length: 5", "Content-Length: 0,5",
                  "Content-Length: +0", "Content-Length: 0\x0b", "Content-Length: 0;5",
                  "Content_Length: 5\r\nContent-Length: z", "Content-Length:\r\n 5"):
        for method in ("GET", "PUT", "POST"):
            head = f"{method} /{place.bucket}/k HTTP/1.1\r\nHost: {place.host}\r\n{lines}\r\n\r\n"
            yield Hostile("smuggling", head.encode("latin-1") + b"0\r\n\r\n" + inner)
    head = (f"PUT /{place.bucket}/k HTTP/1.1\r\nHost: {place.host}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n")
    for chunk in (b"-1\r\n\r\n", b"g\r\n", b"ffffffffffffffff\r\n", b"10000000000000000\r\nx",
                  b"0x1\r\nx",
                  b"1\r\nxx\r\n", b"1;" + b"e" * 70000, b"1;a=\"\r\n", b"\r\n\r\n", b" 0\r\n\r\n",
                  b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nTrailer\r\n\r\n",
                  b"00000000000000000000\r\n\r\n",
                  b"0\r\n" + b"T: v\r\n" * 9000, b"1\nx\n0\n\n"):
        yield Hostile("chunks", head.encode() + chunk)


def pipelined(place, random):
    """Garbage behind, and between, requests that are good."""
    get = signed(place, "GET", f"/{place.bucket}/kept")
    anonymous = f"GET /{place.bucket}/kept HTTP/1.1\r\nHost: {place.host}\r\n\r\n".encode()
    for garbage in (b"\0\0\0\0", b"GET", b"rubbish\r\n\r\n", b"\r\n" * 500, random.randbytes(5000),
                    b"GET / HTTP/1.1\r\n\r\n", anonymous[:-2], b"\x80" * 50):
        for count in (1, 2, 40):
            yield Hostile("pipelined", get * count + garbage, REFUSALS | DONE)
            yield Hostile("pipelined", anonymous * count + garbage)


# Signatures


def signatures(place, random):
    target = f"/{place.bucket}/kept"
    base = signed(place, "GET", target)
    at = base.index(b"AWS4-HMAC")
    end = base.index(b"\r\n", at)
    for _ in range(80):
        data = bytearray(base)
        where = random.randrange(at, end)
        data[where] = (data[where] + random.randrange(1, 90)) % 95 + 32
        if bytes(data) != base and data[where] not in b" ,":
            yield Hostile("signature", bytes(data))
    credential = f"{place.access_key}/20260101/{REGION}/s3/aws4_request"
    for value in ("", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 " + "Credential=a/" * 500,
                  "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=", "AWS :", "AWS a:b",
                  "Basic Og==",
                  "Bearer x", "AWS4-ECDSA-P256-SHA256 Credential=x",
                  "AWS4-HMAC-SHA256 " + "=" * 8000,
                  "AWS4-HMAC-SHA256 " + "," * 8000, "AWS4-HMAC-SHA256 Signature=" + "0" * 8000,
                  f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders="
                  f"{';'.join('h%d' % i for i in range(900))}, Signature={'0' * 64}"):
        yield Hostile("signature",
                      head_of("GET", target, [("Host", place.host), ("Authorization", value)]))
    now = datetime.datetime.utcnow()
    for seconds in (-10**9, -86400 * 8, -86400, -1200, 1200, 3600, 86400, 10**9):
        when = now + datetime.timedelta(seconds=seconds)
        for method in ("GET", "PUT", "DELETE"):
            yield Hostile("skew", signed(place, method, target, when=when))
    for stamp in ("", "0", "20261301T000000Z", "20260230T000000Z", "20260101T250000Z",
                  "99999999T999999Z",
                  "-0260101T000000Z", "20260101T000000", "20260101t000000z", "9" * 3000,
                  "Sun, 06 Nov 1994 08:49:37 GMT", "00000000T000000Z"):
        yield Hostile("skew", signed(place, "GET", target, headers=[("x-amz-date", stamp)]))
    for payload in ("", "x", "0" * 63, "0" * 64, "g" * 64,
                    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
                    "STREAMING-", "UNSIGNED-PAYLOA", "A" * 9000):
        yield Hostile("payload",
                      signed(place, "PUT", f"/{place.bucket}/k", b"data", payload=payload or " "))
    for keys in (("A", "b"), ("", ""), (place.access_key, ""), ("x" * 3000, "y"), ("../../x", "y"),
                 (place.access_key[:-1], place.secret_key), ("%00", "x"), ("a/b", "c")):
        yield Hostile("keys", signed(place, "PUT", f"/{place.bucket}/k", b"data", keys=keys))
    for region in ("", "mars", "us-east-1/", "x" * 2000):
        yield Hostile("region", signed(place, "GET", target, region=region))
    for name in ("x-amz-acl", "x-amz-meta-a", "x-amz-copy-source", "x-amz-security-token",
                 "x-amz-server-side-encryption", "x-amz-date", "x-amz-content-sha256", "host"):
        yield Hostile("unsigned header", signed(place, "PUT", f"/{place.bucket}/k", b"data",
                                                unsigned=[(name, "public-read")]))


def presigned_urls(place, random):
    target = f"/{place.bucket}/kept"

    def get(path):
        return Hostile("presigned", head_of("GET", path, [("Host", place.host)]))

    for expires in ("-1", "0", "604801", "", "x", "1e9", "99999999999999999999", " 60", "60x",
                    None):
        yield get(presigned(place, "GET", target, **{"X-Amz-Expires": expires}))
    for name in ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders"):
        for value in (None, "", "x", "\0", "/" * 900, ";" * 900, "%" * 900, "é" * 900, "a" * 7000):
            yield get(presigned(place, "GET", target, **{name: value}))
    for after in ({"X-Amz-Signature": "0" * 64}, {"X-Amz-Signature": ""}, {"X-Amz-Signature": None},
                  {"X-Amz-Signature": "x" * 5000}, {"versionId": "1"}, {"uploads": ""}, {"acl": ""},
                  {"X-Amz-Security-Token": "x"}, {"x-amz-expires": "9"},
                  {"response-content-type": "a/b"}):
        yield get(presigned(place, "GET", target, after=after))
    doubled = presigned(place, "GET", target)
    for extra in ("&X-Amz-Expires=9999", "&x-amz-signature=0", "&X-Amz-Date=x",
                  "&X-Amz-Credential=", "&%"):
        yield get(doubled + extra)
    for method in ("PUT", "DELETE", "POST", "HEAD", "OPTIONS"):
        yield Hostile("presigned",
                      head_of(method, doubled, [("Host", place.host), ("Content-Length", 0)]),
                      is_head=method == "HEAD")


# Bodies


def bodies(place, random):
    """What was promised of a body and is not so."""
    target = f"/{place.bucket}/k"
    body = random.randbytes(5000)
    for length in (0, 1, 4999, 5001, 10**7, 5 << 30, (5 << 30) + 1, 1 << 62):
        yield Hostile("length",
                      signed(place, "PUT", target, body, [("content-length", str(length))]))
    for payload in (None, UNSIGNED):
        for kept in (0, 1, 100, 4999):
            data = signed(place, "PUT", target, body, payload=payload)
            yield Hostile("truncated", data[:len(data) - 5000 + kept])
    wrong = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    for name, values in {
        "content-md5": (wrong, "x", "", "=" * 24, "A" * 5000),
        "x-amz-checksum-crc32": ("AAAAAA==", "x", "A" * 999, "AAAAAAA="),
        "x-amz-checksum-sha256": (wrong, "x", base64.b64encode(bytes(32)).decode()),
        "x-amz-sdk-checksum-algorithm": ("x", "CRC999", "a" * 999),
        "x-amz-trailer": ("x-amz-checksum-crc32", "x", "content-length"),
        "x-amz-decoded-content-length": ("-1", "x", "1", "99999999999999999999"),
    }.items():
        for value in values:
            is_stream = "trailer" in name or "decoded" in name
            payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER" if is_stream else None
            yield Hostile("sums",
                          signed(place, "PUT", target, body, [(name, value)], payload=payload))
    for value in ("é" * 2000, "a" * 3000):
        yield Hostile("metadata", signed(place, "PUT", target, b"x", [("x-amz-meta-a", value)],
                                         payload=UNSIGNED))
    for name, value in (("x-amz-tagging", "a=b&" * 40), ("x-amz-tagging", "%"),
                        ("x-amz-tagging", "k" * 200),
                        ("x-amz-storage-class", "x" * 900), ("x-amz-acl", "everyone"),
                        ("x-amz-grant-read", "id=\""), ("x-amz-grant-read", "," * 3000),
                        ("x-amz-object-lock-mode", "x"), ("x-amz-object-lock-legal-hold", "MAYBE"),
                        ("x-amz-object-lock-retain-until-date", "yesterday"), 
                        ("x-amz-server-side-encryption", "ROT13"),
                        ("x-amz-server-side-encryption-customer-key", "x"),
                        ("x-amz-copy-source", ""), ("x-amz-copy-source", "/"),
                        ("x-amz-copy-source", "%"),
                        ("x-amz-copy-source", "/a"), ("x-amz-copy-source", "../../etc/passwd"),
                        ("x-amz-copy-source", f"/{place.bucket}/none"),
                        ("x-amz-copy-source", "a/" * 2000),
                        ("x-amz-copy-source", f"/{place.bucket}/kept?versionId=x"),
                        ("x-amz-copy-source", f"/{place.bucket}/kept?" + "x" * 3000)):
        yield Hostile("headers", signed(place, "PUT", target, b"", [(name, value)]))


def aws_chunk(data, signature, size=None):
    size = f"{len(data):x}" if size is None else size
    return f"{size};chunk-signature={signature}\r\n".encode() + data + b"\r\n"


def aws_chunked(place, random):
    """Payloads in signed chunks: sizes, signatures and headers of chunks that are not right."""
    data = random.randbytes(9000)
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    zeros = "0" * 64

    def put(make, decoded=len(data), target=f"/{place.bucket}/k", statuses=REFUSALS):
        headers = [("x-amz-decoded-content-length", str(decoded)),
                   ("content-encoding", "aws-chunked")]
        length = len(make(zeros, lambda previous, data: zeros))
        headers.append(("content-length", str(length)))
        head, (stamp, scope, key, seed) = sign(place, "PUT", target, b"", headers, payload=payload)

        def chain(previous, data):
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, EMPTY,
                              hashlib.sha256(data).hexdigest()])
            return hmac_sha256(key, text).hex()

        return Hostile("aws-chunked", head + make(seed, chain), statuses)

    def whole(seed, chain, last=True):
        first = chain(seed, data)
        end = chain(first, b"")
        return aws_chunk(data, first) + (aws_chunk(b"", end) if last else b"")

    # A good one shows that the others are refused for what is wrong with them.
    yield put(whole, target=f"/{place.scratch}/thing", statuses=DONE)
    yield put(lambda seed, chain: whole(seed, chain, last=False))
    yield put(whole, decoded=len(data) - 1)
    yield put(whole, decoded=len(data) + 1)
    yield put(whole, decoded=0)
    for size in ("-1", "ffffffffffffffff", "10000000000000000", "0x2328", "2327", "2329", "", "g",
                 "7fffffffffffffff",
                 "0" * 5000, "2328 ", " 2328", "+2328"):
        yield put(lambda seed, chain, size=size: aws_chunk(data, chain(seed, data), size)
                  + aws_chunk(b"", chain(chain(seed, data), b"")))
    for signature in (zeros, "", "x" * 64, "0" * 5000, "0" * 63, "F" * 64):
        yield put(lambda seed, chain,
                  s=signature: aws_chunk(data, s) + aws_chunk(b"", chain(s, b"")))
        yield put(lambda seed, chain,
                  s=signature: aws_chunk(data, chain(seed, data)) + aws_chunk(b"", s))
    for header in (b";" * 9000 + b"\r\n", b"2328\r\n", b"2328;chunk-signature\r\n", b"2328;\r\n",
                   b"\r\n", b"\n" * 900,
                   b"2328;x=" + zeros.encode() + b"\r\n", random.randbytes(900), b"\0" * 900):
        yield put(lambda seed, chain, header=header: header + data)
    # A chunk a byte, all of them signed wrongly; and the same chunk twice.
    yield put(lambda seed, chain: b"".join(aws_chunk(b"x", zeros) for _ in range(9000)))
    yield put(lambda seed, chain: aws_chunk(data[:4500], chain(seed, data[:4500])) * 2
              + aws_chunk(b"", chain(chain(seed, data[:4500]), b"")))
