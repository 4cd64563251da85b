//! Who is meant, and what the running sixgate and the history on disk know of it.

use crate::census::view::Client;
use crate::when::rfc3339;
use crate::{Outcome, cli, control, fail, places, say, up, view, who};
use ipnet::IpNet;
use serde::Serialize;
use sixgate_dhcp::identity::Mac;
use sixgate_store::{Question, Reader, Store, Trace};
use std::time::Duration;

/// Rows of the history that are told.
const MOST: u32 = 50;

/// One line of what the host had.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Had {
    pub(super) what: String,
    pub(super) how: &'static str,
    pub(super) from: String,
    pub(super) until: Option<String>,
}

/// What is known of a host.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) mac: [u8; 6],
    /// Where to listen; empty where nothing runs.
    pub(super) interfaces: Vec<String>,
    pub(super) leases: Vec<view::Lease>,
    pub(super) status: Option<view::Status>,
    /// What the census says, or why it says nothing.
    pub(super) census: Result<Client, String>,
    pub(super) history: Vec<Had>,
}

impl Subject {
    /// Finds the host by what somebody calls it: a hardware address, an address, a DUID, a client identifier, a name.
    ///
    /// # Errors
    /// How the program should end; the reason is on standard error.
    pub(super) fn find(text: &str, from: &cli::View) -> Result<Self, Outcome> {
        let path = crate::control_socket(from)?;
        let asked = |view: &str| control::ask(&path, view);
        let status: Option<view::Status> =
            asked("status").ok().and_then(|json| serde_json::from_str(&json).ok());
        let leases: Vec<view::Lease> =
            asked("leases").ok().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let reader = match (&from.control, &status) {
            (None, _) => places(from.config.as_deref()).ok(),
            (Some(_), _) => None,
        };
        let reader = reader.and_then(|places| Store::read_only(&places.state.join(up::DATABASE)).ok());
        if status.is_none() {
            say("sixgate is not running: nothing is listened to, and only what is on disk is told\n");
        }
        let is = |lease: &&view::Lease| {
            let named = [&lease.link_layer, &lease.duid, &lease.client_id, &lease.hostname];
            lease.resource == text || named.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(text))
        };
        let found = leases.iter().find(is);
        let mac = who::mac(text).ok();
        let mac = mac.or_else(|| who::mac(found?.link_layer.as_deref()?).ok());
        let seen = || {
            reader.as_ref().and_then(|reader| latest(reader, text.parse::<std::net::IpAddr>().ok()?.into()))
        };
        let trace = if mac.is_none() { seen() } else { None };
        let mac = mac.or_else(|| Some(trace.as_ref()?.link_layer?.mac));
        let Some(mac) = mac else {
            return Err(fail(&format!(
                "nobody here is known as `{}`; name the client by its hardware address, as `sixgate leases` shows it",
                text.escape_debug()
            )));
        };
        let Ok(octets) = <[u8; 6]>::try_from(mac.as_bytes()) else {
            return Err(fail(&format!("{mac} is no Ethernet address: only those can be listened to")));
        };
        let words = mac.to_string();
        let leases: Vec<view::Lease> =
            leases.into_iter().filter(|lease| lease.link_layer.as_deref() == Some(&words)).collect();
        let lan = leases.first().map(|lease| lease.lan.clone()).or(trace.map(|trace| trace.link.to_string()));
        let lans = status.iter().flat_map(|status| &status.lans);
        let known = lans.clone().any(|one| Some(&one.name) == lan.as_ref());
        // Where it was last; on all of them where nobody knows.
        let interfaces = lans
            .filter(|one| !known || Some(&one.name) == lan.as_ref())
            .map(|one| one.interface.clone())
            .collect();
        let census =
            asked(&format!("census client {words}")).map_err(|_| "sixgate is not running".to_owned());
        let census = census.and_then(|json| {
            serde_json::from_str::<Client>(&json).map_err(|_| {
                let refused = serde_json::from_str::<control::Refused>(&json);
                refused.map_or_else(|error| error.to_string(), |refused| refused.error)
            })
        });
        let history = reader.map_or_else(Vec::new, |reader| had(&reader, mac));
        Ok(Self { mac: octets, interfaces, leases, status, census, history })
    }
}

impl Subject {
    /// Its hardware address.
    pub(super) fn name(&self) -> String {
        self.mac.map(|octet| format!("{octet:02x}")).join(":")
    }
}

fn question(subject: sixgate_store::Subject, limit: u32) -> Question {
    Question { subject, from: Duration::ZERO, until: Duration::MAX, port: None, limit }
}

/// Who had an address last.
fn latest(reader: &Reader, net: IpNet) -> Option<Trace> {
    let mut found: Option<Trace> = None;
    let take = &mut |trace: Trace| {
        if trace.link_layer.is_some() && found.as_ref().is_none_or(|found| found.last_at < trace.last_at) {
            found = Some(trace);
        }
        true
    };
    reader.who(&question(sixgate_store::Subject::Net(net), MOST), take).ok()?;
    found
}

/// What a machine had, the latest first.
fn had(reader: &Reader, mac: Mac) -> Vec<Had> {
    let mut rows: Vec<(Duration, Had)> = Vec::new();
    let take = &mut |trace: Trace| {
        let single = trace.what.prefix_len() == trace.what.max_prefix_len();
        let row = Had {
            what: if single { trace.what.addr().to_string() } else { trace.what.to_string() },
            how: trace.how.name(),
            from: rfc3339(trace.began_at),
            until: (!trace.stands).then(|| rfc3339(trace.until)),
        };
        rows.push((trace.began_at, row));
        true
    };
    // What cannot be read is not told; the rest of the report is worth having.
    let _ = reader.who(&question(sixgate_store::Subject::Mac(mac), MOST), take);
    rows.sort_by_key(|(began, _)| std::cmp::Reverse(*began));
    rows.into_iter().map(|(_, row)| row).take(MOST as usize).collect()
}
