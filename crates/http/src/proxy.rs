//! Requests to a proxy (RFC 9110 sections 7.6 and 9.3.6, RFC 9112 section 3.2): where a client wants to, and what is sent on.

use super::answer::Answer;
use super::request::{MAX_FIELDS, MAX_HEAD, Refusal, field, head_length, is_token};

/// What a client asks of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Octets are to be carried both ways from now on (CONNECT).
    Tunnel {
        /// To whom: host and port, as the client wrote them.
        authority: String,
    },
    /// A request is to be sent on.
    Forward {
        /// To whom: host and, by choice, port, as the client wrote them.
        authority: String,
        /// The head that is sent on, its last empty line included: the path in place of the whole target, the Host that the target names, no
        /// field that was meant for us, and the wish that the connection be closed afterwards, so that what comes behind the
        /// answer is nobody's.
        head: Vec<u8>,
        /// Of a client of HTTP/1.0: through this it gets what the server answers. To any other it goes as it comes.
        answer: Option<Answer>,
    },
}

/// Fields that are meant for whoever reads them first (RFC 9110 section 7.6.1), and those that are set anew. How the body is framed stays.
const OURS: [&str; 8] =
    ["connection", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "upgrade", "via"];
/// Two of these, or both, are how a request is smuggled past a proxy (RFC 9112 section 11.2).
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

impl Ask {
    /// Reads the head at the beginning of `bytes`, and tells how many octets it has. `None` where it is not all there yet. What comes behind
    /// is the body, or the tunnel's. `name` is what we call ourselves to those behind; who has passed a proxy of this name already is refused.
    ///
    /// # Errors
    /// [`Refusal`], as soon as it is known that no further octet can make it right.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Option<(Self, usize)>, Refusal> {
        let Some(length) = head_length(bytes, MAX_HEAD)? else { return Ok(None) };
        let head = bytes.get(..length).unwrap_or_default();
        Ok(Some((read(head, name)?, length)))
    }

    /// To whom.
    pub fn authority(&self) -> &str {
        match self {
            Self::Tunnel { authority } | Self::Forward { authority, .. } => authority,
        }
    }
}

/// The lines of a head, without their ends.
pub(crate) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|octet| *octet == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

fn read(head: &[u8], name: &str) -> Result<Ask, Refusal> {
    let mut lines = lines(head);
    let first = lines.next().unwrap_or_default();
    let (method, target, old) = first_line(first)?;
    let mut kept: Vec<&[u8]> = Vec::new();
    // Names that a Connection field says are meant for us alone.
    let mut named: Vec<String> = Vec::new();
    let mut all: Vec<(String, String, &[u8])> = Vec::new();
    for line in lines {
        if all.len() >= MAX_FIELDS {
            return Err(Refusal::HeadTooLong);
        }
        let (name, value) = field(&String::from_utf8_lossy(line))?;
        if name == "connection" {
            named.extend(value.split(',').map(|word| word.trim().to_ascii_lowercase()));
        }
        all.push((name, value, line));
    }
    let framed = all.iter().filter(|(name, ..)| FRAMING.contains(&name.as_str())).count();
    if framed > 1 {
        return Err(Refusal::Malformed("it says more than once how long its body is"));
    }
    // RFC 9112 section 6.1: there is none in HTTP/1.0, and whoever passed it on has not understood it.
    if old && all.iter().any(|(name, ..)| name == "transfer-encoding") {
        return Err(Refusal::Malformed("a body of HTTP/1.0 has no Transfer-Encoding"));
    }
    if all.iter().filter(|(name, ..)| name == "host").count() > 1 {
        return Err(Refusal::Malformed("a field that has one value stands twice"));
    }
    let passed = all
        .iter()
        .filter(|(name, ..)| name == "via")
        .any(|(_, value, _)| value.split([' ', ',', '\t']).any(|word| word == name));
    if passed {
        return Err(Refusal::Malformed("it comes back to a proxy that it has passed"));
    }
    if method == "CONNECT" {
        return Ok(Ask::Tunnel { authority: authority(target, true)?.to_owned() });
    }
    // Who does not know that this is a proxy is not answered in another's name (RFC 9112 section 3.2.2).
    let rest = target
        .strip_prefix("http://")
        .ok_or(Refusal::Malformed("a proxy is asked for http://HOST/PATH, or to CONNECT"))?;
    let (to, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let to = authority(to, false)?;
    // A Connection field cannot take away how the body is framed.
    let meant = |name: &String| {
        OURS.contains(&name.as_str())
            || (named.contains(name) && !FRAMING.contains(&name.as_str()))
            // Of HTTP/1.0 it means nothing (RFC 9110 section 10.1.1), and nobody would hear the answer.
            || (old && name == "expect")
    };
    kept.extend(all.iter().filter(|(name, ..)| !meant(name)).map(|(.., line)| *line));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head =
        format!("{method} {slash}{path} HTTP/1.1\r\nHost: {to}\r\nVia: 1.1 {name}\r\nConnection: close\r\n")
            .into_bytes();
    for line in kept {
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let answer = old.then(|| Answer::new(method, name));
    Ok(Ask::Forward { authority: to.to_owned(), head, answer })
}

/// Method and target, and whether it is HTTP/1.0.
fn first_line(line: &[u8]) -> Result<(&str, &str, bool), Refusal> {
    let line = std::str::from_utf8(line)
        .map_err(|_| Refusal::Malformed("its first line is not: method, target, version"))?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed("its first line is not: method, target, version"));
    };
    if !is_token(method) {
        return Err(Refusal::Malformed("it does not begin with a method"));
    }
    if target.is_empty() || !target.bytes().all(|octet| octet.is_ascii_graphic()) || target.contains('#') {
        return Err(Refusal::Malformed("its target has characters that a target cannot have"));
    }
    match version {
        "HTTP/1.1" | "HTTP/1.0" => Ok((method, target, version == "HTTP/1.0")),
        _ if version.starts_with("HTTP/") => Err(Refusal::Version),
        _ => Err(Refusal::Malformed("its first line does not end with a version")),
    }
}

/// Host and port, without a user: `user@host` is a trick to show one name and go to another.
fn authority(text: &str, port: bool) -> Result<&str, Refusal> {
    let good = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]%~".contains(&octet);
    let before = text.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let ends_with_port = before.len() < text.len() && before.ends_with(':');
    if text.is_empty() || text.len() > 300 || !text.bytes().all(good) || (port && !ends_with_port) {
        return Err(Refusal::Malformed("its target names no host"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Option<(Ask, usize)>, Refusal> {
        Ask::parse(text.as_bytes(), "us")
    }

    #[test]
    fn a_tunnel_is_to_host_and_port() {
        let text = "CONNECT [2001:db8::80]:443 HTTP/1.1\r\nHost: x\r\n\r\n";
        let (found, length) = ask(&format!("{text}more")).unwrap().unwrap();
        assert_eq!((found.authority(), length), ("[2001:db8::80]:443", text.len()));
        assert!(matches!(found, Ask::Tunnel { .. }));
        for wrong in ["example.com", "/path", "user@host:443", "", "host:", "host:port"] {
            assert!(ask(&format!("CONNECT {wrong} HTTP/1.1\r\n\r\n")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_sent_on_names_the_host_of_the_target_and_nothing_that_was_ours() {
        let text = "POST http://www.example.com:8080?q=1 HTTP/1.1\r\nHost: other.example\r\nContent-Length: 3\r\nproxy-connection: keep-alive\r\n\
                    X-Secret: 1\r\nConnection: x-secret, Content-Length\r\nAccept: a\u{e9}\r\n\r\n";
        let Some((Ask::Forward { authority, head, answer: None }, _)) = ask(text).unwrap() else {
            panic!("it is sent on")
        };
        assert_eq!(authority, "www.example.com:8080");
        let expected = "POST /?q=1 HTTP/1.1\r\nHost: www.example.com:8080\r\nVia: 1.1 us\r\nConnection: close\r\nContent-Length: 3\r\nAccept: a\u{e9}\r\n\r\n";
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }

    #[test]
    fn a_client_of_http_1_0_is_answered_as_it_can_read() {
        let text = "HEAD http://a/ HTTP/1.0\r\nExpect: 100-continue\r\nA: b\r\n\r\n";
        let Some((Ask::Forward { head, answer, .. }, _)) = ask(text).unwrap() else {
            panic!("it is sent on")
        };
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HEAD / HTTP/1.1\r\nHost: a\r\n") && !head.contains("Expect"), "{head}");
        assert_eq!(answer, Some(Answer::new("HEAD", "us")));
        assert!(ask("POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(ask("POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").is_ok());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for wrong in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET https://a/ HTTP/1.1\r\n\r\n",
            "GET http://a@b/ HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "GET http://a/#b HTTP/1.1\r\n\r\n",
            "GET http://a/ HTTP/2.0\r\n\r\n",
            "GET  http://a/ HTTP/1.1\r\n\r\n",
            "POST http://a/ HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            "POST http://a/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n folded: b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nA : b\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nVia: 1.1 other, 1.1 us\r\n\r\n",
            "GET http://a/ HTTP/1.1\nA: b\n\n",
            "\x16\x03\x01",
        ] {
            assert!(ask(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(ask("GET http://a/ HTTP/1.1\r\nA: b\r\n").unwrap(), None);
        assert_eq!(
            ask(&format!("GET http://a/{} HTTP/1.1\r\n\r\n", "x".repeat(9000))),
            Err(Refusal::HeadTooLong)
        );
        let many = "A: b\r\n".repeat(MAX_FIELDS + 1);
        assert_eq!(ask(&format!("GET http://a/ HTTP/1.1\r\n{many}\r\n")), Err(Refusal::HeadTooLong));
    }
}
