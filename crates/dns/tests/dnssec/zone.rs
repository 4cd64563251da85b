//! One zone: its records, how it is signed, how it denies.

use std::collections::{BTreeMap, BTreeSet};

use super::signer::Key;
use super::wire::{
    DNAME, DNSKEY, DS, NS, NSEC, NSEC3, Name, RRSIG, Rr, SOA, bitmap, is_within, labels, name, order, parent,
    wildcard,
};

/// How a zone denies names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    Nsec,
    Nsec3 { iterations: u16, opt_out: bool },
}

/// What a zone is made of. The defaults are those of a good one.
pub(crate) struct Plan {
    pub(crate) apex: &'static str,
    /// Zero for an unsigned zone.
    pub(crate) algorithm: u8,
    pub(crate) bits: u32,
    /// Flags and protocol of its key.
    pub(crate) key: (u16, u8),
    /// The hash algorithm that its NSEC3 records name.
    pub(crate) hash: u8,
    pub(crate) denial: Denial,
    /// Digest types of the DS records in the parent; none for an unsigned delegation.
    pub(crate) digests: &'static [u8],
    /// Seconds from now: when signatures begin and end.
    pub(crate) valid: (i64, i64),
    /// Owner, relative to the apex, type and RDATA.
    pub(crate) records: Vec<(String, u16, Vec<u8>)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            apex: ".",
            algorithm: 13,
            bits: 2048,
            key: (257, 3),
            hash: 1,
            denial: Denial::Nsec,
            digests: &[2],
            valid: (-86_400, 864_000),
            records: Vec::new(),
        }
    }
}

pub(crate) struct Zone {
    pub(crate) apex: Name,
    pub(crate) plan: Plan,
    pub(crate) key: Option<Key>,
    sets: BTreeMap<(Vec<Vec<u8>>, u16), Vec<Rr>>,
    signatures: BTreeMap<(Vec<Vec<u8>>, u16), Rr>,
    time: u32,
}

const SALT: [u8; 2] = [0xab, 0xcd];

impl Zone {
    pub(crate) fn new(plan: Plan, time: u32) -> Self {
        let apex = name(plan.apex);
        let key = (plan.algorithm > 0).then(|| {
            let mut key = Key::new(plan.algorithm, plan.bits);
            key.data[..2].copy_from_slice(&plan.key.0.to_be_bytes());
            key.data[2] = plan.key.1;
            key
        });
        let (sets, signatures) = (BTreeMap::new(), BTreeMap::new());
        let mut zone = Self { apex: apex.clone(), plan, key, sets, signatures, time };
        let ns = [b"\x02ns", apex.as_slice()].concat();
        let numbers = [1_u32, 7_200, 3_600, 86_400, 300].map(u32::to_be_bytes).concat();
        zone.add(&apex, SOA, [ns.as_slice(), &ns, &numbers].concat());
        zone.add(&apex, NS, ns);
        if let Some(record) = zone.key.as_ref().map(|key| key.record(&apex)) {
            zone.add(&apex, DNSKEY, record.data);
        }
        for (owner, kind, data) in std::mem::take(&mut zone.plan.records) {
            let owner = [&name(&owner)[..name(&owner).len() - 1], &apex].concat();
            zone.add(&owner, kind, data);
        }
        zone
    }

    pub(crate) fn add(&mut self, owner: &[u8], kind: u16, data: Vec<u8>) {
        let rr = Rr { owner: owner.to_vec(), kind, ttl: 3_600, data };
        self.sets.entry((order(owner), kind)).or_default().push(rr);
    }

    fn is_delegation(&self, owner: &[u8]) -> bool {
        owner != self.apex && self.sets.contains_key(&(order(owner), NS))
    }

    /// Signs a set.
    fn rrsig(&self, set: &[Rr]) -> Option<Rr> {
        let at = |seconds: i64| u32::try_from(i64::from(self.time) + seconds).unwrap();
        let (inception, expiration) = self.plan.valid;
        Some(self.key.as_ref()?.rrsig(&self.apex, set, at(inception), at(expiration)))
    }

    /// Makes the chain of denials and signs everything.
    pub(crate) fn finish(&mut self) {
        if self.key.is_none() {
            return;
        }
        match self.plan.denial {
            Denial::Nsec => self.chain(),
            Denial::Nsec3 { iterations, opt_out } => self.hashed_chain(iterations, opt_out),
        }
        for (key, set) in &self.sets {
            // What is at and below a delegation is the child's, but DS and denial.
            if self.is_delegation(&set[0].owner) && key.1 == NS {
                continue;
            }
            if let Some(signature) = self.rrsig(set) {
                self.signatures.insert(key.clone(), signature);
            }
        }
    }

    fn kinds(&self, owner: &[u8]) -> Vec<u16> {
        let from = (order(owner), 0);
        let here = self.sets.range(from..).take_while(|((at, _), _)| *at == order(owner));
        here.map(|((_, kind), _)| *kind).collect()
    }

    fn owners(&self) -> Vec<Name> {
        let owners: BTreeMap<_, _> =
            self.sets.values().map(|set| (order(&set[0].owner), set[0].owner.clone())).collect();
        owners.into_values().collect()
    }

    fn chain(&mut self) {
        let owners = self.owners();
        for (at, owner) in owners.iter().enumerate() {
            let next = owners.get(at + 1).unwrap_or(&self.apex).clone();
            let kinds = [self.kinds(owner), vec![RRSIG, NSEC]].concat();
            let data = [next, bitmap(&kinds)].concat();
            let rr = Rr { owner: owner.clone(), kind: NSEC, ttl: 300, data };
            self.sets.insert((order(owner), NSEC), vec![rr]);
        }
    }

    pub(crate) fn hash(&self, owner: &[u8]) -> Vec<u8> {
        let iterations = match self.plan.denial {
            Denial::Nsec3 { iterations, .. } => iterations,
            Denial::Nsec => 0,
        };
        let mut hash = owner.to_vec();
        for _ in 0..=iterations {
            hash.extend_from_slice(&SALT);
            hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &hash).as_ref().to_vec();
        }
        hash
    }

    fn hashed_chain(&mut self, iterations: u16, opt_out: bool) {
        let mut names: BTreeSet<Name> = BTreeSet::new();
        for owner in self.owners() {
            let signed = !self.is_delegation(&owner) || self.kinds(&owner).contains(&DS);
            if opt_out && !signed {
                continue;
            }
            let mut above = owner;
            while above != self.apex {
                names.insert(above.clone());
                above = parent(&above);
            }
            names.insert(above);
        }
        let hashes: BTreeMap<Vec<u8>, Name> =
            names.into_iter().map(|name| (self.hash(&name), name)).collect();
        let list: Vec<(Vec<u8>, Name)> = hashes.into_iter().collect();
        for (at, (hash, owner)) in list.iter().enumerate() {
            let next = &list[(at + 1) % list.len()].0;
            let mut kinds = self.kinds(owner);
            if !kinds.is_empty() && (!self.is_delegation(owner) || kinds.contains(&DS)) {
                kinds.push(RRSIG);
            }
            let mut data = vec![self.plan.hash, u8::from(opt_out)];
            data.extend_from_slice(&iterations.to_be_bytes());
            data.push(SALT.len() as u8);
            data.extend_from_slice(&SALT);
            data.push(next.len() as u8);
            data.extend_from_slice(next);
            data.extend_from_slice(&bitmap(&kinds));
            let rr = Rr { owner: self.hashed_name(hash), kind: NSEC3, ttl: 300, data };
            self.sets.insert((order(&rr.owner), NSEC3), vec![rr]);
        }
    }

    fn hashed_name(&self, hash: &[u8]) -> Name {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let mut label = Vec::new();
        for group in hash.chunks(5) {
            let bits = group.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet));
            label.extend((0..8).rev().map(|at| DIGITS[(bits >> (5 * at) & 31) as usize]));
        }
        [&[label.len() as u8], label.as_slice(), &self.apex].concat()
    }

    /// A set and its signature, if the zone has it.
    pub(crate) fn get(&self, owner: &[u8], kind: u16) -> Option<Vec<Rr>> {
        let key = (order(owner), kind);
        let mut set = self.sets.get(&key)?.clone();
        set.extend(self.signatures.get(&key).cloned());
        Some(set)
    }

    /// Whether there is such a name, if only with others below it.
    pub(crate) fn has(&self, owner: &[u8]) -> bool {
        let own = |set: &Vec<Rr>| set[0].kind != NSEC3 && is_within(&set[0].owner, owner);
        self.sets.values().any(own)
    }

    pub(crate) fn encloser(&self, owner: &[u8]) -> Name {
        let mut above = parent(owner);
        while !self.has(&above) {
            above = parent(&above);
        }
        above
    }

    /// The DNAME record above a name.
    pub(crate) fn dname(&self, owner: &[u8]) -> Option<Vec<Rr>> {
        let mut above = owner.to_vec();
        while above != self.apex {
            above = parent(&above);
            if let Some(set) = self.get(&above, DNAME) {
                return Some(set);
            }
        }
        None
    }

    /// The record that is at a name, or in whose gap it lies.
    fn denying(&self, owner: &[u8]) -> Vec<Rr> {
        let kind = if self.plan.denial == Denial::Nsec { NSEC } else { NSEC3 };
        let at = match kind {
            NSEC => order(owner),
            _ => order(&self.hashed_name(&self.hash(owner))),
        };
        let chain: Vec<&Vec<Rr>> =
            self.sets.iter().filter(|((_, of), _)| *of == kind).map(|(_, set)| set).collect();
        let before = chain.iter().rev().find(|set| order(&set[0].owner) <= at).or(chain.last());
        before.and_then(|set| self.get(&set[0].owner, kind)).unwrap_or_default()
    }

    /// What denies: SOA, and the proof for a name that is there without data, for one that is not, or for one that a
    /// wildcard stands for.
    pub(crate) fn denial(&self, owner: &[u8], with_soa: bool) -> Vec<Rr> {
        let mut list = Vec::new();
        if with_soa {
            list.extend(self.get(&self.apex, SOA).unwrap());
            for rr in &mut list {
                rr.ttl = 300;
            }
        }
        if self.key.is_none() {
            return list;
        }
        let mut add = |more: Vec<Rr>| {
            for rr in more {
                if !list.contains(&rr) {
                    list.push(rr);
                }
            }
        };
        let encloser = if self.has(owner) { owner.to_vec() } else { self.encloser(owner) };
        let hashed = self.plan.denial != Denial::Nsec;
        // With opt-out, what is there may have no hash.
        let known = |name: &[u8]| {
            self.sets.contains_key(&(order(&self.hashed_name(&self.hash(name))), NSEC3)) || !hashed
        };
        if encloser == owner && known(owner) {
            add(self.denying(owner));
            return list;
        }
        let mut above = if encloser == owner { parent(owner) } else { encloser };
        while !known(&above) {
            above = parent(&above);
        }
        if hashed {
            add(self.denying(&above));
            let own = labels(owner);
            let depth = own.len() - labels(&above).len() - 1;
            let next = own[depth..].iter().flat_map(|label| [&[label.len() as u8], *label].concat());
            let next: Name = next.chain([0]).collect();
            add(self.denying(&next));
        } else {
            add(self.denying(owner));
        }
        if with_soa {
            add(self.denying(&wildcard(&above)));
        }
        list
    }
}
