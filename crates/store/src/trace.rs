//! Who had which address: the questions, over leases of both families and over what was seen.

use crate::error::RowError;
use crate::identity::{self, Columns};
use crate::rows::{from_nanos, to_nanos};
use crate::{database, sighting};
use ipnet::{IpNet, Ipv6Net};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use sixgate_dhcp::identity::{Learnt, Line, LinkLayer, Mac, Relay};
use sixgate_dhcp::lease::LinkId;
use sixgate_wire::dhcpv4::ClientId;
use sixgate_wire::dhcpv6::Duid;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// Since layout 4.
/// - `history.state`: `registered` where its holder made the address up and told of it (RFC 9686); else it was leased;
/// - `history_v4`: as `history`, for DHCPv4; `client` is the client identifier;
/// - `seen`: a host with this Ethernet address was seen with that address, between those two times.
pub(crate) const SCHEMA: &str = "
ALTER TABLE history ADD COLUMN state TEXT;

CREATE TABLE history_v4 (
    id             INTEGER PRIMARY KEY,
    resource       TEXT NOT NULL,
    client         BLOB NOT NULL,
    link           TEXT NOT NULL,
    hostname       TEXT,
    link_layer     BLOB,
    began_at       INTEGER NOT NULL,
    renewed_at     INTEGER NOT NULL,
    promised_until INTEGER NOT NULL,
    ended_at       INTEGER
) STRICT;
CREATE INDEX history_v4_of_resource ON history_v4 (resource, began_at);
CREATE UNIQUE INDEX history_v4_that_stands ON history_v4 (resource) WHERE ended_at IS NULL;
CREATE INDEX history_v4_by_end ON history_v4 (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE seen (
    id       INTEGER PRIMARY KEY,
    address  TEXT NOT NULL,
    mac      BLOB NOT NULL,
    link     TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX seen_of_address ON seen (address, first_at);
CREATE INDEX seen_by_last ON seen (last_at);
";

/// How somebody is known to have had an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was leased to him.
    Leased,
    /// It is in a prefix that was delegated to him.
    Delegated,
    /// He made it up and told the server (RFC 9686).
    Registered,
    /// He was seen with it.
    Seen,
    /// Some of its ports were his, by a translator.
    Translated,
}

impl How {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Delegated => "delegated",
            Self::Registered => "registered",
            Self::Seen => "seen",
            Self::Translated => "translated",
        }
    }
}

/// One holder of one address or prefix. Times are since the Unix epoch; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What was held; a single address has the full length.
    pub what: IpNet,
    /// How that is known.
    pub how: How,
    /// The holder's DUID, of a DHCPv6 client.
    pub duid: Option<Duid>,
    /// The holder's identifier, of a DHCPv4 client.
    pub client_id: Option<ClientId>,
    /// The holder's hardware address, and how it came to be known.
    pub link_layer: Option<LinkLayer>,
    /// The line that the holder was on, where a relay agent named it.
    pub line: Option<Line>,
    /// The relay agent through which the holder asked.
    pub relay: Option<Arc<Relay>>,
    /// Where the holder was.
    pub link: LinkId,
    /// The name the holder last gave.
    pub hostname: Option<String>,
    /// Since when it was held.
    pub began_at: Duration,
    /// When the holder was last heard.
    pub last_at: Duration,
    /// Until when it was held, or for a lease that stands was promised; for what was seen, when it was last.
    pub until: Duration,
    /// Whether it is held still, as far as is known.
    pub stands: bool,
    /// Of what was translated: the first and the last port, and the IPv6 host (or prefix) behind them. Who that was, a
    /// question about that host tells.
    pub ports: Option<(u16, u16, Ipv6Net)>,
}

/// Whom, or what, a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everything.
    All,
    /// An address, or a prefix: also by what covers it.
    Net(IpNet),
    /// A machine by its hardware address.
    Mac(Mac),
    /// A client by its DUID.
    Duid(Duid),
    /// A line by one of its names, without the enterprise number of a Remote-ID.
    Line(Vec<u8>),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whom or what it is about.
    pub subject: Subject,
    /// From when, since the Unix epoch.
    pub from: Duration,
    /// Until when; the same for an instant.
    pub until: Duration,
    /// Only who had this port of the address: of what a translator gave, then, and of nothing else.
    pub port: Option<u16>,
    /// Most answers of each kind (leases, IPv4 leases, sightings, ports), the latest first.
    pub limit: u32,
}

/// Conditions of a query and the values that they name, in order.
#[derive(Default)]
struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values);
    }

    /// One of these texts in a column.
    fn among(&mut self, column: &str, texts: Vec<String>) {
        let marks = vec!["?"; texts.len()].join(",");
        self.and(&format!("{column} IN ({marks})"), texts.into_iter().map(Value::Text));
    }

    fn nothing(&mut self) {
        self.and("0", []);
    }

    fn sql(&self, columns: &str, table: &str, order: &str, limit: u32) -> String {
        let conditions = self.conditions.join(" AND ");
        format!(
            "SELECT {columns} FROM {table} WHERE {conditions} ORDER BY {order} DESC, id DESC LIMIT {limit}"
        )
    }
}

/// The texts under which a network may stand in a row: itself, and every prefix that covers it.
fn covering(net: IpNet) -> Vec<String> {
    let Ok(whole) = Ipv6Net::new(Ipv6Addr::UNSPECIFIED, 0) else { return Vec::new() };
    let is_v6 = IpNet::from(whole).max_prefix_len() == net.max_prefix_len();
    let single = net.prefix_len() == net.max_prefix_len();
    let prefixes = (0..=net.prefix_len()).filter(|_| is_v6);
    let prefixes =
        prefixes.filter_map(|length| Some(IpNet::new(net.addr(), length).ok()?.trunc().to_string()));
    prefixes.chain(single.then(|| net.addr().to_string())).collect()
}

/// Gives each answer to `take`, of each kind the latest first, until it says that it is enough.
pub(crate) fn each(
    connection: &Connection,
    question: &Question,
    take: &mut dyn FnMut(Trace) -> bool,
) -> Result<(), RowError> {
    let layout = database::layout(connection)?;
    // A reader may find what an older version left.
    if question.port.is_some() {
        return if layout >= 6 { each_ports(connection, question, take) } else { Ok(()) };
    }
    let time = |time: Duration| Value::Integer(to_nanos(time));
    let mut leases = Filter::default();
    leases.and("began_at <= ?", [time(question.until)]);
    leases.and("coalesce(ended_at, promised_until) > ?", [time(question.from)]);
    let mut v4 = Filter::default();
    v4.and("began_at <= ?", [time(question.until)]);
    v4.and("coalesce(ended_at, promised_until) > ?", [time(question.from)]);
    let mut seen = Filter::default();
    seen.and("first_at <= ?", [time(question.until.saturating_add(sighting::GAP))]);
    seen.and("last_at >= ?", [time(question.from.saturating_sub(sighting::GAP))]);
    match &question.subject {
        Subject::All => {}
        Subject::Net(net) => {
            let texts = covering(*net);
            leases.among("resource", texts.clone());
            v4.among("resource", texts.clone());
            seen.among("address", texts);
        }
        Subject::Mac(mac) => {
            let mac = || [Value::Blob(mac.as_bytes().to_vec())];
            leases.and("link_layer = ?", mac());
            v4.and("link_layer = ?", mac());
            seen.and("mac = ?", mac());
        }
        Subject::Duid(duid) => {
            leases.and("duid = ?", [Value::Blob(duid.as_bytes().to_vec())]);
            // RFC 4361 section 6.1: type 255, the IAID, the DUID.
            let of_v4 = Value::Blob(duid.as_bytes().to_vec());
            v4.and("substr(client, 1, 1) = x'ff' AND substr(client, 6) = ?", [of_v4]);
            seen.nothing();
        }
        Subject::Line(name) if layout >= 3 => {
            let name = Value::Blob(name.clone());
            let line = "(interface_id = ? OR subscriber_id = ? OR substr(remote_id, 5) = ?)";
            leases.and(line, [name.clone(), name.clone(), name]);
            v4.nothing();
            seen.nothing();
        }
        Subject::Line(_) => return Ok(()),
    }
    let state = if layout >= 4 { "state" } else { "NULL" };
    let columns = format!(
        "resource, duid, link, hostname, began_at, renewed_at, promised_until, ended_at, {state}, {}",
        identity::columns(layout)
    );
    let mut relays = HashSet::new();
    let sql = leases.sql(&columns, "history", "began_at", question.limit);
    run(connection, &sql, &leases.values, &mut |row| lease(row, &mut relays), take)?;
    if layout >= 4 {
        let columns =
            "resource, client, link, hostname, link_layer, began_at, renewed_at, promised_until, ended_at";
        let sql = v4.sql(columns, "history_v4", "began_at", question.limit);
        run(connection, &sql, &v4.values, &mut lease_v4, take)?;
        let sql = seen.sql("address, mac, link, first_at, last_at", "seen", "first_at", question.limit);
        run(connection, &sql, &seen.values, &mut sighted, take)?;
    }
    if layout >= 6 { each_ports(connection, question, take) } else { Ok(()) }
}

/// A network with more addresses than this is not looked for among shared ones: no pool is as large.
const LARGEST_POOL: u8 = 8;

/// The same of ports.
fn each_ports(
    connection: &Connection,
    question: &Question,
    take: &mut dyn FnMut(Trace) -> bool,
) -> Result<(), RowError> {
    let mut ports = Filter::default();
    ports.and("began_at <= ?", [Value::Integer(to_nanos(question.until))]);
    ports.and("coalesce(ended_at, ?) >= ?", [i64::MAX, to_nanos(question.from)].map(Value::Integer));
    match &question.subject {
        Subject::All => {}
        // Asked for by the host behind them.
        Subject::Net(net @ IpNet::V6(_)) => ports.among("holder", covering(*net)),
        Subject::Net(net) if net.max_prefix_len() - net.prefix_len() <= LARGEST_POOL => {
            let addresses = net.subnets(net.max_prefix_len()).into_iter().flatten();
            ports.among("address", addresses.map(|one| one.addr().to_string()).collect());
        }
        _ => ports.nothing(),
    }
    if let Some(port) = question.port {
        ports.and("first <= ? AND last >= ?", [Value::Integer(port.into()), Value::Integer(port.into())]);
    }
    let sql =
        ports.sql("address, first, last, holder, began_at, ended_at", "ports", "began_at", question.limit);
    run(connection, &sql, &ports.values, &mut translated, take)
}

/// The earliest time of which there is a row.
pub(crate) fn begins(connection: &Connection) -> Result<Option<Duration>, RowError> {
    let tables: &[(&str, &str)] =
        &[("history", "began_at"), ("history_v4", "began_at"), ("seen", "first_at"), ("ports", "began_at")];
    let tables = match database::layout(connection)? {
        ..4 => &tables[..1],
        4..6 => &tables[..3],
        _ => tables,
    };
    let mut earliest: Option<i64> = None;
    for (table, column) in tables {
        let first: Option<i64> =
            connection.query_row(&format!("SELECT min({column}) FROM {table}"), [], |row| row.get(0))?;
        earliest = earliest.into_iter().chain(first).min();
    }
    Ok(earliest.map(from_nanos))
}

fn run(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    read: &mut dyn FnMut(&Row<'_>) -> Result<Trace, RowError>,
    take: &mut dyn FnMut(Trace) -> bool,
) -> Result<(), RowError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        if !take(read(row)?) {
            break;
        }
    }
    Ok(())
}

/// A network by the text of a row: an address has no length.
fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn lease(row: &Row<'_>, relays: &mut HashSet<Arc<Relay>>) -> Result<Trace, RowError> {
    let resource: String = row.get(0)?;
    let wrong =
        |what: &str| RowError::Content(format!("the history of {resource} has a {what} that is none"));
    let what = net(&resource).ok_or_else(|| wrong("resource"))?;
    let duid: Vec<u8> = row.get(1)?;
    let link: String = row.get(2)?;
    let (promised, ended): (i64, Option<i64>) = (row.get(6)?, row.get(7)?);
    let state: Option<String> = row.get(8)?;
    let Columns { link_layer, line, relay, .. } = Columns::read(row, 9, relays, &wrong)?;
    let how = match state.as_deref() {
        Some("registered") => How::Registered,
        _ if resource.contains('/') => How::Delegated,
        _ => How::Leased,
    };
    Ok(Trace {
        what,
        how,
        duid: Some(Duid::new(&duid).map_err(|_| wrong("DUID"))?),
        client_id: None,
        link_layer,
        line,
        relay,
        link: link.into(),
        hostname: row.get(3)?,
        began_at: from_nanos(row.get(4)?),
        last_at: from_nanos(row.get(5)?),
        until: from_nanos(ended.unwrap_or(promised)),
        stands: ended.is_none(),
        ports: None,
    })
}

fn lease_v4(row: &Row<'_>) -> Result<Trace, RowError> {
    let resource: String = row.get(0)?;
    let wrong =
        |what: &str| RowError::Content(format!("the history of {resource} has a {what} that is none"));
    let client: Vec<u8> = row.get(1)?;
    let link: String = row.get(2)?;
    let mac: Option<Vec<u8>> = row.get(4)?;
    let (promised, ended): (i64, Option<i64>) = (row.get(7)?, row.get(8)?);
    Ok(Trace {
        what: net(&resource).ok_or_else(|| wrong("resource"))?,
        how: How::Leased,
        duid: None,
        client_id: Some(ClientId::new(&client).map_err(|_| wrong("client identifier"))?),
        // As its messages told it (chaddr): what the link itself shows is the same, or no reply would arrive.
        link_layer: mac.and_then(|mac| Mac::new(&mac)).map(|mac| LinkLayer { mac, learnt: Learnt::Link }),
        line: None,
        relay: None,
        link: link.into(),
        hostname: row.get(3)?,
        began_at: from_nanos(row.get(5)?),
        last_at: from_nanos(row.get(6)?),
        until: from_nanos(ended.unwrap_or(promised)),
        stands: ended.is_none(),
        ports: None,
    })
}

fn sighted(row: &Row<'_>) -> Result<Trace, RowError> {
    let address: String = row.get(0)?;
    let wrong =
        |what: &str| RowError::Content(format!("what was seen of {address} has a {what} that is none"));
    let mac: Vec<u8> = row.get(1)?;
    let link: String = row.get(2)?;
    let last_at = from_nanos(row.get(4)?);
    let mac = Mac::new(&mac).ok_or_else(|| wrong("hardware address"))?;
    Ok(Trace {
        what: net(&address).ok_or_else(|| wrong("address"))?,
        how: How::Seen,
        duid: None,
        client_id: None,
        link_layer: Some(LinkLayer { mac, learnt: Learnt::Link }),
        line: None,
        relay: None,
        link: link.into(),
        hostname: None,
        began_at: from_nanos(row.get(3)?),
        last_at,
        until: last_at,
        stands: false,
        ports: None,
    })
}

fn translated(row: &Row<'_>) -> Result<Trace, RowError> {
    let address: String = row.get(0)?;
    let wrong = |what: &str| {
        RowError::Content(format!("what is kept of ports of {address} has a {what} that is none"))
    };
    let holder: String = row.get(3)?;
    let holder = holder.parse().map_err(|_| wrong("holder"))?;
    let (began, ended): (i64, Option<i64>) = (row.get(4)?, row.get(5)?);
    Ok(Trace {
        what: net(&address).ok_or_else(|| wrong("address"))?,
        how: How::Translated,
        duid: None,
        client_id: None,
        link_layer: None,
        line: None,
        relay: None,
        link: "".into(),
        hostname: None,
        began_at: from_nanos(began),
        last_at: from_nanos(ended.unwrap_or(began)),
        until: from_nanos(ended.unwrap_or(i64::MAX)),
        stands: ended.is_none(),
        ports: Some((row.get(1)?, row.get(2)?, holder)),
    })
}
