//! Octets that mostly are few.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Octets, of which up to `HERE` (255 at most) lie where the value stands: to make, to copy and to read them takes no
/// allocation. More of them lie elsewhere.
#[derive(Clone)]
pub struct Few<const HERE: usize>(Place<HERE>);

#[derive(Clone)]
enum Place<const HERE: usize> {
    Here(u8, [u8; HERE]),
    Elsewhere(Box<[u8]>),
}

impl<const HERE: usize> Few<HERE> {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Place::Here(length, octets) => octets.get(..usize::from(*length)).unwrap_or_default(),
            Place::Elsewhere(octets) => octets,
        }
    }
}

impl<const HERE: usize> From<&[u8]> for Few<HERE> {
    fn from(octets: &[u8]) -> Self {
        let mut here = [0; HERE];
        match (here.get_mut(..octets.len()), u8::try_from(octets.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(octets);
                Self(Place::Here(length, here))
            }
            _ => Self(Place::Elsewhere(octets.into())),
        }
    }
}

impl<const HERE: usize> PartialEq for Few<HERE> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const HERE: usize> Eq for Few<HERE> {}

impl<const HERE: usize> Hash for Few<HERE> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<const HERE: usize> PartialOrd for Few<HERE> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const HERE: usize> Ord for Few<HERE> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<const HERE: usize> fmt::Debug for Few<HERE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_of_every_number_come_back_and_compare_as_such() {
        for length in 0..=40 {
            let octets: Vec<u8> = (0..length).collect();
            let few = Few::<20>::from(&octets[..]);
            assert_eq!(few.as_bytes(), octets);
            assert_eq!(few, few.clone());
            let more = Few::<20>::from(&[&octets[..], &[0]].concat()[..]);
            assert!(few < more && few != more);
        }
        assert_eq!(Few::<300>::from(&[7; 256][..]).as_bytes(), [7; 256]);
        assert_eq!(size_of::<Few<22>>(), 24);
    }
}
