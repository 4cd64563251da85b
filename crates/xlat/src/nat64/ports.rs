//! Who has which port: subscribers, and blocks of ports.

use super::config::SessionConfig;
use super::table::{NONE, Protocol};
use crate::keyed::Key;
use crate::{Action, Discard, Event};
use core::time::Duration;
use hashbrown::HashTable;
use ipnet::Ipv6Net;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Ports below it are for source ports below it only (RFC 6146 section 3.5.1.1, RFC 4787 section 4.2.2).
const FIRST_HIGH: u16 = 1024;

#[derive(Debug)]
pub(super) struct Subscriber {
    /// The prefix' bits, the rest zero.
    network: u128,
    blocks: Vec<Held>,
    pub(super) sessions: u32,
}

/// A block of a subscriber, by its index, and the part of the subscriber's prefix that has it to itself.
#[derive(Debug, Clone, Copy)]
struct Held {
    holder: u128,
    block: u32,
}

/// Ports of one address next to each other, which are one subscriber's.
#[derive(Debug)]
struct Block {
    subscriber: u32,
    holder: u128,
    /// Bindings by port, for each protocol; empty as long as the protocol has none.
    bindings: [Vec<u32>; 3],
    /// Ports in use, for each protocol, even and odd.
    used: [[u16; 2]; 3],
}

#[derive(Debug)]
pub(super) struct Ports {
    key: Key,
    /// Choices made so far.
    choices: u64,
    pool: Vec<Ipv4Addr>,
    /// Pool, sorted, with the place in `pool`.
    sorted: Vec<(Ipv4Addr, u16)>,
    range: RangeInclusive<u16>,
    size: u16,
    /// All blocks, by address and then by port. The index of a block is `address * blocks_per_address + port
    /// / size`.
    blocks: Vec<Option<Box<Block>>>,
    pub(super) blocks_used: u32,
    max_blocks: usize,
    length: u8,
    holder_length: u8,
    subscribers: Vec<Subscriber>,
    free: Vec<u32>,
    by_network: HashTable<u32>,
}

impl Ports {
    pub(super) fn new(config: &SessionConfig, key: Key) -> Self {
        let mut sorted: Vec<_> = config.pool.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let count = config.pool.len() * (0x1_0000 / usize::from(config.block));
        Self {
            key,
            choices: 0,
            pool: config.pool.clone(),
            sorted,
            range: config.ports.clone(),
            size: config.block,
            blocks: std::iter::repeat_with(|| None).take(count).collect(),
            blocks_used: 0,
            max_blocks: config.blocks_per_subscriber,
            length: config.subscriber_length,
            holder_length: config.holder_length.max(config.subscriber_length),
            subscribers: Vec::new(),
            free: Vec::new(),
            by_network: HashTable::new(),
        }
    }

    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.place(address).is_some()
    }

    fn place(&self, address: Ipv4Addr) -> Option<usize> {
        let found = self.sorted.binary_search_by_key(&address, |entry| entry.0).ok()?;
        Some(usize::from(self.sorted[found].1))
    }

    fn per_address(&self) -> usize {
        1 << self.per_address_bits()
    }

    /// Powers of two: each packet asks for it.
    fn per_address_bits(&self) -> u32 {
        16 - self.size.trailing_zeros()
    }

    /// The binding of a port, or [`NONE`].
    pub(super) fn binding(&self, protocol: Protocol, address: Ipv4Addr, port: u16) -> u32 {
        let Some(place) = self.place(address) else { return NONE };
        let index = place << self.per_address_bits() | usize::from(port >> self.size.trailing_zeros());
        let Some(block) = &self.blocks[index] else { return NONE };
        let bindings = &block.bindings[protocol as usize];
        bindings.get(usize::from(port & (self.size - 1))).copied().unwrap_or(NONE)
    }

    /// The address and port of a slot.
    pub(super) fn address(&self, block: u32) -> Ipv4Addr {
        self.pool[block as usize >> self.per_address_bits()]
    }

    fn network(&self, address: Ipv6Addr) -> u128 {
        first_bits(address, self.length)
    }

    fn holder(&self, address: Ipv6Addr) -> u128 {
        first_bits(address, self.holder_length)
    }

    pub(super) fn subscriber(&self, address: Ipv6Addr) -> Option<u32> {
        let network = self.network(address);
        let same = |&index: &u32| self.subscribers[index as usize].network == network;
        self.by_network.find(self.key.network(network), same).copied()
    }

    pub(super) fn get(&self, subscriber: u32) -> &Subscriber {
        &self.subscribers[subscriber as usize]
    }

    pub(super) fn get_mut(&mut self, subscriber: u32) -> &mut Subscriber {
        &mut self.subscribers[subscriber as usize]
    }

    pub(super) fn subscribers(&self) -> usize {
        self.by_network.len()
    }

    /// A port for a source port of `address`: subscriber, block, port. Nothing is taken yet but the block.
    pub(super) fn allocate(
        &mut self,
        now: Duration,
        protocol: Protocol,
        address: Ipv6Addr,
        source: u16,
        actions: &mut Vec<Action>,
    ) -> Result<(u32, u32, u16), Discard> {
        let known = self.subscriber(address);
        let low = source < FIRST_HIGH;
        // RTP and RTCP know each other by it (RFC 4787 section 4.2.2).
        let parity = (protocol == Protocol::Udp).then_some(source & 1);
        let holder = self.holder(address);
        let found = self.in_blocks(known, holder, protocol, low, parity);
        let found = found.or_else(|| self.in_new_block(now, known, address, protocol, low, parity, actions));
        // What comes next keeps less than could be kept, but serves.
        let found = found.or_else(|| self.in_blocks(known, holder, protocol, low, None));
        let found =
            found.or_else(|| if low { self.in_blocks(known, holder, protocol, false, None) } else { None });
        let found = found.or_else(|| {
            if low { self.in_new_block(now, known, address, protocol, false, parity, actions) } else { None }
        });
        found.ok_or_else(|| match known {
            Some(known) if self.get(known).blocks.len() >= self.max_blocks => Discard::SubscriberPorts,
            _ if self.max_blocks == 0 => Discard::SubscriberPorts,
            _ => Discard::Ports,
        })
    }

    fn in_blocks(
        &mut self,
        subscriber: Option<u32>,
        holder: u128,
        protocol: Protocol,
        low: bool,
        parity: Option<u16>,
    ) -> Option<(u32, u32, u16)> {
        let subscriber = subscriber?;
        let count = self.get(subscriber).blocks.len();
        (0..count).find_map(|number| {
            let held = self.get(subscriber).blocks[number];
            let port = (held.holder == holder).then(|| self.free_port(held.block, protocol, low, parity));
            Some((subscriber, held.block, port??))
        })
    }

    /// A free port of a block: at random (RFC 6056), of this range and parity.
    fn free_port(&mut self, index: u32, protocol: Protocol, low: bool, parity: Option<u16>) -> Option<u16> {
        let first = (index as usize % self.per_address()) * usize::from(self.size);
        let block = self.blocks[index as usize].as_ref()?;
        let used = block.used[protocol as usize];
        let half = self.size / 2;
        let full = match parity {
            Some(parity) => used[usize::from(parity)] >= half,
            None => used[0] + used[1] >= self.size,
        };
        if full {
            return None;
        }
        let start = self.choose(usize::from(self.size)) as u16;
        let bindings = &self.blocks[index as usize].as_ref()?.bindings[protocol as usize];
        (0..self.size).map(|number| (start + number) % self.size).find_map(|slot| {
            let port = first as u16 + slot;
            let free = bindings.get(usize::from(slot)).is_none_or(|&binding| binding == NONE);
            let fits = parity.is_none_or(|parity| port & 1 == parity);
            (free && fits && self.range.contains(&port) && (port < FIRST_HIGH) == low).then_some(port)
        })
    }

    #[expect(clippy::too_many_arguments, reason = "all of what makes a choice")]
    fn in_new_block(
        &mut self,
        now: Duration,
        known: Option<u32>,
        address: Ipv6Addr,
        protocol: Protocol,
        low: bool,
        parity: Option<u16>,
        actions: &mut Vec<Action>,
    ) -> Option<(u32, u32, u16)> {
        let held = known.map_or(0, |known| self.get(known).blocks.len());
        if held >= self.max_blocks {
            return None;
        }
        let index = self.free_block(known, address, low)?;
        let subscriber = known.unwrap_or_else(|| self.add_subscriber(address));
        let holder = self.holder(address);
        self.blocks[index as usize] = Some(Box::new(Block {
            subscriber,
            holder,
            bindings: [Vec::new(), Vec::new(), Vec::new()],
            used: [[0; 2]; 3],
        }));
        self.get_mut(subscriber).blocks.push(Held { holder, block: index });
        self.blocks_used += 1;
        let port = self.free_port(index, protocol, low, parity);
        if port.is_none() {
            self.release_block(index);
            return None;
        }
        let ports = self.ports_of(index);
        let event = Event::BlockAllocated {
            subscriber: self.net(holder),
            address: self.address(index),
            ports,
            at: now,
        };
        actions.push(Action::Log(event));
        Some((subscriber, index, port?))
    }

    /// A block that is nobody's, of the address that the subscriber has already (RFC 4787 REQ-2), or that its
    /// prefix leads to; of another one where that is used up.
    fn free_block(&mut self, known: Option<u32>, address: Ipv6Addr, low: bool) -> Option<u32> {
        let per_address = self.per_address();
        let holder = self.holder(address);
        let held = known.map_or(&[][..], |known| &self.get(known).blocks);
        let own = held.iter().find(|held| held.holder == holder);
        let first = match own.or(held.first()) {
            Some(held) => held.block as usize / per_address,
            None => self.key.network(self.network(address)) as usize % self.pool.len(),
        };
        // A host comes back to where it was, if nobody is there: then the log of its ports is short.
        let start = match own {
            Some(_) => self.choose(per_address),
            None => self.key.network(!holder) as usize % per_address,
        };
        let fits = |number: usize| {
            let from = (number * usize::from(self.size)) as u16;
            let to = from + (self.size - 1);
            let (from, to) = (from.max(*self.range.start()), to.min(*self.range.end()));
            from <= to && if low { from < FIRST_HIGH } else { to >= FIRST_HIGH }
        };
        (0..self.pool.len()).map(|number| (first + number) % self.pool.len()).find_map(|pool| {
            (0..per_address)
                .map(|number| (start + number) % per_address)
                .find(|&number| fits(number) && self.blocks[pool * per_address + number].is_none())
                .map(|number| (pool * per_address + number) as u32)
        })
    }

    /// A number below `count`, a power of two, that nobody outside can foretell (RFC 6056).
    fn choose(&mut self, count: usize) -> usize {
        self.choices += 1;
        self.key.choice(self.choices) as usize % count
    }

    fn add_subscriber(&mut self, address: Ipv6Addr) -> u32 {
        let network = self.network(address);
        let subscriber = Subscriber { network, blocks: Vec::new(), sessions: 0 };
        let index = if let Some(index) = self.free.pop() {
            self.subscribers[index as usize] = subscriber;
            index
        } else {
            self.subscribers.push(subscriber);
            (self.subscribers.len() - 1) as u32
        };
        let (key, subscribers) = (self.key, &self.subscribers);
        self.by_network.insert_unique(key.network(network), index, |&index| {
            key.network(subscribers[index as usize].network)
        });
        index
    }

    /// Marks a port that was allocated.
    pub(super) fn take(&mut self, protocol: Protocol, block: u32, port: u16, binding: u32) {
        let (size, slot) = (usize::from(self.size), usize::from(port % self.size));
        let Some(block) = &mut self.blocks[block as usize] else { return };
        let bindings = &mut block.bindings[protocol as usize];
        if bindings.is_empty() {
            bindings.resize(size, NONE);
        }
        bindings[slot] = binding;
        block.used[protocol as usize][usize::from(port & 1)] += 1;
    }

    /// A port that is not used any more; its block, where it was the last one in it.
    pub(super) fn release(
        &mut self,
        now: Duration,
        protocol: Protocol,
        index: u32,
        port: u16,
        actions: &mut Vec<Action>,
    ) {
        let slot = usize::from(port % self.size);
        let Some(block) = &mut self.blocks[index as usize] else { return };
        block.bindings[protocol as usize][slot] = NONE;
        block.used[protocol as usize][usize::from(port & 1)] -= 1;
        if block.used.iter().flatten().any(|&used| used != 0) {
            return;
        }
        let holder = block.holder;
        let subscriber = self.net(holder);
        let (address, ports) = (self.address(index), self.ports_of(index));
        self.release_block(index);
        actions.push(Action::Log(Event::BlockReleased { subscriber, address, ports, at: now }));
    }

    fn release_block(&mut self, index: u32) {
        let Some(block) = self.blocks[index as usize].take() else { return };
        self.blocks_used -= 1;
        let subscriber = self.get_mut(block.subscriber);
        subscriber.blocks.retain(|held| held.block != index);
        if subscriber.blocks.is_empty() {
            let network = subscriber.network;
            let found = self.by_network.find_entry(self.key.network(network), |&i| i == block.subscriber);
            if let Ok(found) = found {
                found.remove();
                self.free.push(block.subscriber);
            }
        }
    }

    fn ports_of(&self, index: u32) -> RangeInclusive<u16> {
        let from = ((index as usize % self.per_address()) * usize::from(self.size)) as u16;
        let to = from + (self.size - 1);
        from.max(*self.range.start())..=to.min(*self.range.end())
    }

    fn net(&self, holder: u128) -> Ipv6Net {
        Ipv6Net::new_assert(Ipv6Addr::from_bits(holder), self.holder_length)
    }
}

/// The first so many bits of an address, the rest zero.
fn first_bits(address: Ipv6Addr, length: u8) -> u128 {
    address.to_bits() & !u128::MAX.checked_shr(length.into()).unwrap_or(0)
}
