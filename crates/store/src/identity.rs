//! Who a lease's holder is and where, as columns of its row, there and back.

use crate::error::RowError;
use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use sixgate_dhcp::identity::{Key, Learnt, Line, LinkLayer, Mac, Relay};
use sixgate_dhcp::lease::Lease;
use sixgate_wire::dhcpv6::Duid;
use std::collections::HashSet;
use std::sync::Arc;

/// Since layout 3, in `lease` and in `history`:
/// - `key`: by what the holder is known: `duid`, `mac` or `line`;
/// - `learnt`: how `link_layer` came to be known: `link`, `relay`, `eui-64` or `duid`;
/// - `interface_id`, `remote_id` (enterprise number in 4 octets, then the name), `subscriber_id`: the line, as named by
///   relay agents;
/// - `relay`, `relay_link`, `relay_id`: the relay agent's address, the link-address, the relay agent's DUID.
///
/// What stood in `link_layer` before was seen on the link.
pub(crate) const SCHEMA: &str = "
ALTER TABLE lease ADD COLUMN key           TEXT NOT NULL DEFAULT 'duid';
ALTER TABLE lease ADD COLUMN learnt        TEXT;
ALTER TABLE lease ADD COLUMN interface_id  BLOB;
ALTER TABLE lease ADD COLUMN remote_id     BLOB;
ALTER TABLE lease ADD COLUMN subscriber_id BLOB;
ALTER TABLE lease ADD COLUMN relay         TEXT;
ALTER TABLE lease ADD COLUMN relay_link    TEXT;
ALTER TABLE lease ADD COLUMN relay_id      BLOB;
UPDATE lease SET learnt = 'link' WHERE link_layer IS NOT NULL;

ALTER TABLE history ADD COLUMN key           TEXT NOT NULL DEFAULT 'duid';
ALTER TABLE history ADD COLUMN learnt        TEXT;
ALTER TABLE history ADD COLUMN interface_id  BLOB;
ALTER TABLE history ADD COLUMN remote_id     BLOB;
ALTER TABLE history ADD COLUMN subscriber_id BLOB;
ALTER TABLE history ADD COLUMN relay         TEXT;
ALTER TABLE history ADD COLUMN relay_link    TEXT;
ALTER TABLE history ADD COLUMN relay_id      BLOB;
UPDATE history SET learnt = 'link' WHERE link_layer IS NOT NULL;
";

/// The columns, in the order in which [`Columns::read`] finds them.
pub(crate) const COLUMNS: &str =
    "link_layer, key, learnt, interface_id, remote_id, subscriber_id, relay, relay_link, relay_id";
/// What stands for them in layouts before 3.
pub(crate) const COLUMNS_BEFORE: &str =
    "link_layer, 'duid', iif(link_layer IS NULL, NULL, 'link'), NULL, NULL, NULL, NULL, NULL, NULL";

/// The columns of the layout that a database has.
pub(crate) fn columns(layout: i64) -> &'static str {
    if layout >= 3 { COLUMNS } else { COLUMNS_BEFORE }
}

/// What the columns hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) key: Key,
    pub(crate) link_layer: Option<LinkLayer>,
    pub(crate) line: Option<Line>,
    pub(crate) relay: Option<Arc<Relay>>,
}

impl Columns {
    /// Reads them from column `first` on; `wrong` makes an error of the name of what is wrong. Equal relay agents of
    /// one reading share their memory.
    pub(crate) fn read(
        row: &Row<'_>,
        first: usize,
        relays: &mut HashSet<Arc<Relay>>,
        wrong: &dyn Fn(&str) -> RowError,
    ) -> Result<Self, RowError> {
        // As they stand there: there may be millions of rows.
        let octets = |at: usize| {
            let value = row.get_ref(first + at)?.as_blob_or_null();
            value.map_err(|_| wrong("value of octets"))
        };
        let text = |at: usize| {
            let value = row.get_ref(first + at)?.as_str_or_null();
            value.map_err(|_| wrong("text"))
        };
        let key = text(1)?.and_then(Key::from_name).ok_or_else(|| wrong("key"))?;
        let link_layer = match (octets(0)?, text(2)?) {
            (Some(address), Some(name)) => Some(LinkLayer {
                mac: Mac::new(address).ok_or_else(|| wrong("hardware address"))?,
                learnt: Learnt::from_name(name).ok_or_else(|| wrong("source of its hardware address"))?,
            }),
            (None, None) => None,
            _ => return Err(wrong("hardware address without its source, or a source without its address,")),
        };
        let (interface, remote, subscriber) = (octets(3)?, octets(4)?, octets(5)?);
        let line = Line::new(interface, remote, subscriber);
        let relay = match (text(6)?, text(7)?, octets(8)?) {
            (Some(address), Some(link), id) => {
                let id = match id {
                    Some(id) => Some(Duid::new(id).map_err(|_| wrong("relay identifier"))?),
                    None => None,
                };
                Some(Relay {
                    address: address.parse().map_err(|_| wrong("relay address"))?,
                    link: link.parse().map_err(|_| wrong("link-address"))?,
                    id,
                })
            }
            (None, None, None) => None,
            _ => return Err(wrong("relay agent in part,")),
        };
        let relay = relay.map(|relay| {
            if let Some(known) = relays.get(&relay) {
                return Arc::clone(known);
            }
            let relay = Arc::new(relay);
            relays.insert(Arc::clone(&relay));
            relay
        });
        Ok(Self { key, link_layer, line, relay })
    }
}

fn octets(octets: Option<&[u8]>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(octets.map_or(ValueRef::Null, ValueRef::Blob))
}

/// The values to write, in the order of [`COLUMNS`].
pub(crate) fn values(lease: &Lease) -> [ToSqlOutput<'_>; 9] {
    let text = |text: Option<String>| ToSqlOutput::Owned(text.map_or(Value::Null, Value::Text));
    let word = |word: Option<&'static str>| {
        ToSqlOutput::Borrowed(word.map_or(ValueRef::Null, |word| ValueRef::Text(word.as_bytes())))
    };
    let (line, relay) = (lease.line.as_ref(), lease.relay.as_deref());
    [
        octets(lease.link_layer.as_ref().map(|found| found.mac.as_bytes())),
        word(Some(lease.key.name())),
        word(lease.link_layer.map(|found| found.learnt.name())),
        octets(line.and_then(Line::interface_id)),
        octets(line.and_then(Line::remote_id)),
        octets(line.and_then(Line::subscriber_id)),
        text(relay.map(|relay| relay.address.to_string())),
        text(relay.map(|relay| relay.link.to_string())),
        octets(relay.and_then(|relay| relay.id.as_ref()).map(Duid::as_bytes)),
    ]
}
