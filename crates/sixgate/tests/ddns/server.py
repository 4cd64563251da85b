"""A DNS server that takes updates, written for the tests from RFC 2136 (section 3) and RFC 8945 (section 5) alone.

server.py KEY-NAME SECRET-BASE64 STATE-FILE ZONE...    listens on port 53; BIND's nsupdate and dig are its own witnesses.
"""
import base64, hashlib, hmac, json, os, socket, struct, sys, time

KEY, SECRET, STATE, ZONES = sys.argv[1].lower(), base64.b64decode(sys.argv[2]), sys.argv[3], sys.argv[4:]
ALGORITHM = "hmac-sha256"
records = {}  # "name type" -> list of data in hexadecimal
if os.path.exists(STATE):
    records = json.load(open(STATE))


def wire(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"


def read_name(message, at):
    labels, end = [], None
    while message[at]:
        if message[at] >= 192:
            end = end or at + 2
            at = (message[at] & 63) << 8 | message[at + 1]
            continue
        labels.append(message[at + 1 : at + 1 + message[at]].decode().lower())
        at += 1 + message[at]
    return ".".join(labels), end or at + 1


def read_record(message, at):
    start = at
    name, at = read_name(message, at)
    kind, klass, ttl, length = struct.unpack_from("!HHIH", message, at)
    return start, name, kind, klass, ttl, message[at + 10 : at + 10 + length], at + 10 + length


def variables(when, fudge, error):
    return (wire(KEY) + struct.pack("!HI", 255, 0) + wire(ALGORITHM) + when.to_bytes(6, "big")
            + struct.pack("!HHH", fudge, error, 0))


def signed(answer, request_mac, error=0):
    when = int(time.time())
    digest = hmac.new(SECRET, struct.pack("!H", len(request_mac)) + request_mac + answer + variables(when, 300, error), hashlib.sha256).digest()
    data = (wire(ALGORITHM) + when.to_bytes(6, "big") + struct.pack("!HH", 300, len(digest)) + digest
            + answer[:2] + struct.pack("!HH", error, 0))
    more = struct.unpack_from("!H", answer, 10)[0] + 1
    return answer[:10] + struct.pack("!H", more) + wire(KEY) + struct.pack("!HHIH", 250, 255, 0, len(data)) + data


def verified(message, tsig):
    """The MAC of a request that is ours and of now; or why not."""
    start, name, _, _, _, data, _ = tsig
    algorithm, at = read_name(data, 0)
    when, (fudge, size) = int.from_bytes(data[at : at + 6], "big"), struct.unpack_from("!HH", data, at + 6)
    mac, original = data[at + 10 : at + 10 + size], data[at + 10 + size : at + 12 + size]
    if (name, algorithm) != (KEY, ALGORITHM):
        return None, "BADKEY"
    more = struct.unpack_from("!H", message, 10)[0] - 1
    bare = original + message[2:10] + struct.pack("!H", more) + message[12:start]
    if not hmac.compare_digest(hmac.new(SECRET, bare + variables(when, fudge, 0), hashlib.sha256).digest(), mac):
        return None, "BADSIG"
    return (mac, None) if abs(time.time() - when) <= fudge else (None, "BADTIME")


def update(message, counts, at):
    zone, at = read_name(message, at)
    if zone not in ZONES:
        return 9
    at += 4
    sections = []
    for count in counts[1:3]:
        section = []
        for _ in range(count):
            _, name, kind, klass, _, data, at = read_record(message, at)
            if not ("." + name).endswith("." + zone):
                return 10
            section.append((name, kind, klass, data.hex()))
        sections.append(section)
    for name, kind, klass, data in sections[0]:
        taken = any(key.split()[0] == name for key in records)
        there = records.get(f"{name} {kind}")
        if klass == 255 and kind == 255 and not taken: return 3
        if klass == 255 and kind != 255 and not there: return 8
        if klass == 254 and kind == 255 and taken: return 6
        if klass == 254 and kind != 255 and there: return 7
        if klass == 1 and there != [data]: return 8
    for name, kind, klass, data in sections[1]:
        key = f"{name} {kind}"
        if klass == 1 and data not in records.setdefault(key, []): records[key].append(data)
        elif klass == 254 and data in records.get(key, []): records[key].remove(data)
        elif klass == 255 and kind == 255: [records.pop(k) for k in list(records) if k.split()[0] == name]
        elif klass == 255: records.pop(key, None)
        if not records.get(key): records.pop(key, None)
    with open(STATE + ".new", "w") as file:
        json.dump(records, file)
    os.replace(STATE + ".new", STATE)
    print("updated", json.dumps(records), flush=True)
    return 0


def query(message, at):
    name, at = read_name(message, at)
    kind = struct.unpack_from("!H", message, at)[0]
    found = records.get(f"{name} {kind}", [])
    known = any(key.split()[0] == name for key in records)
    answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(d) // 2) + bytes.fromhex(d) for d in found)
    return message[:2] + bytes([0x84, 0 if known else 3]) + struct.pack("!HHHH", 1, len(found), 0, 0) + message[12 : at + 4] + answers


def soa(message, at):
    """nsupdate asks where the zone begins, and who is its master."""
    name, at = read_name(message, at)
    zone = next((z for z in ZONES if ("." + name).endswith("." + z)), None)
    if zone is None:
        return message[:2] + bytes([0x84, 5]) + struct.pack("!HHHH", 1, 0, 0, 0) + message[12 : at + 4]
    data = wire("ns." + zone) + wire("root." + zone) + struct.pack("!IIIII", 1, 60, 60, 60, 60)
    record = wire(zone) + struct.pack("!HHIH", 6, 1, 60, len(data)) + data
    # The zone's own name has it; of others the authority section tells.
    counts = (1, 1, 0, 0) if name == zone else (1, 0, 1, 0)
    return message[:2] + bytes([0x84, 0]) + struct.pack("!HHHH", *counts) + message[12 : at + 4] + record


sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 53))
print("serving", flush=True)
while True:
    message, peer = sock.recvfrom(4096)
    counts = struct.unpack_from("!HHHH", message, 4)
    opcode = message[2] >> 3 & 15
    if opcode == 0:
        kind = struct.unpack_from("!H", message, read_name(message, 12)[1])[0]
        sock.sendto((soa if kind == 6 else query)(message, 12), peer)
        continue
    at, last = 12, None
    for _ in range(counts[0]):
        at = read_name(message, at)[1] + 4
    for _ in range(sum(counts[1:])):
        last = read_record(message, at)
        at = last[6]
    answer = lambda code: message[:2] + bytes([0x80 | 5 << 3, code]) + bytes(8)
    if not counts[3] or last[2] != 250:
        print("refused: not signed", flush=True)
        sock.sendto(answer(5), peer)
        continue
    mac, wrong = verified(message, last)
    if wrong:
        print("refused:", wrong, flush=True)
        # BADSIG and BADKEY come unsigned (RFC 8945 section 5.2).
        error = {"BADSIG": 16, "BADKEY": 17, "BADTIME": 18}[wrong]
        data = wire(ALGORITHM) + int(time.time()).to_bytes(6, "big") + struct.pack("!HH", 300, 0) + message[:2] + struct.pack("!HH", error, 0)
        tsig = wire(KEY) + struct.pack("!HHIH", 250, 255, 0, len(data)) + data
        sock.sendto(answer(9)[:10] + b"\0\1" + tsig, peer)
        continue
    sock.sendto(signed(answer(update(message, counts, 12)), mac), peer)
