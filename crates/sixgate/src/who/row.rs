//! One holder as a row: of a table, of JSON, of CSV.

use crate::view::columns;
use crate::when::rfc3339;
use serde::Serialize;
use sixgate_store::{How, Question, Trace};
use std::time::Duration;

/// One holder of one address or prefix. Times are RFC 3339 in UTC; `null` is for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// An address, or a prefix with its length.
    what: String,
    /// `leased`, `delegated`, `registered`, `seen` or `translated`.
    how: &'static str,
    pub(super) from: String,
    /// When it ended, or was promised to; of what was seen, when it was last.
    until: Option<String>,
    /// When its holder was last heard.
    last: String,
    /// Whether it is held still, as far as is known.
    stands: bool,
    mac: Option<String>,
    /// How that was learnt: `link`, `relay`, `eui-64` or `duid`, the most trusted first.
    mac_by: Option<&'static str>,
    duid: Option<String>,
    /// A DHCPv4 client's identifier.
    client_id: Option<String>,
    name: Option<String>,
    lan: String,
    line: Option<String>,
    relay: Option<String>,
    relay_link: Option<String>,
    relay_id: Option<String>,
    /// Of what was translated: the ports of the address, and the IPv6 address behind them.
    ports: Option<String>,
    behind: Option<String>,
    #[serde(skip)]
    between: (Duration, Duration),
}

/// What [`Row::csv`] writes, by name.
pub(super) const CSV_HEADER: &str = "what,how,from,until,last,stands,mac,mac_by,duid,client_id,name,lan,line,relay,relay_link,relay_id,ports,behind\r\n";

impl Row {
    pub(super) fn new(trace: &Trace) -> Self {
        let single = trace.what.prefix_len() == trace.what.max_prefix_len();
        let relay = trace.relay.as_ref();
        Self {
            what: if single && trace.how != How::Delegated {
                trace.what.addr().to_string()
            } else {
                trace.what.to_string()
            },
            how: trace.how.name(),
            from: rfc3339(trace.began_at),
            until: (trace.until != Duration::MAX).then(|| rfc3339(trace.until)),
            last: rfc3339(trace.last_at),
            stands: trace.stands,
            mac: trace.link_layer.map(|found| found.mac.to_string()),
            mac_by: trace.link_layer.map(|found| found.learnt.name()),
            duid: trace.duid.as_ref().map(ToString::to_string),
            client_id: trace.client_id.as_ref().map(ToString::to_string),
            name: trace.hostname.clone(),
            lan: trace.link.to_string(),
            line: trace.line.as_ref().map(ToString::to_string),
            relay: relay.map(|relay| relay.address.to_string()),
            relay_link: relay.map(|relay| relay.link.to_string()),
            relay_id: relay.and_then(|relay| relay.id.as_ref()).map(ToString::to_string),
            ports: trace.ports.map(|(first, last, _)| format!("{first}-{last}")),
            behind: trace.ports.map(|(_, _, holder)| {
                if holder.prefix_len() == 128 { holder.addr().to_string() } else { holder.to_string() }
            }),
            between: (trace.began_at, trace.until),
        }
    }

    /// Says who had what is behind ports.
    pub(super) fn belongs_to(&mut self, holder: &Trace) {
        let holder = Self::new(holder);
        (self.mac, self.mac_by) = (holder.mac, holder.mac_by);
        (self.duid, self.client_id, self.name) = (holder.duid, holder.client_id, holder.name);
        (self.lan, self.line) = (holder.lan, holder.line);
        (self.relay, self.relay_link, self.relay_id) = (holder.relay, holder.relay_link, holder.relay_id);
    }

    /// Whether it was held at some time that is asked about, and not only close to it.
    pub(super) fn covers(&self, question: &Question) -> bool {
        self.between.0 <= question.until && self.between.1 >= question.from
    }

    /// One line of CSV (RFC 4180).
    pub(super) fn csv(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            self.what.clone(),
            self.how.to_owned(),
            self.from.clone(),
            text(&self.until),
            self.last.clone(),
            self.stands.to_string(),
            text(&self.mac),
            self.mac_by.unwrap_or_default().to_owned(),
            text(&self.duid),
            text(&self.client_id),
            text(&self.name),
            self.lan.clone(),
            text(&self.line),
            text(&self.relay),
            text(&self.relay_link),
            text(&self.relay_id),
            text(&self.ports),
            text(&self.behind),
        ];
        cells.map(|cell| quoted(&cell)).join(",") + "\r\n"
    }
}

/// A cell of CSV. Names come from strangers: one that a spreadsheet would take for a formula gets an apostrophe in front.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = format!("{}{cell}", if formula { "'" } else { "" });
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// The rows for a person.
pub(super) fn table(rows: &[Row]) -> String {
    let header =
        ["WHAT", "HOW", "FROM", "UNTIL", "MAC", "BY", "NAME", "LAN", "LINE", "RELAY", "DUID OR CLIENT"]
            .map(str::to_owned);
    let dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let cells = rows.iter().map(|row| {
        let until = match (&row.until, row.stands) {
            (None, _) if row.ports.is_some() => "now".to_owned(),
            (None, _) => "for ever".to_owned(),
            (Some(until), true) => format!("now (to {until})"),
            (Some(until), false) => until.clone(),
        };
        let what = match (&row.ports, &row.behind) {
            (Some(ports), Some(behind)) => format!("{} ports {ports} of {behind}", row.what),
            _ => row.what.clone(),
        };
        [
            what,
            row.how.to_owned(),
            row.from.clone(),
            until,
            dash(row.mac.as_deref()),
            dash(row.mac_by),
            dash(row.name.as_deref()).escape_debug().to_string(),
            row.lan.clone(),
            dash(row.line.as_deref()),
            dash(row.relay.as_deref()),
            dash(row.duid.as_deref().or(row.client_id.as_deref())),
        ]
    });
    columns(&std::iter::once(header).chain(cells).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_cell_and_no_formula() {
        for (cell, written) in [
            ("pc", "pc"),
            ("a,b", "\"a,b\""),
            ("a\"b\r\n", "\"a\"\"b\r\n\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("@x,y", "\"'@x,y\""),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
