//! `sixgate explain`: how this machine connects, and why so.

use crate::{Outcome, fail, print};
use clap::Args;
use sixgate_endpoint::Host;
use sixgate_endpoint::connect::{Connector, FamilyArgs, Policy, Trace, policy};
use std::str::FromStr as _;

/// Say how this machine would connect to a host, in which order and why; without a host, by which policy.
#[derive(Debug, Args)]
#[command(long_about = "\
Say how this machine would connect to a host: which addresses its name has, in which order they would be tried, and the
reason for each place (RFC 6724, RFC 8305). With --connect it connects, and tells what became of each attempt: an IPv6
that is broken and hidden by IPv4 shows here. Without a host it prints the policy itself.

Exit code 1 where the host has no address to try, or with --connect where none connects.")]
pub(crate) struct Arguments {
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

/// Where no port is given: what is asked of most hosts.
const PORT: u16 = 443;

pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let policy = policy().with_family(arguments.family.choice().unwrap_or_default());
    let Some(host) = &arguments.host else {
        return print(&if arguments.json { json(&rules(&policy)) } else { policy.to_string() });
    };
    if let Some(missing) = host.endpoint().and_then(|endpoint| endpoint.socket_addr(PORT).err()) {
        return fail(&format!("cannot connect to {host}: {missing}"));
    }
    let connector = Connector::new(policy);
    let (trace, failure) = if arguments.connect {
        match connector.connect(host, PORT) {
            Ok(connection) => (connection.trace, None),
            Err(error) => (error.trace().clone(), Some(error.to_string())),
        }
    } else {
        let trace = connector.explain(host, PORT);
        let nothing = trace.order.is_empty().then(|| nothing(host, connector.policy()));
        (trace, nothing)
    };
    let shown = print(&shown(&trace, arguments.json));
    match failure {
        Some(failure) if shown == Outcome::Done => fail(&failure),
        _ => shown,
    }
}

/// Why there is no address to try.
fn nothing(host: &Host, policy: &Policy) -> String {
    match host.endpoint().map(|endpoint| endpoint.family()) {
        Some(family) if !policy.family.allows(family) => {
            format!("{host} is {family}, and {} alone is allowed", family.other())
        }
        _ => format!("{host} has no address that would be tried"),
    }
}

fn shown(trace: &Trace, as_json: bool) -> String {
    if as_json { json(&serde_json::to_value(trace).unwrap_or_default()) } else { trace.to_string() }
}

fn rules(policy: &Policy) -> serde_json::Value {
    let rule = |rule: sixgate_endpoint::connect::PolicyRule| serde_json::json!({ "about": rule.about, "rule": rule.text, "source": rule.source });
    policy.rules().into_iter().map(rule).collect()
}

fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
