"""Opens many connections from many addresses, says half of something on each, and keeps them: ADDRESS COUNT SOURCE..."""

import socket
import sys
import time

to, count, sources = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
words = [
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n\r\nhalf",
]
held = []
for number in range(count):
    held.append(socket.create_connection((to, 6464), timeout=10, source_address=(sources[number % len(sources)], 0)))
    try:
        held[-1].sendall(words[number % len(words)])
    except OSError:
        pass
print("held", flush=True)
time.sleep(120)
