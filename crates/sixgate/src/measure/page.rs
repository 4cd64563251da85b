//! `sixgate measure page`: a page and its objects, as a browser fetches them, alone and under load.

use super::cli::Page;
use super::entry::Entry;
use super::far::{Far, PATIENCE};
use super::flows::{self, start_all};
use super::plain::{Url, head};
use super::shown::{Progress, ms, table};
use crate::{Outcome, print};
use serde::Serialize;
use sixgate_endpoint::connect::{Connector, Policy, policy};
use sixgate_measure::page::{MOST_OBJECTS, objects};
use sixgate_measure::stats::{Summary, ms as millis, summary};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Connections to one host at one time, as browsers have them over HTTP/1.1.
const CONNECTIONS: usize = 6;
/// Octets of a page, and of each object, that are taken.
const MOST_OCTETS: u64 = 16 << 20;
/// How long the load runs before the page is fetched: slow start is over then.
const SETTLE: Duration = Duration::from_secs(3);

/// Why a page could not be had.
type Failure = String;

/// A page's times.
#[derive(Debug, Serialize)]
struct Report {
    url: String,
    objects: usize,
    octets: u64,
    idle_ms: Option<Summary>,
    loaded_ms: Option<Summary>,
    /// Median under load, as a multiple of the median alone.
    ratio: Option<f64>,
    /// The same with its time, method and family.
    entries: Vec<Entry>,
}

pub(super) fn command(arguments: &Page) -> Outcome {
    let url = match Url::parse(&arguments.url) {
        Ok(url) => url,
        Err(why) => {
            crate::say(&format!("sixgate: {}: {why}\n", arguments.url));
            return Outcome::Usage;
        }
    };
    let family = arguments.family.choice().unwrap_or_default();
    let far = match arguments.load.as_ref().map(|host| Far::of(host, arguments.token.as_deref(), family)) {
        Some(Err(error)) => return error.told(),
        Some(Ok(far)) => Some(far),
        None => None,
    };
    // The token of our own far end need not be typed twice.
    let url = match &arguments.token {
        Some(token) if far.is_some() && !url.path.contains("token=") => url.with_token(token),
        _ => url,
    };
    let connector = Connector::new(Policy { deadline: PATIENCE, ..policy().with_family(family) });
    let mut progress = Progress::new(arguments.json);
    match measure(arguments, &url, far.as_ref(), &connector, &mut progress) {
        Ok(report) => {
            drop(progress);
            let shown = if arguments.json {
                format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default())
            } else {
                told(&report)
            };
            match arguments.export.export(&report.entries, shown) {
                Ok(shown) => print(&shown),
                Err(outcome) => outcome,
            }
        }
        Err(why) => {
            drop(progress);
            crate::fail(&format!("cannot fetch {}: {why}", arguments.url))
        }
    }
}

fn measure(
    arguments: &Page,
    url: &Url,
    far: Option<&Far>,
    connector: &Connector,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let (mut idle, mut loaded, mut last) = (Vec::new(), Vec::new(), Fetched::default());
    for round in 0..arguments.rounds {
        progress.show("without load", &format!("{} of {}", round + 1, arguments.rounds));
        last = fetch(url, connector)?;
        idle.push(millis(last.took));
    }
    if let Some(far) = far {
        let seconds = far.consent.seconds;
        let flows = start_all(far, flows::plain(), seconds).map_err(|error| format!("no load: {error}"))?;
        thread::sleep(SETTLE);
        for round in 0..arguments.rounds {
            progress.show("under load", &format!("{} of {}", round + 1, arguments.rounds));
            loaded.push(millis(fetch(url, connector)?.took));
            if flows.iter().any(flows::Running::has_failed) {
                return Err(
                    "the load ended before the page was there: the far end's limits are too low".to_owned()
                );
            }
        }
    }
    let (idle_ms, loaded_ms) = (summary(&idle), summary(&loaded));
    let ratio = idle_ms
        .zip(loaded_ms)
        .filter(|(idle, _)| idle.median > 0.0)
        .map(|(idle, loaded)| loaded.median / idle.median);
    let entry =
        Entry::now("a page and its objects, by six connections", &arguments.url, last.family.as_deref())
            .with("idle_ms", idle_ms.map(|found| found.median))
            .with("loaded_ms", loaded_ms.map(|found| found.median))
            .with("objects", u32::try_from(last.objects).ok().map(f64::from));
    Ok(Report {
        entries: vec![entry],
        url: arguments.url.clone(),
        objects: last.objects,
        octets: last.octets,
        idle_ms,
        loaded_ms,
        ratio,
    })
}

fn told(report: &Report) -> String {
    let row = |name: &str, times: &Option<Summary>| {
        let value = |pick: fn(&Summary) -> f64| {
            times.as_ref().map_or_else(|| "-".to_owned(), |summary| ms(pick(summary)))
        };
        vec![
            name.to_owned(),
            value(|summary| summary.min),
            value(|summary| summary.median),
            value(|summary| summary.max),
        ]
    };
    let mut rows = vec![
        ["", "least ms", "median ms", "most ms"].map(str::to_owned).to_vec(),
        row("alone", &report.idle_ms),
    ];
    if report.loaded_ms.is_some() {
        rows.push(row("under load", &report.loaded_ms));
    }
    let mut out = format!(
        "the page with its {} objects, {} octets, by {CONNECTIONS} connections\n\n{}",
        report.objects,
        report.octets,
        table(&rows)
    );
    if let Some(ratio) = report.ratio {
        let _ = writeln!(out, "\nunder load it takes {ratio:.1} times as long");
    }
    out
}

/// A page that was fetched.
#[derive(Debug, Default)]
struct Fetched {
    took: Duration,
    objects: usize,
    octets: u64,
    /// That of its first connection.
    family: Option<String>,
}

/// The page, then what is on it, by several connections.
fn fetch(url: &Url, connector: &Connector) -> Result<Fetched, Failure> {
    let begun = Instant::now();
    let mut first = Connection::open(url, connector)?;
    let family = Some(first.family.clone());
    let page = first.get(&url.path)?;
    let mut paths = objects(&String::from_utf8_lossy(&page), &url.path);
    paths.truncate(MOST_OBJECTS);
    let count = paths.len();
    let queue: Mutex<VecDeque<String>> = Mutex::new(paths.into());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let others: Result<u64, Failure> = thread::scope(|scope| {
        let mut workers = Vec::new();
        let mut connections = vec![Some(first)];
        connections.resize_with(CONNECTIONS.min(count), || None);
        for connection in connections {
            workers.push(scope.spawn(move || -> Result<u64, Failure> {
                let mut connection = connection;
                let mut octets = 0;
                while let Some(path) = next() {
                    let mut open = match connection.take().filter(|connection| connection.usable) {
                        Some(open) => open,
                        None => Connection::open(url, connector)?,
                    };
                    octets += open.get(&path)?.len() as u64;
                    connection = Some(open);
                }
                Ok(octets)
            }));
        }
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err("a thread ended".to_owned())))
            .sum()
    });
    Ok(Fetched { took: begun.elapsed(), objects: count, octets: others? + page.len() as u64, family })
}

/// A connection for several requests, one after the other.
struct Connection {
    reader: BufReader<TcpStream>,
    authority: String,
    family: String,
    usable: bool,
}

impl Connection {
    fn open(url: &Url, connector: &Connector) -> Result<Self, Failure> {
        let connection = connector.connect(&url.host, 80).map_err(|error| error.to_string())?;
        let family = connection.peer.family().to_string();
        let stream = connection.stream;
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        ready.map_err(|error| error.to_string())?;
        Ok(Self { reader: BufReader::new(stream), authority: url.host.authority(), family, usable: true })
    }

    fn get(&mut self, path: &str) -> Result<Vec<u8>, Failure> {
        self.try_get(path).map_err(|error| format!("{path}: {error}"))
    }

    fn try_get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: sixgate\r\n\r\n", self.authority);
        self.reader.get_mut().write_all(request.as_bytes())?;
        let head = head(&mut self.reader)?;
        if head.status != 200 {
            return Err(io::Error::other(format!("HTTP status {}", head.status)));
        }
        let length = head.length;
        self.usable = head.keeps && length.is_some();
        let most = length.unwrap_or(MOST_OCTETS);
        if most > MOST_OCTETS {
            return Err(io::Error::other(format!("it has {most} octets; {MOST_OCTETS} are taken at most")));
        }
        let mut body = Vec::new();
        self.reader.by_ref().take(most).read_to_end(&mut body)?;
        match length {
            Some(length) if body.len() as u64 != length => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(body),
        }
    }
}
