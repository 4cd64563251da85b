//! Requests.

/// Longest request line and header section together, in octets.
pub const MAX_HEAD: usize = 8 * 1024;
/// Most fields of a header section.
pub const MAX_FIELDS: usize = 64;
/// Longest body, in octets.
pub const MAX_BODY: usize = 4 * 1024;

/// Fields that have one value. Two of them mean that somebody on the way, or we, would take the wrong one.
const SINGLE: [&str; 9] = [
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "origin",
    "sec-fetch-site",
    "transfer-encoding",
];

/// What is asked (RFC 9110 section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The resource.
    Get,
    /// The same without its body.
    Head,
    /// Something is to be done.
    Post,
}

/// Why a request is not taken. The connection cannot be used any further: where the next request begins is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is no HTTP, or one that two readers would read in two ways.
    #[error("this is no HTTP/1.1 request: {0}")]
    Malformed(&'static str),
    /// Its head is longer than [`MAX_HEAD`], or has more fields than [`MAX_FIELDS`].
    #[error("the head of the request is longer than {MAX_HEAD} octets or {MAX_FIELDS} fields")]
    HeadTooLong,
    /// Its body is longer than [`MAX_BODY`].
    #[error("the body of the request is longer than {MAX_BODY} octets")]
    BodyTooLong,
    /// Its body comes without its length (RFC 9112 section 6.3 lets a server insist).
    #[error("a body is taken with a Content-Length only")]
    NoLength,
    /// It waits for a permission that is not given (RFC 9110 section 10.1.1).
    #[error("the request waits for something (Expect); send it without")]
    Expectation,
    /// Its method is none of [`Method`].
    #[error("only GET, HEAD and POST are known here")]
    Method,
    /// Its version is not 1.
    #[error("only HTTP/1.1 and HTTP/1.0 are spoken here")]
    Version,
}

impl Refusal {
    /// The status code (RFC 9110 section 15).
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::NoLength => 411,
            Self::BodyTooLong => 413,
            Self::Expectation => 417,
            Self::HeadTooLong => 431,
            Self::Method => 501,
            Self::Version => 505,
        }
    }
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of what: begins with `/`, visible ASCII, percent-encoding left as it came.
    pub path: String,
    /// What stands after the question mark.
    pub query: Option<String>,
    /// Of whom, as the client wrote it: host and, by choice, port. Empty where HTTP/1.0 names none.
    pub host: String,
    /// Whether the client will use the connection for more.
    pub keep_alive: bool,
    /// The body.
    pub body: Vec<u8>,
    /// Names in lower case.
    fields: Vec<(String, String)>,
}

impl Request {
    /// Reads the request at the beginning of `bytes`, and tells how many octets it has. `None` where it is not all there yet: call
    /// again with more.
    ///
    /// # Errors
    /// [`Refusal`], as soon as it is known that no further octet can make it right.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let Some((mut request, head)) = Self::parse_head(bytes)? else { return Ok(None) };
        let body = request.body_length()?;
        let Some(body) = bytes.get(head..head + body) else { return Ok(None) };
        request.body = body.to_vec();
        Ok(Some((request, head + body.len())))
    }

    /// Reads the head alone, and tells how many octets it has: for a body that is taken as it comes, by a reader that has limits of its
    /// own. The body is empty, whatever the head says of its length.
    ///
    /// # Errors
    /// As [`Request::parse`], but for what concerns the body.
    pub fn parse_head(bytes: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        // Empty lines before a request are ignored (RFC 9112 section 2.2).
        let mut start = 0;
        while bytes.get(start..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            start += 2;
        }
        if start > MAX_HEAD {
            return Err(Refusal::HeadTooLong);
        }
        let rest = bytes.get(start..).unwrap_or_default();
        if rest == b"\r" {
            return Ok(None);
        }
        let Some(length) = head_length(rest, MAX_HEAD.saturating_sub(start))? else { return Ok(None) };
        let head = rest.get(..length).unwrap_or_default();
        Ok(Some((read_head(head)?, start + length)))
    }

    /// The first field of this name, which is written in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A cookie's value (RFC 6265 section 4.2.1).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let mut pairs = self.field("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    fn body_length(&self) -> Result<usize, Refusal> {
        if self.field("transfer-encoding").is_some() {
            return Err(Refusal::NoLength);
        }
        let Some(text) = self.field("content-length") else { return Ok(0) };
        if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(Refusal::Malformed("Content-Length is no number"));
        }
        // A number that is too large for its type is too large for us.
        text.parse().ok().filter(|length| *length <= MAX_BODY).ok_or(Refusal::BodyTooLong)
    }
}

/// How long the head is, its last empty line included; `None` where that has not come yet.
pub(crate) fn head_length(bytes: &[u8], most: usize) -> Result<Option<usize>, Refusal> {
    // What speaks another protocol (TLS begins with 0x16) is told so at once.
    if bytes.first().is_some_and(|first| !first.is_ascii_uppercase()) {
        return Err(Refusal::Malformed("it does not begin with a method"));
    }
    let mut line = 0;
    let mut before = 0;
    for (at, octet) in bytes.iter().enumerate() {
        if at >= most {
            return Err(Refusal::HeadTooLong);
        }
        match (before, octet) {
            (b'\r', b'\n') if line == 0 => return Ok(Some(at + 1)),
            (b'\r', b'\n') => line = 0,
            (b'\r', _) | (_, b'\n') => return Err(Refusal::Malformed("a line does not end with CR and LF")),
            (_, b'\r') => {}
            (_, 0..=8 | 11..=31 | 127) => {
                return Err(Refusal::Malformed("a control character stands in its head"));
            }
            _ => line += 1,
        }
        before = *octet;
    }
    Ok(None)
}

fn read_head(head: &[u8]) -> Result<Request, Refusal> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let (method, target, minor) = request_line(lines.next().unwrap_or_default())?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        if fields.len() >= MAX_FIELDS {
            return Err(Refusal::HeadTooLong);
        }
        let field = field(line)?;
        if SINGLE.contains(&field.0.as_str()) && fields.iter().any(|(name, _)| *name == field.0) {
            return Err(Refusal::Malformed("a field that has one value stands twice"));
        }
        fields.push(field);
    }
    let find = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    if find("expect").is_some() {
        return Err(Refusal::Expectation);
    }
    let named = find("host");
    // RFC 9112 section 3.2: a request of 1.1 without it is wrong.
    if named.is_none() && minor > 0 {
        return Err(Refusal::Malformed("it names no Host"));
    }
    // What stands in the target counts (RFC 9112 section 3.2.2).
    let (host, target) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => (named.unwrap_or_default(), target),
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let path = if path.is_empty() { "/" } else { path };
    if !path.starts_with('/') {
        return Err(Refusal::Malformed("its target is no path"));
    }
    let options = || find("connection").into_iter().flat_map(|value| value.split(',').map(str::trim));
    let says = |word: &str| options().any(|option| option.eq_ignore_ascii_case(word));
    Ok(Request {
        method,
        path: path.to_owned(),
        query,
        host: host.to_owned(),
        keep_alive: if minor > 0 { !says("close") } else { says("keep-alive") },
        body: Vec::new(),
        fields,
    })
}

/// Method, target and minor version (RFC 9112 section 3).
fn request_line(line: &str) -> Result<(Method, &str, u8), Refusal> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed("its first line is not: method, target, version"));
    };
    if target.is_empty() || !target.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(Refusal::Malformed("its target has characters that a target cannot have"));
    }
    let minor = match version.strip_prefix("HTTP/").map(str::as_bytes) {
        Some([b'1', b'.', minor]) if minor.is_ascii_digit() => minor - b'0',
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::Malformed("its first line does not end with a version")),
    };
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        other if is_token(other) => return Err(Refusal::Method),
        _ => return Err(Refusal::Malformed("it does not begin with a method")),
    };
    Ok((method, target, minor))
}

/// A field (RFC 9112 section 5). White space before the colon, and before the name, is refused.
pub(crate) fn field(line: &str) -> Result<(String, String), Refusal> {
    match line.split_once(':') {
        Some((name, value)) if is_token(name) => {
            Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
        }
        _ => Err(Refusal::Malformed("a line of its head is not: name, colon, value")),
    }
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    !text.is_empty() && text.bytes().all(allowed)
}
