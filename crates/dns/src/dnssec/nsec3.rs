//! Proofs by hashed names (RFC 5155 section 8).

use super::crypto::{NSEC3_SHA1, nsec3_hash};
use super::denial::{Cut, Proof, cut, ends_here, lacks};
use super::name::Name;
use super::rdata::{Nsec3, Types};
use super::verdict::Fault;
use super::verify::Budget;

/// More iterations than this and the zone counts as not signed (RFC 5155 section 10.3, RFC 9276 section 3.2).
const MAX_ITERATIONS: u16 = 150;
/// Octets of SHA-1.
const HASH: usize = 20;

/// The NSEC3 records of one zone, each verified, that hash in the same way.
#[derive(Debug)]
pub(crate) struct Nsec3s<'a> {
    zone: &'a Name,
    salt: Vec<u8>,
    iterations: u16,
    list: Vec<(Vec<u8>, Nsec3)>,
    known: Vec<(Name, Vec<u8>)>,
}

/// The longest name above another that is there, and the record in whose gap the next name towards it lies.
struct Encloser<'r> {
    name: Name,
    gap: &'r Nsec3,
}

impl<'a> Nsec3s<'a> {
    /// Takes those records that mean something (RFC 5155 sections 8.1 and 8.2) and hash like the first of them.
    pub(crate) fn new(zone: &'a Name, records: Vec<(&Name, Nsec3)>) -> Self {
        let mut set = Self { zone, salt: Vec::new(), iterations: 0, list: Vec::new(), known: Vec::new() };
        for (owner, record) in records {
            let known = record.algorithm == NSEC3_SHA1 && record.flags & !1 == 0 && record.next.len() == HASH;
            let hash = owner.labels().next().and_then(base32hex).filter(|hash| hash.len() == HASH);
            let (Some(hash), true) = (hash, known && owner.parent().as_ref() == Some(zone)) else { continue };
            if set.list.is_empty() {
                set.salt.clone_from(&record.salt);
                set.iterations = record.iterations;
            } else if record.salt != set.salt || record.iterations != set.iterations {
                continue;
            }
            set.list.push((hash, record));
        }
        set
    }

    /// Whether it takes more work than the zone is worth.
    pub(crate) fn is_costly(&self) -> bool {
        self.iterations > MAX_ITERATIONS
    }

    fn hash(&mut self, name: &Name, budget: &mut Budget) -> Result<Vec<u8>, Fault> {
        if let Some((_, hash)) = self.known.iter().find(|(known, _)| known == name) {
            return Ok(hash.clone());
        }
        budget.hash(self.iterations)?;
        let hash = nsec3_hash(name, &self.salt, self.iterations);
        self.known.push((name.clone(), hash.clone()));
        Ok(hash)
    }

    fn at(&mut self, name: &Name, budget: &mut Budget) -> Result<Option<&Types>, Fault> {
        let hash = self.hash(name, budget)?;
        Ok(self.list.iter().find(|(owner, _)| *owner == hash).map(|(_, record)| &record.types))
    }

    fn around(&mut self, name: &Name, budget: &mut Budget) -> Result<Option<&Nsec3>, Fault> {
        let hash = self.hash(name, budget)?;
        let covers = |(owner, record): &&(Vec<u8>, Nsec3)| {
            let (after, before) = (*owner < hash, hash < record.next);
            // The last record's gap goes on at the first hash.
            if *owner < record.next { after && before } else { after || before }
        };
        Ok(self.list.iter().find(covers).map(|(_, record)| record))
    }

    /// RFC 5155 section 8.3.
    fn encloser(&mut self, name: &Name, budget: &mut Budget) -> Result<Option<Encloser<'_>>, Fault> {
        let mut next = name.clone();
        while let Some(above) = next.parent().filter(|above| above.is_within(self.zone)) {
            let ends = self.at(&above, budget)?.map(ends_here);
            match ends {
                Some(true) => return Ok(None),
                Some(false) => {
                    let gap = self.around(&next, budget)?;
                    return Ok(gap.map(|gap| Encloser { name: above, gap }));
                }
                None => next = above,
            }
        }
        Ok(None)
    }

    /// RFC 5155 section 8.4.
    pub(crate) fn no_name(&mut self, name: &Name, budget: &mut Budget) -> Result<Proof, Fault> {
        if self.at(name, budget)?.is_some() {
            return Ok(Proof::Fails);
        }
        let Some(encloser) = self.encloser(name, budget)? else { return Ok(Proof::Fails) };
        let opts_out = encloser.gap.opts_out();
        let Some(wildcard) = encloser.name.wildcard() else { return Ok(Proof::Fails) };
        Ok(match self.around(&wildcard, budget)? {
            None => Proof::Fails,
            Some(_) if opts_out => Proof::OptOut,
            Some(_) => Proof::Holds,
        })
    }

    /// RFC 5155 sections 8.5 to 8.7.
    pub(crate) fn no_data(&mut self, name: &Name, wanted: u16, budget: &mut Budget) -> Result<Proof, Fault> {
        let top = name.count() == 0;
        let said = |denied: bool| if denied { Proof::Holds } else { Proof::Fails };
        if let Some(types) = self.at(name, budget)? {
            return Ok(said(lacks(types, wanted, top)));
        }
        let Some(encloser) = self.encloser(name, budget)? else { return Ok(Proof::Fails) };
        let opts_out = encloser.gap.opts_out();
        let Some(wildcard) = encloser.name.wildcard() else { return Ok(Proof::Fails) };
        if let Some(types) = self.at(&wildcard, budget)? {
            return Ok(match said(lacks(types, wanted, top)) {
                // Somebody may be there whom the gap leaves out (RFC 5155 section 9.2).
                Proof::Holds if opts_out => Proof::OptOut,
                proof => proof,
            });
        }
        // Where names are left out, so are the empty ones above them (RFC 5155 errata 3441).
        Ok(if opts_out { Proof::OptOut } else { Proof::Fails })
    }

    /// RFC 5155 section 8.8.
    pub(crate) fn no_closer(
        &mut self,
        name: &Name,
        labels: usize,
        budget: &mut Budget,
    ) -> Result<Proof, Fault> {
        Ok(match self.around(&name.last(labels + 1), budget)? {
            None => Proof::Fails,
            Some(gap) if gap.opts_out() => Proof::OptOut,
            Some(_) => Proof::Holds,
        })
    }

    /// Whether a zone begins at `name` (RFC 5155 sections 8.6 and 8.9).
    pub(crate) fn cut(&mut self, name: &Name, budget: &mut Budget) -> Result<Cut, Fault> {
        if let Some(types) = self.at(name, budget)? {
            return Ok(cut(types));
        }
        Ok(match self.encloser(name, budget)? {
            None => Cut::Unproven,
            Some(encloser) if encloser.gap.opts_out() => Cut::Unsigned,
            Some(_) => Cut::None,
        })
    }
}

/// RFC 4648 section 7, without padding.
pub(super) fn base32hex(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0_u32, 0);
    let mut octets = Vec::with_capacity(text.len() * 5 / 8);
    for digit in text {
        let value = char::from(*digit).to_digit(32)?;
        // At most 12 bits are ever kept.
        bits = bits << 5 & 0xfff | value;
        count += 5;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
        }
    }
    Some(octets)
}
