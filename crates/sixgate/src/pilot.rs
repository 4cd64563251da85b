//! `sixgate pilot`.

use crate::control::{self, PilotCommand};
use crate::{Outcome, cli, control_socket, fail, not_running, print, view};
use clap::Args;
use sixgate_dhcp::v4::Selector;

/// Show or change which clients are told to do without IPv4 (DHCPv4 option 108).
#[derive(Debug, Args)]
#[command(long_about = "\
Show, or change in the running sixgate, which clients do without IPv4.

On LANs that have `ipv4` and a NAT64, clients that ask for DHCPv4 option 108 say that they can live without IPv4 (RFC 8925);
phones and laptops ask, printers do not. Of those that ask, the pilot's share is told to: they use no IPv4, and get no address, for
the time `pilot.wait` (30 minutes by default), and then ask again. Who does not ask, or is not chosen, gets a lease as ever. Nobody is
told while the NAT64 does not work.

  sixgate pilot                       who asked, who was chosen, who lives without IPv4 now
  sixgate pilot 5%                    5 % of those who ask; the same ones after a restart; raising it only adds clients
  sixgate pilot --except 02:00:5e:10:00:01     never this one
  sixgate pilot 100% --only ADDRESS   this one, and nobody else
  sixgate pilot --off                 nobody: everybody has IPv4 again within `pilot.wait`, which is no longer than a lease
  sixgate pilot --file                what [pilot] in the file says

A change holds at once and over restarts, until [pilot] in the file says something else than it did. Whoever may write to the control
socket may make it. A client is named by its Ethernet address, its DUID (duid:...) or its client identifier (id:...), as the table shows
them.")]
pub(crate) struct Arguments {
    /// How many of those that ask for option 108, 0% to 100%.
    #[arg(value_name = "PERCENT", value_parser = percent)]
    pub(crate) percent: Option<u8>,
    /// Nobody but these clients, separated by commas or the option repeated; `all` for everybody again.
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', value_parser = client)]
    pub(crate) only: Vec<String>,
    /// Never these clients; `none` for no exception.
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', value_parser = client)]
    pub(crate) except: Vec<String>,
    /// Nobody: the same as 0%.
    #[arg(long, conflicts_with_all = ["percent", "file"])]
    pub(crate) off: bool,
    /// What the configuration file says holds again.
    #[arg(long, conflicts_with_all = ["percent", "only", "except"])]
    pub(crate) file: bool,
    #[command(flatten)]
    pub(crate) view: cli::View,
}

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
fn wanted(arguments: &Arguments) -> Option<PilotCommand> {
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
pub(crate) fn command(arguments: &Arguments) -> Outcome {
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
