//! One lease in the table.

use crate::lease::Resource;
use crate::octets::Reader;
use sixgate_wire::few::Few;

/// No place.
pub(super) const NONE: u32 = u32::MAX;
/// Octets that lie in the entry itself: a lease of a client with a DUID of 14 octets whose hardware address was seen has 67
/// after its first renewal.
pub(super) const HERE: usize = 70;

/// One lease.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// All but its end, its link and its relay agent.
    pub(super) octets: Few<HERE>,
    /// When it ends, in nanoseconds.
    pub(super) end: u64,
    /// Its place in the heap.
    pub(super) heap: u32,
    /// Part of the hash of its holder.
    pub(super) holder: u32,
    /// The next of the same holder.
    pub(super) next_held: u32,
    /// Its neighbours in its area.
    pub(super) area: [u32; 2],
    pub(super) link: u32,
}

impl Entry {
    pub(super) fn resource(&self) -> Option<Resource> {
        Reader::new(self.octets.as_bytes()).kept_resource()
    }

    /// The number of its association, and what is leased.
    pub(super) fn association(&self) -> Option<(u32, Resource)> {
        let mut reader = Reader::new(self.octets.as_bytes());
        let resource = reader.kept_resource()?;
        Some((u32::from_le_bytes(reader.array()?), resource))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Option<Entry>>(), 104);
    }
}
