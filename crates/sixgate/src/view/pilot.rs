//! IPv4 on a LAN, and the pilot.

use super::{columns, seconds};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// IPv4 on a LAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServedIpv4 {
    /// Our address, with the subnet's length.
    pub(crate) address: String,
    pub(crate) leases: u64,
    /// For how many seconds clients of the pilot are told to do without IPv4; `None`: nobody is told.
    pub(crate) option_108: Option<u32>,
    /// Why nobody is told.
    pub(crate) why_not: Option<String>,
}

impl ServedIpv4 {
    /// Whether clients are told, as words.
    pub(super) fn told(&self) -> String {
        match (self.option_108, &self.why_not) {
            (Some(wait), _) => format!("option 108 {}", seconds(Some(wait.into()))),
            (None, Some(why)) => format!("no option 108: {why}"),
            (None, None) => "no option 108".to_owned(),
        }
    }
}

/// Who is told to do without IPv4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pilot {
    pub(crate) percent: u8,
    pub(crate) only: Vec<String>,
    pub(crate) except: Vec<String>,
    /// Whether `sixgate pilot` said so, and the file something else.
    pub(crate) commanded: bool,
    pub(crate) file_percent: u8,
    /// Seconds for which clients are told.
    pub(crate) wait: u64,
    /// Clients that asked for option 108.
    pub(crate) asked: u64,
    /// Those of them that are in the pilot.
    pub(crate) chosen: u64,
    /// Those that were told since the start.
    pub(crate) told: u64,
    /// Those that do without IPv4 now, as they were told.
    pub(crate) waiting: u64,
    /// LANs with IPv4, by name.
    pub(crate) lans: BTreeMap<String, ServedIpv4>,
    pub(crate) clients: Vec<PilotClient>,
}

/// A client that asked for option 108. Who it is is known once it has asked since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PilotClient {
    /// As `--only` and `--except` name it.
    pub(crate) client: Option<String>,
    pub(crate) link_layer: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) lan: Option<String>,
    pub(crate) chosen: bool,
    /// Seconds since it was last told.
    pub(crate) told: Option<u64>,
    /// Seconds until it asks again, if it does as it was told.
    pub(crate) waits: Option<u64>,
    /// What it has leased.
    pub(crate) ipv4: Option<String>,
}

impl Pilot {
    /// The pilot for a person.
    pub(crate) fn table(&self) -> String {
        let mut out = match self.percent {
            0 => "nobody is told to do without IPv4".to_owned(),
            100 => "everybody who asks for option 108 is told to do without IPv4".to_owned(),
            percent => format!("{percent} % of those that ask for option 108 are told to do without IPv4"),
        };
        if self.commanded {
            let _ = writeln!(out, ", by `sixgate pilot`; the file says {} %", self.file_percent);
        } else {
            out += ", as the file says\n";
        }
        for (word, list) in [("only", &self.only), ("except", &self.except)] {
            for client in list {
                let _ = writeln!(out, "  {word} {client}");
            }
        }
        if self.lans.is_empty() {
            out += "  no LAN has ipv4 in the configuration: nothing is served over DHCPv4\n";
        }
        for (name, lan) in &self.lans {
            let _ = writeln!(out, "  lan {name} {} leases {} {}", lan.address, lan.leases, lan.told());
        }
        let _ = writeln!(
            out,
            "  asked {}, chosen {}, told {}, without IPv4 now {}",
            self.asked, self.chosen, self.told, self.waiting
        );
        if self.clients.is_empty() {
            return out;
        }
        let header = ["CLIENT", "MAC", "NAME", "LAN", "CHOSEN", "NOW"].map(str::to_owned);
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let row = |client: &PilotClient| {
            let now = match (&client.ipv4, client.waits) {
                (Some(address), _) => address.clone(),
                (None, Some(left)) => format!("without IPv4, asks again in {}", seconds(Some(left))),
                (None, None) if client.client.is_none() => "not seen since the start".to_owned(),
                (None, None) => "-".to_owned(),
            };
            let chosen = if client.chosen { "yes" } else { "no" };
            let [id, mac] = [or(&client.client), or(&client.link_layer)];
            [id, mac, or(&client.hostname), or(&client.lan), chosen.to_owned(), now]
        };
        let rows: Vec<[String; 6]> = std::iter::once(header).chain(self.clients.iter().map(row)).collect();
        out + "\n" + &columns(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_who_lives_without() {
        let client = |id: Option<&str>, waits, ipv4: Option<&str>| PilotClient {
            client: id.map(str::to_owned),
            link_layer: None,
            hostname: None,
            lan: id.map(|_| "lan0".to_owned()),
            chosen: waits > 0,
            told: None,
            waits: (waits > 0).then_some(waits),
            ipv4: ipv4.map(str::to_owned),
        };
        let lan =
            ServedIpv4 { address: "192.0.2.1/24".into(), leases: 1, option_108: Some(1800), why_not: None };
        let pilot = Pilot {
            percent: 5,
            only: Vec::new(),
            except: vec!["id:00:01".into()],
            commanded: true,
            file_percent: 100,
            wait: 1800,
            asked: 3,
            chosen: 1,
            told: 1,
            waiting: 1,
            lans: [("lan0".to_owned(), lan)].into(),
            clients: vec![
                client(Some("02:00:00:00:00:01"), 90, None),
                client(Some("02:00:00:00:00:02"), 0, Some("192.0.2.7")),
                client(None, 0, None),
            ],
        };
        assert_eq!(
            pilot.table(),
            "5 % of those that ask for option 108 are told to do without IPv4, by `sixgate pilot`; the file says 100 %
  except id:00:01
  lan lan0 192.0.2.1/24 leases 1 option 108 30m00s
  asked 3, chosen 1, told 1, without IPv4 now 1

  CLIENT            MAC NAME LAN  CHOSEN NOW
  02:00:00:00:00:01 -   -    lan0 yes    without IPv4, asks again in 90s
  02:00:00:00:00:02 -   -    lan0 no     192.0.2.7
  -                 -   -    -    no     not seen since the start
"
        );
    }
}
