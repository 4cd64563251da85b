//! `sixgate reconfigure`.

use crate::control::{self, ReconfigureCommand};
use crate::{Outcome, cli, control_socket, fail, not_running, print, view};

/// Asks clients of a running sixgate to come back.
pub(crate) fn command(arguments: &cli::Reconfigure) -> Outcome {
    let path = match control_socket(&arguments.view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let command = ReconfigureCommand {
        client: arguments.client.clone(),
        lan: arguments.link.clone(),
        ask: arguments.ask,
    };
    let request = match serde_json::to_string(&command) {
        Ok(command) => format!("reconfigure {command}"),
        Err(error) => return fail(&error.to_string()),
    };
    let json = match control::ask(&path, &request) {
        Ok(json) => json,
        Err(error) => return not_running(&path, &error),
    };
    if let Ok(refused) = serde_json::from_str::<control::Refused>(&json) {
        return fail(&refused.error);
    }
    let done = match serde_json::from_str::<view::Reconfigured>(&json) {
        Ok(done) => done,
        Err(error) => return fail(&format!("{} answered something else: {error}", path.display())),
    };
    let outcome = if arguments.view.json {
        print(&json)
    } else {
        let never = match done.never_agreed {
            0 => String::new(),
            count => format!("; {count} never agreed to be asked, and hear of it when they renew"),
        };
        print(&format!("{} clients are being asked{never}\n", done.asked))
    };
    // Whoever names one client wants that one.
    if done.asked == 0 && arguments.client.is_some() {
        return fail("that client cannot be asked: it holds nothing, or never agreed");
    }
    outcome
}
