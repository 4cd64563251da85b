//! Starting: everything is opened, set and verified, or the start fails with one sentence that says what to do. What was set
//! before it failed is taken back by [`Guard`]; what is opened on the network is in `open`.

use super::anew::Anew;
use super::before::{self, Before};
use super::ddns::Ddns;
use super::dns::Upstreams;
use super::dnssec;
use super::engine::Engine;
use super::event::{Event, Sender};
use super::guard::{Guard, resolv_conf_before};
use super::health::Probing;
use super::hosts::Hosts;
use super::kernel::Kernel;
use super::lan::Lan;
use super::neighbours::Neighbours;
use super::open::{Opened, open};
use super::plan::{Plan, Share};
use super::problems::Problems;
use super::queries::Queries;
use super::relay::{Agent, FramesError};
use super::requests::Waiting;
use super::reservations::Kept;
use super::sockets::{Sockets, SocketsError};
use super::told::Told;
use super::uplink::Uplink;
use super::v4::V4;
use super::{DATABASE, census, permission, persist, remote, sandbox};
use crate::config::{Config, Diagnostic};
use crate::control::{self, Control, ControlError};
use crate::{Outcome, nat64, say, shape, show};
use sixgate_dhcp::client::{self, Binding, Client, PdRequest};
use sixgate_dhcp::server::{Limits, Server, ServerConfig};
use sixgate_dns::{Forwarder, Names};
use sixgate_linux::clock::Clock;
use sixgate_linux::lock::{self, StateDirectory};
use sixgate_linux::nft::{self, Firewall};
use sixgate_linux::route::{self, Link, Netlink};
use sixgate_linux::sysctl::{self, Saved};
use sixgate_nd::router::Router;
use sixgate_store::{Store, StoreError};
use sixgate_wire::dhcpv6::{Duid, OptionCode};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use tokio::task::spawn_local;

/// Setting that holds the key of the address allocation.
const HASH_KEY: &str = "dhcp.hash-key";
/// IAID of the uplink's IA_NA, and of its IA_PD: one of each kind on one interface, so any number does, as long as it stays.
const IAID: u32 = 1;

/// Why `up` cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the configuration does not fit this machine")]
    Config(Vec<Diagnostic>),
    #[error(transparent)]
    Netlink(#[from] route::Error),
    #[error("cannot listen for changes of links and addresses: {0}")]
    Monitor(io::Error),
    #[error(transparent)]
    Sysctl(#[from] sysctl::Error),
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error(transparent)]
    Duid(#[from] persist::DuidError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Firewall(#[from] nft::Error),
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    #[error(transparent)]
    Frames(#[from] FramesError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Permission(#[from] permission::Lacking),
    #[error(transparent)]
    Sandbox(#[from] sixgate_linux::sandbox::Error),
    #[error(transparent)]
    Token(#[from] crate::web::TokenError),
    #[error("[nat64]: {0}")]
    Nat64(#[from] nat64::Error),
    #[error("shape: {0}")]
    Shape(#[from] shape::Error),
    #[error("[ipv4]: {0}")]
    Island(#[from] crate::translator::Error),
    #[error("[ddns]: no socket for updates: {0}")]
    Ddns(io::Error),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl StartError {
    /// Says it on standard error.
    pub(crate) fn tell(&self) -> Outcome {
        if let Self::Config(findings) = self {
            show(findings);
            return Outcome::Usage;
        }
        say(&format!("sixgate: {self}\n"));
        Outcome::Refused
    }
}

/// Each LAN has leases of its own to give: whoever takes all that there are on one leaves the others theirs.
fn limits(leases: usize, lans: usize) -> Limits {
    let each = (leases / lans.max(1)).max(1_000).min(leases);
    Limits { leases, leases_per_link: each, ..Limits::default() }
}

/// The interfaces of this machine.
pub(crate) fn links() -> Result<Vec<String>, route::Error> {
    Ok(Netlink::new()?.links()?.into_iter().map(|link| link.name).collect())
}

/// Opens, sets and verifies everything; tasks that feed `events` run when this returns.
pub(crate) fn start(config: Config, events: &Sender) -> Result<(Engine, Guard), StartError> {
    Sockets::require_ipv6()?;
    permission::require()?;
    let clock = Clock::new();
    let now = clock.now();
    let mut netlink = Netlink::new()?;
    let links = netlink.links()?;
    let findings = config.check_links(&links.iter().map(|link| link.name.clone()).collect::<Vec<_>>());
    if !findings.is_empty() {
        return Err(StartError::Config(findings));
    }
    let link = |name: &str| links.iter().find(|link| link.name == name).cloned();

    let state = StateDirectory::hold(&config.state)?;
    let mac = config.interfaces().find_map(|name| link(name).and_then(|link| link.mac));
    // A tunnel has no link-layer address; any will do, since it is kept.
    let duid = persist::duid(&config.state, mac.unwrap_or_else(random_link_layer), now)?;
    let outcomes = events.clone();
    let committed: sixgate_store::OnCommit = Box::new(move |done| {
        let done = done.into_iter().map(|(token, outcome)| (token, outcome.map_err(|e| e.to_string())));
        // On the store's own thread, where waiting for the engine is right.
        let _ = outcomes.blocking_send(Event::Stored(done.collect()));
    });
    let database = config.state.join(DATABASE);
    let kept_for = sixgate_store::Config {
        history_rows: config.history.rows,
        history_age: config.history.retention,
        ..sixgate_store::Config::default()
    };
    let open_store = || Store::open(&database, kept_for, committed);
    let (store, mut snapshot) = sandbox::with_state_alone(&config, open_store)??;
    let settings = &snapshot.settings;
    let kept = census::kept(settings);
    let mut control = Control::open(&config.control, config.control_group.as_deref())?;
    let resolv_conf = match config.uplink.as_ref().and_then(|uplink| uplink.resolv_conf.clone()) {
        None => None,
        Some(path) => Some(resolv_conf_before(path, settings.get(before::RESOLV_CONF))?),
    };
    let hash_key = match settings.get(HASH_KEY).and_then(|key| key.as_slice().try_into().ok()) {
        Some(key) => key,
        None => random_key().map_err(|source| StartError::Read { path: "/dev/urandom".into(), source })?,
    };
    let fresh = random_key().map_err(|source| StartError::Read { path: "/dev/urandom".into(), source })?;
    let pilot_key = match V4::kept_key(&snapshot) {
        Some(key) => key,
        None => random_key().map_err(|source| StartError::Read { path: "/dev/urandom".into(), source })?,
    };
    let reconfigure_secret =
        random_key().map_err(|source| StartError::Read { path: "/dev/urandom".into(), source })?;
    // Not the same: whoever learns one must not know the other.
    let cookies = random_key().map_err(|source| StartError::Read { path: "/dev/urandom".into(), source })?;
    // What another program has is known before anything is changed, its owner's rules among it.
    Sockets::require_ports(&config)?;
    super::web::require_ports(&config)?;
    super::proxy::require_ports(&config)?;
    let listener = control.take();
    let epoch = before::epoch();
    let mut earlier =
        settings.get(before::SETTING).map_or_else(Before::default, |record| Before::decode(record, &epoch));
    earlier
        .raised
        .retain(|(index, name)| links.iter().any(|link| link.index == *index && link.name == *name));
    let mut saved = Saved::new();
    saved.adopt(earlier.sysctls);
    let mut guard =
        Guard { sysctls: Some(saved), raised: earlier.raised, resolv_conf, _state: state, _control: control };
    // From here on, what was set is put back if a step fails, and nothing after `open` can.
    let opened = open(&config, &mut netlink, &mut guard, &links, events);
    let Opened { firewall, nat64, island, shaping, sockets, frames, web, proxy, listeners } = match opened {
        Ok(opened) => opened,
        Err(error) => {
            if let Ok(mut firewall) = Firewall::open() {
                let _ = firewall.remove();
            }
            for problem in guard.restore(&mut netlink) {
                tracing::error!("{problem}");
            }
            return Err(error);
        }
    };
    for line in &listeners {
        tracing::debug!(listener = line, "verified in the kernel's table");
    }
    if let Some(listener) = listener {
        let asked = events.clone();
        spawn_local(control::serve(listener, move |request| {
            let asked = asked.clone();
            async move {
                let _ = asked.send(Event::Control(request)).await;
            }
        }));
    }

    let lans: Vec<Lan> = (config.lans.iter())
        .filter_map(|lan| {
            let found = link(&lan.interface.value)?;
            let router = Router::new(sixgate_nd::router::Config::default(), fastrand::Rng::new());
            let mut lan = Lan {
                config: lan.clone(),
                interface: found.index,
                link_layer: found.mac,
                link_local: None,
                up: false,
                router,
                share: Share::default(),
                ipv4: Vec::new(),
            };
            if let Some(record) = settings.get(&persist::advertised_key(&lan.config.name)) {
                lan.router.restore(now, persist::decode_advertised(record));
            }
            Some(lan)
        })
        .collect();
    let mut server = Server::with_leases(
        ServerConfig {
            duid: duid.clone(),
            links: Vec::new(),
            remote: remote::links(&config),
            relays: remote::relays(&config),
            preference: config.dhcp.preference,
            rapid_commit: config.dhcp.rapid_commit,
            hash_key,
            limits: limits(config.dhcp.leases, config.lans.len() + config.subnets.len()),
        },
        std::mem::take(&mut snapshot.leases),
    );
    server.set_balance(config.dhcp.balance);
    let uplink = config.uplink.as_ref().and_then(|uplink| {
        let found = link(&uplink.interface.value)?;
        Some(self::uplink(uplink.clone(), &found, &duid, settings.get(persist::BINDING)))
    });
    let mut kernel = Kernel::default();
    match kernel.find_left(&mut netlink) {
        Ok(0) => {}
        Ok(routes) => tracing::info!(routes, "an earlier run left routes: kept until the ISP is heard"),
        Err(error) => tracing::warn!(%error, "routes of an earlier run are not looked for"),
    }
    if let Some(record) = settings.get(before::ADDRESSES) {
        kernel.adopt(before::decode_addresses(record, &epoch));
    }
    let clock_seen = dnssec::seen(settings.get(dnssec::SEEN));
    let relay = Agent::new(&config, frames, &snapshot.settings, fresh);
    let v4 = V4::new(&config, &mut snapshot, hash_key, pilot_key, &epoch, &mut netlink);
    let mut engine = Engine {
        clock,
        started: now,
        duid,
        netlink,
        kernel,
        firewall,
        nat64,
        island,
        shaping,
        rules: None,
        store,
        anew: Anew::default(),
        settings: 0,
        sockets,
        uplink,
        lans,
        server,
        links: Vec::new(),
        kept: Kept::default(),
        operating: BTreeMap::new(),
        committing: HashMap::new(),
        relay,
        v4,
        recording: HashMap::new(),
        waiting: Waiting::new(),
        told: Told::default(),
        delegated: BTreeMap::new(),
        forwarder: Forwarder::new(sixgate_dns::Config::default(), fastrand::Rng::new()),
        names: Names::new(&[]),
        health: Probing::new(now, &config, events.clone()),
        web,
        proxy,
        hosts: Hosts::default(),
        neighbours: Neighbours::default(),
        given: BTreeMap::new(),
        leasequery: super::leasequery::Desk::new(now, &config),
        sightings: config.history.seen.then(super::sightings::Sightings::default),
        ports: super::ports::Ports::default(),
        census: None,
        ddns: None,
        feed: None,
        measured: BTreeMap::new(),
        upstreams: Upstreams::new(events.clone()),
        queries: Queries::new(cookies, config.dns.rate_limit),
        connections: HashMap::new(),
        listeners,
        plan: Plan::default(),
        problems: Problems::default(),
        epoch,
        recorded: Vec::new(),
        seen: clock_seen,
        retry: None,
        rerouted: BTreeSet::new(),
        routes_due: None,
        routes_rest: std::time::Duration::ZERO,
        changed: true,
        config,
    };
    engine.set(HASH_KEY, Some(hash_key.to_vec()));
    engine.set(before::SETTING, Some(guard.before().encode(&engine.epoch)));
    if let Some((path, text)) = &guard.resolv_conf {
        engine.set(before::RESOLV_CONF, Some(before::encode_resolv_conf(path, text.as_deref())));
    }
    engine.tell_of_garbled_before();
    engine.start_policy(&snapshot.settings);
    engine.allow_supplied();
    engine.start_reconfigure(&snapshot.settings, reconfigure_secret);
    engine.set_hosts();
    engine.set_dns64();
    engine.start_census(&kept, fresh, events);
    engine.set_dnssec();
    engine.name_leases();
    engine.ddns = Ddns::open(now, &engine.config, &snapshot.settings, events)?;
    engine.ddns_leases();
    engine.start_v4();
    engine.start_ports(events);
    engine.start_relay();
    let mut actions = Vec::new();
    if let Some(client) = engine.uplink.as_mut().and_then(|uplink| uplink.client.as_mut()) {
        client.start(now, &mut actions);
        client.link_down(now, &mut actions);
    }
    engine.client_actions(actions);
    Ok((engine, guard))
}

fn uplink(config: crate::config::Uplink, link: &Link, duid: &Duid, record: Option<&Vec<u8>>) -> Uplink {
    let client = (config.address || config.prefix).then(|| {
        let mut asked = client::Config::new(duid.clone());
        asked.ia_na = config.address.then_some(IAID);
        asked.ia_pd = match (config.prefix, config.prefix_length) {
            (false, _) => Vec::new(),
            (true, None) => vec![PdRequest::new(IAID)],
            (true, Some(length)) => vec![PdRequest::with_length(IAID, length)],
        };
        asked.rapid_commit = config.rapid_commit;
        asked.reconfigure_accept = config.reconfigure;
        asked.hostname.clone_from(&config.hostname);
        asked.user_classes.clone_from(&config.user_class);
        if !asked.options.contains(&OptionCode::PD_EXCLUDE) {
            asked.options.push(OptionCode::PD_EXCLUDE);
        }
        let restored = record.and_then(|bytes| match Binding::from_bytes(bytes) {
            Ok(binding) => Some(binding),
            Err(error) => {
                tracing::warn!(%error, "what the ISP gave before cannot be read: asking anew");
                None
            }
        });
        Client::new(asked, restored, fastrand::Rng::new())
    });
    Uplink {
        interface: link.index,
        link_layer: link.mac,
        mtu: link.mtu,
        link_local: None,
        up: false,
        host: None,
        client,
        resolv_conf: None,
        released: false,
        told: Vec::new(),
        config,
    }
}

/// Sixteen octets that nobody can guess.
fn random_key() -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
    Ok(key)
}

/// A locally administered unicast address.
fn random_link_layer() -> [u8; 6] {
    let mut octets: [u8; 6] = std::array::from_fn(|_| fastrand::u8(..));
    octets[0] = (octets[0] & 0xfc) | 0x02;
    octets
}
