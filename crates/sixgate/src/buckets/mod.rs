//! `sixgate buckets`: which server answers which clients (RFC 3074), proved before it matters.

mod map;

pub(crate) use map::{Map, MapError};

use crate::{Outcome, print, say};
use clap::{Args, Subcommand};
use serde_json::json;
use sixgate_dhcp::balance::{BUCKETS, Buckets, Coverage, bucket, split};
use sixgate_wire::dhcpv6::Duid;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Divide clients among several DHCP servers by a hash of their identity (RFC 3074), and prove that the maps fit.
#[derive(Debug, Args)]
#[command(long_about = "\
Divide clients among several DHCP servers of one link. Each client falls into one of 256 buckets by a hash of its DUID (for
DHCPv4 of its client identifier, or else of its hardware address); each bucket is one server's, and the others keep silent.
The hash is RFC 3074's, which other servers have too.

What it gives is balance, and nothing else:
- No redundancy. When a server is gone, nobody answers its clients; with `service-delay` others do, once a client has asked
  in vain for so long.
- No stable leases. The servers do not know each other's leases: give each server pools of its own, or two clients get the
  same address or prefix. A client that moves to another server, by another map or by the delay, gets another address.
One server with its leases on disk is often all that is needed: see `sixgate plan`.

It is off until the configuration says [dhcp] buckets = \"0-127\", or the path of a map that all servers share, in which
server-name says which of them this one is:

    server1 = \"0-127\"
    server2 = \"128-255\"

  sixgate buckets split 50/30/20 > buckets.toml          a map by shares
  sixgate buckets check a/sixgate.toml b/sixgate.toml    each bucket is one server's, or which are not
  sixgate buckets show 00:03:00:01:02:00:5e:10:00:01 buckets.toml    whose client this is")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: BucketsCommand,
}

#[derive(Debug, Subcommand)]
enum BucketsCommand {
    /// Prove that the maps of all servers cover each bucket exactly once; exit code 1 where they do not.
    Check {
        /// A map, or the configuration of each server.
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say into which bucket a client falls and, given maps, whose it is.
    Show {
        /// A DUID, as `sixgate leases --json` shows it; for DHCPv4 a client identifier or a hardware address.
        #[arg(value_name = "DUID")]
        client: Duid,
        /// A map, or the configuration of each server.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a map in which each server has its share of the buckets.
    Split {
        /// The shares, such as 50/30/20; they need not make 100.
        #[arg(value_name = "SHARES", value_parser = shares)]
        shares: Shares,
        /// The servers' names, separated by commas; server1, server2 and so on where none are given.
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        names: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone)]
struct Shares(Vec<u32>);

fn shares(text: &str) -> Result<Shares, String> {
    let shares: Option<Vec<u32>> = text.split('/').map(|share| share.trim().parse().ok()).collect();
    match shares {
        Some(shares) if shares.len() > BUCKETS => {
            Err(format!("there are {BUCKETS} buckets, so no more servers"))
        }
        Some(shares) if shares.iter().any(|share| *share > 0) => Ok(Shares(shares)),
        _ => Err("write a number for each server with `/` between, such as 50/30/20".to_owned()),
    }
}

/// One server of the files that were named.
struct Server {
    file: PathBuf,
    name: String,
    buckets: Buckets,
}

/// Does what the arguments say.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    match &arguments.command {
        BucketsCommand::Check { files, json } => with_servers(files, |servers| check(servers, *json)),
        BucketsCommand::Show { client, files, json } => {
            with_servers(files, |servers| show(client, servers, *json))
        }
        BucketsCommand::Split { shares, names, json } => write_map(shares, names, *json),
    }
}

fn with_servers(files: &[PathBuf], then: impl FnOnce(&[Server]) -> Outcome) -> Outcome {
    let mut servers = Vec::new();
    for file in files {
        match Map::read_any(file) {
            Ok(map) => servers.extend(map.servers().map(|(name, buckets)| Server {
                file: file.clone(),
                name: name.clone(),
                buckets: *buckets,
            })),
            Err(error) => return wrong(&error, file),
        }
    }
    then(&servers)
}

fn wrong(error: &MapError, file: &Path) -> Outcome {
    say(&format!(
        "sixgate: {error}\n  = help: make {} a map (`sixgate buckets split 50/50` writes one) or a configuration that `sixgate \
         check` takes\n",
        file.display()
    ));
    Outcome::Usage
}

/// A bucket's part of the whole, in per cent.
fn percent(buckets: &Buckets) -> f64 {
    // At most 256, which a u32 and so an f64 hold exactly.
    f64::from(buckets.len() as u32) * 100.0 / f64::from(BUCKETS as u32)
}

fn check(servers: &[Server], as_json: bool) -> Outcome {
    let coverage = Coverage::of(servers.iter().map(|server| &server.buckets));
    let outcome = if coverage.is_exact() { Outcome::Done } else { Outcome::Failed };
    let shown = if as_json {
        let list: Vec<_> = (servers.iter())
            .map(|server| {
                json!({
                    "server": server.name,
                    "file": server.file.display().to_string(),
                    "buckets": server.buckets.to_string(),
                    "count": server.buckets.len(),
                })
            })
            .collect();
        json!({
            "ok": coverage.is_exact(),
            "servers": list,
            "missing": coverage.missing.to_string(),
            "shared": coverage.shared.to_string(),
        })
        .to_string()
            + "\n"
    } else {
        check_text(servers, &coverage)
    };
    match print(&shown) {
        Outcome::Done => outcome,
        other => other,
    }
}

fn check_text(servers: &[Server], coverage: &Coverage) -> String {
    let width = servers.iter().map(|server| server.name.len()).max().unwrap_or(0).max(6);
    let mut text = format!("{:<width$}  SHARE    BUCKETS\n", "SERVER");
    for server in servers {
        let share = percent(&server.buckets);
        let _ = writeln!(text, "{:<width$}  {share:>5.1} %  {}", server.name, server.buckets);
    }
    if !coverage.missing.is_empty() {
        let _ = writeln!(
            text,
            "WRONG: the buckets {} are no server's: {:.1} % of the clients are never answered",
            coverage.missing,
            percent(&coverage.missing)
        );
    }
    if !coverage.shared.is_empty() {
        let takers = servers.iter().filter(|s| s.buckets.iter().any(|b| coverage.shared.contains(b)));
        let names: Vec<&str> = takers.map(|server| server.name.as_str()).collect();
        let _ = writeln!(
            text,
            "WRONG: the buckets {} are those of more than one server ({}): each of them answers their clients",
            coverage.shared,
            names.join(", ")
        );
    }
    if coverage.is_exact() {
        text += "Each of the 256 buckets is exactly one server's.\n";
        if servers.len() > 1 {
            text += "When a server is gone, nobody answers its clients until it is back: buckets balance, and keep no lease.\n";
        }
    }
    text
}

fn show(client: &Duid, servers: &[Server], as_json: bool) -> Outcome {
    let bucket = bucket(client.as_bytes());
    let owners: Vec<&str> = (servers.iter())
        .filter(|server| server.buckets.contains(bucket))
        .map(|server| server.name.as_str())
        .collect();
    if as_json {
        let value = json!({ "client": client.to_string(), "bucket": bucket, "servers": owners });
        return print(&(value.to_string() + "\n"));
    }
    let whose = match owners.as_slice() {
        _ if servers.is_empty() => String::new(),
        [] => ": no server's, so nobody answers it".to_owned(),
        [one] => format!(": {one} answers it"),
        several => format!(": each of {} answers it", several.join(", ")),
    };
    print(&format!("{client} falls into bucket {bucket}{whose}\n"))
}

fn write_map(shares: &Shares, names: &[String], as_json: bool) -> Outcome {
    let Shares(shares) = shares;
    let names: Vec<String> = if names.is_empty() {
        (1..=shares.len()).map(|number| format!("server{number}")).collect()
    } else {
        names.to_vec()
    };
    let fits = |name: &String| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    let alike = names.iter().enumerate().any(|(at, name)| names.iter().take(at).any(|other| other == name));
    if names.len() != shares.len() || alike || !names.iter().all(fits) {
        say(&format!(
            "sixgate: {} shares need as many names, each another, of letters, digits, - and _\n  = help: for example \
             --names east,west\n",
            shares.len()
        ));
        return Outcome::Usage;
    }
    let maps = split(shares).unwrap_or_default();
    if as_json {
        let map: serde_json::Map<_, _> =
            names.into_iter().zip(maps).map(|(name, buckets)| (name, buckets.to_string().into())).collect();
        return print(&(serde_json::Value::from(map).to_string() + "\n"));
    }
    print(&text(&names, &maps))
}

/// A map as a file that [`Map::read`] reads.
pub(crate) fn text(names: &[String], maps: &[Buckets]) -> String {
    let mut text = "# Which server answers which clients (RFC 3074). Give this file to every server, and name it in [dhcp] buckets.\n\
                    # It balances; it keeps no lease and replaces no server: see `sixgate buckets --help`.\n"
        .to_owned();
    for (name, buckets) in names.iter().zip(maps) {
        let _ = writeln!(text, "{name} = \"{buckets}\"    # {:.1} %", percent(buckets));
    }
    text
}
