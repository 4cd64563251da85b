//! The chain from an anchor to a zone: its DS and DNSKEY records, or the proof that it has none (RFC 4035 section 5.2).

use core::time::Duration;

use super::{Judge, Records, Stop, costly, denial, no_zone, signer};
use crate::dnssec::crypto::{DIGEST_SHA1, knows_algorithm, knows_digest, names};
use crate::dnssec::denial::Cut;
use crate::dnssec::message::{RrSet, Sections};
use crate::dnssec::name::Name;
use crate::dnssec::rdata::{Dnskey, Ds, kind};
use crate::dnssec::trust::Zone;
use crate::dnssec::type_name;
use crate::dnssec::verdict::Fault;
use crate::dnssec::verify::verify;

/// Keys of one zone that are kept, and DS records.
const MAX_KEYS: usize = 16;
/// Entries of the trust table are kept for so long at most, in seconds.
const LONGEST: u32 = 86_400;
/// What denies something is kept for so long at most, in seconds (RFC 2308 section 5).
const LONGEST_DENIAL: u32 = 10_800;

impl<'a> Judge<'a> {
    /// Looks for the unsigned delegation that explains why something at `name` is not signed: walks down from
    /// the anchor (RFC 4035 section 5.2). Without one, that is `fault`.
    pub(super) fn unsigned(&mut self, name: &Name, fault: Fault) -> Result<Option<Fault>, Stop> {
        if let Some(Zone::Insecure(fault)) = self.trust.insecure(name, self.times.now) {
            return Ok(fault);
        }
        let Some(anchor) = self.trust.anchors.above(name) else { return Ok(None) };
        for count in anchor.count()..=name.count() {
            if let Zone::Insecure(fault) = self.zone(&name.last(count))? {
                return Ok(fault);
            }
        }
        Err(fault.into())
    }

    /// The keys of a zone, or that it has none that matter.
    pub(super) fn keys(&mut self, name: &Name) -> Result<Zone, Stop> {
        let list = match self.zone(name)? {
            Zone::Delegated(list) => list,
            known => return Ok(known),
        };
        let answer = self.get(name, kind::DNSKEY)?;
        let Some(set) = answer.answer(name, kind::DNSKEY) else {
            return Err(Fault::new(Fault::DNSKEY_MISSING, &format!("{name} has no DNSKEY records")).into());
        };
        let keys: Vec<Dnskey> =
            set.data.iter().filter_map(|data| Dnskey::read(data)).filter(Dnskey::signs_zones).collect();
        // RFC 4035 section 5.2: a key that the parent names signs them all.
        let mut entry: Vec<Dnskey> = Vec::new();
        for key in &keys {
            let fitting = list.iter().filter(|ds| ds.tag == key.tag && ds.algorithm == key.algorithm);
            for ds in fitting {
                self.budget.signature()?;
                if names(ds, name, key) {
                    entry.push(key.clone());
                    break;
                }
            }
        }
        if entry.is_empty() {
            let text = format!("no key of {name} is the one that its parent names");
            return Err(Fault::new(Fault::DNSKEY_MISSING, &text).into());
        }
        let verified = verify(set, name, &entry, self.times.wall, self.budget)?;
        let keys = keys.into_iter().take(MAX_KEYS).collect();
        Ok(self.keep(name, Zone::Signed(keys), verified.ttl.min(LONGEST)))
    }

    /// What is known of a name as a zone, or is to be found out by its DS records (RFC 4035 section 5.2).
    fn zone(&mut self, name: &Name) -> Result<Zone, Stop> {
        if let Some(zone) = self.trust.get(name, self.times.now) {
            return Ok(zone);
        }
        if let Some(anchors) = self.trust.anchors.of(name) {
            return Ok(Zone::Delegated(anchors.into()));
        }
        if self.trust.anchors.above(name).is_none() || self.excepted(name) {
            return Ok(Zone::Insecure(None));
        }
        if let Some(zone) = self.trust.insecure(name, self.times.now) {
            return Ok(zone);
        }
        let Some(parent) = name.parent() else { return Ok(Zone::Insecure(None)) };
        let answer = self.get(name, kind::DS)?;
        if let Some(set) = answer.answer(name, kind::DS).or_else(|| answer.answer(name, kind::CNAME)) {
            return self.zone_by(name, &parent, set);
        }
        let missing =
            || Fault::new(Fault::NSEC_MISSING, &format!("nothing proves that {name} has no DS records"));
        let Some(denial) = denial(answer, |zone| parent.is_within(zone)) else {
            let fault = self.unsigned(&parent, missing())?;
            return Ok(Zone::Insecure(fault));
        };
        let keys = match self.keys(&denial.zone)? {
            Zone::Signed(keys) => keys,
            Zone::Insecure(fault) => return Ok(Zone::Insecure(fault)),
            _ => return Err(no_zone(&denial.zone)),
        };
        let (mut records, mut ttl) = (Records::default(), LONGEST_DENIAL);
        for set in &denial.sets {
            let verified = verify(set, &denial.zone, &keys, self.times.wall, self.budget)?;
            ttl = ttl.min(verified.ttl);
            records.add(set, verified);
        }
        let (nsecs, nsec3s) = records.proofs(&denial.zone);
        let cut = match nsec3s {
            None => nsecs.cut(name),
            Some(nsec3s) if nsec3s.is_costly() => {
                return Ok(self.keep(name, Zone::Insecure(Some(costly(&denial.zone))), ttl));
            }
            Some(mut nsec3s) => nsec3s.cut(name, self.budget)?,
        };
        match cut {
            Cut::Unproven => Err(missing().into()),
            Cut::Unsigned => Ok(self.keep(name, Zone::Insecure(None), ttl)),
            Cut::None => Ok(self.keep(name, Zone::Inside, ttl)),
        }
    }

    /// The same where there are DS records, or an alias: then it is no zone.
    fn zone_by(&mut self, name: &Name, parent: &Name, set: &RrSet) -> Result<Zone, Stop> {
        let Some(signer) = signer(set, parent) else {
            let text = format!("{} of {name} has no signature", type_name(set.kind));
            let fault = self.unsigned(parent, Fault::new(Fault::RRSIGS_MISSING, &text))?;
            return Ok(Zone::Insecure(fault));
        };
        let keys = match self.keys(signer)? {
            Zone::Signed(keys) => keys,
            Zone::Insecure(fault) => return Ok(Zone::Insecure(fault)),
            _ => return Err(no_zone(signer)),
        };
        let verified = verify(set, signer, &keys, self.times.wall, self.budget)?;
        if verified.expanded.is_some() && set.kind == kind::DS {
            let text = format!("a wildcard stands for DS records of {name}");
            return Err(Fault::new(Fault::BOGUS, &text).into());
        }
        let zone = if set.kind == kind::CNAME { Zone::Inside } else { delegated(name, set) };
        Ok(self.keep(name, zone, verified.ttl.min(LONGEST)))
    }

    fn keep(&mut self, name: &Name, zone: Zone, ttl: u32) -> Zone {
        let expires = self.times.now.saturating_add(Duration::from_secs(ttl.max(1).into()));
        self.trust.keep(name, zone.clone(), expires);
        zone
    }

    fn get(&self, name: &Name, wanted: u16) -> Result<&'a Sections, Stop> {
        let asked = self.gathered.iter().find(|((known, kind), _)| *kind == wanted && known == name);
        match asked {
            None => Err(Stop::Needs(name.clone(), wanted)),
            Some((_, Some(sections))) => Ok(sections),
            Some((_, None)) => {
                let text = format!("no upstream resolver gives {} of {name}", type_name(wanted));
                Err(Stop::Indeterminate(Fault::new(Fault::INDETERMINATE, &text)))
            }
        }
    }
}

/// What DS records say: which keys, or that nothing of it is supported (RFC 4035 section 5.2).
fn delegated(name: &Name, set: &RrSet) -> Zone {
    let all: Vec<Ds> = set.data.iter().filter_map(|data| Ds::read(data)).collect();
    let known = |ds: &&Ds| knows_algorithm(ds.algorithm);
    let mut list: Vec<Ds> =
        all.iter().filter(known).filter(|ds| knows_digest(ds.digest_type)).cloned().collect();
    // RFC 4509 section 3: where there is a better digest, SHA-1 does not count.
    if list.iter().any(|ds| ds.digest_type != DIGEST_SHA1) {
        list.retain(|ds| ds.digest_type != DIGEST_SHA1);
    }
    if !list.is_empty() {
        list.truncate(MAX_KEYS);
        return Zone::Delegated(list.into());
    }
    let (code, what) = if all.iter().any(|ds| knows_algorithm(ds.algorithm)) {
        (Fault::UNKNOWN_DIGEST, "digest")
    } else {
        (Fault::UNKNOWN_ALGORITHM, "algorithm")
    };
    Zone::Insecure(Some(Fault::new(code, &format!("no DS record of {name} has a known {what}"))))
}
