//! `sixgate reservation`.

use super::Draft;
use crate::{Outcome, cli, control, control_socket, fail, not_running, print, view};
use serde::Serialize;

/// Reserves something in the running sixgate.
pub(crate) fn add(arguments: &cli::ReservationAdd) -> Outcome {
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
pub(crate) fn remove(arguments: &cli::ReservationRemove) -> Outcome {
    let draft = Draft { lan: arguments.lan.clone(), ..owner(&arguments.owner) };
    if let Err(wrong) = draft.owner() {
        return usage(&wrong.sentence());
    }
    send(&arguments.view, "remove", &draft)
}

/// Shows all reservations.
pub(crate) fn list(arguments: &cli::View) -> Outcome {
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

fn owner(owner: &cli::ReservationOwner) -> Draft {
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
