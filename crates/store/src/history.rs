//! Who had what from when to when: one row for each holder of each resource, from its first grant to its end.

use crate::error::RowError;
use crate::identity::{self, Columns};
use crate::rows::{from_nanos, to_nanos};
use crate::{Change, Config, database, history_v4, ports, sighting};
use ipnet::Ipv6Net;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sixgate_dhcp::identity::{Key, Line, LinkLayer, Relay};
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, LinkId, Resource};
use sixgate_wire::dhcpv6::Duid;
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// One holder of one resource. Times are since the Unix epoch; [`Duration::MAX`] is for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What was held.
    pub resource: Resource,
    /// Who held it.
    pub duid: Duid,
    /// The holder's number for the association.
    pub iaid: u32,
    /// Where the holder was.
    pub link: LinkId,
    /// The name the holder last gave.
    pub hostname: Option<String>,
    /// By what the holder was known.
    pub key: Key,
    /// The holder's hardware address, and how it came to be known.
    pub link_layer: Option<LinkLayer>,
    /// The line that the holder was on.
    pub line: Option<Line>,
    /// The relay agent through which the holder asked.
    pub relay: Option<Arc<Relay>>,
    /// When it was granted.
    pub began_at: Duration,
    /// When it was last renewed.
    pub renewed_at: Duration,
    /// Until when the holder was promised it.
    pub promised_until: Duration,
    /// When it ended; `None` while the lease stands.
    pub ended_at: Option<Duration>,
}

/// Writes down what a change means for who had what. Whether a row was added.
pub(crate) fn record(connection: &Connection, now: Duration, change: &Change) -> rusqlite::Result<bool> {
    match change {
        Change::Lease(change) => record_lease(connection, now, change),
        Change::LeaseV4(change) => history_v4::record(connection, now, change),
        Change::Seen(sighting) => sighting::record(connection, sighting),
        Change::Ports(change) => ports::record(connection, change),
        Change::Setting { .. } | Change::Roster(_) => Ok(false),
    }
}

fn record_lease(connection: &Connection, now: Duration, change: &LeaseChange) -> rusqlite::Result<bool> {
    match change {
        LeaseChange::Put(lease) if lease.state == LeaseState::Declined => {
            end(connection, now, lease.resource)?;
        }
        // A retired lease stands: its holder may not have heard.
        LeaseChange::Put(lease) => return hold(connection, now, lease),
        LeaseChange::Remove(resource) => end(connection, now, *resource)?,
    }
    Ok(false)
}

/// A row that stands.
struct Standing {
    id: i64,
    /// Its client and association are those of the lease.
    same_client: bool,
    /// So are its machine and its line, as far as both are known.
    same_place: bool,
}

fn standing(connection: &Connection, lease: &Lease) -> rusqlite::Result<Option<Standing>> {
    let mac = lease.link_layer.as_ref().map(|found| found.mac.as_bytes());
    let names = |line: &Line| {
        [line.interface_id(), line.remote_id(), line.subscriber_id()].map(|name| name.map(<[u8]>::to_vec))
    };
    let line = lease.line.as_ref().map(names);
    connection
        .prepare_cached(
            "SELECT id, duid, iaid, link_layer, interface_id, remote_id, subscriber_id FROM history
             WHERE resource = ?1 AND ended_at IS NULL",
        )?
        .query_row([lease.resource.to_string()], |row| {
            let octets = |at: usize| row.get::<_, Option<Vec<u8>>>(at);
            let duid: Vec<u8> = row.get(1)?;
            let known = [octets(4)?, octets(5)?, octets(6)?];
            let other_mac = octets(3)?.zip(mac).is_some_and(|(known, mac)| known != mac);
            let other_line =
                line.as_ref().is_some_and(|line| known.iter().any(Option::is_some) && *line != known);
            Ok(Standing {
                id: row.get(0)?,
                same_client: duid == lease.duid.as_bytes() && row.get::<_, u32>(2)? == lease.iaid,
                same_place: !other_mac && !other_line,
            })
        })
        .optional()
}

fn hold(connection: &Connection, now: Duration, lease: &Lease) -> rusqlite::Result<bool> {
    let [link_layer, key, learnt, interface_id, remote_id, subscriber_id, relay, relay_link, relay_id] =
        identity::values(lease);
    let state = (lease.state == LeaseState::Registered).then(|| lease.state.name());
    let mut began_at = lease.granted_at;
    if let Some(standing) = standing(connection, lease)? {
        if standing.same_client && standing.same_place {
            // What is not known this time was known before: it stays.
            connection
                .prepare_cached(
                    "UPDATE history SET link = ?2, hostname = ?3, renewed_at = ?4, promised_until = ?5, state = ?6,
                            key = ?7, learnt = iif(?8 IS NULL, learnt, ?9), link_layer = coalesce(?8, link_layer),
                            interface_id = coalesce(?10, interface_id), remote_id = coalesce(?11, remote_id),
                            subscriber_id = coalesce(?12, subscriber_id), relay = ?13, relay_link = ?14,
                            relay_id = ?15 WHERE id = ?1",
                )?
                .execute(params![
                    standing.id,
                    &*lease.link,
                    lease.hostname,
                    to_nanos(lease.renewed_at),
                    to_nanos(lease.valid_until),
                    state,
                    key,
                    link_layer,
                    learnt,
                    interface_id,
                    remote_id,
                    subscriber_id,
                    relay,
                    relay_link,
                    relay_id,
                ])?;
            return Ok(false);
        }
        end(connection, now, lease.resource)?;
        // The same client with another machine or on another line has had it there since now.
        began_at = if standing.same_client { now } else { began_at };
    }
    connection
        .prepare_cached(
            "INSERT INTO history (resource, duid, iaid, link, hostname, began_at, renewed_at, promised_until, state,
                 link_layer, key, learnt, interface_id, remote_id, subscriber_id, relay, relay_link, relay_id)
             VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
        )?
        .execute(params![
            lease.resource.to_string(),
            lease.duid.as_bytes(),
            lease.iaid,
            &*lease.link,
            lease.hostname,
            to_nanos(began_at),
            to_nanos(lease.renewed_at),
            to_nanos(lease.valid_until),
            state,
            link_layer,
            key,
            learnt,
            interface_id,
            remote_id,
            subscriber_id,
            relay,
            relay_link,
            relay_id,
        ])?;
    Ok(true)
}

/// A lease that is taken out after its time ended when it was promised to, not when that was noticed.
fn end(connection: &Connection, now: Duration, resource: Resource) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE history SET ended_at = min(promised_until, ?2) WHERE resource = ?1 AND ended_at IS NULL",
        )?
        .execute(params![resource.to_string(), to_nanos(now)])?;
    Ok(())
}

/// Forgets what is too old or too much. Rows of leases that stand are never forgotten.
pub(crate) fn prune(connection: &Connection, now: Duration, config: &Config) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM history WHERE ended_at < ?1")?
        .execute([to_nanos(now.saturating_sub(config.history_age))])?;
    connection
        .prepare_cached(
            "DELETE FROM history WHERE ended_at IS NOT NULL AND (ended_at, id) <=
                 (SELECT ended_at, id FROM history WHERE ended_at IS NOT NULL
                  ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([config.history_rows])?;
    history_v4::prune(connection, now, config)?;
    sighting::prune(connection, now, config)?;
    ports::prune(connection, now, config)
}

fn columns(connection: &Connection) -> rusqlite::Result<String> {
    let identity = identity::columns(database::layout(connection)?);
    Ok(format!("duid, iaid, link, hostname, began_at, renewed_at, promised_until, ended_at, {identity}"))
}

/// The holders of a resource, the latest first, at most `limit`.
pub(crate) fn of(connection: &Connection, resource: Resource, limit: u32) -> Result<Vec<Holder>, RowError> {
    let mut statement = connection.prepare(&format!(
        "SELECT {} FROM history WHERE resource = ?1 ORDER BY began_at DESC, id DESC LIMIT ?2",
        columns(connection)?
    ))?;
    let mut rows = statement.query(params![resource.to_string(), limit])?;
    let mut holders = Vec::new();
    while let Some(row) = rows.next()? {
        holders.push(holder(resource, row)?);
    }
    Ok(holders)
}

/// Who held an address at a time, itself or in a prefix, the latest first.
pub(crate) fn at(
    connection: &Connection,
    address: Ipv6Addr,
    time: Duration,
) -> Result<Vec<Holder>, RowError> {
    let mut statement = connection.prepare(&format!(
        "SELECT {} FROM history
         WHERE resource = ?1 AND began_at <= ?2 AND coalesce(ended_at, promised_until) > ?2",
        columns(connection)?
    ))?;
    let mut holders = Vec::new();
    let prefixes = (0..=128).filter_map(|length| Ipv6Net::new(address, length).ok());
    let covering = prefixes.map(|prefix| Resource::Prefix(prefix.trunc()));
    for resource in covering.chain([Resource::Address(address)]) {
        let mut rows = statement.query(params![resource.to_string(), to_nanos(time)])?;
        while let Some(row) = rows.next()? {
            holders.push(holder(resource, row)?);
        }
    }
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.began_at));
    Ok(holders)
}

fn holder(resource: Resource, row: &Row<'_>) -> Result<Holder, RowError> {
    let duid: Vec<u8> = row.get(0)?;
    let link: String = row.get(2)?;
    let ended_at: Option<i64> = row.get(7)?;
    let wrong =
        |what: &str| RowError::Content(format!("the history of {resource} has a {what} that is none"));
    let Columns { key, link_layer, line, relay } = Columns::read(row, 8, &mut HashSet::new(), &wrong)?;
    Ok(Holder {
        resource,
        duid: Duid::new(&duid).map_err(|_| wrong("DUID"))?,
        iaid: row.get(1)?,
        link: link.into(),
        hostname: row.get(3)?,
        key,
        link_layer,
        line,
        relay,
        began_at: from_nanos(row.get(4)?),
        renewed_at: from_nanos(row.get(5)?),
        promised_until: from_nanos(row.get(6)?),
        ended_at: ended_at.map(from_nanos),
    })
}
