//! A far end of ours, as the one who measures sees it: its consent, and connections to it.

use super::cli::{PORT, Target};
use crate::Outcome;
use serde::{Deserialize, Serialize};
use sixgate_endpoint::connect::{Connector, FamilyChoice, Policy, policy};
use sixgate_endpoint::{Endpoint, Host};
use sixgate_measure::echo::{Key, read_key};
use sixgate_measure::page::status;
use sixgate_measure::rrul::Mark;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long connecting, and each answer, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Octets that are read of an answer that should be short.
const SHORT: usize = 64 * 1024;
/// The longest stream that is asked for, whatever the far end says, in seconds.
const LONGEST: u64 = 3600;

/// What the far end agrees to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Consent {
    /// For UDP probes, as text.
    pub(crate) key: String,
    /// Longest time of a stream, in seconds.
    pub(crate) seconds: u64,
    /// Streams at one time.
    pub(crate) streams: usize,
    /// Octets of a stream.
    pub(crate) octets: u64,
}

impl Consent {
    /// Reads it. A far end that agrees to nothing does not agree; one that agrees to more than there is time for is not taken at its word.
    fn read(text: &[u8]) -> Option<Self> {
        let consent: Self = serde_json::from_slice(text).ok()?;
        let consent = Self { seconds: consent.seconds.min(LONGEST), ..consent };
        (consent.seconds > 0 && consent.octets > 0).then_some(consent)
    }
}

/// A far end that agreed.
#[derive(Debug, Clone)]
pub(crate) struct Far {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// The same, for people.
    pub(crate) endpoint: Endpoint,
    /// What it agrees to.
    pub(crate) consent: Consent,
    /// For UDP probes.
    pub(crate) key: Key,
    token: String,
}

/// Why there is no far end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoFar {
    /// No token was given.
    #[error(
        "{0} was not asked: load needs its consent; give its token with --token (`sixgate measure serve` printed it there)"
    )]
    NoToken(Host),
    /// It cannot be reached.
    #[error("cannot reach {0}: {1}; is `sixgate measure serve` running there, and its port open?")]
    Unreachable(Host, String),
    /// It answered, and does not agree.
    #[error(
        "{0} does not agree to be loaded ({1}): its token is another, or this machine is not on its --allow"
    )]
    Refused(Endpoint, String),
}

impl NoFar {
    /// Says so; the exit code.
    pub(crate) fn told(&self) -> Outcome {
        crate::say(&format!("sixgate: {self}\n"));
        match self {
            Self::NoToken(_) => Outcome::Usage,
            Self::Refused(..) => Outcome::Refused,
            Self::Unreachable(..) => Outcome::Failed,
        }
    }
}

impl Far {
    /// Asks for consent.
    pub(crate) fn ask(target: &Target) -> Result<Self, NoFar> {
        Self::of(&target.host, target.token.as_deref(), target.family.choice().unwrap_or_default())
    }

    /// The same, of this host.
    pub(crate) fn of(host: &Host, token: Option<&str>, family: FamilyChoice) -> Result<Self, NoFar> {
        let token = token.ok_or_else(|| NoFar::NoToken(host.clone()))?;
        let policy = Policy { deadline: PATIENCE, ..policy().with_family(family) };
        let connection = Connector::new(policy)
            .connect(host, PORT)
            .map_err(|error| NoFar::Unreachable(host.clone(), error.to_string()))?;
        let endpoint = connection.peer;
        let unreachable = |error: io::Error| NoFar::Unreachable(host.clone(), error.to_string());
        let address = connection.stream.peer_addr().map_err(unreachable)?;
        let (status, body) =
            get(connection.stream, &format!("/consent?token={token}")).map_err(unreachable)?;
        let refused = || NoFar::Refused(endpoint, format!("HTTP status {status}"));
        if status != 200 {
            return Err(refused());
        }
        let consent = Consent::read(&body).ok_or_else(refused)?;
        let key = read_key(&consent.key).ok_or_else(refused)?;
        Ok(Self { address, endpoint, consent, key, token: token.to_owned() })
    }

    /// The request for a stream or an object, with the token.
    pub(crate) fn request(&self, method: &str, target: &str, fields: &str) -> String {
        let mark = if target.contains('?') { '&' } else { '?' };
        format!(
            "{method} {target}{mark}token={} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n",
            self.token,
            self.endpoint.authority()
        )
    }

    /// Connects, with this mark from the first packet on.
    pub(crate) fn connect(&self, mark: Mark) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, Some(Protocol::TCP))?;
        set_mark(&socket, mark)?;
        socket.connect_timeout(&self.address.into(), PATIENCE)?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Marks what a socket sends (RFC 2474), whichever family it is of.
pub(crate) fn set_mark(socket: &Socket, mark: Mark) -> io::Result<()> {
    let octet = u32::from(mark.dscp()) << 2;
    socket.set_tclass_v6(octet).or_else(|_| socket.set_tos_v4(octet))
}

/// Asks on a fresh connection, and closes it: status and body, which is short.
pub(crate) fn get(mut stream: TcpStream, target: &str) -> io::Result<(u16, Vec<u8>)> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let host = Endpoint::from(stream.peer_addr()?);
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host.authority())?;
    let answer = read_short(&mut stream, SHORT, PATIENCE)?;
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let head = split.and_then(|at| answer.get(..at)).unwrap_or_default();
    let status = status(head).ok_or_else(|| io::Error::other("what answers is no HTTP server"))?;
    Ok((status, split.and_then(|at| answer.get(at + 4..)).unwrap_or_default().to_vec()))
}

/// Reads an answer until the far end closes, of so many octets at most, and for so long in all: a timeout of each read would let a far end
/// that sends an octet now and then go on for hours.
pub(crate) fn read_short(stream: &mut TcpStream, most: usize, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < most {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    answer.truncate(most);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpListener};
    use std::thread;

    /// A peer that does this with the connection that it gets.
    fn peer(act: impl FnOnce(TcpStream) + Send + 'static) -> TcpStream {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || act(listener.accept().unwrap().0));
        TcpStream::connect(address).unwrap()
    }

    #[test]
    fn a_far_end_that_drips_does_not_hold_us() {
        let mut stream = peer(|mut stream| {
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let error = read_short(&mut stream, SHORT, Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
    }

    #[test]
    fn a_far_end_that_never_ends_is_cut_short() {
        let mut stream = peer(|mut stream| while stream.write_all(&[b'x'; 1000]).is_ok() {});
        assert_eq!(read_short(&mut stream, 5000, PATIENCE).unwrap().len(), 5000);
    }

    #[test]
    fn what_a_far_end_agrees_to_is_bounded() {
        let consent = |seconds: u64, octets: u64| {
            let text = format!(r#"{{"key":"","seconds":{seconds},"streams":1,"octets":{octets}}}"#);
            Consent::read(text.as_bytes())
        };
        assert_eq!(consent(u64::MAX, 1).unwrap().seconds, LONGEST);
        assert_eq!(consent(30, 1).unwrap().seconds, 30);
        assert!(consent(0, 1).is_none() && consent(1, 0).is_none() && Consent::read(b"{}").is_none());
    }
}
