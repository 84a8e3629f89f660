"""Cross-origin requests: the rules' document, preflights, headers of answers."""
import pytest
from s3_clients import bucket, code_of, make_client, plain, s3, signed  # noqa: F401

RULES = [
    {"AllowedOrigins": ["https://*.example.com", "http://localhost"], "AllowedMethods": ["GET", "PUT"],
     "AllowedHeaders": ["x-amz-*", "Content-Type"], "ExposeHeaders": ["ETag", "x-amz-meta-a"],
     "MaxAgeSeconds": 600, "ID": "one"},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]},
]


@pytest.fixture
def ruled(s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    return bucket


def preflight(node, target, origin, method, headers=None):
    return plain(node, "OPTIONS", target, headers={
        **({"Origin": origin} if origin else {}),
        **({"Access-Control-Request-Method": method} if method else {}),
        **({"Access-Control-Request-Headers": headers} if headers else {})})


def test_document(s3, bucket):
    assert code_of(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    got = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
    assert got[0] == RULES[0] and got[1]["AllowedOrigins"] == ["*"]
    s3.delete_bucket_cors(Bucket=bucket)
    assert code_of(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"


def test_preflight(shared_node, ruled):
    answer = preflight(shared_node, f"/{ruled}/k", "https://a.example.com", "PUT",
                       "content-type, X-Amz-Meta-A")
    assert answer.status == 200
    headers = answer.headers
    assert headers["Access-Control-Allow-Origin"] == "https://a.example.com"
    assert headers["Access-Control-Allow-Methods"] == "GET, PUT"
    assert headers["Access-Control-Allow-Headers"] == "content-type, X-Amz-Meta-A"
    assert headers["Access-Control-Expose-Headers"] == "ETag, x-amz-meta-a"
    assert headers["Access-Control-Max-Age"] == "600"
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in headers["Vary"]
    answer = preflight(shared_node, f"/{ruled}?uploads", "https://x", "HEAD")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin,method,headers,status", [
    ("https://example.com", "PUT", None, 403), ("https://a.example.com.evil", "PUT", None, 403),
    ("http://a.example.com", "PUT", None, 403), ("https://a.example.com", "DELETE", None, 403),
    ("https://a.example.com", "PUT", "x-other", 403), ("http://localhost", "GET", "", 200),
    ("http://localhost:1", "GET", None, 403), ("https://x", "HEAD", "content-type", 403),
    (None, "PUT", None, 400), ("https://a.example.com", None, None, 400)])
def test_preflights_refused(shared_node, ruled, origin, method, headers, status):
    answer = preflight(shared_node, f"/{ruled}/k", origin, method, headers)
    assert answer.status == status
    if status != 200:
        assert answer.code == {403: "AccessForbidden", 400: "InvalidRequest"}[status]
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_without_rules(shared_node, bucket):
    assert preflight(shared_node, f"/{bucket}/k", "https://x", "GET").code == "AccessForbidden"
    assert preflight(shared_node, "/no-such-bucket/k", "https://x", "GET").status == 403
    assert "Access-Control-Allow-Origin" not in signed(
        shared_node, "GET", f"/{bucket}", headers={"Origin": "https://x"}).headers


def test_answers(shared_node, s3, ruled):
    s3.put_object(Bucket=ruled, Key="k", Body=b"x" * 200000)
    origin = {"Origin": "https://a.example.com"}
    answer = signed(shared_node, "GET", f"/{ruled}/k", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example.com"
    assert answer.headers["Access-Control-Expose-Headers"] == "ETag, x-amz-meta-a"
    # The rules let nobody in; but the page may see that.
    answer = plain(shared_node, "GET", f"/{ruled}/k", headers=origin)
    assert answer.code == "AccessDenied"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example.com"
    for headers in {}, {"Origin": "https://else"}:
        assert "Access-Control-Allow-Origin" not in signed(
            shared_node, "GET", f"/{ruled}/k", headers=headers).headers
    assert "Access-Control-Allow-Origin" not in signed(
        shared_node, "DELETE", f"/{ruled}/k", headers=origin).headers


def test_presigned(shared_node, s3, ruled):
    """A browser asks before it uses a presigned URL: with its query, by another method."""
    url = make_client(shared_node, signature_version="s3v4").generate_presigned_url(
        "put_object", Params={"Bucket": ruled, "Key": "k"})
    target = url.removeprefix(shared_node.s3_url)
    assert plain(shared_node, "OPTIONS", target).status == 400
    assert preflight(shared_node, target, "https://a.example.com", "PUT").status == 200


def test_question_marks(shared_node, s3, bucket):
    """Only the star is special."""
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{
        "AllowedOrigins": ["http://a?c"], "AllowedMethods": ["GET"]}]})
    assert preflight(shared_node, f"/{bucket}/k", "http://abc", "GET").status == 403
    assert preflight(shared_node, f"/{bucket}/k", "http://a?c", "GET").status == 200


@pytest.mark.parametrize("body,code", [
    ("", "MalformedXML"), ("RULES", "MalformedXML"), ("<CORSRule/>", "MalformedXML"),
    ("<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>", "MalformedXML"),
    ("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>FLY</AllowedMethod></CORSRule>",
     "InvalidRequest"),
    ("<CORSRule><AllowedOrigin>a*b*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>",
     "InvalidRequest"),
    ("<CORSRule><AllowedOrigin>a b</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>",
     "MalformedXML"),
    ("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>-1"
     "</MaxAgeSeconds></CORSRule>", "MalformedXML"),
    ("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><X/></CORSRule>",
     "MalformedXML"),
    ("<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>" * 101,
     "MalformedXML")])
def test_bad_rules(shared_node, s3, bucket, body, code):
    body = f"<CORSConfiguration>{body}</CORSConfiguration>".encode()
    assert signed(shared_node, "PUT", f"/{bucket}?cors", body).code == code
    assert code_of(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"
