//! IPv6 leases and settings as rows, there and back.

use crate::error::RowError;
use crate::identity::{self, Columns};
use crate::{Change, Snapshot, copy, database, v4};
use rusqlite::{Connection, Row, params};
use sixgate_dhcp::identity::Relay;
use sixgate_dhcp::lease::{Lease, LeaseChange, LeaseState, LinkId, Resource};
use sixgate_wire::dhcpv6::Duid;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Nanoseconds since the epoch. What lies beyond the year 2262 is for ever.
pub(crate) fn to_nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn from_nanos(nanos: i64) -> Duration {
    if nanos == i64::MAX { Duration::MAX } else { Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)) }
}

/// Does what a change says.
pub(crate) fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Lease(LeaseChange::Put(lease)) => {
            let [
                link_layer,
                key,
                learnt,
                interface_id,
                remote_id,
                subscriber_id,
                relay,
                relay_link,
                relay_id,
            ] = identity::values(lease);
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO lease (resource, duid, iaid, link, state, preferred_until, valid_until,
                         granted_at, renewed_at, hostname, peer, link_layer, key, learnt, interface_id, remote_id,
                         subscriber_id, relay, relay_link, relay_id)
                     VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)",
                )?
                .execute(params![
                    lease.resource.to_string(),
                    lease.duid.as_bytes(),
                    lease.iaid,
                    &*lease.link,
                    lease.state.name(),
                    to_nanos(lease.preferred_until),
                    to_nanos(lease.valid_until),
                    to_nanos(lease.granted_at),
                    to_nanos(lease.renewed_at),
                    lease.hostname,
                    lease.peer.to_string(),
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
        }
        Change::Lease(LeaseChange::Remove(resource)) => {
            connection
                .prepare_cached("DELETE FROM lease WHERE resource = ?1")?
                .execute([resource.to_string()])?;
        }
        Change::Setting { key, value: Some(value) } => {
            connection
                .prepare_cached("INSERT OR REPLACE INTO setting VALUES (?1, ?2)")?
                .execute(params![key, value])?;
        }
        Change::Setting { key, value: None } => {
            connection.prepare_cached("DELETE FROM setting WHERE key = ?1")?.execute([key])?;
        }
        Change::LeaseV4(change) => v4::apply(connection, change)?,
        Change::Roster(change) => v4::apply_roster(connection, *change)?,
        // It is history and nothing else.
        Change::Seen(_) | Change::Ports(_) => {}
    }
    Ok(())
}

/// Each lease.
pub(crate) fn each_lease(connection: &Connection, mut see: impl FnMut(Lease)) -> Result<(), RowError> {
    // A reader may find what an older version left.
    let layout = database::layout(connection)?;
    let mut statement = connection.prepare(&format!(
        "SELECT resource, duid, iaid, link, state, preferred_until, valid_until, granted_at, renewed_at, hostname,
                peer, {} FROM lease",
        identity::columns(layout)
    ))?;
    let mut rows = statement.query([])?;
    let (mut links, mut relays) = (HashSet::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        see(lease(row, &mut links, &mut relays)?);
    }
    Ok(())
}

/// All that is kept.
pub(crate) fn snapshot(connection: &Connection, path: &Path) -> Result<Snapshot, RowError> {
    let mut snapshot = Snapshot::default();
    let layout = database::layout(connection)?;
    if let Some(leases) = copy::read(connection, path) {
        snapshot.leases = leases;
    } else {
        // To count them is quick; to make room again and again while a million come is not.
        let leases: i64 = connection.query_row("SELECT count(*) FROM lease", [], |row| row.get(0))?;
        snapshot.leases.reserve(usize::try_from(leases).unwrap_or(0));
        each_lease(connection, |lease| drop(snapshot.leases.put(lease)))?;
    }
    let mut statement = connection.prepare("SELECT key, value FROM setting")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        snapshot.settings.insert(row.get(0)?, row.get(1)?);
    }
    if layout >= 2 {
        snapshot.leases_v4 = v4::leases(connection)?;
        snapshot.roster = v4::roster(connection)?;
    }
    Ok(snapshot)
}

/// Text of a row as it stands there: there may be millions of rows.
fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, RowError> {
    let value = row.get_ref(column)?;
    value.as_str().map_err(|error| RowError::Content(format!("a row of the leases is damaged: {error}")))
}

fn lease(
    row: &Row<'_>,
    links: &mut HashSet<LinkId>,
    relays: &mut HashSet<Arc<Relay>>,
) -> Result<Lease, RowError> {
    let resource = text(row, 0)?;
    let wrong = |what: &str| RowError::Content(format!("the row of {resource} has a {what} that is none"));
    let duid = row.get_ref(1)?.as_blob().map_err(|_| wrong("DUID"))?;
    let (link, state, peer) = (text(row, 3)?, text(row, 4)?, text(row, 10)?);
    // Few links for many leases: they share them.
    let link = links.get(link).cloned().unwrap_or_else(|| {
        let link = LinkId::from(link);
        links.insert(Arc::clone(&link));
        link
    });
    let Columns { key, link_layer, line, relay } = Columns::read(row, 11, relays, &wrong)?;
    Ok(Lease {
        resource: resource.parse::<Resource>().map_err(|error| RowError::Content(error.to_string()))?,
        key,
        duid: Duid::new(duid).map_err(|_| wrong("DUID"))?,
        iaid: row.get(2)?,
        link,
        state: LeaseState::from_name(state).ok_or_else(|| wrong("state"))?,
        preferred_until: from_nanos(row.get(5)?),
        valid_until: from_nanos(row.get(6)?),
        granted_at: from_nanos(row.get(7)?),
        renewed_at: from_nanos(row.get(8)?),
        hostname: row.get(9)?,
        link_layer,
        peer: peer.parse().map_err(|_| wrong("peer"))?,
        line,
        relay,
    })
}
