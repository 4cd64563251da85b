//! The fuzzer's way in.

use super::denial::Nsecs;
use super::message::Sections;
use super::nsec3::Nsec3s;
use super::rdata::{Dnskey, Ds, Nsec, Nsec3, kind};
use super::verify::Budget;

/// Does all that follows the check of a signature, without it, for a fuzzer, which cannot sign: reads the records of a
/// message, and asks what they prove of each name in it.
#[doc(hidden)]
pub fn rehearse(message: &[u8]) {
    let Some(sections) = Sections::read(message) else { return };
    let sets = || sections.answers.iter().chain(&sections.authorities);
    let (mut nsecs, mut nsec3s) = (Vec::new(), Vec::new());
    for set in sets() {
        for data in &set.data {
            match set.kind {
                kind::NSEC => nsecs.extend(Nsec::read(data).map(|nsec| (&set.owner, nsec))),
                kind::NSEC3 => nsec3s.extend(Nsec3::read(data).map(|nsec3| (&set.owner, nsec3))),
                kind::DNSKEY => assert!(Dnskey::read(data).is_none_or(|key| key.data() == *data)),
                kind::DS => drop(Ds::read(data)),
                _ => {}
            }
        }
    }
    let signers = sets().flat_map(|set| &set.signatures).map(|signature| &signature.signer);
    for zone in signers.take(4) {
        let nsecs = Nsecs { zone, list: nsecs.clone() };
        let mut nsec3s = Nsec3s::new(zone, nsec3s.clone());
        let mut budget = Budget::default();
        for name in sets().map(|set| &set.owner).filter(|name| name.is_within(zone)).take(32) {
            assert!(name.last(zone.count()) == *zone && name.common(zone) == *zone);
            let labels = name.count().saturating_sub(1);
            let _ = (nsecs.no_name(name), nsecs.no_data(name, kind::DS), nsecs.no_closer(name, labels));
            let _ = (nsecs.cut(name), nsec3s.is_costly());
            let _ = nsec3s.no_name(name, &mut budget);
            let _ = nsec3s.no_data(name, kind::DS, &mut budget);
            let _ = nsec3s.no_closer(name, labels, &mut budget);
            let _ = nsec3s.cut(name, &mut budget);
        }
    }
}
