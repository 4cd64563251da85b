//! Writing what the server says.

use super::config::{Link, Told};
use super::counters::Discard;
use super::message::Asked;
use super::served::Served;
use crate::lease::{Kind, Resource};
use crate::options;
use ipnet::Ipv6Net;
use sixgate_wire::dhcpv6::{Builder, Duid, Fqdn, INFINITY, MessageType, OptionCode, StatusCode, pd_exclude};
use smallvec::SmallVec;

/// Room for the longest answer: 16 associations with 12 leases each, and configuration.
const ROOM: usize = 16 * 1024;
/// Room for nearly all answers: to clear more for each costs more than to write it.
const USUAL: usize = 512;

/// Least Information Refresh Time, in seconds (RFC 9915 section 7.6).
const IRT_MINIMUM: u32 = 600;

/// What comes back for one identity association.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) iaid: u32,
    pub(super) leases: SmallVec<[(Resource, Told); 2]>,
    pub(super) status: Option<(StatusCode, &'static str)>,
}

impl Outcome {
    pub(super) fn status(kind: Kind, iaid: u32, code: StatusCode, words: &'static str) -> Self {
        Self { kind, iaid, leases: SmallVec::new(), status: Some((code, words)) }
    }

    /// Whether the client may use something of it.
    pub(super) fn is_useful(&self) -> bool {
        self.leases.iter().any(|(_, told)| told.valid > 0)
    }
}

/// Everything in an answer beside the configuration.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: MessageType,
    pub(super) preference: Option<u8>,
    pub(super) rapid_commit: bool,
    pub(super) status: Option<(StatusCode, &'static str)>,
    pub(super) outcomes: SmallVec<[Outcome; 2]>,
    /// Whether configuration that the client asked for goes with it.
    pub(super) configuration: bool,
}

impl Answer {
    /// An answer of this kind with nothing in it.
    pub(super) fn new(kind: MessageType) -> Self {
        Self {
            kind,
            preference: None,
            rapid_commit: false,
            status: None,
            outcomes: SmallVec::new(),
            configuration: false,
        }
    }

    /// Whether it tells of a binding that was made or extended.
    pub(super) fn binds(&self) -> bool {
        self.kind == MessageType::REPLY && self.outcomes.iter().any(Outcome::is_useful)
    }

    /// The octets of the answer (RFC 9915 sections 18.3.9 and 18.3.10).
    pub(super) fn encode(
        &self,
        asked: &Asked<'_>,
        server: &Duid,
        link: &Link,
        served: &Served<'_>,
    ) -> Result<Vec<u8>, Discard> {
        self.write(&mut [0; USUAL], asked, server, link, served)
            .or_else(|_| self.write(&mut vec![0; ROOM], asked, server, link, served))
    }

    fn write(
        &self,
        room: &mut [u8],
        asked: &Asked<'_>,
        server: &Duid,
        link: &Link,
        served: &Served<'_>,
    ) -> Result<Vec<u8>, Discard> {
        let mut b = Builder::message(room, self.kind, asked.message.transaction());
        if let Some(client) = &asked.client {
            b.client_id(client);
        }
        b.server_id(server);
        if let Some(preference) = self.preference {
            b.preference(preference);
        }
        if self.rapid_commit {
            b.rapid_commit();
        }
        if let Some((code, words)) = self.status {
            b.status(code, words);
        }
        let (t1, t2) = self.times();
        // RFC 6603 section 4.3: only to a client that asks for it.
        let wants_exclude = asked.message.options().requests(OptionCode::PD_EXCLUDE);
        let exclude = served.policy.exclude(&link.name).filter(|_| wants_exclude);
        for outcome in &self.outcomes {
            let content = |b: &mut Builder<'_>| {
                for &(resource, told) in &outcome.leases {
                    match resource {
                        Resource::Address(address) => {
                            b.ia_address(address, told.preferred, told.valid, |_| {})
                        }
                        Resource::Prefix(prefix) => b.ia_prefix(prefix, told.preferred, told.valid, |b| {
                            let excluded = exclude.and_then(|exclude| exclude.of(prefix));
                            let octets = excluded.and_then(|excluded| pd_exclude(prefix, excluded));
                            if let Some((octets, length)) = octets.filter(|_| told.valid > 0) {
                                b.option(OptionCode::PD_EXCLUDE, octets.get(..length).unwrap_or_default());
                            }
                        }),
                    };
                }
                if let Some((code, words)) = outcome.status {
                    b.status(code, words);
                }
            };
            let (t1, t2) = if outcome.is_useful() { (t1, t2) } else { (0, 0) };
            match outcome.kind {
                Kind::Address => b.ia_na(outcome.iaid, t1, t2, content),
                Kind::Prefix => b.ia_pd(outcome.iaid, t1, t2, content),
            };
        }
        if self.configuration {
            let holds = |net: Ipv6Net| {
                let all = self.outcomes.iter().flat_map(|outcome| &outcome.leases);
                all.filter(|(_, told)| told.valid > 0).any(|(resource, _)| net.contains(&resource.net()))
            };
            let sets = served.options(asked, &holds);
            configuration(&mut b, asked, link, served, |code| {
                sets.clone().any(|set| set.get(code).is_some())
            });
            let informing = asked.kind == MessageType::INFORMATION_REQUEST;
            let passes = |code| informing || code != OptionCode::INFORMATION_REFRESH_TIME;
            options::write(&mut b, asked.message.options(), &sets, passes);
        }
        b.finish().map(<[u8]>::to_vec).map_err(|_| Discard::TooLong)
    }

    /// T1 and T2, the same for every association: half and four fifths of the shortest preferred lifetime (RFC 9915
    /// sections 14.2 and 21.4).
    fn times(&self) -> (u32, u32) {
        let told = self.outcomes.iter().flat_map(|outcome| &outcome.leases).map(|(_, told)| told);
        match told.filter(|told| told.preferred > 0).map(|told| told.preferred).min() {
            // Nothing preferred: when to ask again is left to the client.
            None => (0, 0),
            Some(INFINITY) => (INFINITY, INFINITY),
            Some(shortest) => (shortest / 2, (u64::from(shortest) * 4 / 5) as u32),
        }
    }
}

/// The options that an Option Request names, as far as there is something to say (RFC 9915 section 18.3.9).
/// What the policy says of the same, `overridden`, comes in its place.
fn configuration(
    b: &mut Builder<'_>,
    asked: &Asked<'_>,
    link: &Link,
    served: &Served<'_>,
    overridden: impl Fn(OptionCode) -> bool,
) {
    let options = asked.message.options();
    let wanted = |code| options.requests(code) && !overridden(code);
    if !link.dns.is_empty() && wanted(OptionCode::DNS_SERVERS) {
        b.addresses(OptionCode::DNS_SERVERS, &link.dns);
    }
    if !link.domains.is_empty() && wanted(OptionCode::DOMAIN_LIST) {
        b.domains(OptionCode::DOMAIN_LIST, &link.domains);
    }
    // RFC 9915 section 21.23: only in the answer to an Information-request.
    let refresh = link.information_refresh.filter(|_| asked.kind == MessageType::INFORMATION_REQUEST);
    let refresh = refresh.map(|seconds| seconds.max(IRT_MINIMUM));
    for (code, value) in [
        (OptionCode::SOL_MAX_RT, link.sol_max_rt),
        (OptionCode::INF_MAX_RT, link.inf_max_rt),
        (OptionCode::INFORMATION_REFRESH_TIME, refresh),
    ] {
        if let Some(value) = value.filter(|_| wanted(code)) {
            b.number(code, value);
        }
    }
    if let Some(uri) = link.captive_portal.as_ref().filter(|_| wanted(OptionCode::CAPTIVE_PORTAL)) {
        b.option(OptionCode::CAPTIVE_PORTAL, uri.as_bytes());
    }
    // RFC 9686 section 4.4.
    if wanted(OptionCode::ADDR_REG_ENABLE) {
        b.option(OptionCode::ADDR_REG_ENABLE, &[]);
    }
    // RFC 4704 section 4: only to a client that sent the option and asks for it. The server does all updates: it is the
    // one that answers for the zone.
    if let Some(fqdn) = asked.fqdn.filter(|_| wanted(OptionCode::CLIENT_FQDN)) {
        let flags = if fqdn.flags & Fqdn::NO_UPDATE != 0 {
            Fqdn::NO_UPDATE
        } else if fqdn.flags & Fqdn::SERVER_UPDATES != 0 {
            Fqdn::SERVER_UPDATES
        } else {
            Fqdn::SERVER_UPDATES | Fqdn::OVERRIDDEN
        };
        let name = served.hostname(asked).map(str::to_owned).or_else(|| fqdn.name()).unwrap_or_default();
        b.client_fqdn(flags, &whole_name(name, link.name_zone.as_deref()));
    }
}

/// A client's name as it stands in the zone, where names are published: its own where that lies there, else its first label's.
fn whole_name(name: String, zone: Option<&str>) -> String {
    let Some(zone) = zone.filter(|_| !name.is_empty()) else { return name };
    let (name, zone) = (name.to_ascii_lowercase(), zone.to_ascii_lowercase());
    if name.strip_suffix(&zone).is_some_and(|front| front.ends_with('.')) {
        return name;
    }
    format!("{}.{zone}", name.split('.').next().unwrap_or_default())
}
