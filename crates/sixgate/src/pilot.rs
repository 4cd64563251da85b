//! `sixgate pilot`.

use crate::control::{self, PilotCommand};
use crate::{Outcome, cli, control_socket, fail, not_running, print, view};
use sixgate_dhcp::v4::Selector;

/// A share as people write it: `5%` or `5`.
pub(crate) fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let plain = number.bytes().all(|octet| octet.is_ascii_digit());
    number
        .parse()
        .ok()
        .filter(|percent| plain && *percent <= 100)
        .ok_or_else(|| "write a whole number of percent, 0% (nobody) to 100% (everybody who asks)".to_owned())
}

/// A client's name, or a word for an empty list.
pub(crate) fn client(text: &str) -> Result<String, String> {
    if EMPTY.contains(&text) {
        return Ok(text.to_owned());
    }
    text.parse::<Selector>().map(|selector| selector.to_string()).map_err(|error| error.to_string())
}

/// Words that empty a list.
const EMPTY: [&str; 2] = ["all", "none"];

/// What the arguments ask for; `None` where they only ask to see.
fn wanted(arguments: &cli::Pilot) -> Option<PilotCommand> {
    let list = |list: &[String]| {
        let clients = || list.iter().filter(|text| !EMPTY.contains(&text.as_str())).cloned().collect();
        (!list.is_empty()).then(clients)
    };
    let command = PilotCommand {
        file: arguments.file,
        percent: if arguments.off { Some(0) } else { arguments.percent },
        only: list(&arguments.only),
        except: list(&arguments.except),
    };
    (command != PilotCommand::default()).then_some(command)
}

/// Shows the pilot, after having changed it where the arguments say so.
pub(crate) fn command(arguments: &cli::Pilot) -> Outcome {
    let path = match control_socket(&arguments.view) {
        Ok(path) => path,
        Err(outcome) => return outcome,
    };
    let request = match wanted(arguments).map(|command| serde_json::to_string(&command)) {
        None => "pilot".to_owned(),
        Some(Ok(command)) => format!("pilot {command}"),
        Some(Err(error)) => return fail(&error.to_string()),
    };
    let json = match control::ask(&path, &request) {
        Ok(json) => json,
        Err(error) => return not_running(&path, &error),
    };
    if let Ok(refused) = serde_json::from_str::<control::Refused>(&json) {
        return fail(&refused.error);
    }
    match serde_json::from_str::<view::Pilot>(&json) {
        Ok(_) if arguments.view.json => print(&json),
        Ok(pilot) => print(&pilot.table()),
        Err(error) => fail(&format!("{} answered something else: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_clients_as_people_write_them() {
        for (text, share) in [("5%", 5), ("5", 5), ("5 %", 5), ("0", 0), ("100%", 100)] {
            assert_eq!(percent(text), Ok(share));
        }
        for text in ["", "%", "101%", "-1", "+5", "5.5%", "half"] {
            assert!(percent(text).unwrap_err().contains("0% (nobody)"), "{text}");
        }
        assert_eq!(client("02:00:5E:10:00:01").as_deref(), Ok("02:00:5e:10:00:01"));
        assert_eq!(client("none").as_deref(), Ok("none"));
        assert!(client("laptop").unwrap_err().contains("write an Ethernet address"));
    }
}
