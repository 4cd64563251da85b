//! Taking an answer into what is held (RFC 9915 section 18.2.10.1).

use super::answer::{Answer, Granted, Lease, Leased, MAX_LEASES};
use super::binding::{Binding, BoundAddress, BoundPrefix};
use super::config::Config;
use super::leases::{Association, Leases};
use sixgate_wire::dhcpv6::{INFINITY, StatusCode};
use std::net::Ipv6Addr;
use std::time::Duration;

/// IRT_DEFAULT (RFC 9915 section 7.6).
const REFRESH_DEFAULT: u32 = 86_400;
/// IRT_MINIMUM (RFC 9915 section 7.6).
const REFRESH_MINIMUM: u32 = 600;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Applied {
    /// The server does not know of an association: it must be asked for anew.
    pub(super) no_binding: bool,
    /// Of an association that is held nothing was said that extends or ends it.
    pub(super) unanswered: bool,
}

/// How an answer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// Reply to a Request or Solicit: an association holds what the Reply gives it and nothing else.
    Afresh,
    /// Reply to a Renew or Rebind: leases that the Reply does not name stay as they are.
    Extending,
}

/// A lifetime or time-out in seconds, counted from `now`.
pub(super) fn after(now: Duration, seconds: u32) -> Duration {
    if seconds == INFINITY { Duration::MAX } else { now.saturating_add(Duration::from_secs(seconds.into())) }
}

impl Binding {
    /// Takes the leases of a Reply.
    pub(super) fn take_leases(
        &mut self,
        config: &Config,
        answer: &Answer,
        taking: Taking,
        now: Duration,
    ) -> Applied {
        let mut applied = Applied::default();
        let mut times: Option<(u32, u32)> = None;
        for association in config.associations() {
            let held = Leases::from(&*self).count(association) > 0;
            let Some(granted) = answer.granted(association) else {
                applied.unanswered |= held;
                continue;
            };
            applied.no_binding |= granted.status == StatusCode::NO_BINDING;
            if granted.leases.is_empty() {
                applied.unanswered |= held;
                continue;
            }
            if taking == Taking::Afresh {
                self.drop_association(association);
            }
            for lease in &granted.leases {
                self.put(association, lease, now);
            }
            if let Some((t1, t2)) = granted.times() {
                // One T1 and one T2 for all associations: the earliest (RFC 9915 section 18.2.4).
                times = Some(times.map_or((t1, t2), |(a, b)| (a.min(t1), b.min(t2))));
            }
        }
        // While something held was not answered, T1 and T2 stand: it goes on being renewed, then rebound.
        if let Some((t1, t2)) = times.filter(|_| taking == Taking::Afresh || !applied.unanswered) {
            self.t1 = after(now, t1);
            self.t2 = after(now, t2);
        }
        if self.has_leases() {
            self.refresh_at = Duration::MAX;
        }
        applied
    }

    /// Takes the other configuration of a Reply. It replaces what an earlier Reply told.
    pub(super) fn take_information(&mut self, answer: &Answer, source: Ipv6Addr, accept_reconfigure: bool) {
        if self.server != answer.server {
            // The key was the other server's.
            self.reconfigure = None;
            self.server = answer.server.clone();
        }
        self.server_address = Some(source);
        self.dns_servers.clone_from(&answer.dns_servers);
        self.domains.clone_from(&answer.domains);
        self.options.clone_from(&answer.options);
        self.sol_max_rt = answer.sol_max_rt.or(self.sol_max_rt);
        self.inf_max_rt = answer.inf_max_rt.or(self.inf_max_rt);
        if accept_reconfigure {
            self.reconfigure = answer.key.or(self.reconfigure);
        }
    }

    /// When to ask again for configuration without leases (RFC 9915 section 21.23).
    pub(super) fn set_refresh(&mut self, answer: &Answer, now: Duration) {
        self.refresh_at = after(now, answer.refresh.unwrap_or(REFRESH_DEFAULT).max(REFRESH_MINIMUM));
    }

    fn put(&mut self, association: Association, lease: &Lease, now: Duration) {
        let (preferred_until, valid_until) = (after(now, lease.preferred), after(now, lease.valid));
        match (association, lease.what) {
            (Association::Addresses(iaid), Leased::Address(address)) => {
                let bound = BoundAddress { iaid, address, preferred_until, valid_until };
                let same = |a: &BoundAddress| a.iaid == iaid && a.address == address;
                let count = self.addresses.iter().filter(|a| a.iaid == iaid).count();
                put(&mut self.addresses, bound, same, lease.valid, count);
            }
            (Association::Prefixes(iaid), Leased::Prefix { prefix, excluded }) => {
                let bound = BoundPrefix { iaid, prefix, excluded, preferred_until, valid_until };
                let same = |p: &BoundPrefix| p.iaid == iaid && p.prefix == prefix;
                let count = self.prefixes.iter().filter(|p| p.iaid == iaid).count();
                put(&mut self.prefixes, bound, same, lease.valid, count);
            }
            _ => {}
        }
    }

    fn drop_association(&mut self, association: Association) {
        match association {
            Association::Addresses(iaid) => self.addresses.retain(|a| a.iaid != iaid),
            Association::Prefixes(iaid) => self.prefixes.retain(|p| p.iaid != iaid),
        }
    }

    /// Keeps only what belongs to an association of `config`.
    pub(super) fn keep_configured(&mut self, config: &Config) {
        self.addresses.retain(|a| config.ia_na == Some(a.iaid));
        self.prefixes.retain(|p| config.ia_pd.iter().any(|request| request.iaid == p.iaid));
    }
}

/// Adds, replaces, or with a valid lifetime of 0 removes. A server that gives ever more leases to one association is
/// held to `MAX_LEASES`: what is held stays, what is new is left out.
fn put<T>(list: &mut Vec<T>, bound: T, same: impl Fn(&T) -> bool, valid: u32, count: usize) {
    match list.iter_mut().find(|held| same(held)) {
        _ if valid == 0 => list.retain(|held| !same(held)),
        Some(held) => *held = bound,
        None if count < MAX_LEASES => list.push(bound),
        None => {}
    }
}

impl Granted {
    /// T1 and T2 in seconds. Where the server leaves them open (0), or sets them beyond the end of a lease that would so
    /// be lost, they are 0.5 and 0.8 of the shortest preferred lifetime (RFC 9915 sections 21.4 and 21.21). `None`
    /// where no lease is given.
    fn times(&self) -> Option<(u32, u32)> {
        let given = || self.leases.iter().filter(|lease| lease.valid > 0);
        let valid = given().map(|lease| lease.valid).min()?;
        let preferred = given().map(|lease| lease.preferred).filter(|&p| p > 0).min().unwrap_or(valid);
        let part = |tenths: u64| {
            if preferred == INFINITY {
                INFINITY
            } else {
                u32::try_from(u64::from(preferred) * tenths / 10).unwrap_or(INFINITY).max(1)
            }
        };
        let open = |t: u32| t == 0 || (t >= valid && valid != INFINITY);
        let t2 = if open(self.t2) { part(8).max(if open(self.t1) { 0 } else { self.t1 }) } else { self.t2 };
        let t1 = if open(self.t1) { part(5).min(t2) } else { self.t1 };
        Some((t1, t2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_and_t2_are_chosen_where_the_server_leaves_them() {
        const F: u32 = INFINITY;
        type Times = (u32, u32);
        // T1, T2, [(preferred, valid)] -> T1, T2
        let cases: &[(u32, u32, &[Times], Option<Times>)] = &[
            (0, 0, &[(1000, 2000)], Some((500, 800))),
            (0, 0, &[(1000, 2000), (500, 4000)], Some((250, 400))),
            (300, 700, &[(1000, 2000)], Some((300, 700))),
            (900, 0, &[(1000, 2000)], Some((900, 900))),
            (0, 300, &[(1000, 2000)], Some((300, 300))),
            (0, 0, &[(F, F)], Some((F, F))),
            (F, F, &[(F, F)], Some((F, F))),
            (F, F, &[(1000, 2000)], Some((500, 800))),
            (100, 200, &[(F, F)], Some((100, 200))),
            (0, 0, &[(0, 600)], Some((300, 480))),
            (0, 0, &[(0, 600), (1000, 2000)], Some((500, 800))),
            (0, 0, &[(1, 1)], Some((1, 1))),
            (0, 0, &[(0, 0)], None),
            (100, 200, &[], None),
        ];
        for &(t1, t2, leases, expected) in cases {
            let what = Leased::Address("2001:db8::1".parse().unwrap());
            let granted = Granted {
                association: Association::Addresses(1),
                status: StatusCode::SUCCESS,
                t1,
                t2,
                leases: leases.iter().map(|&(preferred, valid)| Lease { what, preferred, valid }).collect(),
            };
            assert_eq!(granted.times(), expected, "{t1} {t2} {leases:?}");
        }
    }
}
