"""Signature Version 4 for the benches: presigned paths, and requests from Python."""
import datetime
import hashlib
import hmac
import http.client
import urllib.parse

REGION = "us-east-1"


def read_credentials(path):
    """Access and secret key of a node's credentials file."""
    values = {}
    for line in path.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator:
            values[name.strip()] = value.strip()
    return values["aws_access_key_id"], values["aws_secret_access_key"]


class Signer:
    def __init__(self, credentials, host):
        self.access, secret = credentials
        self.host = host
        now = datetime.datetime.now(datetime.timezone.utc)
        self.time = now.strftime("%Y%m%dT%H%M%SZ")
        day = self.time[:8]
        self.scope = f"{day}/{REGION}/s3/aws4_request"
        key = f"AWS4{secret}".encode()
        for word in (day, REGION, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        self.key = key

    def presign(self, method, path, **params):
        """PATH with a query that anybody may use for a day. PATH is percent-encoded already."""
        query = urllib.parse.urlencode(
            sorted(
                {
                    **params,
                    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                    "X-Amz-Credential": f"{self.access}/{self.scope}",
                    "X-Amz-Date": self.time,
                    "X-Amz-Expires": "86400",
                    "X-Amz-SignedHeaders": "host",
                }.items()
            ),
            quote_via=urllib.parse.quote,
            safe="",
        )
        canonical = f"{method}\n{path}\n{query}\nhost:{self.host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.time}\n{self.scope}\n{digest}"
        signature = hmac.new(self.key, text.encode(), "sha256").hexdigest()
        return f"{path}?{query}&X-Amz-Signature={signature}"


class Client:
    """One connection to a node's S3 port."""

    def __init__(self, url, credentials):
        host = urllib.parse.urlsplit(url).netloc
        self.signer = Signer(credentials, host)
        self.connection = http.client.HTTPConnection(host)

    def request(self, method, path, body=None, headers=None, **params):
        """Status and body of the answer."""
        target = self.signer.presign(method, path, **params)
        try:
            return self.ask(method, target, body, headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            # The node leaves a connection that was not used for a minute.
            self.connection.close()
            return self.ask(method, target, body, headers)

    def ask(self, method, target, body, headers):
        self.connection.request(method, target, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        return answer.status, answer.read()
