"""Makes signed bodies as a sender of the scheme `unified` does, over bytes that the test chooses."""

import base64
import hashlib
import hmac
import json

SECRET = b"wks_5de520f96e439b002043d8d8_secret"

ENCODINGS = {"hex": lambda digest: digest.hex(), "base64": lambda digest: base64.b64encode(digest).decode()}


def mac(algorithm, encoding, data, nonce, secret=SECRET):
    return ENCODINGS[encoding](hmac.new(secret, data + nonce.encode(), algorithm).digest())


def body(data=b'[{"id":"1"}]', nonce="n", *, secret=SECRET, sha1="base64", sha256=None, type="VIRTUAL",
         xref=None, **webhook):
    """A body whose `data` is the given bytes. sha1 and sha256 name an encoding, or None for no such signature."""
    webhook = {"id": "w1", "connection_id": "c1", "object_type": "crm_contact", "event": "updated", **webhook}
    parts = [b'"data":' + data, b'"webhook":' + json.dumps(webhook).encode(), b'"nonce":' + json.dumps(nonce).encode()]
    for name, algorithm, encoding in (("sig", "sha1", sha1), ("sig256", "sha256", sha256)):
        if encoding:
            parts.append(f'"{name}":"{mac(algorithm, encoding, data, nonce, secret)}"'.encode())
    parts.append(b'"type":' + json.dumps(type).encode())
    if xref is not None:
        parts.append(b'"external_xref":' + json.dumps(xref).encode())
    return b"{" + b",".join(parts) + b"}"


def event_id(data, nonce, endpoint="/webhook"):
    """What the identity of an event must be; data without insignificant white space."""
    return hashlib.sha256(b"\0".join((endpoint.encode(), nonce.encode(), data))).hexdigest()[:32]
