"""A requestor of leases, written from RFC 5007, RFC 5460 and RFC 7653 alone.

requestor.py SERVER udp|tcp|active KIND LINK [VALUE]
KIND is address, client, relay, link or remote; VALUE an address, or octets in hexadecimal. Each message that comes is a
line: its type, its status, and of each client its DUID and what it has, with valid lifetimes.
"""
import socket, struct, sys

KINDS = {"address": 1, "client": 2, "relay": 3, "link": 4, "remote": 5}
NAMES = {15: "reply", 16: "done", 17: "data", 23: "starttls"}


def option(code, data):
    return struct.pack("!HH", code, len(data)) + data


def options(data):
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("!HH", data, at)
        assert at + 4 + length <= len(data), "an option overruns"
        yield code, data[at + 4:at + 4 + length]
        at += 4 + length


def packed(text):
    return socket.inet_pton(socket.AF_INET6, text)


def query(message, kind, link, value):
    inner = {"address": lambda: option(5, packed(value) + bytes(8)), "client": lambda: option(1, bytes.fromhex(value)),
             "relay": lambda: option(53, bytes.fromhex(value)), "remote": lambda: option(37, bytes.fromhex(value)),
             "link": lambda: b""}[kind]()
    asked = option(44, bytes([KINDS[kind]]) + packed(link) + inner + option(6, struct.pack("!HH", 47, 39)))
    return bytes([message, 0x51, 0x52, 0x53]) + option(1, bytes.fromhex("00030001020000000099")) + asked


def client(data):
    duid, has = "", []
    for code, value in options(data):
        if code == 1:
            duid = value.hex()
        elif code == 5:
            has.append("%s/%d" % (socket.inet_ntop(socket.AF_INET6, value[:16]), struct.unpack_from("!I", value, 20)[0]))
        elif code == 26:
            has.append("%s/%d/%d" % (socket.inet_ntop(socket.AF_INET6, value[9:25]), value[8], struct.unpack_from("!I", value, 4)[0]))
    return duid + "=" + ",".join(sorted(has))


def show(message):
    assert message[1:4] == b"QRS", "another transaction"
    status, clients = 0, []
    for code, value in options(message[4:]):
        if code == 13:
            status = struct.unpack_from("!H", value)[0]
        elif code == 45:
            clients.append(client(value))
    print(NAMES.get(message[0], message[0]), status, *clients, flush=True)


def ended(kind, error, trace):
    print("closed" if kind is ConnectionResetError or getattr(error, "errno", 0) == 107 else error, flush=True)


sys.excepthook = ended
server, how, kind, link, value = (sys.argv[1:] + [""])[:5]
if how == "udp":
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.sendto(query(14, kind, link, value), (server, 547))
        show(s.recvfrom(65535)[0])
else:
    with socket.create_connection((server, 547), timeout=25) as s:
        message = query(22 if how == "active" else 14, kind, link, value)
        s.sendall(struct.pack("!H", len(message)) + message)
        if how == "active":
            s.settimeout(None)
        else:
            s.shutdown(socket.SHUT_WR)
        stream = s.makefile("rb")
        while True:
            head = stream.read(2)
            if len(head) < 2:
                print("closed", flush=True)
                break
            show(stream.read(struct.unpack("!H", head)[0]))
