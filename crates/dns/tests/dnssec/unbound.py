"""Asks unbound's validator: `unbound.py FORWARDER ANCHOR`, names and types on standard input, a verdict a line."""

import ctypes
import sys


class Result(ctypes.Structure):
    """struct ub_result of unbound.h."""

    _fields_ = [
        ("qname", ctypes.c_char_p),
        ("qtype", ctypes.c_int),
        ("qclass", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("len", ctypes.c_void_p),
        ("canonname", ctypes.c_char_p),
        ("rcode", ctypes.c_int),
        ("answer_packet", ctypes.c_void_p),
        ("answer_len", ctypes.c_int),
        ("havedata", ctypes.c_int),
        ("nxdomain", ctypes.c_int),
        ("secure", ctypes.c_int),
        ("bogus", ctypes.c_int),
        ("why_bogus", ctypes.c_char_p),
        ("was_ratelimited", ctypes.c_int),
        ("ttl", ctypes.c_int),
    ]


NUMBERS = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "DS": 43, "DNSKEY": 48}

unbound = ctypes.CDLL("libunbound.so.8")
unbound.ub_ctx_create.restype = ctypes.c_void_p
unbound.ub_strerror.restype = ctypes.c_char_p


def check(error):
    if error:
        sys.exit(unbound.ub_strerror(error).decode())


context = ctypes.c_void_p(unbound.ub_ctx_create())
OPTIONS = {
    "do-not-query-localhost:": "no",
    "module-config:": "validator iterator",
    # Each answer is judged for itself, not made of the proofs of others (RFC 8198).
    "aggressive-nsec:": "no",
    # The better digest counts, as RFC 4509 section 3 has it.
    "harden-algo-downgrade:": "yes",
}
for option, value in OPTIONS.items():
    check(unbound.ub_ctx_set_option(context, option.encode(), value.encode()))
check(unbound.ub_ctx_set_fwd(context, sys.argv[1].encode()))
check(unbound.ub_ctx_add_ta(context, sys.argv[2].encode()))
for line in sys.stdin:
    name, kind = line.split()
    result = ctypes.POINTER(Result)()
    check(unbound.ub_resolve(context, name.encode(), NUMBERS[kind], 1, ctypes.byref(result)))
    it = result.contents
    verdict = "bogus" if it.bogus else "secure" if it.secure else "insecure"
    why = (it.why_bogus or b"").decode()
    print(name, kind, verdict, "rcode", it.rcode, why, flush=True)
    unbound.ub_resolve_free(result)
