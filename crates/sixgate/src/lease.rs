//! `sixgate lease`.

use crate::control::{self, LeaseCommand};
use crate::{Outcome, cli, control_socket, fail, not_running, print, view};

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
    let path = match control_socket(view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let request = match serde_json::to_string(&command) {
        Ok(command) => format!("lease {command}"),
        Err(error) => return fail(&error.to_string()),
    };
    let json = match control::ask(&path, &request) {
        Ok(json) => json,
        Err(error) => return not_running(&path, &error),
    };
    if let Ok(refused) = serde_json::from_str::<control::Refused>(&json) {
        return fail(&refused.error);
    }
    match serde_json::from_str::<view::Changed>(&json) {
        Ok(_) if view.json => print(&json),
        Ok(changed) => {
            let lines = changed.changed.iter().map(|resource| format!("{done} {resource}\n"));
            print(&lines.collect::<String>())
        }
        Err(error) => fail(&format!("{} answered something else: {error}", path.display())),
    }
}
