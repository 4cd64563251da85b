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
use clap::Args;
use sixgate_linux::route::Netlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use subject::Subject;

/// Write a folder for a device's vendor: what it and the network said, which RFC's paragraph was not kept, versions.
#[derive(Debug, Args)]
#[command(long_about = "\
Write a folder for the vendor of a device that does not live well on this network: a page to read, the same as JSON, and a short
capture that every analyser reads (exchange.pcap).

It is listened to for a minute: have the device join the network anew meanwhile, or there is little to tell. Of what is heard, what it
and the network said of addresses, routers and DHCP is told in words, and set against what RFCs ask of it (RFC 4861, 4862, 8925, 9915);
each paragraph that was not kept stands with the frames that show it. Beside it: the census' verdict, what the device had before, and
versions.

  sixgate report 02:00:5e:10:00:01               by the hardware address, an address, a DUID or a name of `sixgate leases`
  sixgate report 192.168.7.23 --seconds 20
  sixgate report 02:00:5e:10:00:01 --no-capture  what is known already; so too where sixgate is not running: the history alone

Nothing is kept of other hosts, of connections and of payloads; nor, without --names, what was asked of DNS. At most 2,000 frames and
1 MiB are. The folder tells of a person's device all the same: read it before you send it. Listening takes root, or CAP_NET_RAW.")]
pub(crate) struct Arguments {
    /// The device: its hardware address, an address, a DUID, a client identifier or a name.
    #[arg(value_name = "CLIENT")]
    pub(crate) client: String,
    /// For how long to listen.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Do not listen: tell what is known already.
    #[arg(long)]
    pub(crate) no_capture: bool,
    /// Tell what it asked of DNS and what it calls itself, too: it tells what its owner does.
    #[arg(long)]
    pub(crate) names: bool,
    /// The folder to make; left out: one here, named after the device and the time.
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) view: cli::View,
}

pub(crate) fn command(arguments: &Arguments) -> Outcome {
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
fn listen(interfaces: &[String], subject: &Subject, arguments: &Arguments) -> Result<Capture, Outcome> {
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
