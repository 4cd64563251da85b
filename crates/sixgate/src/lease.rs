//! `sixgate lease`.

use crate::control::{self, LeaseCommand};
use crate::{Outcome, cli, fail, print, view};

/// Moves or ends leases of a running sixgate.
pub(crate) fn command(arguments: &cli::Lease) -> Outcome {
    let (command, view, done) = match &arguments.command {
        cli::LeaseCommand::Move { what, to, view } => {
            (LeaseCommand::Move { what: what.clone(), to: to.clone() }, view, "moved")
        }
        cli::LeaseCommand::Release { what, view } => {
            (LeaseCommand::Release { what: what.clone() }, view, "released")
        }
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
