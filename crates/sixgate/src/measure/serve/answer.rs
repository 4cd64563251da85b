//! One connection to the far end: what it asks for, and streams.

use super::Server;
use crate::measure::far::{Consent, set_mark};
use sixgate_http::{Method, Request, Response};
use sixgate_measure::echo::key_text;
use sixgate_measure::rrul::Mark;
use socket2::SockRef;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Objects of the page.
pub(super) const OBJECTS: u32 = 110;
/// A connection that asks nothing for this long is closed.
const IDLE: Duration = Duration::from_secs(15);
/// One that a stream stalls on for this long, too.
const STALLED: Duration = Duration::from_secs(10);
/// Requests on one connection.
const MOST_REQUESTS: u32 = 10_000;
/// Octets at once.
const PIECE: usize = 64 * 1024;
/// Octets that may wait unsent in the kernel.
const UNSENT: u32 = 128 * 1024;
/// How often an upload is told how far it is.
const REPORT: Duration = Duration::from_millis(100);

pub(super) struct Answering<'a> {
    server: &'a Server,
    stream: TcpStream,
    number: u64,
    buffer: Vec<u8>,
}

impl<'a> Answering<'a> {
    pub(super) fn new(server: &'a Server, stream: TcpStream, number: u64) -> Self {
        Self { server, stream, number, buffer: Vec::new() }
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(IDLE))?;
        self.stream.set_write_timeout(Some(STALLED))?;
        self.stream.set_nodelay(true)?;
        for _ in 0..MOST_REQUESTS {
            let Some(request) = self.read()? else { return Ok(()) };
            if !self.answer(&request)? || self.server.is_stopped() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next request's head; `None` where the peer has closed.
    fn read(&mut self) -> io::Result<Option<Request>> {
        let mut piece = [0; 2048];
        let begun = Instant::now();
        loop {
            match Request::parse_head(&self.buffer) {
                Ok(Some((request, length))) => {
                    self.buffer.drain(..length);
                    return Ok(Some(request));
                }
                Ok(None) => {}
                Err(refusal) => {
                    self.respond(Method::Get, &text(refusal.status(), &refusal.to_string()), false)?;
                    return Ok(None);
                }
            }
            if begun.elapsed() > IDLE {
                return Ok(None);
            }
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
    }

    /// Answers; whether the connection goes on.
    fn answer(&mut self, request: &Request) -> io::Result<bool> {
        let query =
            |name: &str| {
                request.query.as_deref().unwrap_or_default().split('&').find_map(|pair| {
                    pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value)
                })
            };
        let number = |name: &str| query(name).and_then(|text| text.parse::<u64>().ok());
        let is_upload = request.path == "/up";
        let length = request.field("content-length").and_then(|text| text.parse::<u64>().ok());
        let has_body = length.unwrap_or(0) > 0 || request.field("transfer-encoding").is_some();
        let bearer = request.field("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let keep = request.keep_alive && !has_body;
        if request.path == "/" {
            let what = "This is the far end of latency measurements (sixgate measure). It answers who has its token.\n";
            self.respond(request.method, &text(200, what), keep)?;
            return Ok(keep);
        }
        if !self.server.has_token(query("token").or(bearer)) {
            let why = "The token is missing or wrong: add ?token=... as `sixgate measure serve` printed it.";
            self.respond(request.method, &text(403, why), false)?;
            return Ok(false);
        }
        let seconds = number("seconds").unwrap_or(self.server.seconds).min(self.server.seconds);
        let until = Instant::now() + Duration::from_secs(seconds);
        if let Some(mark) = number("dscp")
            .and_then(|dscp| Mark::FLOWS.into_iter().find(|mark| u64::from(mark.dscp()) == dscp))
        {
            let _ = set_mark(&SockRef::from(&self.stream), mark);
        }
        match (request.method, request.path.as_str()) {
            (Method::Get, "/down") | (Method::Post, "/up") if !self.server.admit_stream(self.number) => {
                self.respond(
                    request.method,
                    &text(503, "There are too many streams of yours already."),
                    false,
                )?;
                return Ok(false);
            }
            (Method::Get, "/down") => {
                self.down(until)?;
                return Ok(false);
            }
            (Method::Post, "/up") => {
                self.up(until, length, query("report").is_some())?;
                return Ok(false);
            }
            (_, _) if is_upload || has_body => {
                self.respond(request.method, &text(405, "Only POST /up takes a body."), false)?;
                return Ok(false);
            }
            (method, path) => {
                let response = self.object(path, query("token").unwrap_or_default())?;
                self.respond(method, &response, keep)?;
            }
        }
        Ok(keep)
    }

    fn object(&self, path: &str, token: &str) -> io::Result<Response> {
        let octets = |length: usize| Response::new(200).body("application/octet-stream", vec![0x55; length]);
        Ok(match path {
            "/consent" => {
                let consent = Consent {
                    key: key_text(&self.server.key()?),
                    seconds: self.server.seconds,
                    streams: super::MOST_STREAMS,
                    octets: self.server.octets,
                };
                Response::new(200)
                    .body("application/json", serde_json::to_vec(&consent)?)
                    .field("Cache-Control", "no-store")
            }
            "/small" => octets(1),
            "/page" => Response::new(200).body("text/html; charset=utf-8", page(token).into_bytes()),
            path => {
                let number = path.strip_prefix("/object/").and_then(|text| text.parse().ok());
                match number.filter(|number| (1..=OBJECTS).contains(number)) {
                    Some(number) => octets(size(number)),
                    None => text(404, "There is nothing here: /down, /up, /page and /small there are."),
                }
            }
        })
    }

    fn respond(&mut self, method: Method, response: &Response, keep: bool) -> io::Result<()> {
        self.stream.write_all(&response.to_bytes(method, keep))
    }

    /// A stream to the peer, until time or octets are used up, or the peer has enough.
    fn down(&mut self, until: Instant) -> io::Result<()> {
        let _ = SockRef::from(&self.stream).set_tcp_notsent_lowat(UNSENT);
        self.stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        )?;
        let piece = vec![0x55; PIECE];
        let mut left = self.server.octets;
        while left > 0 && Instant::now() < until && !self.server.is_stopped() {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            left -= self.stream.write(piece.get(..most).unwrap_or_default())? as u64;
        }
        Ok(())
    }

    /// A stream from the peer. With `report` it is told ten times a second how much has come: what a sender has given to its kernel says
    /// little.
    fn up(&mut self, until: Instant, length: Option<u64>, report: bool) -> io::Result<()> {
        let Some(length) = length else {
            return self.respond(Method::Post, &text(411, "Say how long it is: Content-Length."), false);
        };
        let most = length.min(self.server.octets);
        let mut came = (self.buffer.len() as u64).min(most);
        let begun = Instant::now();
        if report {
            self.stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n0\n")?;
        }
        self.stream.set_read_timeout(Some(REPORT))?;
        let mut piece = vec![0; PIECE];
        let (mut told, mut moved) = (Instant::now(), Instant::now());
        while came < most && Instant::now() < until && !self.server.is_stopped() {
            match self.stream.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    came += read as u64;
                    moved = Instant::now();
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if moved.elapsed() > STALLED {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
            if report && told.elapsed() >= REPORT {
                told = Instant::now();
                self.stream.write_all(format!("{came}\n").as_bytes())?;
            }
        }
        if report {
            return self.stream.write_all(format!("{came}\n").as_bytes());
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.respond(Method::Post, &text(200, &format!("{came} octets in {seconds:.3} s")), false)
    }
}

fn text(status: u16, what: &str) -> Response {
    Response::new(status).body("text/plain; charset=utf-8", format!("{}\n", what.trim_end()).into_bytes())
}

/// Octets of an object: from 1 to 40 KiB, about 1.6 MB all together, in no order that a cache would know.
fn size(number: u32) -> usize {
    (number as usize * 37 % 40 + 1) * 1024 * 3 / 4
}

/// The page: what it needs is on it.
fn page(token: &str) -> String {
    let mut html = "<!doctype html><title>110 objects</title>\n".to_owned();
    for number in 1..=OBJECTS {
        let _ = writeln!(html, "<img src=\"/object/{number}?token={token}\" alt=\"\">");
    }
    html
}
