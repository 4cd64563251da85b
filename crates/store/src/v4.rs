//! IPv4 leases and the pilot's roster as rows, there and back.

use crate::error::RowError;
use crate::rows::{from_nanos, to_nanos};
use rusqlite::{Connection, Row, params};
use sixgate_dhcp::lease::LeaseState;
use sixgate_dhcp::v4::{Lease, LeaseChange, Place, RosterChange};
use sixgate_wire::dhcpv4::{ClientId, Hardware};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// What the log has of each lease: the latest, or that it is gone.
pub(crate) type Overlay = HashMap<Ipv4Addr, Option<Lease>>;

/// Since layout 2. Times as in the tables of layout 1; `hardware` has its type in front; `place` is a hash, as a signed number.
pub(crate) const SCHEMA: &str = "
CREATE TABLE lease_v4 (
    address     TEXT PRIMARY KEY,
    client      BLOB NOT NULL,
    hardware    BLOB NOT NULL,
    link        TEXT NOT NULL,
    state       TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    granted_at  INTEGER NOT NULL,
    renewed_at  INTEGER NOT NULL,
    hostname    TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE roster (
    place  INTEGER PRIMARY KEY,
    member INTEGER NOT NULL
) STRICT;
";

/// Does what a change of a lease says.
pub(crate) fn apply(connection: &Connection, change: &LeaseChange) -> rusqlite::Result<()> {
    match change {
        LeaseChange::Put(lease) => {
            let mut hardware = vec![lease.hardware.kind()];
            hardware.extend_from_slice(lease.hardware.address());
            connection
                .prepare_cached("INSERT OR REPLACE INTO lease_v4 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?
                .execute(params![
                    lease.address.to_string(),
                    lease.client.as_bytes(),
                    hardware,
                    &*lease.link,
                    lease.state.name(),
                    to_nanos(lease.valid_until),
                    to_nanos(lease.granted_at),
                    to_nanos(lease.renewed_at),
                    lease.hostname,
                ])?;
        }
        LeaseChange::Remove(address) => {
            connection
                .prepare_cached("DELETE FROM lease_v4 WHERE address = ?1")?
                .execute([address.to_string()])?;
        }
    }
    Ok(())
}

/// Does what a change of the roster says.
pub(crate) fn apply_roster(connection: &Connection, change: RosterChange) -> rusqlite::Result<()> {
    match change {
        RosterChange::Put { place, member } => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO roster VALUES (?1, ?2)")?
                .execute(params![place.0.cast_signed(), member])?;
        }
        RosterChange::Remove(place) => {
            connection
                .prepare_cached("DELETE FROM roster WHERE place = ?1")?
                .execute([place.0.cast_signed()])?;
        }
    }
    Ok(())
}

/// All leases, by address as text.
pub(crate) fn leases(connection: &Connection) -> Result<Vec<Lease>, RowError> {
    let mut statement = connection.prepare(
        "SELECT address, client, hardware, link, state, valid_until, granted_at, renewed_at, hostname
         FROM lease_v4",
    )?;
    let mut rows = statement.query([])?;
    let mut leases = Vec::new();
    while let Some(row) = rows.next()? {
        leases.push(lease(row)?);
    }
    Ok(leases)
}

fn lease(row: &Row<'_>) -> Result<Lease, RowError> {
    let address: String = row.get(0)?;
    let wrong = |what: &str| RowError::Content(format!("the row of {address} has a {what} that is none"));
    let client: Vec<u8> = row.get(1)?;
    let hardware: Vec<u8> = row.get(2)?;
    let hardware = hardware.split_first().and_then(|(kind, octets)| Hardware::new(*kind, octets));
    let link: String = row.get(3)?;
    let state: String = row.get(4)?;
    Ok(Lease {
        address: address.parse().map_err(|_| wrong("address"))?,
        client: ClientId::new(&client).map_err(|_| wrong("client identifier"))?,
        hardware: hardware.ok_or_else(|| wrong("hardware address"))?,
        link: link.into(),
        state: LeaseState::from_name(&state).ok_or_else(|| wrong("state"))?,
        valid_until: from_nanos(row.get(5)?),
        granted_at: from_nanos(row.get(6)?),
        renewed_at: from_nanos(row.get(7)?),
        hostname: row.get(8)?,
    })
}

/// The pilot's clients by their places, and whether each is in it.
pub(crate) fn roster(connection: &Connection) -> Result<Vec<(Place, bool)>, RowError> {
    let mut statement = connection.prepare("SELECT place, member FROM roster")?;
    let mut rows = statement.query([])?;
    let mut roster = Vec::new();
    while let Some(row) = rows.next()? {
        roster.push((Place(row.get::<_, i64>(0)?.cast_unsigned()), row.get(1)?));
    }
    Ok(roster)
}
