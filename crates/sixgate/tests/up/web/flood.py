"""Asks for the page's script as fast as it can, on many connections at once, and tells how many answers came in how long:
ADDRESS SECONDS"""

import socket
import sys
import threading
import time

to, seconds = sys.argv[1], float(sys.argv[2])
request = f"HEAD /page.js HTTP/1.1\r\nHost: [{to}]:6464\r\n\r\n".encode() * 20
count = 0
lock = threading.Lock()
begun = time.monotonic()


def ask():
    global count
    try:
        stream = socket.create_connection((to, 6464), timeout=10)
        while time.monotonic() - begun < seconds:
            stream.sendall(request)
            answers = b""
            while answers.count(b"HTTP/1.1 200 OK") < 20 and time.monotonic() - begun < seconds:
                answers += stream.recv(65536)
            with lock:
                count += answers.count(b"HTTP/1.1 200 OK")
    except OSError:
        pass


threads = [threading.Thread(target=ask) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{count} answers in {time.monotonic() - begun:.2f} s", flush=True)
