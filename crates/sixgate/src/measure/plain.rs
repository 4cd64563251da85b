//! Plain HTTP, as far as measurements need it: a URL, the head of an answer, one answer.

use sixgate_endpoint::Host;
use sixgate_endpoint::connect::{Connector, Policy, policy};
use sixgate_measure::page::status;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::time::Duration;

/// Lines, and octets of a line, of an answer's head.
const MOST_LINES: usize = 100;
const LONGEST_LINE: u64 = 8192;

/// What is fetched by plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) host: Host,
    pub(crate) path: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").ok_or("write http://HOST/PATH; TLS is not spoken here")?;
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = host.parse().map_err(|error: sixgate_endpoint::EndpointError| error.to_string())?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if path.bytes().all(|octet| octet.is_ascii_graphic()) {
            Ok(Self { host, path })
        } else {
            Err("the path has blanks or other characters that a URL cannot have".to_owned())
        }
    }

    pub(super) fn with_token(self, token: &str) -> Self {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        Self { path: format!("{}{mark}token={token}", self.path), ..self }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.host.authority(), self.path)
    }
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    /// Octets of the body, where it says so.
    pub(crate) length: Option<u64>,
    /// The connection may be used again.
    pub(crate) keeps: bool,
}

/// Reads the head of an answer, and no further.
pub(crate) fn head(reader: &mut impl BufRead) -> io::Result<Head> {
    let first = line(reader)?;
    let Some(status) = status(first.as_bytes()) else {
        return Err(io::Error::other("what answers is no HTTP server"));
    };
    // HTTP/1.0 closes after each answer.
    let mut head = Head { status, location: None, length: None, keeps: !first.starts_with("HTTP/1.0") };
    for _ in 1..MOST_LINES {
        let line = line(reader)?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().ok(),
            "location" => head.location = Some(value.to_owned()),
            "connection" if value.eq_ignore_ascii_case("close") => head.keeps = false,
            "transfer-encoding" => {
                return Err(io::Error::other("the server sends it in chunks, which is not understood here"));
            }
            _ => {}
        }
    }
    Ok(head)
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        return Err(io::Error::other("its head is cut short, or has a line that is too long"));
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// Asks once, on a connection of its own. HTTP/1.0, so that nothing comes in chunks. `most`: octets of the body that are read.
pub(crate) fn get(
    url: &Url,
    accept: Option<&str>,
    patience: Duration,
    most: u64,
) -> Result<(Head, Vec<u8>), String> {
    let connector = Connector::new(Policy { deadline: patience, ..policy() });
    let stream = connector.connect(&url.host, 80).map_err(|error| error.to_string())?.stream;
    let exchange = || -> io::Result<(Head, Vec<u8>)> {
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let accept = accept.map_or_else(String::new, |kind| format!("Accept: {kind}\r\n"));
        let request = format!(
            "GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: sixgate\r\n{accept}\r\n",
            url.path,
            url.host.authority()
        );
        (&stream).write_all(request.as_bytes())?;
        let mut reader = BufReader::new(&stream);
        let head = head(&mut reader)?;
        let mut body = Vec::new();
        reader.take(head.length.unwrap_or(most).min(most)).read_to_end(&mut body)?;
        Ok((head, body))
    };
    exchange().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_plain() {
        let url = Url::parse("http://[2001:db8::1]:8080/page").unwrap();
        assert_eq!((url.host.authority().as_str(), url.path.as_str()), ("[2001:db8::1]:8080", "/page"));
        assert_eq!(url.to_string(), "http://[2001:db8::1]:8080/page");
        assert_eq!(Url::parse("http://h").unwrap().path, "/");
        assert!(Url::parse("https://h/").is_err() && Url::parse("http://h/a b").is_err());
        assert_eq!(Url::parse("http://h/p?a=1").unwrap().with_token("t").path, "/p?a=1&token=t");
    }

    #[test]
    fn heads_are_bounded_and_what_is_none_is_refused() {
        let read = |text: &str| head(&mut text.as_bytes());
        let found = read(
            "HTTP/1.1 302 Found\r\nLocation: http://a/\r\nContent-Length: 7\r\nConnection: close\r\n\r\nbody",
        )
        .unwrap();
        assert_eq!(
            found,
            Head { status: 302, location: Some("http://a/".to_owned()), length: Some(7), keeps: false }
        );
        assert!(
            read("HTTP/1.1 200 OK\r\n\r\n").unwrap().keeps && !read("HTTP/1.0 200 OK\r\n\r\n").unwrap().keeps
        );
        for wrong in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(9000));
        assert!(read(&long).is_err());
    }
}
