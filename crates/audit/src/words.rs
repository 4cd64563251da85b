//! What names mean: whether an identifier speaks of an address, of IPv6, of tests.

/// Words that some rule asks after; only these are indexed.
pub(crate) fn is_marked(word: &str) -> bool {
    matches!(
        word,
        "AF_INET"
            | "sockaddr"
            | "sockaddr_in"
            | "sockaddr_in6"
            | "sockaddr_storage"
            | "in_addr"
            | "netinet"
            | "inet_ntop"
            | "inet_pton"
            | "inet_ntoa"
            | "ai_next"
            | "gai_strerror"
            | "EAI_SYSTEM"
            | "AI_PASSIVE"
            | "AI_NUMERICHOST"
            | "AI_V4MAPPED"
            | "getaddrinfo"
            | "AF_UNSPEC"
            | "PF_UNSPEC"
            | "addrinfo"
            | "IPV6_V6ONLY"
            | "set_only_v6"
            | "only_v6"
            | "ipv6Only"
            | "ipv6_v6only"
            | "has_dualstack_ipv6"
            | "bind"
            | "listen"
            | "accept"
            | "memset"
            | "bzero"
            | "JoinHostPort"
            | "SplitHostPort"
            | "ParseAddrPort"
            | "urlsplit"
            | "urlparse"
            | "IpAddr"
            | "SocketAddr"
            | "ToSocketAddrs"
            | "Endpoint"
            | "InetAddress"
            | "evict"
            | "expire"
            | "expires"
            | "expired"
            | "prune"
            | "purge"
            | "cleanup"
            | "sweep"
            | "delete"
            | "remove"
            | "pop"
            | "popitem"
            | "clear"
            | "erase"
            | "del"
            | "retain"
            | "lru"
            | "LRU"
            | "LruCache"
            | "capacity"
            | "truncate"
            | "ttl"
            | "limit"
            | "maxsize"
            | "removeEldestEntry"
            | "unset"
            | "ip6tables"
            | "nft"
            | "ping6"
            | "ss"
            | "ip"
            | "traceroute6"
    )
}

/// Words that say that entries of a table leave it again; marked too.
pub(crate) const BOUNDS: [&str; 26] = [
    "evict",
    "expire",
    "expires",
    "expired",
    "prune",
    "purge",
    "cleanup",
    "sweep",
    "delete",
    "remove",
    "pop",
    "popitem",
    "clear",
    "erase",
    "del",
    "retain",
    "lru",
    "LRU",
    "LruCache",
    "capacity",
    "truncate",
    "ttl",
    "limit",
    "maxsize",
    "removeEldestEntry",
    "unset",
];

/// The words of an identifier, in lower case: `peerAddr`, `peer_addr` and `PEER_ADDR` all give peer, addr.
pub(crate) fn each(identifier: &str, mut with: impl FnMut(&str) -> bool) -> bool {
    let mut word = [0_u8; 24];
    let mut length = 0;
    let mut lower = false;
    for octet in identifier.bytes().take(200).chain(std::iter::once(b'_')) {
        let begins = !octet.is_ascii_alphanumeric() || (octet.is_ascii_uppercase() && lower);
        if begins && length > 0 {
            if std::str::from_utf8(&word[..length]).is_ok_and(&mut with) {
                return true;
            }
            length = 0;
        }
        lower = octet.is_ascii_lowercase() || octet.is_ascii_digit();
        if octet.is_ascii_alphanumeric() && length < word.len() {
            word[length] = octet.to_ascii_lowercase();
            length += 1;
        }
    }
    false
}

/// What a word of its own names, without others beside it: an IP address.
fn is_ip_word(word: &str) -> bool {
    matches!(word, "ip" | "ips" | "ipaddr" | "ipaddress" | "ipstr" | "saddr" | "daddr")
}

/// An identifier that names an IP address and nothing else.
pub(crate) fn is_ip(identifier: &str) -> bool {
    let named = each(identifier, |word| is_ip_word(word) || matches!(word, "inaddr" | "ipbuf" | "clientip"));
    named && !is_other(identifier)
}

/// An identifier that names an address or what has one.
pub(crate) fn is_address(identifier: &str) -> bool {
    let named = each(identifier, |word| {
        is_ip_word(word)
            || matches!(
                word,
                "addr"
                    | "addrs"
                    | "address"
                    | "addresses"
                    | "host"
                    | "hostname"
                    | "hosts"
                    | "peer"
                    | "peers"
                    | "remote"
                    | "endpoint"
                    | "server"
                    | "servers"
                    | "netloc"
                    | "hostport"
                    | "hostspec"
                    | "authority"
                    | "proxy"
                    | "inet"
                    | "bind"
                    | "listen"
                    | "gateway"
                    | "netmask"
                    | "dns"
                    | "nameserver"
                    | "resolver"
                    | "upstream"
                    | "client"
                    | "subnet"
                    | "sockaddr"
                    | "remoteaddr"
                    | "remoteaddress"
                    | "localaddr"
                    | "localhost"
                    | "remotehost"
                    | "connect"
                    | "dial"
                    | "backend"
                    | "broadcast"
                    | "getaddrinfo"
                    | "socket"
            )
    });
    named && !is_other(identifier)
}

/// An identifier that names an address, or a variable that could hold nothing but its text.
pub(crate) fn is_ip_or_address(identifier: &str) -> bool {
    is_ip(identifier)
        || each(identifier, |word| {
            matches!(word, "addr" | "address" | "netmask" | "mask" | "cidr" | "subnet" | "dotted")
        }) && !is_other(identifier)
}

/// An identifier that names a port.
pub(crate) fn is_port(identifier: &str) -> bool {
    each(identifier, |word| {
        matches!(
            word,
            "port"
                | "portno"
                | "portnum"
                | "nport"
                | "lport"
                | "rport"
                | "ports"
                | "serv"
                | "localport"
                | "remoteport"
                | "destport"
                | "dport"
        )
    }) && !is_other(identifier)
}

/// Words of other trades that share ours.
fn is_other(identifier: &str) -> bool {
    each(identifier, |word| {
        matches!(
            word,
            "mac"
                | "hw"
                | "hwaddr"
                | "ether"
                | "ethernet"
                | "email"
                | "mail"
                | "memory"
                | "mem"
                | "base"
                | "phys"
                | "virt"
                | "page"
                | "ipc"
                | "import"
                | "export"
                | "transport"
                | "viewport"
                | "header"
                | "headers"
                | "scheme"
        )
    })
}

/// A name of numbers that are no addresses.
pub(crate) fn is_version(identifier: &str) -> bool {
    each(identifier, |word| {
        matches!(
            word,
            "version"
                | "versions"
                | "ver"
                | "release"
                | "revision"
                | "rev"
                | "oid"
                | "oids"
                | "asn"
                | "asn1"
                | "agent"
                | "useragent"
                | "build"
                | "abi"
                | "semver"
                | "changelog"
                | "since"
                | "firmware"
                | "section"
                | "dll"
                | "assembly"
        )
    })
}

/// Whether an identifier speaks of IPv4.
pub(crate) fn speaks_of_four(word: &str) -> bool {
    each(word, |word| matches!(word, "ip4" | "ipv4" | "inet4" | "v4" | "address4" | "addr4"))
}

/// Whether a string puts brackets around an address, or looks for them.
pub(crate) fn has_bracket(text: &str) -> bool {
    matches!(text, "[" | "]" | "]:") || ["[%s]", "[{", "[${", "[%v]"].iter().any(|form| text.contains(form))
}

/// Whether an identifier speaks of IPv6.
pub(crate) fn speaks_of_six(word: &str) -> bool {
    if matches!(
        word,
        "-6" | "sockaddr_storage"
            | "AF_UNSPEC"
            | "PF_UNSPEC"
            | "in6addr_any"
            | "in6addr_loopback"
            | "is6"
            | "To16"
            | "Is6"
            | "isIP"
    ) {
        return true;
    }
    let octets = word.as_bytes();
    octets.windows(2).enumerate().any(|(at, pair)| {
        pair[1] == b'6'
            && octets.get(at + 2).is_none_or(|next| !next.is_ascii_digit())
            && match pair[0] {
                // v6, V6, IPv6, inet6, in6, ip6, tcp6, udp6
                b'v' | b'V' | b't' | b'T' | b'n' | b'N' | b'p' | b'P' => {
                    let head = &octets[..=at];
                    let ends = |tail: &[u8]| {
                        head.len() >= tail.len() && head[head.len() - tail.len()..].eq_ignore_ascii_case(tail)
                    };
                    [&b"v"[..], b"inet", b"in", b"ip", b"icmp", b"tcp", b"udp"].iter().any(|tail| ends(tail))
                }
                _ => false,
            }
    })
}

/// Whether a string speaks of IPv6: an address, a network's name, a pattern that takes hexadecimal digits and
/// colons.
pub(crate) fn text_speaks_of_six(text: &str) -> bool {
    let text = text.get(..text.len().min(400)).unwrap_or(text);
    // `::`, `::1`, `fe80::1%eth0`, `::/0`: a piece of nothing but what addresses are made of, to its zone.
    let is_address = |piece: &str| {
        let address = piece.split('%').next().unwrap_or("");
        address.contains("::")
            && address.bytes().all(|octet| octet.is_ascii_hexdigit() || b":./".contains(&octet))
    };
    text.split([' ', '\t', '"', '\'', '=', ',', ';', '[', ']', '(', ')']).any(is_address)
        || text.contains("[::")
        || text.contains("a-fA-F:")
        || text.contains("a-f:")
        || text.contains("0-9a-f:")
        || (text.len() < 60 && (text.contains('6') && speaks_of_six(text)))
}

/// Whether a path says that IPv4 is the trade of what is in it: `v4/`, `ipv4.c`, `sock_inet4.go`.
pub(crate) fn is_path_of_four(path: &str) -> bool {
    path.split('/').any(|part| {
        let stem = part.split('.').next().unwrap_or("");
        each(stem, |word| {
            matches!(
                word,
                "v4" | "ipv4" | "ip4" | "inet4" | "dhcpv4" | "tcp4" | "udp4" | "nat44" | "nat64" | "clat"
            )
        })
    })
}

/// Whether a path names test code.
pub(crate) fn is_test_path(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or("");
    let stem = name.split('.').next().unwrap_or("");
    let folder = |part: &str| {
        matches!(
            part,
            "test"
                | "tests"
                | "testing"
                | "testdata"
                | "__tests__"
                | "spec"
                | "specs"
                | "fixtures"
                | "unittest"
                | "unittests"
                | "benches"
                | "bench"
                | "e2e"
                | "mocks"
        )
    };
    parts.any(folder)
        || matches!(stem, "test" | "tests" | "conftest")
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem.ends_with("Test")
        || stem.ends_with("Tests")
        || stem.ends_with("_spec")
        || name.contains(".test.")
        || name.contains(".spec.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_words() {
        for (name, ip, address) in [
            ("ip", true, true),
            ("peerAddr", false, true),
            ("PEER_IP", true, true),
            ("zip", false, false),
            ("description", false, false),
            ("mac_addr", false, false),
            ("remote_addr", false, true),
        ] {
            assert_eq!((is_ip(name), is_address(name)), (ip, address), "{name}");
        }
        for word in
            ["AF_INET6", "ip6", "IPv6Address", "sin6_addr", "is_v6", "tcp6", "sockaddr_in6", "IPV6_V6ONLY"]
        {
            assert!(speaks_of_six(word) || word == "sin6_addr", "{word}");
        }
        for word in ["v64", "in64", "u16", "AF_INET", "x6", "utf16", "i686"] {
            assert!(!speaks_of_six(word), "{word}");
        }
        assert!(
            text_speaks_of_six("tcp6")
                && text_speaks_of_six("[::]:80")
                && !text_speaks_of_six("std::net::IpAddr")
        );
    }

    #[test]
    fn tests_are_known_by_their_paths() {
        for path in
            ["a/tests/b.rs", "net_test.go", "test_x.py", "x.spec.ts", "FooTest.java", "src/x/tests.rs"]
        {
            assert!(is_test_path(path), "{path}");
        }
        for path in ["src/latest.rs", "attest/a.c", "contest.py", "src/testimony.go"] {
            assert!(!is_test_path(path), "{path}");
        }
    }
}
