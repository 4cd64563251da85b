//! `sixgate report`: what a vendor needs to mend a device, in one folder.
//!
//! [`capture`] listens for a while, [`story`] tells what was said, [`judge`] which paragraph was not kept, [`subject`] finds out who is
//! meant and what is known of it, [`bundle`] writes.

mod bundle;
mod capture;
mod judge;
mod story;
mod subject;
#[cfg(test)]
mod tests;

use crate::{Outcome, cli, demo, fail, print, say};
use bundle::Bundle;
use capture::{Capture, Choice};
use sixgate_linux::route::Netlink;
use std::time::{Duration, SystemTime};
use subject::Subject;

pub(crate) fn command(arguments: &cli::Report) -> Outcome {
    let mut subject = match Subject::find(&arguments.client, &arguments.view) {
        Ok(subject) => subject,
        Err(outcome) => return outcome,
    };
    let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let capture = match (subject.interfaces.as_slice(), arguments.no_capture) {
        (_, true) | ([], false) => Capture::default(),
        (interfaces, false) => match listen(interfaces, &subject, arguments) {
            Ok(capture) => capture,
            Err(outcome) => return outcome,
        },
    };
    // What is known of it by now.
    if !capture.frames.is_empty()
        && let Ok(known) = Subject::find(&subject.name(), &arguments.view)
    {
        subject = known;
    }
    let bundle = Bundle::new(&subject, &capture, begun, arguments);
    let folder = match bundle.write(arguments.output.as_deref(), &capture) {
        Ok(folder) => folder,
        Err(words) => return fail(&words),
    };
    if arguments.view.json {
        return bundle.json().map_or_else(|error| fail(&error), |json| print(&(json + "\n")));
    }
    print(&format!("{}{}\n", bundle.summary(), folder.display()))
}

/// Listens on the host's LANs for as long as was asked.
fn listen(interfaces: &[String], subject: &Subject, arguments: &cli::Report) -> Result<Capture, Outcome> {
    let refused = |words: String| {
        say(&format!("sixgate: {words}\n"));
        Outcome::Refused
    };
    let links =
        Netlink::new().and_then(|mut netlink| netlink.links()).map_err(|error| refused(error.to_string()))?;
    let found: Vec<(String, u32)> = (interfaces.iter())
        .filter_map(|name| Some((name.clone(), links.iter().find(|link| link.name == *name)?.index)))
        .collect();
    let stopped =
        demo::stop_on_signal().map_err(|error| fail(&format!("cannot listen for Ctrl-C: {error}")))?;
    say(&format!(
        "listening on {} for {} s: have the client join the network anew now (its cable, or its Wi-Fi off and on);\nCtrl-C ends it sooner\n",
        interfaces.join(", "),
        arguments.seconds
    ));
    let choice = Choice { host: subject.mac, names: arguments.names };
    Capture::take(&found, choice, Duration::from_secs(arguments.seconds), &stopped).map_err(refused)
}
