//! The system's resolver: `getaddrinfo` (RFC 3493 section 6.1).

use super::{Resolve, ResolveError, ResolveFailure};
use crate::{Endpoint, Family, Host};
use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, getaddrinfo};
use socket2::{Domain, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Addresses of one name that are kept. A DNS answer over TCP has room for some two thousand.
const MAX_ADDRESSES: usize = 256;

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str, family: Family) -> Result<Vec<Endpoint>, ResolveError> {
        ask(name, Some(family))
    }
}

/// The addresses of a host, both families together in the order the system would try them (RFC 6724), each
/// with a port: the host's own or `default_port`. A host that is an address stays what it is and nobody is
/// asked. It may block for as long as the system's resolver waits, commonly some ten seconds. An empty list:
/// the name exists and has no address.
///
/// To connect, take [`connect`](crate::connect) instead: it does not wait for the slower family, nor try one
/// dead address after the other.
///
/// # Errors
/// As [`Resolve::resolve`].
pub fn lookup(host: &Host, default_port: u16) -> Result<Vec<Endpoint>, ResolveError> {
    let port = host.port().unwrap_or(default_port);
    let endpoints = match (host.endpoint(), host.name_to_resolve()) {
        (Some(endpoint), _) => vec![endpoint],
        (None, name) => ask(name.unwrap_or_default(), None)?,
    };
    Ok(endpoints.into_iter().map(|endpoint| endpoint.with_port(port)).collect())
}

fn ask(name: &str, family: Option<Family>) -> Result<Vec<Endpoint>, ResolveError> {
    let in_family = |endpoint: &Endpoint| family.is_none_or(|family| endpoint.family() == family);
    let error = |failure, reason: String| Err(ResolveError::new(name, family, failure, reason));
    // An address is not a question, and must not leave the machine as one.
    if let Ok(endpoint) = name.parse::<Endpoint>() {
        if endpoint.port().is_some() {
            return error(
                ResolveFailure::NotAName,
                "an address with a port is no name; leave the port away".to_owned(),
            );
        }
        return Ok(Some(endpoint).filter(in_family).into_iter().collect());
    }
    if is_localhost(name) {
        let loopback = [Endpoint::new(Ipv6Addr::LOCALHOST), Endpoint::new(Ipv4Addr::LOCALHOST)];
        return Ok(loopback.into_iter().filter(in_family).collect());
    }
    if let Some(why) = no_name(name) {
        return error(ResolveFailure::NotAName, why.to_owned());
    }
    // With a type, or each address comes three times: for TCP, UDP and raw sockets.
    let hints = AddrInfoHints {
        address: family.map_or(0, |family| i32::from(domain(family))),
        socktype: Type::STREAM.into(),
        ..AddrInfoHints::default()
    };
    let answers = match getaddrinfo(Some(name), None, Some(hints)) {
        Ok(answers) => answers,
        Err(error) => return failed(name, family, error),
    };
    let mut endpoints = Vec::new();
    // An error inside is an address of a family that is neither IPv4 nor IPv6.
    for endpoint in answers.flatten().map(|answer| Endpoint::from(answer.sockaddr).without_port()) {
        // A mapped address in an AAAA record is IPv4 all the same, and no answer to a question for IPv6.
        if in_family(&endpoint) && !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
            if endpoints.len() == MAX_ADDRESSES {
                break;
            }
        }
    }
    Ok(endpoints)
}

fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

/// RFC 6761 section 6.3: always loopback, and no question to anybody. Where `/etc/hosts` has one family of it
/// alone, as in many containers, the other would be asked of DNS. Names below it are left to the system,
/// which may have them in its files.
fn is_localhost(name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost")
}

/// What no resolver need be asked for.
fn no_name(name: &str) -> Option<&'static str> {
    /// RFC 1035 section 3.1, and a final dot.
    const LONGEST: usize = 254;
    if name.is_empty() {
        return Some("the name is empty");
    }
    if name.len() > LONGEST {
        return Some("a name has at most 253 characters (RFC 1035 section 3.1)");
    }
    if name.contains(|character: char| character.is_control() || character.is_whitespace()) {
        return Some(
            "a name has neither spaces nor control characters; look for a stray one where it was written",
        );
    }
    if name.contains([':', '%', '[', ']', '/']) {
        return Some(
            "it looks like an address or a URL, but is no address; write the address or the name alone",
        );
    }
    // `getaddrinfo` takes 127.1, 0x7f000001 and 2130706433 for addresses, as inet_aton(3) does: nobody means
    // them, and filters that compare text do not know them. RFC 1123 section 2.1: the last label of a name is
    // not a number.
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"))
        && last.bytes().skip(2).all(|octet| octet.is_ascii_hexdigit());
    if last.is_empty() || hexadecimal || last.bytes().all(|octet| octet.is_ascii_digit()) {
        return Some(
            "what ends in a number is an address (RFC 1123 section 2.1), and has four parts: 192.0.2.1",
        );
    }
    None
}

fn failed(name: &str, family: Option<Family>, error: LookupError) -> Result<Vec<Endpoint>, ResolveError> {
    let (kind, number) = (error.kind(), error.error_num());
    let system = io::Error::from(error);
    // Without a number it never came to a question: the text could not be handed over.
    if number == 0 && matches!(kind, LookupErrorKind::IO) {
        return Err(ResolveError::new(name, family, ResolveFailure::NotAName, system.to_string()));
    }
    // glibc says EAI_NONAME too where it could open neither its files nor a socket, for lack of descriptors.
    let exhausted = (number == NONAME).then(lacks_descriptors).flatten();
    let (number, errno) = match exhausted {
        Some(errno) => (SYSTEM, Some(errno)),
        None => (number, system.raw_os_error()),
    };
    match explain(number, errno) {
        None => Ok(Vec::new()),
        Some((failure, reason)) => Err(ResolveError::new(name, family, failure, reason)),
    }
}

/// `EMFILE`, `ENFILE` or `ENOMEM`, where this process can open nothing further.
fn lacks_descriptors() -> Option<i32> {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let errno = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).err()?;
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM).then(|| errno.raw_os_error())
}

/// `EAI_NONAME`, `EAI_SYSTEM`.
const NONAME: i32 = -2;
const SYSTEM: i32 = -11;

/// What a number of `getaddrinfo` means (`netdb.h`; glibc and musl have the same), and for `EAI_SYSTEM` its
/// `errno`. `None`: the name exists, without an address.
fn explain(number: i32, errno: Option<i32>) -> Option<(ResolveFailure, String)> {
    use ResolveFailure::{Exhausted, NoAnswer, NoFamily, NoSuchName, Refused, System, Unexpected};
    let (failure, reason) = match number {
        // EAI_NODATA, EAI_ADDRFAMILY.
        -5 | -9 => return None,
        NONAME => (
            NoSuchName,
            "no such name; check its spelling, and the search list in /etc/resolv.conf if it is a short one",
        ),
        // EAI_AGAIN.
        -3 => (
            NoAnswer,
            "no name server answered, or none could tell now; try again, and check those in /etc/resolv.conf",
        ),
        // EAI_FAIL.
        -4 => {
            (Refused, "the name server refused or its answer was no answer; ask another one, or its operator")
        }
        // EAI_MEMORY.
        -10 => (Exhausted, "out of memory; try again when there is more"),
        // EAI_FAMILY.
        -6 => (NoFamily, "the system does not have this address family; ask for the other one"),
        SYSTEM => return Some(explain_system(errno)),
        // EAI_BADFLAGS, EAI_SOCKTYPE, EAI_SERVICE, EAI_OVERFLOW.
        -1 | -7 | -8 => (
            Unexpected(number),
            "the system's resolver did not take the question; it is unusual, or the program is wrong",
        ),
        -12 => (
            Unexpected(number),
            "the answer is too long for the system's resolver; ask the name's owner for fewer addresses",
        ),
        // EAI_INTR.
        -104 => (System(4), "interrupted by a signal; try again"),
        // EAI_IDN_ENCODE.
        -105 => (
            ResolveFailure::NotAName,
            "the name cannot be encoded for DNS; write it in its ASCII form (xn--...)",
        ),
        _ => {
            let reason =
                format!("the system's resolver failed with a number that is not known here, {number}");
            return Some((Unexpected(number), reason));
        }
    };
    Some((failure, reason.to_owned()))
}

fn explain_system(errno: Option<i32>) -> (ResolveFailure, String) {
    let Some(errno) = errno.filter(|&errno| errno != 0) else {
        let reason = "the system's resolver failed and does not say why; try again".to_owned();
        return (ResolveFailure::System(0), reason);
    };
    let text = io::Error::from_raw_os_error(errno);
    match errno {
        // ENOMEM, ENFILE, EMFILE.
        12 | 23 | 24 => {
            let remedy = "close what is not needed, or raise the limit (ulimit -n)";
            (ResolveFailure::Exhausted, format!("the system's resolver: {text}; {remedy}"))
        }
        // EAFNOSUPPORT.
        97 => {
            let reason = "the system's resolver cannot reach its servers with the address families of this \
                          system; check /etc/resolv.conf for servers of a family that is there";
            (ResolveFailure::NoFamily, reason.to_owned())
        }
        // EACCES, EPERM.
        1 | 13 => {
            let remedy =
                "may this process open sockets and read /etc/hosts, /etc/resolv.conf, /etc/nsswitch.conf?";
            (ResolveFailure::System(errno), format!("the system's resolver: {text}; {remedy}"))
        }
        _ => {
            let remedy = "check /etc/resolv.conf and /etc/nsswitch.conf";
            (ResolveFailure::System(errno), format!("the system's resolver: {text}; {remedy}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_loopback_whoever_says_otherwise() {
        for name in ["localhost", "localhost.", "LocalHost"] {
            let ask = |family| SystemResolver.resolve(name, family).unwrap();
            assert_eq!(ask(Family::V6), [Endpoint::new(Ipv6Addr::LOCALHOST)]);
            assert_eq!(ask(Family::V4), [Endpoint::new(Ipv4Addr::LOCALHOST)]);
        }
        let both = lookup(&"localhost:80".parse().unwrap(), 0).unwrap();
        assert_eq!(both.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[::1]:80", "127.0.0.1:80"]);
    }

    fn failure(number: i32, errno: Option<i32>) -> Option<ResolveFailure> {
        let (failure, reason) = explain(number, errno)?;
        assert!(reason.contains(' ') && !reason.ends_with('.'), "{reason}");
        Some(failure)
    }

    #[test]
    fn every_number_has_its_meaning() {
        use ResolveFailure::*;
        for (number, errno, expected, temporary) in [
            (-1, None, Some(Unexpected(-1)), false),
            (-2, None, Some(NoSuchName), false),
            (-3, None, Some(NoAnswer), true),
            (-4, None, Some(Refused), false),
            (-5, None, None, false),
            (-6, None, Some(NoFamily), false),
            (-7, None, Some(Unexpected(-7)), false),
            (-8, None, Some(Unexpected(-8)), false),
            (-9, None, None, false),
            (-10, None, Some(Exhausted), true),
            (-11, None, Some(System(0)), false),
            (-11, Some(0), Some(System(0)), false),
            // EINTR, EPERM, EMFILE, ENOMEM, EACCES, EAFNOSUPPORT, ECONNREFUSED, ENOENT.
            (-11, Some(4), Some(System(4)), true),
            (-11, Some(1), Some(System(1)), false),
            (-11, Some(24), Some(Exhausted), true),
            (-11, Some(12), Some(Exhausted), true),
            (-11, Some(13), Some(System(13)), false),
            (-11, Some(97), Some(NoFamily), false),
            (-11, Some(111), Some(System(111)), true),
            (-11, Some(2), Some(System(2)), false),
            (-12, None, Some(Unexpected(-12)), false),
            (-104, None, Some(System(4)), true),
            (-105, None, Some(NotAName), false),
            (-77, None, Some(Unexpected(-77)), false),
            // An errno is not a number of getaddrinfo, nor the reverse: only EAI_SYSTEM looks at it.
            (-3, Some(2), Some(NoAnswer), true),
            (2, None, Some(Unexpected(2)), false),
            (11, Some(97), Some(Unexpected(11)), false),
            (i32::MIN, None, Some(Unexpected(i32::MIN)), false),
        ] {
            let failure = failure(number, errno);
            assert_eq!(failure, expected, "{number} {errno:?}");
            assert_eq!(failure.is_some_and(ResolveFailure::is_temporary), temporary, "{number} {errno:?}");
        }
    }

    #[test]
    fn addresses_are_no_questions() {
        let ask = |name: &str, family| {
            SystemResolver
                .resolve(name, family)
                .map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        for (name, v4, v6) in [
            ("192.0.2.1", Some("192.0.2.1"), None),
            ("2001:db8::1", None, Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1"), None),
            ("fe80::1%eth0", None, Some("fe80::1%eth0")),
            ("fe80::1%3", None, Some("fe80::1%3")),
        ] {
            let expected = |one: Option<&str>| Ok(one.map(ToOwned::to_owned).into_iter().collect::<Vec<_>>());
            assert_eq!(ask(name, Family::V4), expected(v4), "{name}");
            assert_eq!(ask(name, Family::V6), expected(v6), "{name}");
        }
        let host: Host = "[fe80::1%eth0]:53".parse().unwrap();
        assert_eq!(lookup(&host, 80).unwrap(), [host.endpoint().unwrap()]);
        let host: Host = "::1".parse().unwrap();
        assert_eq!(lookup(&host, 80).unwrap(), [host.endpoint().unwrap().with_port(80)]);
    }

    #[test]
    fn what_is_no_name_is_refused_without_a_question_and_never_panics() {
        let long = "a.".repeat(200);
        for name in [
            "",
            ".",
            "..",
            "a\0b",
            "\0",
            "a b",
            "a\n",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "1.2.3.0xA",
            "256.1.1.1",
            "192.0.2.1:53",
            "[::1]:53",
            "::1::",
            "http://example.com/",
            "fe80::1%",
            "name%eth0",
            "name:80",
            "\u{202e}\u{0}",
            &long,
        ] {
            for family in Family::BOTH {
                let error = SystemResolver.resolve(name, family).expect_err(name);
                assert_eq!(error.failure, ResolveFailure::NotAName, "{name:?}: {error}");
                assert!(!error.to_string().contains('\0') && !error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
