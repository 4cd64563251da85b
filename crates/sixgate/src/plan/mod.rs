//! `sixgate plan`: subnets over several servers, their configurations, and whether any of that is needed.

mod advice;
mod input;
mod layout;
mod write;

pub(crate) use input::Scheme;

use crate::{Outcome, fail, print, say};
use advice::Advice;
use clap::Args;
use input::{Input, Subnet};
use ipnet::Ipv6Net;
use layout::Server;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Lay out DHCPv6 service over one or several servers, write their configurations, and say whether that is needed.
#[derive(Debug, Args)]
#[command(long_about = "\
Lay out DHCPv6 service for links behind relay agents over one or several servers, write the configuration of each, and say whether
more than one is needed at all, with the numbers.

Schemes:
  divide      each subnet is one server's and no other's: half the load each, and half the network each when one is gone
  split       each server gives from its own part of every prefix (RFC 6853 section 4.1)
  unique      each link has a prefix for each server (RFC 6853 section 4.2)
  identical   all give from the whole prefix, by random choice (RFC 6853 section 4.3); addresses only, never prefixes

In the last three the servers know nothing of each other's leases. When one is gone, its clients get other addresses from another
one, at the latest when their leases end; the one with the higher preference serves as long as it is there. The relay agents
must send to all servers. It is called semi-redundant for that reason.

Input is a file, or the flags below. A file:

  servers = [\"east\", \"west\"]
  scheme = \"split\"
  interface = \"eth0\"                  where the relay agents' messages come in
  relays = [\"2001:db8:ff::/48\"]       networks that they send from
  clients = 20000
  lease = \"24h\"
  [[subnet]]
  name = \"dslam-7\"
  prefixes = [\"2001:db8:7::/64\"]
  delegate-from = [\"2001:db8:2000::/40\"]
  delegate-length = 56

  sixgate plan --servers 2 --from 2001:db8::/48 --subnets 10000 --relays 2001:db8:ff::/48 --output plan/
  sixgate plan plan.toml --output plan/     plan/east/sixgate.toml and plan/west/sixgate.toml, each as `sixgate check` takes it
  sixgate plan plan.toml --json")]
pub(crate) struct Arguments {
    /// What to plan; without it, what the flags say.
    #[arg(value_name = "FILE", conflicts_with_all = ["from", "subnets"])]
    file: Option<PathBuf>,
    /// How many servers, or their names, separated by commas.
    #[arg(long, value_name = "SERVERS", value_parser = input::servers)]
    servers: Option<input::Servers>,
    /// How to lay them out; left out: divide where there are as many subnets as servers, else split.
    #[arg(long, value_enum)]
    scheme: Option<Scheme>,
    /// The prefix from which each subnet takes a /64, one after the other.
    #[arg(long, value_name = "PREFIX", requires = "subnets")]
    from: Option<Ipv6Net>,
    /// How many subnets.
    #[arg(long, value_name = "COUNT", requires = "from")]
    subnets: Option<u32>,
    /// The interface on which relay agents' messages come in.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Networks that relay agents send from.
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    relays: Vec<Ipv6Net>,
    /// How many clients there are.
    #[arg(long, value_name = "COUNT")]
    clients: Option<u64>,
    /// For how long a lease is valid, such as 24h.
    #[arg(long, value_name = "TIME", value_parser = input::time)]
    lease: Option<u64>,
    /// Exchanges a second that one server does on your machines; measure it with perfdhcp.
    #[arg(long, value_name = "RATE", default_value_t = advice::CAPACITY, value_parser = clap::value_parser!(u64).range(1..))]
    capacity: u64,
    /// Write the configurations into this folder, one folder for each server. Files that are there already stay, and it is said.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Plans what the arguments say.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let laid_out = input::read(arguments).and_then(|input| Ok((layout::lay_out(&input)?, input)));
    let (servers, input) = match laid_out {
        Ok(laid_out) => laid_out,
        Err(error) => {
            say(&format!("sixgate: {error}\n  = help: {}\n", error.remedy()));
            return Outcome::Usage;
        }
    };
    let configurations = match write::configurations(&input, &servers) {
        Ok(configurations) => configurations,
        Err(findings) => {
            crate::show(&findings);
            return fail(
                "a configuration of this plan would be refused, for the reasons above: nothing is written",
            );
        }
    };
    let written = match arguments.output.as_deref().map(|folder| write::write(folder, &configurations)) {
        Some(Err(error)) => return fail(&error),
        Some(Ok(paths)) => paths,
        None => Vec::new(),
    };
    let advice = Advice::new(&input, arguments.capacity);
    let shown = if arguments.json {
        as_json(&input, &servers, &written, &advice)
    } else {
        text(&input, &servers, &written, &advice)
    };
    print(&shown)
}

fn text(input: &Input, servers: &[Server], written: &[PathBuf], advice: &Advice) -> String {
    let width = servers.iter().map(|server| server.name.len()).max().unwrap_or(0).max(6);
    let mut out = format!("{:<width$}  SUBNETS  PREFERENCE  POOLS\n", "SERVER");
    for server in servers {
        let preference = server.preference.map_or("-".to_owned(), |preference| preference.to_string());
        let count = server.subnets.len();
        let _ = writeln!(out, "{:<width$}  {count:>7}  {preference:>10}  {}", server.name, pools(server));
    }
    let _ = writeln!(out, "\n{}: {}", input.scheme.name(), input.scheme.consequence());
    for path in written {
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let _ = writeln!(out, "\n{}", advice.verdict);
    for reason in &advice.reasons {
        let _ = writeln!(out, "- {reason}");
    }
    out
}

/// The first pools of a server, and how many more there are.
fn pools(server: &Server) -> String {
    let all: Vec<&Ipv6Net> =
        server.subnets.iter().flat_map(|subnet| subnet.pools.iter().chain(&subnet.delegate_from)).collect();
    let mut shown: Vec<String> = all.iter().take(2).map(ToString::to_string).collect();
    if all.len() > shown.len() {
        shown.push(format!("and {} more", all.len() - shown.len()));
    }
    shown.join(", ")
}

fn as_json(input: &Input, servers: &[Server], written: &[PathBuf], advice: &Advice) -> String {
    let subnet = |subnet: &Subnet| {
        json!({
            "name": subnet.name,
            "prefixes": subnet.prefixes,
            "pools": subnet.pools,
            "delegate-from": subnet.delegate_from,
        })
    };
    let servers: Vec<_> = (servers.iter().enumerate())
        .map(|(number, server)| {
            json!({
                "name": server.name,
                "preference": server.preference,
                "file": written.get(number).map(|path| path.display().to_string()),
                "subnets": server.subnets.iter().map(subnet).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "scheme": input.scheme.name(),
        "servers": servers,
        "needed": advice.needed,
        "verdict": advice.verdict,
        "reasons": advice.reasons,
    })
    .to_string()
        + "\n"
}
