//! One answer, judged. It stops where it needs a DS or DNSKEY record set that is not known, and is taken up
//! again with it: what was found before is remembered, so that no signature is tried twice.

mod chain;

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use super::denial::{Nsecs, Proof};
use super::message::{RrSet, Sections};
use super::name::Name;
use super::nsec3::Nsec3s;
use super::rdata::{Dnskey, Nsec, Nsec3, kind};
use super::trust::{Trust, Zone};
use super::type_name;
use super::verdict::{Fault, Verdict};
use super::verify::{Budget, Verified, verify};

/// DS and DNSKEY record sets that one answer may take. A name below `ip6.arpa.` has 34 labels.
const MAX_GATHERED: usize = 64;
/// Octets of these together. Most are below 2,000.
const MAX_OCTETS: usize = 64 << 10;
/// Aliases followed in one answer.
const MAX_ALIASES: usize = 16;
/// The response code of NXDOMAIN.
const NO_SUCH_NAME: u8 = 3;

/// Time, as a validator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) now: Duration,
    /// The wall clock in seconds, modulo 2^32; nothing while it is not known.
    pub(crate) wall: Option<u32>,
}

/// How far a judgement came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Done(Verdict),
    /// It goes on when the answer to this question is [learnt](Judgement::learn).
    Needs(Name, u16),
}

/// Why it stops.
enum Stop {
    Needs(Name, u16),
    Bogus(Fault),
    Indeterminate(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Bogus(fault)
    }
}

/// Of a record set, or of a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Secure(Verified),
    Insecure(Option<Fault>),
}

/// Which set of an answer was verified, by the place of its first record.
type Memory = HashMap<usize, Verified>;

/// What one DS or DNSKEY question got.
type Gathered<T> = Vec<((Name, u16), Option<T>)>;

/// An answer on its way to a verdict. While it waits it is kept as it came: that takes the least room.
#[derive(Debug)]
pub(crate) struct Judgement {
    name: Name,
    kind: u16,
    response: Box<[u8]>,
    gathered: Gathered<Box<[u8]>>,
    budget: Budget,
    memory: Memory,
    /// What was verified was verified with a clock.
    timed: bool,
}

impl Judgement {
    /// For a response to this question.
    pub(crate) fn new(name: Name, kind: u16, response: &[u8]) -> Self {
        let (gathered, memory) = (Vec::new(), Memory::new());
        let (response, budget) = (response.into(), Budget::default());
        Self { name, kind, response, gathered, budget, memory, timed: false }
    }

    /// The response.
    pub(crate) fn response(&self) -> &[u8] {
        &self.response
    }

    /// The answer to a question that it needs, or that there is none.
    pub(crate) fn learn(&mut self, name: Name, kind: u16, response: Option<&[u8]>) {
        let taken: usize = self.gathered.iter().flat_map(|(_, bytes)| bytes).map(|bytes| bytes.len()).sum();
        let response = response.filter(|bytes| taken + bytes.len() <= MAX_OCTETS);
        self.gathered.push(((name, kind), response.map(Into::into)));
    }

    /// The questions whose answers it was given.
    pub(crate) fn gathered(&self) -> impl Iterator<Item = &(Name, u16)> {
        self.gathered.iter().map(|(question, _)| question)
    }

    /// Goes on as far as what is known leads.
    pub(crate) fn step(&mut self, trust: &mut Trust, times: Times) -> Step {
        let Some(sections) = Sections::read(&self.response) else {
            return Step::Done(Verdict::Bogus(Fault::new(Fault::BOGUS, "the answer cannot be read")));
        };
        // The clock was set while it waited: what was verified without one may be over.
        if std::mem::replace(&mut self.timed, times.wall.is_some()) != times.wall.is_some() {
            self.memory.clear();
        }
        let read = |bytes: &Option<Box<[u8]>>| bytes.as_ref().and_then(|bytes| Sections::read(bytes));
        let gathered: Gathered<Sections> =
            self.gathered.iter().map(|(question, bytes)| (question.clone(), read(bytes))).collect();
        let (budget, memory) = (&mut self.budget, &mut self.memory);
        let mut judge = Judge { trust, times, gathered: &gathered, budget, memory };
        match judge.answer(&sections, &self.name, self.kind) {
            Ok(verdict) => Step::Done(verdict),
            Err(Stop::Needs(name, kind)) if self.gathered.len() >= MAX_GATHERED => {
                let text =
                    format!("the chain is longer than {MAX_GATHERED} steps at {} of {name}", type_name(kind));
                Step::Done(Verdict::Bogus(Fault::new(Fault::BOGUS, &text)))
            }
            Err(Stop::Needs(name, kind)) => Step::Needs(name, kind),
            Err(Stop::Bogus(fault)) => Step::Done(Verdict::Bogus(fault)),
            Err(Stop::Indeterminate(fault)) => Step::Done(Verdict::Indeterminate(fault)),
        }
    }
}

struct Judge<'a> {
    trust: &'a mut Trust,
    times: Times,
    gathered: &'a Gathered<Sections>,
    budget: &'a mut Budget,
    memory: &'a mut Memory,
}

/// The records that deny something, of one zone.
struct Denial<'s> {
    zone: Name,
    /// All that stands in the section and is of this zone: NSEC, NSEC3 and SOA.
    sets: Vec<&'s RrSet>,
}

/// NSEC and NSEC3 records of one zone.
#[derive(Default)]
struct Records<'s> {
    nsecs: Vec<(&'s Name, Nsec)>,
    nsec3s: Vec<(&'s Name, Nsec3)>,
}

impl<'s> Records<'s> {
    fn add(&mut self, set: &'s RrSet, verified: Verified) {
        match (set.kind, set.data.as_slice()) {
            // A denial made of a wildcard denies something else (RFC 4035 section 5.3.4).
            _ if verified.expanded.is_some() => {}
            (kind::NSEC, [data]) => self.nsecs.extend(Nsec::read(data).map(|nsec| (&set.owner, nsec))),
            (kind::NSEC3, [data]) => self.nsec3s.extend(Nsec3::read(data).map(|nsec3| (&set.owner, nsec3))),
            _ => {}
        }
    }

    /// What proves; NSEC3 counts where there is any.
    fn proofs(self, zone: &'s Name) -> (Nsecs<'s>, Option<Nsec3s<'s>>) {
        let nsec3s = (!self.nsec3s.is_empty()).then(|| Nsec3s::new(zone, self.nsec3s));
        (Nsecs { zone, list: self.nsecs }, nsec3s)
    }
}

/// What an answer leaves when each part was judged.
struct Found {
    ttls: Vec<Option<u32>>,
    /// One part is insecure.
    is_insecure: bool,
    /// Where the first such part is so for what is not supported, which.
    fault: Option<Fault>,
}

impl Found {
    fn weaken(&mut self, fault: Option<Fault>) {
        self.is_insecure = true;
        self.fault = self.fault.take().or(fault);
    }

    fn note(&mut self, set: &RrSet, status: Status) -> Option<usize> {
        match status {
            Status::Insecure(fault) => {
                self.weaken(fault);
                None
            }
            Status::Secure(verified) => {
                for place in &set.places {
                    if let Some(ttl) = self.ttls.get_mut(*place) {
                        *ttl = Some(verified.ttl);
                    }
                }
                verified.expanded
            }
        }
    }

    /// An alias that stands for a DNAME record is as good as that.
    fn copy(&mut self, from: &RrSet, to: &RrSet) {
        let ttl = from.places.first().and_then(|place| *self.ttls.get(*place)?);
        for place in &to.places {
            if let Some(own) = self.ttls.get_mut(*place) {
                *own = ttl;
            }
        }
    }
}

impl Judge<'_> {
    fn answer(&mut self, sections: &Sections, name: &Name, wanted: u16) -> Result<Verdict, Stop> {
        // Signatures are not signed, and are no data of their own (RFC 4035 section 2.2).
        if wanted == kind::RRSIG {
            return Ok(Verdict::Insecure(None));
        }
        let mut found = Found { ttls: vec![None; sections.records], is_insecure: false, fault: None };
        let mut current = name.clone();
        for _ in 0..MAX_ALIASES {
            if let Some(set) = sections.answer(&current, wanted) {
                // The code is not signed, the data is: both cannot be true.
                if sections.code == NO_SUCH_NAME {
                    let fault = Fault::new(Fault::BOGUS, &format!("{current} is there, and said not to be"));
                    return Err(fault.into());
                }
                self.positive(&mut found, sections, set)?;
                return Ok(found.verdict());
            }
            let alias = sections.answer(&current, kind::CNAME);
            let Some((alias, target)) = alias.and_then(|set| Some((set, target(set)?))) else {
                self.negative(&mut found, sections, &current, wanted, current != *name)?;
                return Ok(found.verdict());
            };
            match dname(sections, &current, &target).filter(|_| alias.signatures.is_empty()) {
                // RFC 6672 section 5.3.1: the alias made of a DNAME record is not signed.
                Some(dname) => {
                    self.positive(&mut found, sections, dname)?;
                    found.copy(dname, alias);
                }
                None => self.positive(&mut found, sections, alias)?,
            }
            current = target;
        }
        Err(Fault::new(Fault::BOGUS, &format!("{name} is an alias of more than {MAX_ALIASES} others")).into())
    }

    /// A set of the answer section; where a wildcard stands for the name, also that nothing closer is there.
    fn positive(&mut self, found: &mut Found, sections: &Sections, set: &RrSet) -> Result<(), Stop> {
        let status = self.status(set)?;
        let Some(labels) = found.note(set, status) else { return Ok(()) };
        let missing =
            || Fault::new(Fault::NSEC_MISSING, &format!("a wildcard stands for {} without proof", set.owner));
        // By the zone that has the wildcard: hashes of another say nothing of its names.
        let signer = signer(set, &set.owner);
        let denial = denial(sections, |zone| Some(zone) == signer).ok_or_else(missing)?;
        let Zone::Signed(keys) = self.keys(&denial.zone)? else { return Err(missing().into()) };
        let proof = self.prove(found, &denial, &keys, |nsec, nsec3, budget| match nsec3 {
            Some(nsec3) => nsec3.no_closer(&set.owner, labels, budget),
            None => Ok(nsec.no_closer(&set.owner, labels)),
        })?;
        match proof {
            Proof::Fails => Err(missing().into()),
            _ => Ok(()),
        }
    }

    /// Nothing of what was asked for is there.
    fn negative(
        &mut self,
        found: &mut Found,
        sections: &Sections,
        name: &Name,
        wanted: u16,
        aliased: bool,
    ) -> Result<(), Stop> {
        let what = || {
            if sections.code == NO_SUCH_NAME {
                name.to_string()
            } else {
                format!("{} of {name}", type_name(wanted))
            }
        };
        let missing =
            || Fault::new(Fault::NSEC_MISSING, &format!("nothing proves that there is no {}", what()));
        if self.excepted(name) {
            found.weaken(None);
            return Ok(());
        }
        let Some(denial) = denial(sections, |zone| name.is_within(zone)) else {
            let fault = self.unsigned(&holder(name, wanted), missing())?;
            found.weaken(fault);
            return Ok(());
        };
        let keys = match self.keys(&denial.zone)? {
            Zone::Signed(keys) => keys,
            Zone::Insecure(fault) => {
                found.weaken(fault);
                return Ok(());
            }
            _ => return Err(missing().into()),
        };
        let proof = self.prove(found, &denial, &keys, |nsec, mut nsec3, budget| {
            if sections.code != NO_SUCH_NAME {
                let proof = match &mut nsec3 {
                    Some(nsec3) => nsec3.no_data(name, wanted, budget)?,
                    None => nsec.no_data(name, wanted),
                };
                // Of an alias, some say by the code that it is there (RFC 6604 section 3).
                if proof != Proof::Fails || !aliased {
                    return Ok(proof);
                }
            }
            match nsec3 {
                Some(nsec3) => nsec3.no_name(name, budget),
                None => Ok(nsec.no_name(name)),
            }
        })?;
        if proof == Proof::Fails {
            // It may be the proof of another thing, such as a wildcard's on the way to an unsigned zone.
            let fault = self.unsigned(&holder(name, wanted), missing())?;
            found.weaken(fault);
        }
        Ok(())
    }

    /// Verifies what denies, and asks `ask` of it.
    fn prove(
        &mut self,
        found: &mut Found,
        denial: &Denial<'_>,
        keys: &Arc<[Dnskey]>,
        ask: impl FnOnce(&Nsecs<'_>, Option<&mut Nsec3s<'_>>, &mut Budget) -> Result<Proof, Fault>,
    ) -> Result<Proof, Stop> {
        let mut records = Records::default();
        for set in &denial.sets {
            let verified = self.verified(set, &denial.zone, keys)?;
            found.note(set, Status::Secure(verified));
            records.add(set, verified);
        }
        let (nsecs, nsec3s) = records.proofs(&denial.zone);
        let Some(mut nsec3s) = nsec3s else { return Ok(ask(&nsecs, None, self.budget)?) };
        if nsec3s.is_costly() {
            found.weaken(Some(costly(&denial.zone)));
            return Ok(Proof::OptOut);
        }
        let proof = ask(&nsecs, Some(&mut nsec3s), self.budget)?;
        if proof == Proof::OptOut {
            // RFC 5155 section 9.2: AD is not set.
            found.weaken(None);
        }
        Ok(proof)
    }

    /// What a set of the answer section is.
    fn status(&mut self, set: &RrSet) -> Result<Status, Stop> {
        if self.excepted(&set.owner) {
            return Ok(Status::Insecure(None));
        }
        let holder = holder(&set.owner, set.kind);
        let Some(signer) = signer(set, &holder) else {
            let text = format!("{} of {} has no signature", type_name(set.kind), set.owner);
            let fault = Fault::new(Fault::RRSIGS_MISSING, &text);
            return Ok(Status::Insecure(self.unsigned(&holder, fault)?));
        };
        match self.keys(signer)? {
            Zone::Signed(keys) => Ok(Status::Secure(self.verified(set, signer, &keys)?)),
            Zone::Insecure(fault) => Ok(Status::Insecure(fault)),
            _ => Err(no_zone(signer)),
        }
    }

    /// Verifies a set of the answer in hand, or remembers that it was.
    fn verified(&mut self, set: &RrSet, zone: &Name, keys: &Arc<[Dnskey]>) -> Result<Verified, Stop> {
        let place = set.places.first().copied().unwrap_or(usize::MAX);
        if let Some(verified) = self.memory.get(&place) {
            return Ok(*verified);
        }
        let verified = verify(set, zone, keys, self.times.wall, self.budget)?;
        self.memory.insert(place, verified);
        Ok(verified)
    }

    fn excepted(&self, name: &Name) -> bool {
        self.trust.except.iter().any(|zone| name.is_within(zone))
    }
}

impl Found {
    fn verdict(self) -> Verdict {
        if self.is_insecure {
            return Verdict::Insecure(self.fault);
        }
        Verdict::Secure { ttls: self.ttls }
    }
}

/// The name whose zone holds a record set: for DS, that above its owner (RFC 4035 section 2.4).
fn holder(owner: &Name, wanted: u16) -> Name {
    owner.parent().filter(|_| wanted == kind::DS).unwrap_or_else(|| owner.clone())
}

/// The zone that signs a set: one that `holder` is within.
fn signer<'s>(set: &'s RrSet, holder: &Name) -> Option<&'s Name> {
    set.signatures.iter().map(|signature| &signature.signer).find(|signer| holder.is_within(signer))
}

/// The records of the authority section that deny something, of the first zone that will do; nothing where
/// none are signed by such a zone.
fn denial(sections: &Sections, will_do: impl Fn(&Name) -> bool) -> Option<Denial<'_>> {
    let proves = |set: &RrSet| matches!(set.kind, kind::NSEC | kind::NSEC3);
    let signatures = sections.authorities.iter().filter(|set| proves(set)).flat_map(|set| &set.signatures);
    let zone = signatures.map(|signature| &signature.signer).find(|signer| will_do(signer))?.clone();
    let signed = |set: &RrSet| set.signatures.iter().any(|signature| signature.signer == zone);
    let of_zone = |set: &&RrSet| match set.kind {
        kind::SOA => set.owner == zone || signed(set),
        _ => proves(set) && signed(set),
    };
    let sets = sections.authorities.iter().filter(of_zone).collect();
    Some(Denial { zone, sets })
}

/// Where an alias leads; nothing where there is not exactly one.
fn target(set: &RrSet) -> Option<Name> {
    let [data] = set.data.as_slice() else { return None };
    Name::read_plain(data).map(|(name, _)| name)
}

/// The DNAME record that makes `name` an alias of `target`.
fn dname<'s>(sections: &'s Sections, name: &Name, target: &Name) -> Option<&'s RrSet> {
    sections.answers.iter().find(|set| {
        set.kind == kind::DNAME
            && name.is_below(&set.owner)
            && self::target(set).and_then(|to| name.substituted(&set.owner, &to)).as_ref() == Some(target)
    })
}

fn no_zone(name: &Name) -> Stop {
    Fault::new(Fault::BOGUS, &format!("{name} signs and is no zone")).into()
}

fn costly(zone: &Name) -> Fault {
    Fault::new(Fault::NSEC3_ITERATIONS, &format!("{zone} has too many iterations of NSEC3"))
}
