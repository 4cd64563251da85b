//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use sixgate_endpoint::connect::FamilyArgs;
use sixgate_endpoint::{Endpoint, Host};
use std::path::PathBuf;
use std::str::FromStr as _;

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
    /// Serve the network that the configuration names, until SIGTERM or Ctrl-C.
    #[command(long_about = "\
Serve the network that the configuration names.

On the uplink: learns routers by ND, asks for an address and a prefix by DHCPv6. On each LAN: takes a /64 of the
prefix, advertises it, gives addresses and prefixes by DHCPv6, answers DNS. Between them: routes, and a firewall that
denies what nobody inside asked for. Needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE.

SIGHUP reads the configuration again; leases are not touched. SIGTERM and Ctrl-C stop: hosts are told, and routes,
addresses, settings and firewall rules that `up` made are taken away again.")]
    Up(Up),
    /// Check the configuration and say what is wrong, where, and what to do.
    #[command(long_about = "\
Check the configuration: keys, values, overlapping prefixes, and whether this machine has the interfaces.
Each finding names the line, the key and the remedy. Exit code 2 where `up` would refuse.")]
    Check(Check),
    /// Show what a running sixgate does: uplink, prefixes, LANs, counters.
    Status(View),
    /// Show who holds which address and prefix.
    #[command(long_about = "\
Show who holds which address and prefix. Asks the running sixgate; where none runs, reads the leases on disk.")]
    Leases(Leases),
    /// Say how this machine would connect to a host, in which order and why; without a host, by which policy.
    #[command(long_about = "\
Say how this machine would connect to a host: which addresses its name has, in which order they would be tried, and the
reason for each place (RFC 6724, RFC 8305). With --connect it connects, and tells what became of each attempt: an IPv6
that is broken and hidden by IPv4 shows here. Without a host it prints the policy itself.

Exit code 1 where the host has no address to try, or with --connect where none connects.")]
    Explain(Explain),
    /// Find on which link a machine is, by the hardware address on its label or its link-local address.
    #[command(long_about = "\
Find on which link a machine is that has no configuration yet: a printer, a router out of its box. Give the hardware
address that stands on its label, or its link-local address; every link is tried at once, and the address is printed with
the interface to use it on (fe80::200:5eff:fe00:5301%eth0). Takes 3.5 seconds as a rule, 8.5 at most.

A machine whose link-local address does not follow from its hardware address (RFC 7217) is found by the former only.
Exit code 1 where it is on no link.")]
    Find(Find),
    #[cfg(feature = "audit")]
    Audit(crate::audit::Arguments),
    #[cfg(feature = "audit")]
    Checklist(crate::audit::ChecklistArguments),
    /// Networks inside namespaces on this machine: a demonstration, and a way in.
    Lab(Lab),
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// A hardware address (00:00:5e:00:53:01, with : or - between) or a link-local address (fe80::1).
    #[arg(value_name = "MACHINE", value_parser = crate::find::machine)]
    pub(crate) machine: Endpoint,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A name or an address: www.example.com, www.example.com:80, 2001:db8::1, [fe80::1%eth0]:443. Port 443 where none is given.
    #[arg(value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) host: Option<Host>,
    /// Connect by TCP, and close the connection again.
    #[arg(long, requires = "host")]
    pub(crate) connect: bool,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = crate::config::DEFAULT_PATH)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// How each event is logged, one a line, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
    /// Say more; twice says each packet.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// key=value, for people and grep.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Print a commented configuration with every key and its default.
    #[arg(long)]
    pub(crate) reference: bool,
    /// Only what the file says: don't ask whether this machine has the interfaces.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
pub(crate) struct Leases {
    #[command(flatten)]
    pub(crate) view: View,
    /// Read the leases on disk without asking a running sixgate.
    #[arg(long)]
    pub(crate) offline: bool,
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
    Demo(Demo),
    /// Run a program, or a shell, inside a host of a running lab.
    Enter(Enter),
    /// Fetch a page over IPv6, for machines without curl.
    #[command(hide = true)]
    Fetch(Fetch),
    /// Translate between IPv6 and IPv4 in this network namespace until SIGTERM, for tests and benchmarks. Forwarding is
    /// whoever calls it to switch on.
    #[command(hide = true)]
    Nat64(Nat64),
}

#[derive(Debug, Args)]
pub(crate) struct Nat64 {
    /// Name of the TUN device.
    #[arg(long, default_value = crate::nat64::DEVICE)]
    pub(crate) device: String,
    /// The prefix behind which IPv6 hosts see IPv4.
    #[arg(long, default_value = "64:ff9b::/96", value_parser = crate::nat64::prefix)]
    pub(crate) prefix: sixgate_endpoint::nat64::Prefix,
    /// The IPv4 addresses that the inside shares; ICMP errors come from the first.
    #[arg(long)]
    pub(crate) pool: ipnet::Ipv4Net,
    /// From where ICMPv6 errors come.
    #[arg(long)]
    pub(crate) address: std::net::Ipv6Addr,
    /// Most sessions at one time.
    #[arg(long, default_value_t = 131_072)]
    pub(crate) sessions: u32,
    /// Queues, and threads that serve them.
    #[arg(long, default_value_t = 1)]
    pub(crate) queues: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The page, as http://HOST/.
    pub(crate) url: String,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End as soon as both clients have fetched their page, instead of staying until Ctrl-C.
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// The host: isp, gateway, server, alice, bob.
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// The program and its arguments; a shell where none is given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<std::ffi::OsString>,
}
