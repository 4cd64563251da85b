//! The command line of `sixgate measure`.

use super::entry::Export;
use clap::{Args, Subcommand, ValueEnum};
use sixgate_aqm::Rate;
use sixgate_endpoint::connect::FamilyArgs;
use sixgate_endpoint::{Endpoint, Host};
use std::path::PathBuf;
use std::str::FromStr as _;

/// The port of our own far end.
pub(crate) const PORT: u16 = 6465;

/// Measure latency under load (RRUL, RPM), page time, IPv4 against IPv6, the path; or be the far end of it.
#[derive(Debug, Args)]
#[command(long_about = "\
Measure what a line does to latency under load, how IPv4 and IPv6 compare, and the path; each is a command of its own, with --help.

Load is generated only to a far end that agrees: our own (`sixgate measure serve`), by its token. Page, families and path ask no more of a host than
a browser or ping does. Every measurement is bounded, says its error bar where the machine's own delay matters, and prints JSON with --json.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) measurement: Measurement,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Measurement {
    /// Be the far end of measurements, until SIGTERM or Ctrl-C.
    #[command(long_about = "\
Be the far end of measurements: TCP both ways, answers to UDP probes, a page of 110 objects, all at one port.

Whoever measures needs the token, which is printed unless --token gives one: it is the consent to be loaded. Besides, only peers on
--allow are answered; without it, this machine itself, link-local and private addresses are, and nobody on the Internet. Everything is bounded:
time and octets of each stream, streams at one time, connections from one source.

  sixgate measure serve --allow 2001:db8:1::/48
  curl -o /dev/null 'http://[2001:db8:1::1]:6465/down?seconds=5&token=TOKEN'     measures against it too")]
    Serve(Serve),
    /// Realtime Response Under Load: 4 TCP flows up, 4 down, probes beside them: what does load do to latency?
    #[command(long_about = "\
Realtime Response Under Load: probes alone, then with 4 TCP flows up and 4 down (marked BE, BK, CS5, EF), then alone again. What the load adds to
the probes' round trips is the queue of the line. Needs our far end on the other side of it (sixgate measure serve), and its token.

First this machine is looked at: what its timers, its processors and its own stack add is the error bar that is printed, and where that is too much,
nothing is measured (--anyway does). --json prints flent's data file (format 4), with our own summary under metadata.SIXGATE.

  sixgate measure rrul gw.example --token TOKEN
  sixgate measure rrul gw.example --token TOKEN --seconds 30 --svg rrul.svg --json > rrul.flent")]
    Rrul(Rrul),
    /// Responsiveness under working conditions, in round trips per minute (RPM).
    #[command(long_about = "\
Responsiveness under working conditions (draft-ietf-ippm-responsiveness), in round trips per minute: connections are added until the line carries
no more, then until responsiveness is stable. The draft's TCP-only case: plain HTTP/1.1 to our own far end; for probes on loaded connections TCP's own
round-trip time is taken, as the draft allows there. Figures from tools that use TLS are not the same figures.")]
    Responsiveness(Load),
    /// The time of a page, alone and under load.
    #[command(long_about = "\
The time of a page with its objects, by six connections as browsers have them: that of our far end has 110. With --load HOST and its --token,
alone first, then while four flows load the line each way. URL is http://...; of other servers the objects of the page's own host are fetched,
110 at most.

  sixgate measure page 'http://gw.example:6465/page' --load gw.example --token TOKEN
  sixgate measure page http://www.example.com/")]
    Page(Page),
    /// IPv4 and IPv6 to the same name: which is faster, which fails, which wins the race (RFC 8305) and by how much.
    #[command(long_about = "\
IPv4 and IPv6 to the same name, round by round: how long each takes to connect (TCP), which attempts fail, and in a race of both by Happy Eyeballs
(RFC 8305) which one won and by how much. A connection is opened and closed again three times a round, nothing is sent.

An IPv6 that fails and is hidden by IPv4 shows here. Port 443 unless given. Exit code 1 where nothing could be reached.")]
    Families(Families),
    /// The path to a host: hops, their delay, and the largest packet that passes, for both families.
    #[command(long_about = "\
The path to a host, for each family that it has: hops by echo requests with a rising hop limit, their round trips, where delay stands (see below), and the
largest packet that passes, found by packets that arrive (RFC 8899), so that a hole that says nothing is found too.

Delay that all hops from one on have, and those before have not, stands in the queue before that hop. A router that is slow to answer and nothing
else is not one. Needs CAP_NET_RAW.")]
    Path(PathTo),
    /// Run the configuration's plug-ins: programs of yours that measure, by schedule and within bounds.
    #[command(long_about = "\
Run the plug-ins of the configuration, [[measure.plugin]]: any program that prints one JSON object, whose numbers are figures. They are run by
schedule, one after the other, within bounds of time and octets, as a user who may do nothing; what they leave behind is ended. `sixgate up` does
this by itself, and `sixgate status` shows what came of it. --once tries each, and keeps nothing.

  sixgate measure plugins --once
  sixgate measure plugins --once web-time --json")]
    Plugins(Plugins),
    /// What was recorded, as one page (HTML), as CSV or as JSON.
    #[command(long_about = "\
What was recorded as one page for people who are no engineers: sentences, tables and curves, families beside each other. Measurements are recorded
by --record FILE of `families`, `path`, `page`, `rrul` and `responsiveness`, and by plug-ins of `sixgate up` in its state folder.

  sixgate measure families www.example.com --rounds 1000 --interval 60 --record week.jsonl
  sixgate measure report week.jsonl --output week.html
  sixgate measure report --csv > plugins.csv")]
    Report(Report),
    /// Queues compared in a simulation: FIFO, CoDel, FQ-CoDel, PIE and our shaper, under one load or on one trace.
    #[command(long_about = "\
Queues compared in a simulation: first in first out (a thousand packets), CoDel, FQ-CoDel, PIE (RFC 8033) and our shaper, each before the same link
under the same load: TCP connections that fill it both ways, and small packets beside them, of which is told what they wait. Nothing is sent and
nothing is measured: it says what these rules do to each other, not what your link does. TCP is modelled (reno, cubic, and bbr as one that heeds no
loss); packets have 1,500 octets.

With --trace FILE the same packets come to each queue whatever it does: a packet a line, its time in seconds, its flow's number, its octets.

  sixgate measure aqm
  sixgate measure aqm --aqm fifo,fq_codel --down 100M --up 40M --delay 20 --control reno
  tshark -r file.pcap -T fields -e frame.time_relative -e tcp.stream -e frame.len tcp > trace; sixgate measure aqm --trace trace --down 20M")]
    Aqm(Aqm),
}

#[derive(Debug, Args)]
pub(crate) struct Plugins {
    #[command(flatten)]
    pub(crate) file: crate::cli::ConfigFile,
    /// Which; all unless named.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Run each once, now, and record nothing. Exit code 1 where one fails.
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one JSON object for each run.
    #[arg(long)]
    pub(crate) json: bool,
    /// Feed a running `sixgate up`: JSON, until standard input is closed.
    #[arg(long, hide = true)]
    pub(crate) feed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Files of measurements; those that plug-ins of `sixgate up` recorded unless given.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The configuration that says where that is.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print CSV: a row for each figure.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write it into this file, and not to standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// A queue that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum QueueName {
    Fifo,
    Codel,
    FqCodel,
    Pie,
    Shaper,
}

/// How senders find their windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ControlName {
    Reno,
    Cubic,
    Bbr,
}

#[derive(Debug, Args)]
pub(crate) struct Aqm {
    /// Which queues, with commas between them.
    #[arg(
        long = "aqm",
        value_name = "QUEUES",
        value_delimiter = ',',
        default_value = "fifo,codel,fq_codel,pie,shaper"
    )]
    pub(crate) queues: Vec<QueueName>,
    /// The link's rate, of a trace's packets or towards us.
    #[arg(long, value_name = "RATE", default_value = "20M", value_parser = super::aqm::rate)]
    pub(crate) down: Rate,
    /// The link's rate from us.
    #[arg(long, value_name = "RATE", default_value = "5M", value_parser = super::aqm::rate, conflicts_with = "trace")]
    pub(crate) up: Rate,
    /// The round trip without queues, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=2000), conflicts_with = "trace")]
    pub(crate) delay: u32,
    /// TCP connections each way.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=200), conflicts_with = "trace")]
    pub(crate) flows: u32,
    /// How they find their windows.
    #[arg(long, value_enum, default_value = "cubic", conflicts_with = "trace")]
    pub(crate) control: ControlName,
    /// They understand marks (RFC 3168), and the queues give them.
    #[arg(long, conflicts_with = "trace")]
    pub(crate) ecn: bool,
    /// How long is looked at, in simulated seconds, after as long a time to settle.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600), conflicts_with = "trace")]
    pub(crate) seconds: u32,
    /// What comes, from a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; every address of this machine unless given. May be given several times.
    #[arg(short, long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<Endpoint>,
    /// The port, for TCP and UDP.
    #[arg(short, long, default_value_t = PORT)]
    pub(crate) port: u16,
    /// Who is answered, as prefixes; several with commas between them.
    #[arg(long, value_name = "PREFIXES", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    /// The consent: who has it may load this machine. Drawn anew and printed unless given.
    #[arg(long, value_name = "TOKEN", env = "SIXGATE_MEASURE_TOKEN", hide_env_values = true, value_parser = token)]
    pub(crate) token: Option<String>,
    /// The longest that one stream may run, in seconds, up to 300.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub(crate) seconds: u32,
    /// The most octets of one stream, in millions.
    #[arg(long, value_name = "MEGABYTES", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) megabytes: u64,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A far end of ours.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The far end: a name or an address, by choice with a port (6465 unless given).
    #[arg(value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) host: Host,
    /// The far end's consent, as `sixgate measure serve` printed it.
    #[arg(long, value_name = "TOKEN", env = "SIXGATE_MEASURE_TOKEN", hide_env_values = true, value_parser = token)]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Measure although this machine is too busy to do it well.
    #[arg(long)]
    pub(crate) anyway: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rrul {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How long the line is loaded, in seconds; a fifth of it before and after is without load.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=240))]
    pub(crate) seconds: u32,
    /// Write the picture into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// A title for picture and data.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Print flent's data file.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) export: Export,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The longest that each direction may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(5..=120))]
    pub(crate) seconds: u32,
    /// Both directions at one time, which tells less of where the delay is, and is what people do.
    #[arg(long)]
    pub(crate) both: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) export: Export,
}

#[derive(Debug, Args)]
pub(crate) struct Page {
    /// The page: `http://HOST[:PORT]/PATH`.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Load the line to this far end meanwhile.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) load: Option<Host>,
    /// The far end's consent.
    #[arg(long, value_name = "TOKEN", env = "SIXGATE_MEASURE_TOKEN", hide_env_values = true, value_parser = token)]
    pub(crate) token: Option<String>,
    /// How often the page is fetched, alone and under load.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) rounds: u32,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) export: Export,
}

#[derive(Debug, Args)]
pub(crate) struct Families {
    /// A name with addresses of both families, by choice with a port (443 unless given).
    #[arg(value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) host: Host,
    /// How many rounds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Seconds from one round to the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    pub(crate) interval: f64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) export: Export,
}

#[derive(Debug, Args)]
pub(crate) struct PathTo {
    /// A name or an address.
    #[arg(value_name = "HOST", value_parser = Host::from_str)]
    pub(crate) host: Host,
    /// How many times each hop is asked.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) export: Export,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.2..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("write seconds, from 0.2 to 3600: nobody agreed to more".to_owned()),
    }
}

/// A token goes into a URL and a line.
pub(crate) fn token(text: &str) -> Result<String, String> {
    let good = (8..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if good { Ok(text.to_owned()) } else { Err("a token has 8 to 128 letters, digits, - and _".to_owned()) }
}
