"""TLS on the ports of S3 and of functions."""
import socket
import ssl
import subprocess
import urllib.parse

import boto3
import botocore.config
import pytest
import requests
from edgeos_functions import deploy_c
from s3_clients import REGION


@pytest.fixture
def certificate(tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", tmp_path / "tls.key", "-out",
         tmp_path / "tls.crt"], check=True, capture_output=True)
    return tmp_path / "tls.crt", tmp_path / "tls.key"


@pytest.fixture
def tls_node(make_node, certificate):
    return make_node(f"tls: {{certificate: {certificate[0]}, key: {certificate[1]}}}\n")


def test_both_ports(tls_node, certificate):
    assert tls_node.s3_url.startswith("https://") and tls_node.http_url.startswith("https://")
    client = boto3.client(
        "s3", endpoint_url=tls_node.s3_url, aws_access_key_id=tls_node.access_key,
        aws_secret_access_key=tls_node.secret_key, region_name=REGION, verify=str(certificate[0]),
        config=botocore.config.Config(s3={"addressing_style": "path"}))
    client.create_bucket(Bucket="data")
    body = bytes(range(256)) * 40000
    client.put_object(Bucket="data", Key="k", Body=body)
    assert client.get_object(Bucket="data", Key="k")["Body"].read() == body
    # Only over TLS, as a policy may demand it.
    client.put_bucket_policy(Bucket="data", Policy=(
        '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",'
        ' "Resource": "arn:aws:s3:::data/*", "Condition": {"Bool": {"aws:SecureTransport":'
        ' "true"}}}}'))
    answer = requests.get(f"{tls_node.s3_url}/data/k", verify=certificate[0], timeout=30)
    assert answer.content == body
    deploy_c(tls_node, "hello", '#include <stdio.h>\nint main(void)'
             ' { puts("Content-Type: text/plain\\n"); puts("hello"); }')
    answer = requests.get(f"{tls_node.http_url}/f/hello", verify=certificate[0], timeout=60)
    assert answer.text == "hello\n"
    assert tls_node.cli_json("status")["s3_url"] == tls_node.s3_url


def test_what_is_not_tls(tls_node, certificate):
    address = urllib.parse.urlsplit(tls_node.s3_url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            received = sock.recv(4096)
        except ConnectionError:
            received = b""
        assert b"HTTP" not in received
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificate[0])
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection((address.hostname, address.port), timeout=20) as sock:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            old.wrap_socket(sock, server_hostname="localhost").do_handshake()
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = ssl.create_default_context(cafile=certificate[0])
        context.minimum_version = context.maximum_version = version
        with socket.create_connection((address.hostname, address.port), timeout=20) as sock:
            with context.wrap_socket(sock, server_hostname="localhost") as wrapped:
                wrapped.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert wrapped.recv(12) == b"HTTP/1.1 403"


@pytest.mark.parametrize("text,message", [
    ("tls: {certificate: /nonexistent, key: /nonexistent}", "No such file"),
    ("tls: {certificate: /etc/hostname, key: /etc/hostname}", "PEM"),
    ("tls: {certificate: /etc/hostname}", "go together"),
    ("tls: {key: x, certificat: y}", "certificat")])
def test_bad_configuration(make_node, text, message):
    with pytest.raises(AssertionError) as caught:
        make_node(text + "\n")
    assert message in str(caught.value)
