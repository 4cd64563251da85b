//! Who was seen with which address: hosts form addresses themselves (SLAAC) and tell nobody.

use crate::Config;
use crate::rows::to_nanos;
use rusqlite::{Connection, OptionalExtension as _, params};
use sixgate_dhcp::identity::Mac;
use sixgate_dhcp::lease::LinkId;
use std::net::IpAddr;
use std::time::Duration;

/// Sightings of one host with one address that lie no further apart than this are one stay: a host that sleeps over lunch
/// keeps its address.
pub(crate) const GAP: Duration = Duration::from_hours(1);

/// A host had an address on a link from one time to another. Times are since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The address.
    pub address: IpAddr,
    /// The host.
    pub mac: Mac,
    /// Where.
    pub link: LinkId,
    /// When it was first seen, since this was last told.
    pub first: Duration,
    /// When it was last seen.
    pub last: Duration,
}

/// Makes the stay that the sighting belongs to longer, or begins one. Whether a row was added.
pub(crate) fn record(connection: &Connection, sighting: &Sighting) -> rusqlite::Result<bool> {
    let address = sighting.address.to_string();
    let (first, last) = (to_nanos(sighting.first), to_nanos(sighting.last));
    let latest: Option<(i64, Vec<u8>, String, i64)> = connection
        .prepare_cached(
            "SELECT id, mac, link, last_at FROM seen WHERE address = ?1 ORDER BY first_at DESC, id DESC LIMIT 1",
        )?
        .query_row([&address], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    if let Some((id, mac, link, until)) = latest
        && mac == sighting.mac.as_bytes()
        && link == *sighting.link
        && until.saturating_add(to_nanos(GAP)) >= first
    {
        connection
            .prepare_cached("UPDATE seen SET last_at = max(last_at, ?2) WHERE id = ?1")?
            .execute(params![id, last])?;
        return Ok(false);
    }
    connection
        .prepare_cached("INSERT INTO seen (address, mac, link, first_at, last_at) VALUES (?1,?2,?3,?4,?5)")?
        .execute(params![address, sighting.mac.as_bytes(), &*sighting.link, first, last])?;
    Ok(true)
}

/// Forgets what is too old or too much.
pub(crate) fn prune(connection: &Connection, now: Duration, config: &Config) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM seen WHERE last_at < ?1")?
        .execute([to_nanos(now.saturating_sub(config.history_age))])?;
    connection
        .prepare_cached(
            "DELETE FROM seen WHERE (last_at, id) <=
                 (SELECT last_at, id FROM seen ORDER BY last_at DESC, id DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([config.history_rows])?;
    Ok(())
}
