//! TCP flows that load a line, both ways, and what they carried.

use super::far::Far;
use sixgate_measure::rrul::{Direction, Flow, Mark};
use socket2::SockRef;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Octets written or read at once.
const PIECE: usize = 64 * 1024;
/// Octets of an answer's head.
const LONGEST_HEAD: usize = 4096;
/// Octets that a sender keeps in the kernel and has not sent: more would be a queue of our own making.
const UNSENT: u32 = 128 * 1024;
/// A flow that moves nothing for so long is looked at again: has it been stopped?
const GLANCE: Duration = Duration::from_millis(250);

/// A flow that runs until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) flow: Flow,
    carried: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
    stream: TcpStream,
}

impl Running {
    /// Starts a flow for `seconds` at most.
    pub(crate) fn start(far: &Far, flow: Flow, seconds: u64) -> io::Result<Self> {
        let stream = far.connect(flow.mark)?;
        stream.set_read_timeout(Some(GLANCE))?;
        stream.set_write_timeout(Some(GLANCE))?;
        let running = Self {
            flow,
            carried: Arc::default(),
            stop: Arc::default(),
            failed: Arc::default(),
            stream: stream.try_clone()?,
        };
        let dscp = flow.mark.dscp();
        let request = match flow.direction {
            Direction::Download => {
                far.request("GET", &format!("/down?seconds={seconds}&dscp={dscp}"), "Connection: close\r\n")
            }
            Direction::Upload => far.request(
                "POST",
                &format!("/up?report=1&seconds={seconds}"),
                &format!("Content-Length: {}\r\nConnection: close\r\n", far.consent.octets),
            ),
        };
        (&stream).write_all(request.as_bytes())?;
        let (carried, stop, failed) =
            (Arc::clone(&running.carried), Arc::clone(&running.stop), Arc::clone(&running.failed));
        let direction = flow.direction;
        let until = Instant::now() + Duration::from_secs(seconds);
        let name = flow.series();
        thread::Builder::new().name(name).spawn(move || {
            let watch = Watch { stop, carried, until };
            let ended = match direction {
                Direction::Download => download(stream, &watch),
                Direction::Upload => upload(stream, &watch),
            };
            if ended.is_err() && !watch.is_over() {
                failed.store(true, Ordering::Relaxed);
            }
        })?;
        Ok(running)
    }

    /// Octets that arrived so far, at whichever end that is.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Whether it ended before it should.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// TCP's own round-trip time.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        sixgate_linux::socket::tcp_rtt(&self.stream).ok().filter(|rtt| !rtt.is_zero())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // What is queued is dropped, not drained: the load ends now.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The eight flows of RRUL, or of both directions with as many of each as `each` says, all best effort.
pub(crate) fn start_all(
    far: &Far,
    flows: impl IntoIterator<Item = Flow>,
    seconds: u64,
) -> io::Result<Vec<Running>> {
    flows.into_iter().map(|flow| Running::start(far, flow, seconds)).collect()
}

/// Four flows up and four down, all best effort.
pub(crate) fn plain() -> impl Iterator<Item = Flow> {
    let flow = |direction| Flow { direction, mark: Mark::Be };
    [Direction::Upload, Direction::Download].into_iter().flat_map(move |direction| [flow(direction); 4])
}

struct Watch {
    stop: Arc<AtomicBool>,
    carried: Arc<AtomicU64>,
    until: Instant,
}

impl Watch {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || Instant::now() >= self.until
    }
}

/// Whether a read or write has only waited.
fn waited(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn download(mut stream: TcpStream, watch: &Watch) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut head = Vec::new();
    while !watch.is_over() {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) if !head.windows(4).any(|window| window == b"\r\n\r\n") => {
                head.extend_from_slice(buffer.get(..read.min(LONGEST_HEAD)).unwrap_or_default());
                let over = head.windows(4).any(|window| window == b"\r\n\r\n");
                if over && sixgate_measure::page::status(&head) != Some(200) {
                    return Err(io::Error::other("refused"));
                }
                // Octets that belong to no load.
                if !over && head.len() >= LONGEST_HEAD {
                    return Err(io::Error::other("what answers is no HTTP server"));
                }
            }
            Ok(read) => drop(watch.carried.fetch_add(read as u64, Ordering::Relaxed)),
            Err(error) if waited(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn upload(stream: TcpStream, watch: &Watch) -> io::Result<()> {
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let reports = stream.try_clone()?;
    let (carried, stop) = (Arc::clone(&watch.carried), Arc::clone(&watch.stop));
    let given = Arc::new(AtomicU64::new(0));
    let most = Arc::clone(&given);
    // What counts is what arrived there: the far end tells.
    thread::Builder::new()
        .name("reports".to_owned())
        .spawn(move || listen(reports, &carried, &most, &stop))?;
    let mut stream = stream;
    let piece = vec![0x55; PIECE];
    while !watch.is_over() {
        match stream.write(&piece) {
            Ok(written) => drop(given.fetch_add(written as u64, Ordering::Relaxed)),
            Err(error) if waited(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads the far end's reports, one number of octets a line. More than it was given cannot have arrived, and what has arrived stays so.
fn listen(stream: impl Read, carried: &AtomicU64, given: &AtomicU64, stop: &AtomicBool) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !stop.load(Ordering::Relaxed) {
        match reader.by_ref().take(1024).read_line(&mut line) {
            Ok(0) => return,
            Ok(_) if line.ends_with('\n') => {
                if let Ok(octets) = line.trim().parse::<u64>() {
                    carried.fetch_max(octets.min(given.load(Ordering::Relaxed)), Ordering::Relaxed);
                }
                line.clear();
            }
            // What was read of the line stays in it.
            Err(error) if waited(&error) && line.len() < 1024 => {}
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_believed_as_far_as_they_can_be_true() {
        let heard = |reports: &str, given: u64| {
            let carried = AtomicU64::new(0);
            listen(reports.as_bytes(), &carried, &AtomicU64::new(given), &AtomicBool::new(false));
            carried.into_inner()
        };
        assert_eq!(heard("HTTP/1.1 200 OK\r\n\r\n0\n5\n8\n", 10), 8);
        assert_eq!(heard("18446744073709551615\n", 10), 10, "no more than was given");
        assert_eq!(heard("8\n3\n-1\nnothing\n", 10), 8, "what arrived does not go back");
        assert_eq!(heard(&"9".repeat(100_000), 10), 0, "a line without an end");
    }
}
