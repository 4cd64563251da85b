//! Visits: a listener is visited as a client of its protocol would, which is guessed, or told with `--probe`.

use sixgate_endpoint::Endpoint;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a banner is waited for before something is asked.
const BANNER: Duration = Duration::from_millis(150);
/// How long an answer that may not come is waited for.
const GUESS: Duration = Duration::from_millis(700);
/// How long an answer that has to come is waited for.
const WAIT: Duration = Duration::from_secs(3);
/// Octets of an answer that are looked at.
const LONGEST: usize = 2048;

/// A question for the root's servers (RFC 1035 section 4.1): what a DNS server answers, and others drop.
const QUESTION: [u8; 17] = *b"\x13\x37\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01";
/// A TLS record with a ClientHello of TLS 1.2 (RFC 5246 section 7.4.1.2), its two cipher suites, one group and four signature
/// algorithms. A server that likes none of it answers with an alert, which is TLS too.
const HELLO: [u8; 76] = *b"\x16\x03\x01\x00\x47\x01\x00\x00\x43\x03\x03\
                         sixgate wrap asks who is there??\
                         \x00\x00\x04\xc0\x2f\xc0\x2b\x01\x00\x00\x16\
                         \x00\x0a\x00\x04\x00\x02\x00\x17\
                         \x00\x0d\x00\x0a\x00\x08\x04\x03\x08\x04\x04\x01\x02\x01";

/// What a client of a listener does, and what it has to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Waits for a banner, then tries an HTTP request; whatever comes is well, and silence too. Of UDP: a DNS question, and only
    /// an ICMP error is a no.
    Guess,
    /// Connects.
    Accept,
    /// The server speaks first.
    Banner,
    /// `GET` of this path; any answer that is HTTP and no error of the server's (5xx).
    Http(String),
    /// A DNS question; any answer to it.
    Dns,
    /// A ClientHello; a handshake or an alert.
    Tls,
}

/// `PORT[/udp]=KIND`: how one listener is visited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) transport: &'static str,
    pub(crate) port: u16,
    pub(crate) kind: Kind,
}

/// `8080`, `8080/tcp`, `53/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) transport: &'static str,
    pub(crate) port: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.transport)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}={}", self.port, self.transport, self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guess => "guess",
            Self::Accept => "accept",
            Self::Banner => "banner",
            Self::Http(path) => return write!(f, "http:{path}"),
            Self::Dns => "dns",
            Self::Tls => "tls",
        })
    }
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (port, transport) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), "tcp"),
            Some((port, "udp")) => (port, "udp"),
            Some((_, other)) => return Err(format!("`{other}` is neither tcp nor udp")),
        };
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { transport, port }),
            _ => Err(format!("`{port}` is no port (1 to 65535)")),
        }
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const KINDS: &str = "accept, banner, http, http:/PATH, dns, tls";
        let (port, kind) =
            text.split_once('=').ok_or_else(|| format!("write PORT=KIND; a kind is one of {KINDS}"))?;
        let Port { transport, port } = port.parse()?;
        let kind = match kind {
            "accept" => Kind::Accept,
            "banner" => Kind::Banner,
            "dns" => Kind::Dns,
            "tls" => Kind::Tls,
            "http" => Kind::Http("/".to_owned()),
            _ => match kind.strip_prefix("http:") {
                Some(path) if path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic()) => {
                    Kind::Http(path.to_owned())
                }
                _ => return Err(format!("`{kind}` is no kind; there are: {KINDS}")),
            },
        };
        if transport == "udp" && kind != Kind::Dns {
            return Err("over UDP there is `dns` alone".to_owned());
        }
        Ok(Self { transport, port, kind })
    }
}

/// Visits a server as a client of its protocol would.
///
/// # Errors
/// Why such a client would give up.
pub(super) fn visit(to: Endpoint, udp: bool, kind: &Kind) -> io::Result<()> {
    let heard = if udp { ask(to, if *kind == Kind::Dns { WAIT } else { GUESS })? } else { call(to, kind)? };
    let told = |ok: bool, what: &str| if ok { Ok(()) } else { Err(io::Error::other(what.to_owned())) };
    match kind {
        // It was connected: what it thinks of our request is no matter of families.
        Kind::Guess | Kind::Accept => Ok(()),
        Kind::Banner => told(heard.is_some_and(|heard| !heard.is_empty()), "no banner"),
        Kind::Http(_) => {
            let status = heard.as_deref().and_then(status);
            told(status.is_some_and(|status| status < 500), "no page by HTTP")
        }
        Kind::Dns => {
            let heard = heard.unwrap_or_default();
            // Over TCP two octets of length come first (RFC 1035 section 4.2.2).
            let reply = heard.get(if udp { 0 } else { 2 }..).unwrap_or_default();
            let right =
                reply.starts_with(&QUESTION[..2]) && reply.get(2).is_some_and(|flags| flags & 0x80 != 0);
            told(right, "no answer to a DNS question")
        }
        // Handshake or alert (RFC 8446 section 5.1).
        Kind::Tls => told(heard.is_some_and(|heard| matches!(heard.first(), Some(0x15 | 0x16))), "no TLS"),
    }
}

/// Visits a server that was told to refuse the visitor.
///
/// # Errors
/// How it was served nevertheless.
pub(super) fn visit_denied(to: Endpoint, udp: bool, kind: &Kind) -> io::Result<()> {
    let heard = if udp { ask(to, GUESS) } else { call(to, kind) };
    let served = match heard {
        // No connection.
        Err(_) => false,
        Ok(None) => !udp,
        // An end before a word.
        Ok(Some(heard)) if heard.is_empty() => false,
        // Some filters tell so.
        Ok(Some(heard)) => !matches!(status(&heard), Some(401 | 403)),
    };
    if served { Err(io::Error::other("it is served, and was to be refused")) } else { Ok(()) }
}

/// The status of an HTTP response.
fn status(heard: &[u8]) -> Option<u16> {
    let rest = heard.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()
}

/// What a server answers over UDP; nothing where it is silent.
fn ask(to: Endpoint, wait: Duration) -> io::Result<Option<Vec<u8>>> {
    let any = to.family().any_port().socket_addr(0).map_err(io::Error::other)?;
    let socket = UdpSocket::bind(any)?;
    socket.connect(to.socket_addr(0).map_err(io::Error::other)?)?;
    socket.set_read_timeout(Some(wait))?;
    socket.send(&QUESTION)?;
    let mut buffer = vec![0; LONGEST];
    match socket.recv(&mut buffer) {
        // Silence is what most protocols answer to nonsense; only an ICMP error is a no.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        received => {
            buffer.truncate(received?);
            Ok(Some(buffer))
        }
    }
}

/// What a server answers over TCP: nothing where it keeps the connection and is silent, and no octets where it ends it.
fn call(to: Endpoint, kind: &Kind) -> io::Result<Option<Vec<u8>>> {
    let address = to.socket_addr(0).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT)?;
    let mut request = Vec::new();
    let (banner, wait) = match kind {
        Kind::Accept => (BANNER, None),
        Kind::Guess => {
            request.extend_from_slice(b"HEAD / HTTP/1.0\r\nHost: box\r\n\r\n");
            (BANNER, Some(GUESS))
        }
        Kind::Banner => (WAIT, None),
        Kind::Http(path) => {
            request.extend_from_slice(format!("GET {path} HTTP/1.0\r\nHost: box\r\n\r\n").as_bytes());
            (Duration::ZERO, Some(WAIT))
        }
        Kind::Dns => {
            request.extend_from_slice(&[0, QUESTION.len() as u8]);
            request.extend_from_slice(&QUESTION);
            (Duration::ZERO, Some(WAIT))
        }
        Kind::Tls => {
            request.extend_from_slice(&HELLO);
            (Duration::ZERO, Some(WAIT))
        }
    };
    if !banner.is_zero() {
        match read(&mut stream, banner) {
            Ok(None) => {}
            heard => return heard,
        }
    }
    let Some(wait) = wait else { return Ok(None) };
    stream.write_all(&request)?;
    read(&mut stream, wait)
}

/// What comes within some time; nothing where nothing comes.
fn read(stream: &mut TcpStream, wait: Duration) -> io::Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + wait;
    let mut heard = vec![0; LONGEST];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut heard) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It was connected, and the other side ended it.
            Err(_) => return Ok(Some(Vec::new())),
            Ok(count) => {
                heard.truncate(count);
                return Ok(Some(heard));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_read() {
        let probe = |text: &str| text.parse::<Probe>();
        assert_eq!(probe("53/udp=dns").unwrap(), Probe { transport: "udp", port: 53, kind: Kind::Dns });
        assert_eq!(probe("8080=http:/a").unwrap().kind, Kind::Http("/a".into()));
        assert_eq!(probe("443/tcp=tls").unwrap(), Probe { transport: "tcp", port: 443, kind: Kind::Tls });
        for text in ["53/udp=dns", "8080/tcp=http:/a", "22/tcp=banner", "1/tcp=accept"] {
            assert_eq!(probe(text).unwrap().to_string(), text);
        }
        for (text, says) in [
            ("8080", "PORT=KIND"),
            ("0=tls", "no port"),
            ("70000=tls", "no port"),
            ("1/sctp=tls", "neither"),
            ("53/udp=tls", "alone"),
            ("80=http:a b", "no kind"),
            ("80=http:/a\r\nX: 1", "no kind"),
        ] {
            assert!(probe(text).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn the_hello_has_the_lengths_that_it_says() {
        // Record, handshake, and extensions.
        assert_eq!(usize::from(u16::from_be_bytes([HELLO[3], HELLO[4]])), HELLO.len() - 5);
        assert_eq!(usize::from(HELLO[8]), HELLO.len() - 9);
        let extensions = 9 + 2 + 32 + 1 + 6 + 2;
        assert_eq!(usize::from(HELLO[extensions + 1]), HELLO.len() - extensions - 2);
    }

    #[test]
    fn statuses_are_read() {
        assert_eq!(status(b"HTTP/1.0 403 Forbidden\r\n"), Some(403));
        assert_eq!(status(b"HTTP/1.1"), None);
        assert_eq!(status(b"SSH-2.0-x"), None);
    }
}
