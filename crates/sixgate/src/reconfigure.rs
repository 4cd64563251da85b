//! `sixgate reconfigure`.

use crate::control::{self, ReconfigureCommand};
use crate::{Outcome, cli, fail, print, view};

/// Asks clients of a running sixgate to come back.
pub(crate) fn command(arguments: &cli::Reconfigure) -> Outcome {
    let command = ReconfigureCommand {
        client: arguments.client.clone(),
        lan: arguments.link.clone(),
        ask: arguments.ask,
    };
    let (path, json) = match control::give(&arguments.view, "reconfigure", &command) {
        Ok(answer) => answer,
        Err(outcome) => return outcome,
    };
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
