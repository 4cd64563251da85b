//! Prefixes compiled into disjoint ranges, and the search for the range of an address.
//!
//! IPv4 is one tree of 32-bit keys. IPv6 is a tree over the high 64 bits of the ranges' ends; only where more
//! than one range ends within one /64 does a second step look at the low 64 bits. Prefixes of up to 64 bits
//! never need it.

use super::tree::{Tree32, Tree64};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The value of addresses that no prefix holds.
pub(super) const NONE: u32 = (1 << 30) - 1;

/// How the values of nested prefixes combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// The longest prefix wins; among equal ones the last given.
    Longest,
    /// The least value wins, however long its prefix is.
    First,
}

/// One prefix of either family, as numbers. IPv4 uses the low 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    start: u128,
    /// Longer prefixes later.
    end: std::cmp::Reverse<u128>,
    value: u32,
}

/// The ranges of one family: the last address and the value of each, in ascending order; the last ends with
/// `max`.
pub(super) type Cut = Vec<(u128, u32)>;

/// Cuts all addresses of both families into ranges of one value each. Values lie below [`NONE`].
pub(super) fn cut(prefixes: impl IntoIterator<Item = (IpNet, u32)>, order: Order) -> (Cut, Cut) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (net, value) in prefixes {
        match net {
            IpNet::V4(net) => v4.push(Block {
                start: net.network().to_bits().into(),
                end: std::cmp::Reverse(net.broadcast().to_bits().into()),
                value,
            }),
            IpNet::V6(net) => v6.push(Block {
                start: net.network().to_bits(),
                end: std::cmp::Reverse(net.broadcast().to_bits()),
                value,
            }),
        }
    }
    (sweep(v4, u32::MAX.into(), order), sweep(v6, u128::MAX, order))
}

/// Prefixes are nested or apart, so a stack holds those around the place where the sweep stands.
fn sweep(mut blocks: Vec<Block>, max: u128, order: Order) -> Cut {
    blocks.sort_unstable();
    let mut ranges = Ranges { cut: Vec::with_capacity(blocks.len() * 2 + 1), next: Some(0) };
    let mut around: Vec<(u128, u32)> = Vec::new();
    for Block { start, end, value } in blocks {
        while let Some((end, value)) = around.pop_if(|(end, _)| *end < start) {
            ranges.until(end, value);
        }
        let outer = around.last().map_or(NONE, |&(_, value)| value);
        if let Some(before) = start.checked_sub(1) {
            ranges.until(before, outer);
        }
        around.push((end.0, if order == Order::First { value.min(outer) } else { value }));
    }
    while let Some((end, value)) = around.pop() {
        ranges.until(end, value);
    }
    ranges.until(max, NONE);
    ranges.cut
}

struct Ranges {
    cut: Cut,
    /// The first address that is in no range yet.
    next: Option<u128>,
}

impl Ranges {
    /// Gives the addresses up to `end` a value, where they have none yet.
    fn until(&mut self, end: u128, value: u32) {
        if self.next.is_none_or(|next| end < next) {
            return;
        }
        self.next = end.checked_add(1);
        match self.cut.last_mut() {
            Some(last) if last.1 == value => last.0 = end,
            _ => self.cut.push((end, value)),
        }
    }
}

/// What the high tree's values say: a value, or where the ranges within one /64 are.
const KIND: u32 = 0b11 << 30;
const PAIR: u32 = 0b01 << 30;
const TREE: u32 = 0b10 << 30;

/// A /64 in which two ranges end at most, as around a lone host: the values before, between and after.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Pair {
    ends: [u64; 2],
    values: [u32; 3],
}

/// The ranges of both families, for search.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    v4: Tree32,
    high: Tree64,
    pairs: Box<[Pair]>,
    trees: Box<[Tree64]>,
}

impl Lookup {
    /// From the ranges of each family, in which neighbours differ.
    pub(super) fn new(v4: &[(u128, u32)], v6: &[(u128, u32)]) -> Self {
        let (mut high, mut pairs, mut trees) = (Vec::with_capacity(v6.len()), Vec::new(), Vec::new());
        let mut rest = v6;
        while let Some(&(end, value)) = rest.first() {
            let of = (end >> 64) as u64;
            let count = rest.iter().take_while(|(end, _)| (end >> 64) as u64 == of).count();
            let (group, after) = rest.split_at(count);
            rest = after;
            let low = |place: usize| group[place].0 as u64;
            // What comes after the group's last end begins in this /64 still, unless that is the last of all.
            let after = after.first().map_or(NONE, |&(_, value)| value);
            let reference = match count {
                1 if low(0) == u64::MAX => value,
                1 => {
                    pairs.push(Pair { ends: [low(0), u64::MAX], values: [value, after, after] });
                    PAIR | (pairs.len() - 1) as u32
                }
                2 => {
                    pairs.push(Pair { ends: [low(0), low(1)], values: [value, group[1].1, after] });
                    PAIR | (pairs.len() - 1) as u32
                }
                _ => {
                    let last = (low(count - 1) != u64::MAX).then_some((u64::MAX, after));
                    let ranges = group.iter().map(|&(end, value)| (end as u64, value));
                    trees.push(Tree64::new(ranges.chain(last)));
                    TREE | (trees.len() - 1) as u32
                }
            };
            high.push((of, reference));
        }
        Self {
            v4: Tree32::new(v4.iter().map(|&(end, value)| (end as u32, value))),
            high: Tree64::new(high),
            pairs: pairs.into(),
            trees: trees.into(),
        }
    }

    /// The value of an address; a mapped one is its IPv4.
    #[inline]
    pub(super) fn find(&self, address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(address) => self.find_v4(address),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => self.find_v4(address),
                None => self.find_v6(address),
            },
        }
    }

    #[inline]
    pub(super) fn find_v4(&self, address: Ipv4Addr) -> u32 {
        self.v4.find(address.to_bits()).1
    }

    /// The value of an IPv6 address, which is not a mapped one.
    #[inline]
    pub(super) fn find_v6(&self, address: Ipv6Addr) -> u32 {
        let bits = address.to_bits();
        let key = (bits >> 64) as u64;
        let (end, reference) = self.high.find(key);
        if reference & KIND == 0 {
            return reference;
        }
        // Before the /64 in which the ranges end, the first of them holds.
        let low = if key == end { bits as u64 } else { 0 };
        let place = (reference & !KIND) as usize;
        if reference & KIND == PAIR {
            let Pair { ends: [first, second], values: [before, between, after] } = self.pairs[place];
            if low <= first {
                before
            } else if low <= second {
                between
            } else {
                after
            }
        } else {
            self.trees[place].find(low).1
        }
    }

    /// Octets in memory.
    pub(super) fn size(&self) -> usize {
        let trees = self.trees.iter().map(|tree| size_of_val(tree) + tree.size()).sum::<usize>();
        self.v4.size() + self.high.size() + size_of_val(&*self.pairs) + trees
    }
}
