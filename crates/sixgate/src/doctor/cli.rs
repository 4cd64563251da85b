//! The command line of `sixgate doctor`.

use crate::measure::plain::Url;
use clap::{Args, ValueEnum};
use sixgate_endpoint::Host;
use std::str::FromStr as _;

/// Say what is missing or wrong on the network that this machine is on, and where its delay stands.
#[derive(Debug, Args)]
#[command(long_about = "\
Say what is missing or wrong on a network that is somebody else's, in the order in which it is to be mended, each with what was seen, why it matters
and how to mend it; and at which hop its delay stands. Takes about ten seconds, a minute where little answers.

Nothing is changed: router advertisements are asked for and heard, DHCPv6 is asked for information and no lease, an Offer of DHCPv4 is not taken,
resolvers are asked for ipv4only.arpa and what they are, daemons of this machine for their version, hops are pinged. No address, route or setting of this machine is touched. Where a DHCP client of this machine
has its port, that protocol is left out, and said so.

Each finding says on which part of the way it first shows: this machine, the LAN, the gateway, the access link, the ISP or beyond.

Without --target nobody beyond the network's own resolver is asked. Exit code 1 where a finding is as bad as --fail-on. Needs root, or CAP_NET_RAW
and CAP_NET_BIND_SERVICE.

  sixgate doctor
  sixgate doctor --interface wlan0 --target www.example.com
  sixgate doctor --load gw.example --token TOKEN       with our own load, to see the queues (sixgate measure serve)")]
pub(crate) struct Arguments {
    /// The interface to look at. Without it, that of the IPv6 default route, else the first that carries packets.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Option<String>,
    /// A host in the Internet to look at too, by both families: its path, the MTU of that, and TCP (port 443 unless given).
    #[arg(short, long, value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) target: Option<Host>,
    /// Load the line to this far end (`sixgate measure serve`) while the path is looked at: an idle line hides its queues.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) load: Option<Host>,
    /// The far end's consent.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SIXGATE_MEASURE_TOKEN",
        hide_env_values = true,
        requires = "load",
        value_parser = crate::measure::cli::token
    )]
    pub(crate) token: Option<String>,
    /// Ask the captive portal that the network tells of whether this machine may go out (RFC 8908).
    #[arg(long)]
    pub(crate) portal: bool,
    /// Ask for this page by plain HTTP, to see whether a portal answers in its place: `http://HOST/PATH`, of a host of yours.
    #[arg(long, value_name = "URL", value_parser = Url::parse)]
    pub(crate) probe: Option<Url>,
    /// Exit code 1 where a finding is as bad as this.
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    pub(crate) fail_on: FailOn,
    /// Print JSON: what was seen, and what it means.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Note,
    Never,
}
