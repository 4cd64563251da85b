//! Who had which ports of an address that many share: a translator gives them in blocks, and says so.

use crate::Config;
use crate::rows::to_nanos;
use crate::sighting::GAP;
use ipnet::Ipv6Net;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::net::IpAddr;
use std::time::Duration;

/// Since layout 6: `holder`, an IPv6 host or prefix, had the ports from `first` to `last` of `address`. A row without an end
/// stands.
pub(crate) const SCHEMA: &str = "
CREATE TABLE ports (
    id       INTEGER PRIMARY KEY,
    address  TEXT NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    holder   TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX ports_of_address ON ports (address, first, began_at);
CREATE INDEX ports_of_holder ON ports (holder, began_at);
CREATE INDEX ports_by_end ON ports (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ports_that_stand ON ports (address, first) WHERE ended_at IS NULL;
";

/// Ports next to each other of one address, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The address as others see it.
    pub address: IpAddr,
    /// The first port.
    pub first: u16,
    /// The last one.
    pub last: u16,
    /// The host behind them; shorter than 128 bits where a whole prefix shares them.
    pub holder: Ipv6Net,
}

/// What became of ports. Times are since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortsChange {
    /// From then on they were this host's.
    Given(Block, Duration),
    /// They were nobody's any more.
    Back(Block, Duration),
    /// The translator ended, and with it all that it had given.
    Ended(Duration),
}

/// Writes it down. Whether a row was added: a host that gets the same ports again within the hour, with nobody in between, has
/// kept them.
pub(crate) fn record(connection: &Connection, change: &PortsChange) -> rusqlite::Result<bool> {
    match change {
        PortsChange::Given(block, at) => give(connection, block, to_nanos(*at)),
        PortsChange::Back(block, at) => end(connection, block, to_nanos(*at)).map(|()| false),
        PortsChange::Ended(at) => {
            connection
                .prepare_cached("UPDATE ports SET ended_at = max(began_at, ?1) WHERE ended_at IS NULL")?
                .execute([to_nanos(*at)])?;
            Ok(false)
        }
    }
}

fn give(connection: &Connection, block: &Block, at: i64) -> rusqlite::Result<bool> {
    let (address, holder) = (block.address.to_string(), block.holder.to_string());
    let latest: Option<(i64, u16, String, Option<i64>)> = connection
        .prepare_cached(
            "SELECT id, last, holder, ended_at FROM ports WHERE address = ?1 AND first = ?2
             ORDER BY began_at DESC, id DESC LIMIT 1",
        )?
        .query_row(params![address, block.first], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    if let Some((id, last, before, ended)) = latest
        && (last, &before) == (block.last, &holder)
        && ended.is_none_or(|ended| ended.saturating_add(to_nanos(GAP)) >= at)
    {
        connection.prepare_cached("UPDATE ports SET ended_at = NULL WHERE id = ?1")?.execute([id])?;
        return Ok(false);
    }
    end(connection, block, at)?;
    connection
        .prepare_cached("INSERT INTO ports (address, first, last, holder, began_at) VALUES (?1,?2,?3,?4,?5)")?
        .execute(params![address, block.first, block.last, holder, at])?;
    Ok(true)
}

fn end(connection: &Connection, block: &Block, at: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE ports SET ended_at = max(began_at, ?3) WHERE address = ?1 AND first = ?2 AND ended_at IS NULL",
        )?
        .execute(params![block.address.to_string(), block.first, at])?;
    Ok(())
}

/// Forgets what is too old or too much. What stands is never forgotten.
pub(crate) fn prune(connection: &Connection, now: Duration, config: &Config) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM ports WHERE ended_at < ?1")?
        .execute([to_nanos(now.saturating_sub(config.history_age))])?;
    connection
        .prepare_cached(
            "DELETE FROM ports WHERE ended_at IS NOT NULL AND (ended_at, id) <=
                 (SELECT ended_at, id FROM ports WHERE ended_at IS NOT NULL
                  ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([config.history_rows])?;
    Ok(())
}
