"""Gives packets to a translator behind a TUN interface and writes down what comes out for each.

    exchange.py INTERFACE PACKETS ANSWERS

PACKETS has one packet a line, in hexadecimal; its first line is a marker, a UDP packet over IPv4 that is translated for
certain. After each packet the marker is sent, and what comes out before the marker does belongs to the packet. ANSWERS
gets one line for each packet: what came out, separated by blanks.
"""
import select, socket, sys

IPV4, IPV6 = 0x0800, 0x86DD
SENT_BY_US = 4  # PACKET_OUTGOING

interface, packets, answers = sys.argv[1:]
port = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
port.bind((interface, 3))
port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)


def send(packet):
    kind = IPV4 if packet[0] >> 4 == 4 else IPV6
    port.sendto(packet, (interface, kind))


def receive():
    while True:
        if not select.select([port], [], [], 10)[0]:
            sys.exit("nothing came within ten seconds, not even the marker")
        packet, address = port.recvfrom(70000)
        if address[2] != SENT_BY_US:
            return packet


with open(packets) as given, open(answers, "w") as out:
    marker = bytes.fromhex(given.readline())
    send(marker)
    translated = receive()
    for line in given:
        send(bytes.fromhex(line))
        send(marker)
        came = []
        while (packet := receive()) != translated:
            came.append(packet.hex())
        out.write(" ".join(came) + "\n")
