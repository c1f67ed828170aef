"""An OpenID Connect issuer for tests: a discovery document, keys, and tokens signed with them or otherwise."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

import rsa

_KEYS = []


def key(number):
    """The n-th RSA key, of 2048 bits exactly, as RFC 7518 asks; made once, since that takes seconds."""
    while len(_KEYS) <= number:
        _KEYS.append(rsa.newkeys(2048)[1])
    return _KEYS[number]


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value):
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """Serves on a port of its own; `url` is its issuer identifier."""

    def __init__(self, path=""):
        self.kids = {"k0": key(0)}
        self.overrides = {}
        self.asked = []
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                documents = {f"{path}/.well-known/openid-configuration": issuer.discovery, f"{path}/keys": issuer.keys}
                document = documents.get(self.path)
                body = json.dumps(document()).encode() if document else b"{}"
                self.send_response(200 if document else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}{path}"
        self.name = self.url.removeprefix("http://")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def discovery(self):
        return {"issuer": self.url, "jwks_uri": self.url + "/keys", **self.overrides}

    def keys(self):
        jwk = lambda kid, private: {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": number(private.n), "e": number(private.e)}
        return {"keys": [jwk(kid, private) for kid, private in self.kids.items()]}

    def claims(self, **more):
        now = int(time.time())
        all = {"iss": self.url, "sub": "user-1", "aud": "app", "iat": now, "exp": now + 300, **more}
        return {name: value for name, value in all.items() if value is not None}

    def token(self, kid="k0", alg="RS256", private=None, secret=None, signature=None, **claims):
        """A token; `secret` makes a shared one of it, `signature` replaces what would be right."""
        header = {"typ": "JWT", "alg": alg, **({"kid": kid} if kid else {})}
        signed = ".".join(b64url(json.dumps(part).encode()) for part in (header, self.claims(**claims)))
        if signature is None and secret is not None:
            signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        if signature is None:
            signature = rsa.sign(signed.encode(), private or self.kids[kid or "k0"], "SHA-256")
        return f"{signed}.{b64url(signature)}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
