//! The page: a server for it on the far side, and clients that fetch it, curl where there is one and our own where not.

use sixgate_endpoint::connect::{Connection, Connector, FamilyChoice, Policy, policy};
use sixgate_endpoint::listen::{self, Listen};
use sixgate_lab::{Command, Error, Host, Process};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What is served.
const PAGE: &str = "<!doctype html><title>far away</title><p>You reached the far side over IPv6.</p>\n";
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// HTTP's status.
    pub(super) code: u16,
    /// Which address answered.
    pub(super) from: String,
    /// Milliseconds from the first question to the last octet, as the client says.
    pub(super) milliseconds: u64,
    /// The program that fetched it.
    pub(super) program: String,
}

/// Serves the page on port 80 of `host`, for as long as the host is there.
pub(super) fn serve(host: &Host) -> io::Result<()> {
    host.thread(|| {
        let Ok(mut listeners) = Listen::on(listen::Policy::V6Only, 80).tcp() else { return };
        while let Ok((stream, _)) = listeners.accept() {
            let _ = answer(stream);
        }
    })?;
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    // The request ends with an empty line; whatever it asks for, there is one page.
    let lines = BufReader::new(stream.try_clone()?.take(8192)).lines();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{PAGE}",
        PAGE.len()
    )
}

/// Begins to fetch `url` in `host`.
pub(super) fn fetch(host: &Host, url: &str) -> Result<Process, Error> {
    let told = "%{http_code} %{remote_ip} %{time_total} curl\n";
    let curl = Command::new("curl").args(["-6", "-sS", "-m", "5", "-o", "/dev/null", "-w", told, url]);
    if has_curl() {
        return host.spawn(&curl);
    }
    host.spawn(&Command::new(super::world::binary()).args(["lab", "fetch", url]))
}

fn has_curl() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("curl").is_file())
}

/// What the client's last line says.
pub(super) fn fetched(said: &str) -> Option<Page> {
    let mut words = said.lines().last()?.split_ascii_whitespace();
    let code = words.next()?.parse().ok().filter(|code| *code == 200)?;
    let from = words.next()?.to_owned();
    let seconds: f64 = words.next()?.parse().ok()?;
    let program = words.next()?.to_owned();
    Some(Page {
        code,
        from,
        milliseconds: Duration::try_from_secs_f64(seconds).ok()?.as_millis() as u64,
        program,
    })
}

/// `sixgate lab fetch URL`, for machines without curl: prints what curl would with the format of [`fetch`].
pub(super) fn fetch_here(url: &str) -> io::Result<String> {
    let begun = Instant::now();
    let host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or(url);
    let policy = Policy { deadline: PATIENCE, ..policy().with_family(FamilyChoice::Ipv6) };
    let server: sixgate_endpoint::Host = host.parse().map_err(io::Error::other)?;
    let Connection { mut stream, peer, .. } =
        Connector::new(policy).connect(&server, 80).map_err(io::Error::other)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut text = String::new();
    stream.take(1 << 20).read_to_string(&mut text)?;
    let code = text.split_ascii_whitespace().nth(1).unwrap_or("000");
    Ok(format!("{code} {} {:.6} sixgate\n", peer.without_port(), begun.elapsed().as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_curl_says_is_understood() {
        let page = fetched("200 2001:db8:f::80 0.012345 curl\n").unwrap();
        assert_eq!((page.code, page.milliseconds, page.program.as_str()), (200, 12, "curl"));
        assert_eq!(fetched("curl: (6) Could not resolve host: www.far.example\n000  0.000 curl\n"), None);
        assert_eq!(fetched("404 2001:db8:f::80 0.1 curl\n"), None);
        assert_eq!(fetched(""), None);
    }
}
