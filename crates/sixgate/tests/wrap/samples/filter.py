"""An access list for both families, asked for the address that is meant."""
import ipaddress, socket

DENIED = [ipaddress.ip_network(n) for n in ("192.0.2.0/24", "2001:db8::/32", "fe80::/10", "::1/128", "127.0.0.0/8")]
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 8080))
s.listen()
while True:
    peer, name = s.accept()
    address = ipaddress.ip_address(name[0].split("%")[0])
    address = address.ipv4_mapped or address if address.version == 6 else address
    if not any(address in net for net in DENIED):
        peer.sendall(b"welcome\r\n")
    peer.close()
