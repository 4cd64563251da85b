//! `sixgate reservation`.

use super::Draft;
use crate::{Outcome, cli, control, control_socket, fail, not_running, print, view};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Reserve addresses, prefixes, a name or options for one client, machine or line; or show what is reserved.
#[derive(Debug, Args)]
#[command(long_about = "\
Reserve addresses and prefixes for one client, machine or line, in the running sixgate and over restarts; or show what is reserved.

Tens of thousands are better kept in a file: [dhcp] reservations = \"FILE\". It has comma-separated values with a line of names on
top (duid, iaid, mac, interface-id, remote-id, subscriber-id, lan, address, prefix, hostname, options), or one JSON object a line with
the same names; several addresses stand in one field with spaces between. SIGHUP reads it again.

  sixgate reservation add --mac 02:00:5e:10:00:01 --address 2001:db8:1::7 --hostname printer
  sixgate reservation add --remote-id 4491:line-7 --prefix 2001:db8:100::/56 --option tzdb-timezone=Europe/Zurich
  sixgate reservation remove --mac 02:00:5e:10:00:01
  sixgate reservation list --json

What is reserved is never given to anybody else. Two owners of one address: the first keeps it, and what was added while running is
there before what a file says. What somebody else has at that moment stays his until his next message; then he is told to stop, and
the owner gets it when the time that was promised is over, in place of what it has from the pool. Of several owners that a client is,
the first in this order counts: duid with iaid, duid, mac, subscriber-id, remote-id, interface-id.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Reserve something.
    Add(Add),
    /// Take back what was added while running.
    Remove(Remove),
    /// Show what is reserved, for whom, since when, and what of it somebody else still has.
    List(cli::View),
}

/// Whose it is: exactly one of these, an IAID only with a DUID.
#[derive(Debug, Args)]
pub(crate) struct Owner {
    /// A client, by its DUID as `sixgate leases` shows it.
    #[arg(long, value_name = "DUID")]
    pub(crate) duid: Option<String>,
    /// Of that client one association alone.
    #[arg(long, value_name = "NUMBER", requires = "duid")]
    pub(crate) iaid: Option<u32>,
    /// A machine, by its hardware address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mac: Option<String>,
    /// A line, by what its relay agent calls it: text, or 0x and digits. Say --lan too.
    #[arg(long, value_name = "NAME")]
    pub(crate) interface_id: Option<String>,
    /// A line, by enterprise number and name.
    #[arg(long, value_name = "NUMBER:NAME")]
    pub(crate) remote_id: Option<String>,
    /// A subscriber.
    #[arg(long, value_name = "NAME")]
    pub(crate) subscriber_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    pub(crate) owner: Owner,
    /// On this LAN alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) lan: Option<String>,
    /// Addresses, separated by commas or the option repeated.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) address: Vec<String>,
    /// Prefixes, likewise.
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pub(crate) prefix: Vec<String>,
    /// The name by which it is known, whatever it calls itself.
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// An option that it alone is told; the value as text or JSON. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) option: Vec<String>,
    #[command(flatten)]
    pub(crate) view: cli::View,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) owner: Owner,
    /// The reservation for this LAN alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) lan: Option<String>,
    #[command(flatten)]
    pub(crate) view: cli::View,
}

/// Does what was asked.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Verb::Add(arguments) => add(arguments),
        Verb::Remove(arguments) => remove(arguments),
        Verb::List(arguments) => list(arguments),
    }
}

/// Reserves something in the running sixgate.
fn add(arguments: &Add) -> Outcome {
    let draft = Draft {
        lan: arguments.lan.clone(),
        address: arguments.address.clone(),
        prefix: arguments.prefix.clone(),
        hostname: arguments.hostname.clone(),
        options: match options(&arguments.option) {
            Ok(options) => options,
            Err(message) => return usage(&message),
        },
        ..owner(&arguments.owner)
    };
    if let Err(wrong) = draft.read(sixgate_dhcp::reservation::Origin::Command) {
        return usage(&wrong.sentence());
    }
    send(&arguments.view, "add", &draft)
}

/// Takes a reservation away that was made by [`add`].
fn remove(arguments: &Remove) -> Outcome {
    let draft = Draft { lan: arguments.lan.clone(), ..owner(&arguments.owner) };
    if let Err(wrong) = draft.owner() {
        return usage(&wrong.sentence());
    }
    send(&arguments.view, "remove", &draft)
}

/// Shows all reservations.
fn list(arguments: &cli::View) -> Outcome {
    let path = match control_socket(arguments) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let json = match control::ask(&path, "reservations") {
        Ok(json) => json,
        Err(error) => return not_running(&path, &error),
    };
    match serde_json::from_str::<view::Reservations>(&json) {
        Ok(_) if arguments.json => print(&json),
        Ok(all) => print(&all.table()),
        Err(error) => fail(&format!("{} answered something else: {error}", path.display())),
    }
}

fn usage(message: &str) -> Outcome {
    fail(message);
    Outcome::Usage
}

fn owner(owner: &Owner) -> Draft {
    Draft {
        duid: owner.duid.clone(),
        iaid: owner.iaid,
        mac: owner.mac.clone(),
        interface_id: owner.interface_id.clone(),
        remote_id: owner.remote_id.clone(),
        subscriber_id: owner.subscriber_id.clone(),
        ..Draft::default()
    }
}

/// `NAME=VALUE`, the value as JSON where it is such, else as text.
fn options(written: &[String]) -> Result<std::collections::BTreeMap<String, serde_json::Value>, String> {
    let one = |text: &String| {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is no option: write NAME=VALUE, such as tzdb-timezone=Europe/Zurich")
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok((name.to_owned(), value))
    };
    written.iter().map(one).collect()
}

fn send(view: &cli::View, verb: &str, draft: &impl Serialize) -> Outcome {
    let path = match control_socket(view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let request = serde_json::json!({ verb: draft });
    match control::ask(&path, &format!("reservation {request}")) {
        Ok(json) => match serde_json::from_str::<control::Refused>(&json) {
            Ok(refused) => fail(&refused.error),
            Err(_) if view.json => print(&json),
            Err(_) => Outcome::Done,
        },
        Err(error) => not_running(&path, &error),
    }
}
