//! `sixgate lease`.

use crate::control::{self, LeaseCommand};
use crate::{Outcome, cli, fail, print, view};
use clap::{Args, Subcommand};

/// Give a lease to another client, or end it.
#[derive(Debug, Args)]
#[command(long_about = "\
Give a lease to another client, or end it. It is on the disk when this command ends; the clients hear of it when they next
ask. A running sixgate is needed.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Give a lease, or all that a client holds, to another client.
    #[command(long_about = "\
Give a lease, or all that a client holds, to another client: it has it with its next exchange, whatever the number of its
association; to whom it belonged is told lifetimes of zero when it asks again, and history says when it ended.

A client is named by what its LAN or subnet knows clients by (`key` in the configuration):
  duid:00:03:00:01:02:00:00:00:00:01     its DUID
  mac:02:00:5e:10:00:01                  its hardware address
  remote:4491:port-7  subscriber:ada  interface:2001:db8:7::1,eth3
                                         its line: Remote-ID with enterprise number, Subscriber-ID, or Interface-Id
                                         at the relay agent with this link-address; names as `sixgate leases` shows them

Exit code 1 where it was refused, with the reason.")]
    Move {
        /// An address, a prefix, or the client that holds them.
        #[arg(value_name = "WHAT")]
        what: String,
        /// Who is to have it.
        #[arg(value_name = "CLIENT")]
        to: String,
        #[command(flatten)]
        view: cli::View,
    },
    /// End a lease, whatever its state; its client may use the address until it asks again. Of a prefix that another server
    /// delegated through this relay agent, the route goes, until its client's next Renew.
    Release {
        /// An address or a prefix.
        #[arg(value_name = "WHAT")]
        what: String,
        #[command(flatten)]
        view: cli::View,
    },
}

/// Moves or ends leases of a running sixgate.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let (command, view, done) = match &arguments.command {
        Verb::Move { what, to, view } => {
            (LeaseCommand::Move { what: what.clone(), to: to.clone() }, view, "moved")
        }
        Verb::Release { what, view } => (LeaseCommand::Release { what: what.clone() }, view, "released"),
    };
    let (path, json) = match control::give(view, "lease", &command) {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
    match serde_json::from_str::<view::Changed>(&json) {
        Ok(_) if view.json => print(&json),
        Ok(changed) => {
            let lines = changed.changed.iter().map(|resource| format!("{done} {resource}\n"));
            print(&lines.collect::<String>())
        }
        Err(error) => fail(&format!("{} answered something else: {error}", path.display())),
    }
}
