"""Segments of a journal as a receiver would have written them, of any time and by the thousand."""

import ctypes
import datetime

import sign
import skip

NAME = "%s-1-%08x.jsonl"


def checksum():
    """XXH3 of 64 bits."""
    try:
        function = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    except OSError:
        raise skip.Skip("libxxhash0 is not installed")
    function.restype, function.argtypes = ctypes.c_uint64, (ctypes.c_char_p, ctypes.c_size_t)
    return lambda text: function(text, len(text))


def line(checksum, at, marker, connection, text=""):
    """One event with one record, received at that moment (UTC): its identity and its line."""
    data = b'[{"id":"%s","text":"%s"}]' % (marker.encode(), text.encode())
    event_id = sign.event_id(data, marker)
    body = (b'{"v":1,"received_at":"%sZ","event_id":"%s","endpoint":"/webhook","scheme":"unified","type":"VIRTUAL",'
            b'"event":"updated","object_type":"crm_contact","connection_id":"%s","webhook_id":"w1","workspace_id":null,'
            b'"integration_type":null,"environment":null,"external_xref":null,"nonce":"%s","count":1,"data":%s'
            % (at.strftime("%Y-%m-%dT%H:%M:%S.%f").encode(), event_id.encode(), connection.encode(),
               marker.encode(), data))
    return event_id, body + b',"sum":"%016x"}\n' % checksum(body)


def write_segment(journal, at, lines):
    path = journal / (NAME % (at.strftime("%Y%m%dT%H%M%S.%fZ"), abs(hash(at)) & 0xffffffff))
    path.write_bytes(b"".join(lines))
    path.chmod(0o600)


def now():
    return datetime.datetime.utcnow()
