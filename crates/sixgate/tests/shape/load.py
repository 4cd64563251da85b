"""Load for a link: TCP connections that take or give as much as they can, and small pages.

    load.py serve                          on ports 5201 (load) and 8080 (objects by HTTP/1.1)
    load.py run ADDRESS SECONDS DOWN UP    so many connections each way; prints octets of each after two seconds, as JSON
"""
import json, socket, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, WARM = 5201, 2.0


class Objects(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = bytes(15_000)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 64


def serve():
    listener = socket.create_server(("::", PORT), family=socket.AF_INET6, backlog=64, dualstack_ipv6=True)
    threading.Thread(target=Server6(("::", 8080), Objects).serve_forever, daemon=True).start()
    print("ready", flush=True)

    def one(connection):
        try:
            if connection.recv(1) == b"d":
                while True:
                    connection.sendall(bytes(65536))
            while True:
                octets = len(connection.recv(1 << 16))
                if not octets:
                    return
                # What has arrived is told, so that what only waits somewhere is not counted.
                connection.sendall(octets.to_bytes(4, "big"))
        except OSError:
            pass

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def run(address, seconds, down, up):
    begin = time.monotonic() + WARM
    end = begin + seconds
    counts = [0] * (down + up)

    def take(index):
        connection = socket.create_connection((address, PORT))
        connection.sendall(b"d")
        while time.monotonic() < end:
            octets = len(connection.recv(1 << 16))
            if begin <= time.monotonic() < end:
                counts[index] += octets

    def give(index):
        connection = socket.create_connection((address, PORT))
        connection.sendall(b"u")
        told = threading.Thread(target=hear, args=(connection, index), daemon=True)
        told.start()
        connection.settimeout(0.5)
        while time.monotonic() < end:
            try:
                connection.send(bytes(16384))
            except TimeoutError:
                pass

    def hear(connection, index):
        left = b""
        while True:
            try:
                heard = connection.recv(1 << 16)
            except TimeoutError:
                # Of sending: what is said back may take longer on a busy line.
                continue
            if not heard:
                return
            left += heard
            words = [left[at : at + 4] for at in range(0, len(left) - 3, 4)]
            left = left[4 * len(words) :]
            if begin <= time.monotonic() < end:
                counts[index] += sum(int.from_bytes(word, "big") for word in words)

    threads = [threading.Thread(target=take, args=(n,), daemon=True) for n in range(down)]
    threads += [threading.Thread(target=give, args=(down + n,), daemon=True) for n in range(up)]
    for thread in threads:
        thread.start()
    time.sleep(WARM + seconds)
    print(json.dumps({"down": counts[:down], "up": counts[down:]}), flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    run(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
