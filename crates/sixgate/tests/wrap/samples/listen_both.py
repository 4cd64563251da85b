"""A socket for each family that there is, each with IPV6_V6ONLY said."""
import errno
import select
import socket

sockets = []
for family, any_address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
    try:
        s = socket.socket(family)
    except OSError as e:
        if e.errno == errno.EAFNOSUPPORT:
            continue
        raise
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((any_address, 8080))
    s.listen()
    sockets.append(s)
while True:
    for s in select.select(sockets, [], [])[0]:
        s.accept()[0].close()
