//! What a server answers, as a client of HTTP/1.0 can read it (RFC 9112 sections 2.3, 6.1 and 7.1): it knows no chunks and no answers
//! before the answer, and the end of the connection is the end of the body.

use super::proxy::lines;
use super::request::{MAX_FIELDS, Refusal, field, head_length};

/// Longest head of an answer, of all heads before the answer together, of a line before a chunk, and of all lines behind the last, in octets.
/// A server may say more than a client: cookies, policies.
const MAX_HEAD: usize = 32 * 1024;
const MAX_INTERIM: usize = 4 * MAX_HEAD;
const MAX_LINE: usize = 4 * 1024;
const MAX_TRAILER: usize = 8 * 1024;
/// Fields that are meant for us (RFC 9110 section 7.6.1), and those of a framing that is taken away.
const OURS: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// An answer that cannot be read, or that two readers would read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's answer is none that can be read: {0}")]
pub struct BadAnswer(&'static str);

impl From<Refusal> for BadAnswer {
    fn from(refusal: Refusal) -> Self {
        Self(match refusal {
            Refusal::Malformed(why) => why,
            _ => "its head is too long",
        })
    }
}

const TOO_LONG: BadAnswer = BadAnswer("a line of it is too long");

/// An answer on its way to a client of HTTP/1.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is one to HEAD, which has no body whatever it says.
    headless: bool,
    /// What we call ourselves to those who have it from us.
    name: String,
    state: State,
    /// What has come of a head or a line.
    kept: Vec<u8>,
    /// Octets of heads before the answer, or of lines behind the last chunk.
    spent: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// The body is what comes until the end.
    Rest,
    /// The line that says how long a chunk is.
    Size,
    /// So many octets of a chunk are still to come.
    Chunk(u64),
    /// The end of line behind a chunk.
    ChunkEnd,
    Trailer,
    Over,
}

impl Answer {
    /// One that has not begun: to a request with `method`, by a proxy that calls itself `name`.
    pub fn new(method: &str, name: &str) -> Self {
        Self {
            headless: method == "HEAD",
            name: name.to_owned(),
            state: State::Head,
            kept: Vec::new(),
            spent: 0,
        }
    }

    /// Takes octets of the server's, and adds to `out` what the client gets of them.
    ///
    /// # Errors
    /// [`BadAnswer`]. Nothing further can be made of it.
    pub fn push(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        while !octets.is_empty() {
            octets = match self.state {
                State::Head => self.head(octets, out)?,
                State::Rest => {
                    out.extend_from_slice(octets);
                    &[]
                }
                State::Chunk(left) => self.chunk(left, octets, out),
                State::Size | State::ChunkEnd | State::Trailer => self.line(octets)?,
                State::Over => &[],
            };
        }
        Ok(())
    }

    /// Whether anything has been given to the client.
    pub fn has_begun(&self) -> bool {
        self.state != State::Head
    }

    /// Whether all of it has come, and the connection can be closed.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether the server may close here. What it cuts short elsewhere must not look whole.
    pub fn may_end(&self) -> bool {
        matches!(self.state, State::Rest | State::Over)
    }

    fn head<'a>(&mut self, octets: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], BadAnswer> {
        let before = self.kept.len();
        self.kept.extend_from_slice(octets);
        let Some(length) = head_length(&self.kept, MAX_HEAD)? else { return Ok(&[]) };
        let head: Vec<u8> = std::mem::take(&mut self.kept).into_iter().take(length).collect();
        self.spent += length;
        if self.spent > MAX_INTERIM {
            return Err(TOO_LONG);
        }
        self.state = read(&head, self.headless, &self.name, out)?;
        Ok(octets.get(length.saturating_sub(before)..).unwrap_or_default())
    }

    fn chunk<'a>(&mut self, left: u64, octets: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(octets.len());
        let (of_chunk, rest) = octets.split_at(here);
        out.extend_from_slice(of_chunk);
        self.state = match left - here as u64 {
            0 => State::ChunkEnd,
            left => State::Chunk(left),
        };
        rest
    }

    /// Takes octets of one line; CR and LF end it, and nothing else does.
    fn line<'a>(&mut self, octets: &'a [u8]) -> Result<&'a [u8], BadAnswer> {
        let end = octets.iter().position(|octet| *octet == b'\n').map_or(octets.len(), |at| at + 1);
        let (here, rest) = octets.split_at(end);
        if self.kept.len() + here.len() > MAX_LINE {
            return Err(TOO_LONG);
        }
        self.kept.extend_from_slice(here);
        if !here.ends_with(b"\n") {
            return Ok(rest);
        }
        let line = std::mem::take(&mut self.kept);
        let line = line.strip_suffix(b"\r\n").ok_or(BadAnswer("a line does not end with CR and LF"))?;
        self.state = match self.state {
            State::ChunkEnd if line.is_empty() => State::Size,
            State::ChunkEnd => return Err(BadAnswer("a chunk is longer than it says")),
            State::Trailer if line.is_empty() => State::Over,
            State::Trailer => {
                self.spent += line.len();
                if self.spent > MAX_TRAILER {
                    return Err(TOO_LONG);
                }
                State::Trailer
            }
            _ => match size(line)? {
                0 => {
                    self.spent = 0;
                    State::Trailer
                }
                size => State::Chunk(size),
            },
        };
        Ok(rest)
    }
}

/// How long a chunk is (RFC 9112 section 7.1); what else the line says is nothing that we know.
fn size(line: &[u8]) -> Result<u64, BadAnswer> {
    let wrong = BadAnswer("a chunk does not say how long it is");
    let digits = line.split(|octet| b"; \t".contains(octet)).next().unwrap_or_default();
    let text = std::str::from_utf8(digits).map_err(|_| wrong)?;
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return Err(wrong);
    }
    u64::from_str_radix(text, 16).map_err(|_| wrong)
}

/// Reads a head, and writes it for the client; what follows it.
fn read(head: &[u8], headless: bool, name: &str, out: &mut Vec<u8>) -> Result<State, BadAnswer> {
    let mut lines = lines(head);
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let (version, status, words) = status_line(&first)?;
    // It belongs to nothing that such a client can ask for (RFC 9110 section 15.2).
    match status {
        101 => return Err(BadAnswer("it changes the protocol, which nobody asked for")),
        100..=199 => return Ok(State::Head),
        _ => {}
    }
    let mut fields: Vec<(String, String, &[u8])> = Vec::new();
    for line in lines {
        if fields.len() >= 4 * MAX_FIELDS {
            return Err(BadAnswer("it has too many fields"));
        }
        let (name, value) = field(&String::from_utf8_lossy(line))?;
        fields.push((name, value, line));
    }
    let all = |wanted: &'static str| {
        fields.iter().filter(move |(name, ..)| name == wanted).map(|(_, value, _)| value.as_str())
    };
    let coded: Vec<&str> = all("transfer-encoding").collect();
    match coded[..] {
        [] => {}
        [one] if one.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1" => {}
        // RFC 9112 section 6.1: of HTTP/1.0 it is a fault, and of another coding we know nothing.
        _ => return Err(BadAnswer("its body is coded in a way that nobody asked for")),
    }
    let mut lengths = all("content-length");
    let first = lengths.next();
    if lengths.any(|length| Some(length) != first)
        || first
            .is_some_and(|length| length.is_empty() || !length.bytes().all(|octet| octet.is_ascii_digit()))
    {
        return Err(BadAnswer("it says twice, or not in numbers, how long its body is"));
    }
    let named: Vec<String> = all("connection")
        .flat_map(|value| value.split(','))
        .map(|word| word.trim().to_ascii_lowercase())
        .collect();
    let kept = |name: &str| match name {
        // What is chunked has the length of its chunks (RFC 9112 section 6.3).
        "content-length" => coded.is_empty(),
        name => !OURS.contains(&name) && !named.iter().any(|other| other == name),
    };
    let head = format!("HTTP/1.1 {status} {words}\r\nVia: 1.1 {name}\r\nConnection: close\r\n");
    out.extend_from_slice(head.as_bytes());
    let mut length_said = false;
    for (name, _, line) in fields.iter().filter(|(name, ..)| kept(name)) {
        if name != "content-length" || !std::mem::replace(&mut length_said, true) {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(match status {
        // RFC 9112 section 6.3.
        204 | 304 => State::Over,
        _ if headless => State::Over,
        _ if coded.is_empty() => State::Rest,
        _ => State::Size,
    })
}

/// Version, status and words (RFC 9112 section 4).
fn status_line(line: &str) -> Result<(&str, u16, &str), BadAnswer> {
    let wrong = BadAnswer("its first line is not: version, status, words");
    let (version, rest) = line.split_once(' ').ok_or(wrong)?;
    let (status, words) = rest.split_once(' ').unwrap_or((rest, ""));
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(BadAnswer("its version is not HTTP/1"));
    }
    if status.len() != 3 || !status.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(wrong);
    }
    let status = status.parse().ok().filter(|status| *status >= 100).ok_or(wrong)?;
    Ok((version, status, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client gets, in whatever pieces the server's octets come; the pieces make no difference.
    fn answered(method: &str, octets: &[u8]) -> Result<(String, Answer), BadAnswer> {
        let pieces = [1, 2, 7, octets.len().max(1)].map(|size| {
            let (mut answer, mut out) = (Answer::new(method, "us"), Vec::new());
            octets.chunks(size).try_for_each(|piece| answer.push(piece, &mut out))?;
            Ok((String::from_utf8_lossy(&out).into_owned(), answer))
        });
        let [first, rest @ ..] = pieces;
        for other in rest {
            match (&first, other) {
                (Ok((one, _)), Ok((other, _))) => assert_eq!(one, &other),
                (one, other) => assert_eq!(one.is_err(), other.is_err()),
            }
        }
        first
    }

    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: Chunked\r\nTrailer: a\r\nConnection: keep-alive, x-a\r\n\
        X-A: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 3\r\n\r\n";
    const PLAIN: &str = "HTTP/1.1 200 OK\r\nVia: 1.1 us\r\nConnection: close\r\nServer: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n";

    #[test]
    fn chunks_are_joined_and_nothing_tells_of_them() {
        let chunks =
            format!("{CHUNKED}4;name=\"v\"\r\nWiki\r\n0000C \r\npedia\r\n in \n\r\n0\r\nA: b\r\n\r\n");
        let (out, answer) = answered("GET", chunks.as_bytes()).unwrap();
        assert_eq!(out, format!("{PLAIN}Wikipedia\r\n in \n"));
        assert!(answer.is_over() && answer.may_end());
        // What comes behind it is nobody's.
        let (out, _) = answered("GET", format!("{chunks}HTTP/1.1 200 OK\r\n\r\nx").as_bytes()).unwrap();
        assert!(out.ends_with(" in \n"));
        // Cut short it is known to be.
        for cut in [CHUNKED.len(), CHUNKED.len() + 14, chunks.len() - 2] {
            let (_, answer) = answered("GET", &chunks.as_bytes()[..cut]).unwrap();
            assert!(answer.has_begun() && !answer.may_end(), "{cut}");
        }
    }

    #[test]
    fn what_has_a_length_or_ends_with_the_connection_stays() {
        for (method, answer, expected, over) in [
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nKeep-Alive: x\r\n\r\nab",
                "Content-Length: 2\r\n\r\nab",
                false,
            ),
            ("GET", "HTTP/1.0 200 OK\r\n\r\nab", "Connection: close\r\n\r\nab", false),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "Connection: close\r\n\r\n",
                true,
            ),
            ("GET", "HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", "Content-Length: 9\r\n\r\n", true),
            // An answer before the answer is not for a client of HTTP/1.0.
            (
                "POST",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
                "close\r\n\r\n",
                true,
            ),
        ] {
            let (out, answer) = answered(method, answer.as_bytes()).unwrap();
            assert!(out.ends_with(expected) && out.matches("HTTP/1.").count() == 1, "{out}");
            assert!(out.matches("Content-Length").count() <= 1 && !out.contains("Keep-Alive"), "{out}");
            assert_eq!(answer.is_over(), over, "{out}");
            assert!(answer.may_end());
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_answer() {
        for wrong in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\na\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        ] {
            assert!(answered("GET", wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        let head = CHUNKED.to_owned();
        for long in [
            format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD)),
            "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n".repeat(MAX_INTERIM / 20),
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(4 * MAX_FIELDS + 1)),
            format!("{head}1;{}", "x".repeat(MAX_LINE)),
            format!("{head}0\r\n{}", "A: b\r\n".repeat(MAX_TRAILER / 4 + 1)),
        ] {
            assert!(
                Answer::new("GET", "us").push(long.as_bytes(), &mut Vec::new()).is_err(),
                "{}",
                &long[..60]
            );
        }
    }
}
