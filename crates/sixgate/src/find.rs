//! `sixgate find`: on which link a machine is.

use crate::{Outcome, fail, print};
use clap::Args;
use sixgate_endpoint::{Endpoint, links};
use std::io;

/// Find on which link a machine is, by the hardware address on its label or its link-local address.
#[derive(Debug, Args)]
#[command(long_about = "\
Find on which link a machine is that has no configuration yet: a printer, a router out of its box. Give the hardware
address that stands on its label, or its link-local address; every link is tried at once, and the address is printed with
the interface to use it on (fe80::200:5eff:fe00:5301%eth0). Takes 3.5 seconds as a rule, 8.5 at most.

A machine whose link-local address does not follow from its hardware address (RFC 7217) is found by the former only.
Exit code 1 where it is on no link.")]
pub(crate) struct Arguments {
    /// A hardware address (00:00:5e:00:53:01, with : or - between) or a link-local address (fe80::1).
    #[arg(value_name = "MACHINE", value_parser = machine)]
    pub(crate) machine: Endpoint,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A hardware address as a label has it, or a link-local address.
pub(crate) fn machine(text: &str) -> Result<Endpoint, String> {
    if let Some(hardware) = hardware(text) {
        return Ok(links::eui64(hardware));
    }
    let remedy =
        "write a hardware address, such as 00:00:5e:00:53:01, or a link-local address, such as fe80::1";
    let endpoint: Endpoint = text.parse().map_err(|_| remedy.to_owned())?;
    let here = endpoint.has_zones() && !endpoint.address().is_multicast();
    if here { Ok(endpoint) } else { Err(format!("{endpoint} is not link-local: {remedy}")) }
}

fn hardware(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let octet = |part: &&str| {
        let two = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        two.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    let octets: Vec<u8> = parts.iter().map(octet).collect::<Option<_>>()?;
    octets.try_into().ok()
}

pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let machine = arguments.machine;
    let found = match links::find(machine) {
        Ok(found) => found,
        Err(error) if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Unsupported => {
            crate::say(&format!("sixgate: cannot look for {machine}: {error}\n  = help: this needs IPv6\n"));
            return Outcome::Refused;
        }
        Err(error) => return fail(&format!("cannot look for {machine}: {error}")),
    };
    let shown = if arguments.json {
        format!("{:#}\n", serde_json::json!(found))
    } else {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        lines.join("\n") + if found.is_empty() { "" } else { "\n" }
    };
    let outcome = print(&shown);
    if found.is_empty() {
        return fail(&format!(
            "{machine} is on no link of this machine: is it switched on, and its cable in?"
        ));
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_addresses() {
        for (text, address) in [
            ("00:00:5e:00:53:01", "fe80::200:5eff:fe00:5301"),
            ("00-00-5E-00-53-01", "fe80::200:5eff:fe00:5301"),
            ("fe80::1", "fe80::1"),
        ] {
            assert_eq!(machine(text).unwrap().to_string(), address);
        }
        for text in
            ["", "00:00:5e:00:53", "00:00:5e:00:53:01:02", "0:0:5e:0:53:1", "+0:00:5e:00:53:01", "ff02::1"]
        {
            assert!(machine(text).unwrap_err().contains("write a hardware address"), "{text}");
        }
        assert!(machine("2001:db8::1").unwrap_err().starts_with("2001:db8::1 is not link-local"));
    }
}
