//! The command line: which commands there are, and what several of them share. The arguments of each, and its help, stand
//! with the command.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// An IPv6-only network that starts with one command.
#[derive(Debug, Parser)]
#[command(name = "sixgate", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Try it: `sixgate lab demo` builds an ISP, a gateway, a server and two LANs on this machine, inside namespaces.
Run it: write /etc/sixgate.toml (`sixgate check --reference` shows every key), then `sixgate up`.

Exit codes: 0 done; 1 failed while working; 2 the command line or the configuration is wrong;
3 the system refuses what was asked (permission, port in use, no IPv6); 4 sixgate is not running.")]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(crate::up::Arguments),
    Check(crate::check::Arguments),
    /// Show what a running sixgate does: uplink, prefixes, LANs, counters.
    Status(View),
    Leases(crate::leases::Arguments),
    Who(crate::who::Arguments),
    Report(crate::report::Arguments),
    Reconfigure(crate::reconfigure::Arguments),
    Lease(crate::lease::Arguments),
    Web(crate::web::Arguments),
    Census(crate::census::Arguments),
    Pilot(crate::pilot::Arguments),
    Options(crate::options::Arguments),
    Reservation(crate::reservation::Arguments),
    Explain(crate::explain::Arguments),
    Find(crate::find::Arguments),
    #[cfg(feature = "audit")]
    Audit(crate::audit::Arguments),
    #[cfg(feature = "audit")]
    Checklist(crate::audit::ChecklistArguments),
    Plan(crate::plan::Arguments),
    Buckets(crate::buckets::Arguments),
    Wrap(crate::wrap::Arguments),
    Clat(crate::clat::Arguments),
    Measure(crate::measure::cli::Arguments),
    Doctor(crate::doctor::cli::Arguments),
    Shape(crate::shape::Arguments),
    /// Networks inside namespaces on this machine: a demonstration, and a way in.
    Lab(Lab),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = crate::config::DEFAULT_PATH)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// key=value, for people and grep.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// Which running sixgate to ask.
#[derive(Debug, Args)]
pub(crate) struct View {
    /// The configuration file, which names the control socket and the state folder.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The control socket itself.
    #[arg(long, value_name = "SOCKET", conflicts_with = "config")]
    pub(crate) control: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Lab {
    #[command(subcommand)]
    pub(crate) command: LabCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// An ISP that delegates a /56, a gateway, a far server, clients on two LANs; runs until Ctrl-C.
    #[command(long_about = "\
An ISP that delegates a /56, a gateway, a far server, and a client on each of two LANs, all on this machine inside
namespaces of their own: the machine's own network is not touched, and nothing remains when it ends. Needs root, or
a kernel that allows user namespaces.")]
    Demo(crate::demo::Demo),
    /// Run a program, or a shell, inside a host of a running lab.
    Enter(crate::demo::Enter),
    /// Fetch a page over IPv6, for machines without curl.
    #[command(hide = true)]
    Fetch(crate::demo::Fetch),
    /// Translate between IPv6 and IPv4 in this network namespace until SIGTERM, for tests and benchmarks. Forwarding is
    /// whoever calls it to switch on.
    #[command(hide = true)]
    Nat64(crate::nat64::Arguments),
    /// Ask a resolver so many questions and print how many were answered, for benchmarks.
    #[command(hide = true)]
    DnsLoad(crate::load::DnsLoad),
    /// Be very many DHCPv6 clients and print how many were served and how fast, for benchmarks.
    #[command(hide = true)]
    DhcpLoad(crate::load::dhcp::Arguments),
    /// Answer every question with one address until killed, for benchmarks.
    #[command(hide = true)]
    DnsUpstream(crate::load::DnsUpstream),
}
