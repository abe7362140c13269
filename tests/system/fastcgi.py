"""A FastCGI client of our own, so that tests decide what goes over the wire, record by record."""

import fcntl
import socket
import struct
import termios

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
RESPONDER, AUTHORIZER, FILTER = range(1, 4)
KEEP_CONNECTION = 1


class PeerGone(ConnectionError):
    """The connection ended before the answer did."""


def record(kind, content=b"", request=1, padding=0, length=None, version=1):
    """One record. A `length` other than the content's own makes a malformed one."""
    length = len(content) if length is None else length
    return struct.pack("!BBHHBx", version, kind, request, length, padding) + content + bytes(padding)


def begin(role=RESPONDER, keep=True, request=1):
    return record(BEGIN_REQUEST, struct.pack("!HB5x", role, KEEP_CONNECTION if keep else 0), request)


def pair(name, value):
    def size(text):
        return struct.pack("!B", len(text)) if len(text) < 128 else struct.pack("!I", len(text) | 1 << 31)

    return size(name) + size(value) + name + value


def claimed_pair(name_size, value_size, content=b""):
    """A pair that claims these sizes, in four bytes each, whatever follows."""
    return struct.pack("!II", name_size | 1 << 31, value_size | 1 << 31) + content


def stream(kind, content, request=1, chunk=65528):
    """All records of a stream, with the empty one that ends it."""
    parts = [content[i:i + chunk] for i in range(0, len(content), chunk)]
    return b"".join(record(kind, part, request) for part in parts + [b""])


def params(variables, request=1):
    pairs = (pair(name.encode(), value.encode()) for name, value in variables.items())
    return stream(PARAMS, b"".join(pairs), request)


class Connection:
    """One connection to a FastCGI program on a unix socket. It may carry several requests, one after the other."""

    def __init__(self, path, timeout=120):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def is_read(self):
        """Whether the program has read all that was sent."""
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))) == (0,)

    def receive(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise PeerGone("the connection ended within an answer")
            data += part
        return data

    def is_ended(self):
        """Whether the program ends the connection, whatever it says before."""
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def answer(self, request=1):
        """Reads records to the end of a request: what the program wrote, as it stands."""
        output = b""
        while True:
            _, kind, number, length, padding = struct.unpack("!BBHHBx", self.receive(8))
            content = self.receive(length + padding)[:length]
            if number != request:
                continue
            if kind == STDOUT:
                output += content
            elif kind == END_REQUEST:
                return output

    def request(self, variables, body, keep=True):
        self.send(begin(keep=keep) + params(variables) + stream(STDIN, body))
        return self.answer()
