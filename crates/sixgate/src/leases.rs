//! `sixgate leases`.

use crate::{Outcome, cli, control, control_socket, fail, not_running, places, print, say, up, view};
use clap::Args;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

/// Show who holds which address and prefix.
#[derive(Debug, Args)]
#[command(long_about = "\
Show who holds which address and prefix. Asks the running sixgate; where none runs, reads the leases on disk.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) view: cli::View,
    /// Read the leases on disk without asking a running sixgate.
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Shows the leases of a running sixgate, or those on disk.
pub(crate) fn command(arguments: &Arguments) -> Outcome {
    if arguments.offline {
        return offline(arguments);
    }
    let path = match control_socket(&arguments.view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    match control::ask(&path, "leases") {
        Ok(json) => match serde_json::from_str::<Vec<view::Lease>>(&json) {
            Ok(leases) => show(&leases, arguments.view.json),
            Err(error) => fail(&format!("{} answered something else: {error}", path.display())),
        },
        // Asked by the name of a socket, we do not know where the leases lie.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                && arguments.view.control.is_none() =>
        {
            say("sixgate is not running; these are the leases on disk\n");
            offline(arguments)
        }
        Err(error) => not_running(&path, &error),
    }
}

fn offline(arguments: &Arguments) -> Outcome {
    let places = match places(arguments.view.config.as_deref()) {
        Ok(places) => places,
        Err(outcome) => return outcome,
    };
    let path = places.state.join(up::DATABASE);
    match sixgate_store::Store::read_only(&path).and_then(|reader| reader.snapshot()) {
        Ok(snapshot) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let v4 = snapshot.leases_v4.iter().filter(|lease| lease.valid_until > now);
            let leases: Vec<view::Lease> = snapshot
                .leases
                .iter()
                .filter(|lease| lease.valid_until > now)
                .map(|lease| up::lease_view(&lease, now))
                .chain(v4.map(|lease| up::lease_view_v4(lease, now)))
                .collect();
            show(&leases, arguments.view.json)
        }
        Err(error) => fail(&error.to_string()),
    }
}

fn show(leases: &[view::Lease], json: bool) -> Outcome {
    if !json {
        return print(&view::leases_table(leases));
    }
    match serde_json::to_string(leases) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => fail(&error.to_string()),
    }
}
