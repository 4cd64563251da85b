//! Proofs that something is not there: NSEC (RFC 4035 section 5.4, RFC 6840 section 4) and what both kinds share.

use super::name::Name;
use super::rdata::{Nsec, Types, kind};

/// What a proof shows of a name and a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It shows what was asked of it.
    Holds,
    /// It leaves room for a delegation that is not signed (RFC 5155 section 6).
    OptOut,
    /// It shows nothing of the kind.
    Fails,
}

/// What a proof about DS shows of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A zone begins here, and is not signed as far as its parent knows.
    Unsigned,
    /// No zone begins here.
    None,
    /// Nothing is shown.
    Unproven,
}

/// Whether a name with these types is where a zone is delegated, or where names below are another's (RFC 6840
/// section 4.1, RFC 6672 section 5.3.4.1): such a record says nothing of names below.
pub(super) fn ends_here(types: &Types) -> bool {
    types.has(kind::NS) && !types.has(kind::SOA) || types.has(kind::DNAME)
}

/// Whether the types of a name deny `wanted`; `top` for the root, which has no parent to ask for DS.
pub(super) fn lacks(types: &Types, wanted: u16, top: bool) -> bool {
    if types.has(wanted) || types.has(kind::CNAME) {
        return false;
    }
    match wanted {
        // The child's own record says nothing of DS, which its parent holds.
        kind::DS => top || !types.has(kind::SOA),
        _ => !types.has(kind::NS) || types.has(kind::SOA),
    }
}

/// What the types of a name, in its parent, say of a zone cut.
pub(super) fn cut(types: &Types) -> Cut {
    match (types.has(kind::DS) || types.has(kind::SOA), types.has(kind::NS)) {
        (true, _) => Cut::Unproven,
        (false, true) => Cut::Unsigned,
        (false, false) => Cut::None,
    }
}

/// The NSEC records of one zone, each verified.
#[derive(Debug)]
pub(crate) struct Nsecs<'a> {
    pub(crate) zone: &'a Name,
    pub(crate) list: Vec<(&'a Name, Nsec)>,
}

impl Nsecs<'_> {
    fn at(&self, name: &Name) -> Option<&Types> {
        self.list.iter().find(|(owner, _)| *owner == name).map(|(_, nsec)| &nsec.types)
    }

    /// The record in whose gap `name` lies.
    fn around(&self, name: &Name) -> Option<(&Name, &Nsec)> {
        let covers = |owner: &Name, nsec: &Nsec| {
            let wraps = nsec.next == *self.zone;
            owner < name
                && (*name < nsec.next || wraps)
                && name.is_within(self.zone)
                && !(name.is_below(owner) && ends_here(&nsec.types))
        };
        self.list.iter().find(|(owner, nsec)| covers(owner, nsec)).map(|(owner, nsec)| (*owner, nsec))
    }

    /// The longest name that is there and above `name`, shown by the gap that `name` lies in.
    fn encloser(name: &Name, owner: &Name, nsec: &Nsec) -> Name {
        let (one, two) = (name.common(owner), name.common(&nsec.next));
        if one.count() >= two.count() { one } else { two }
    }

    /// No such name: it lies in a gap, and so does the wildcard that would stand for it.
    pub(crate) fn no_name(&self, name: &Name) -> Proof {
        let holds = self.around(name).is_some_and(|(owner, nsec)| {
            // What lies above the next name is there, if empty.
            let wildcard = Self::encloser(name, owner, nsec).wildcard();
            !nsec.next.is_below(name) && wildcard.is_some_and(|wildcard| self.around(&wildcard).is_some())
        });
        if holds { Proof::Holds } else { Proof::Fails }
    }

    /// The name is there without this type; or it is there and empty; or a wildcard stands for it, without
    /// this type.
    pub(crate) fn no_data(&self, name: &Name, wanted: u16) -> Proof {
        let top = name.count() == 0;
        let holds = match (self.at(name), self.around(name)) {
            (Some(types), _) => lacks(types, wanted, top),
            (None, Some((_, nsec))) if nsec.next.is_below(name) => true,
            (None, Some((owner, nsec))) => Self::encloser(name, owner, nsec)
                .wildcard()
                .and_then(|wildcard| self.at(&wildcard))
                .is_some_and(|types| lacks(types, wanted, top)),
            (None, None) => false,
        };
        if holds { Proof::Holds } else { Proof::Fails }
    }

    /// No name closer to `name` than the wildcard whose parent has `labels` labels.
    pub(crate) fn no_closer(&self, name: &Name, labels: usize) -> Proof {
        let holds = self.around(name).is_some_and(|(owner, nsec)| {
            !nsec.next.is_within(name) && Self::encloser(name, owner, nsec).count() == labels
        });
        if holds { Proof::Holds } else { Proof::Fails }
    }

    /// Whether a zone begins at `name`, which is below this zone.
    pub(crate) fn cut(&self, name: &Name) -> Cut {
        match self.at(name) {
            Some(types) => cut(types),
            None if self.around(name).is_some() => Cut::None,
            None => Cut::Unproven,
        }
    }
}
