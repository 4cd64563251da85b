//! Who had which IPv4 address from when to when; as [`crate::history`] is for IPv6.

use crate::Config;
use crate::rows::to_nanos;
use rusqlite::{Connection, OptionalExtension as _, params};
use sixgate_dhcp::lease::LeaseState;
use sixgate_dhcp::v4::{Lease, LeaseChange};
use std::time::Duration;

/// Writes down what a change means for who holds what. Whether a row was added.
pub(crate) fn record(connection: &Connection, now: Duration, change: &LeaseChange) -> rusqlite::Result<bool> {
    match change {
        // A retired lease stands: its holder may not have heard.
        LeaseChange::Put(lease) if lease.state != LeaseState::Declined => hold(connection, now, lease),
        change => end(connection, now, &change.address().to_string()).map(|()| false),
    }
}

fn hold(connection: &Connection, now: Duration, lease: &Lease) -> rusqlite::Result<bool> {
    let address = lease.address.to_string();
    let mac = lease.hardware.address();
    let standing: Option<(i64, Vec<u8>, Option<Vec<u8>>)> = connection
        .prepare_cached(
            "SELECT id, client, link_layer FROM history_v4 WHERE resource = ?1 AND ended_at IS NULL",
        )?
        .query_row([&address], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let mut began_at = lease.granted_at;
    if let Some((id, client, known)) = standing {
        let same_client = client == lease.client.as_bytes();
        if same_client && known.is_none_or(|known| known == mac) {
            connection
                .prepare_cached(
                    "UPDATE history_v4 SET link = ?2, hostname = ?3, renewed_at = ?4, promised_until = ?5
                     WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    &*lease.link,
                    lease.hostname,
                    to_nanos(lease.renewed_at),
                    to_nanos(lease.valid_until)
                ])?;
            return Ok(false);
        }
        end(connection, now, &address)?;
        // The same client with another machine has had it there since now.
        began_at = if same_client { now } else { began_at };
    }
    connection
        .prepare_cached(
            "INSERT INTO history_v4 (resource, client, link, hostname, link_layer, began_at, renewed_at,
                                     promised_until) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
        )?
        .execute(params![
            address,
            lease.client.as_bytes(),
            &*lease.link,
            lease.hostname,
            mac,
            to_nanos(began_at),
            to_nanos(lease.renewed_at),
            to_nanos(lease.valid_until),
        ])?;
    Ok(true)
}

/// A lease that is taken out after its time ended when it was promised to, not when that was noticed.
fn end(connection: &Connection, now: Duration, address: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE history_v4 SET ended_at = min(promised_until, ?2) WHERE resource = ?1 AND ended_at IS NULL",
        )?
        .execute(params![address, to_nanos(now)])?;
    Ok(())
}

/// Forgets what is too old or too much. Rows of leases that stand are never forgotten.
pub(crate) fn prune(connection: &Connection, now: Duration, config: &Config) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM history_v4 WHERE ended_at < ?1")?
        .execute([to_nanos(now.saturating_sub(config.history_age))])?;
    connection
        .prepare_cached(
            "DELETE FROM history_v4 WHERE ended_at IS NOT NULL AND (ended_at, id) <=
                 (SELECT ended_at, id FROM history_v4 WHERE ended_at IS NOT NULL
                  ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([config.history_rows])?;
    Ok(())
}
