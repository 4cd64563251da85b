//! The folder: a page to read, the same as JSON, and the capture.

use super::capture::{Capture, Heard};
use super::judge::{Finding, Verdict, judge};
use super::story::{Told, story};
use super::subject::{Had, Subject};
use crate::census::view::Client;
use crate::view;
use crate::when::rfc3339;
use serde::Serialize;
use std::fmt::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAGE: &str = "report.md";
const JSON: &str = "report.json";
const CAPTURE: &str = "exchange.pcap";

/// One line of the exchange.
#[derive(Debug, Clone, Serialize)]
struct Line {
    /// As an analyser counts the frames of the capture.
    frame: usize,
    /// Seconds since the first.
    at: f64,
    from: &'static str,
    words: String,
}

impl From<&Told> for Line {
    fn from(told: &Told) -> Self {
        let from = if told.from_host { "client" } else { "network" };
        Self { frame: told.frame, at: told.at.as_secs_f64(), from, words: told.words.clone() }
    }
}

/// Everything that is written but the frames.
#[derive(Debug, Serialize)]
pub(super) struct Bundle {
    client: String,
    /// The hardware address was made up by the client.
    randomised: bool,
    at: String,
    /// Seconds that were listened.
    listened: u64,
    sixgate: &'static str,
    kernel: String,
    network: Vec<String>,
    leases: Vec<view::Lease>,
    census: Option<Client>,
    no_census: Option<String>,
    findings: Vec<Finding>,
    exchange: Vec<Line>,
    history: Vec<Had>,
    left_out: Vec<String>,
}

impl Bundle {
    pub(super) fn new(
        subject: &Subject,
        capture: &Capture,
        begun: Duration,
        arguments: &super::Arguments,
    ) -> Self {
        let exchange = story(&capture.frames, subject.mac);
        let listened =
            if subject.interfaces.is_empty() || arguments.no_capture { 0 } else { arguments.seconds };
        let kernel = nix::sys::utsname::uname()
            .map_or_else(|_| String::new(), |name| name.release().to_string_lossy().into_owned());
        // Names are people's, as often as not.
        let nameless = |lease: &view::Lease| view::Lease { hostname: None, ..lease.clone() };
        let leases = if arguments.names {
            subject.leases.clone()
        } else {
            subject.leases.iter().map(nameless).collect()
        };
        let told = |client: Client| if arguments.names { client } else { without_names(client) };
        let census = subject.census.as_ref().ok().cloned().map(told);
        Self {
            client: subject.name(),
            randomised: subject.mac[0] & 2 != 0,
            at: rfc3339(begun),
            listened,
            sixgate: env!("CARGO_PKG_VERSION"),
            kernel,
            network: network(subject.status.as_ref(), &subject.interfaces),
            leases,
            census,
            no_census: subject.census.as_ref().err().cloned(),
            findings: judge(&exchange),
            exchange: exchange.iter().map(Line::from).collect(),
            history: subject.history.clone(),
            left_out: left_out(capture, listened, arguments.names),
        }
    }

    /// Writes everything into a folder of its own.
    ///
    /// # Errors
    /// Where a file cannot be written, as a sentence.
    pub(super) fn write(&self, into: Option<&Path>, capture: &Capture) -> Result<PathBuf, String> {
        let time: String = self.at.chars().filter(char::is_ascii_alphanumeric).collect();
        let own = || PathBuf::from(format!("sixgate-report-{}-{time}", self.client.replace(':', "")));
        let folder = into.map_or_else(own, Path::to_owned);
        let failed = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
        // It tells of somebody: nobody else may read it.
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed(&folder, error))?;
        let mut files = vec![(PAGE, self.page().into_bytes()), (JSON, self.json()?.into_bytes())];
        if !capture.frames.is_empty() {
            files.push((CAPTURE, capture.pcap()));
        }
        for (name, octets) in files {
            let path = folder.join(name);
            let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
            file.and_then(|mut file| std::io::Write::write_all(&mut file, &octets))
                .map_err(|error| failed(&path, error))?;
        }
        Ok(folder)
    }

    pub(super) fn json(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }

    fn violated(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Violated)
    }

    /// What to say on a terminal.
    pub(super) fn summary(&self) -> String {
        let mut out = String::new();
        for finding in self.violated() {
            let _ = writeln!(out, "{} ({}): not kept: {}", finding.rfc, finding.level, finding.asks);
        }
        if out.is_empty() {
            let kept = self.findings.iter().filter(|finding| finding.verdict == Verdict::Kept).count();
            let _ = writeln!(
                out,
                "nothing that was heard violates a rule; {kept} of {} were kept, of the others nothing was heard",
                self.findings.len()
            );
        }
        out
    }

    fn page(&self) -> String {
        let mut out = format!("# Report on the client {}\n\n{}\n\n", self.client, self.head());
        out += "## What was not kept\n\n";
        if self.violated().next().is_none() {
            out += "Nothing that was heard violates a rule below.\n";
        }
        for finding in self.violated() {
            let frames: Vec<String> = finding.frames.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                out,
                "- **{}** ({}): {}. Frames {} of {CAPTURE} speak against it.",
                finding.rfc,
                finding.level,
                finding.asks,
                frames.join(", ")
            );
        }
        out += "\n## What was looked at\n\n";
        for finding in &self.findings {
            let verdict = match finding.verdict {
                Verdict::Violated => "NOT KEPT",
                Verdict::Kept => "kept",
                Verdict::Untold => "cannot be told",
            };
            let _ = writeln!(out, "- {verdict}: {} ({}): {}", finding.rfc, finding.level, finding.asks);
        }
        out += "\n## The network\n\n";
        for line in &self.network {
            let _ = writeln!(out, "- {line}");
        }
        out += "\n## Without IPv4\n\n";
        out += &self.without_ipv4();
        out += "\n## The exchange\n\n";
        out += &self.told();
        out += "\n## What it had\n\n";
        for had in &self.history {
            let until = had.until.as_deref().unwrap_or("now");
            let _ = writeln!(out, "- {} ({}) from {} to {until}", had.what, had.how, had.from);
        }
        if self.history.is_empty() {
            out += "The history on disk says nothing of it, or could not be read.\n";
        }
        out += PRIVACY;
        for line in &self.left_out {
            let _ = writeln!(out, "- {line}");
        }
        out
    }

    fn head(&self) -> String {
        let made_up =
            if self.randomised { " Its hardware address is made up (locally administered)." } else { "" };
        let version = format!("sixgate {} on Linux {}", self.sixgate, self.kernel);
        let listened = match self.listened {
            0 => "nothing was listened to".to_owned(),
            seconds => format!("listened to for {seconds} s"),
        };
        format!("Made at {} by {version}; {listened}.{made_up}", self.at)
    }

    fn without_ipv4(&self) -> String {
        let Some(client) = &self.census else {
            let why = self.no_census.as_deref().unwrap_or("it was not asked");
            return format!("No verdict of the census: {why}.\n");
        };
        let ready =
            if client.ready { "could live without IPv4" } else { "cannot be said to live without IPv4 yet" };
        let mut out = format!(
            "By the census it {ready}: stage {}, of its hours {:.0} % went well without (between {:.0} and {:.0} %, over {} hours). \
             It {} for option 108. Kind: {} (a guess by {}).\n",
            client.stage,
            client.score.best * 100.0,
            client.score.low * 100.0,
            client.score.high * 100.0,
            client.score.hours,
            if client.asks_108 { "asks" } else { "does not ask" },
            client.family,
            client.fingerprint,
        );
        for need in &client.needs {
            let what =
                need.what.as_deref().map(|what| format!(" ({})", what.escape_debug())).unwrap_or_default();
            let _ = writeln!(out, "- needed IPv4 {} times: {}{what}", need.count, need.kind);
        }
        out
    }

    fn told(&self) -> String {
        if self.exchange.is_empty() {
            return "Nothing was heard.\n".to_owned();
        }
        let mut out = "```\n".to_owned();
        for line in &self.exchange {
            let _ = writeln!(out, "{:>4} {:>9.3} s  {:<7}  {}", line.frame, line.at, line.from, line.words);
        }
        out + "```\n"
    }
}

const PRIVACY: &str = "\n## Privacy\n\nThis folder tells of one device, and so of whoever carries it: its hardware address, its IP addresses and when \
it had them, its DHCP messages with all that it says in them (DUID, vendor class, and the name it gives itself, which may be a person's). Read it \
before you send it, send it to nobody but who is to mend the device, and delete it afterwards.\n\nLeft out:\n\n";

/// What a vendor has to know of the network.
fn network(status: Option<&view::Status>, interfaces: &[String]) -> Vec<String> {
    let Some(status) = status else { return vec!["sixgate was not running".to_owned()] };
    let mut lines = Vec::new();
    for lan in status.lans.iter().filter(|lan| interfaces.contains(&lan.interface)) {
        let prefixes: Vec<&str> = lan.prefixes.iter().map(|prefix| prefix.what.as_str()).collect();
        lines.push(format!(
            "LAN {}: prefixes {}, router lifetime {} s",
            lan.name,
            prefixes.join(", "),
            lan.router_lifetime
        ));
    }
    if let Some(dns64) = &status.dns64 {
        lines.push(format!("DNS64 with {dns64}"));
    }
    if let Some(nat64) = &status.nat64 {
        lines.push(format!("NAT64 at {}", nat64.prefix));
    }
    lines
}

/// A census row without what was asked for and what it is called.
fn without_names(client: Client) -> Client {
    let needs = client.needs.iter().cloned().map(|mut need| {
        need.what = None;
        need
    });
    Client { name: None, needs: needs.collect(), ..client }
}

fn left_out(capture: &Capture, listened: u64, names: bool) -> Vec<String> {
    let mut lines = vec!["everything that other hosts sent, and what was sent to them alone".to_owned()];
    lines.push("every packet but ARP, ICMPv6, DHCP, DHCPv6 and DNS: no connection, no payload".to_owned());
    lines.push(if names {
        "nothing of DNS: --names was given, and this folder tells which names the client asked for".to_owned()
    } else {
        "the contents of DNS (the frames end behind the UDP header), and which names or addresses needed IPv4; --names keeps them".to_owned()
    });
    let cut = capture.frames.iter().filter(|Heard { bytes, length, .. }| bytes.len() < *length).count();
    if cut > 0 {
        lines.push(format!("the contents of {cut} frames"));
    }
    if capture.over > 0 {
        lines.push(format!("{} frames: the file holds 2,000 frames and 1 MiB at most", capture.over));
    }
    if capture.lost > 0 {
        lines.push(format!("{} frames that the kernel lost", capture.lost));
    }
    if listened == 0 {
        lines.push("all frames: nothing was listened to".to_owned());
    }
    lines
}
