//! Traffic control: the kernel's queues (qdiscs).
//!
//! The numbers are those of `linux/pkt_sched.h`, part of the kernel's stable interface.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkInfo};
use netlink_packet_route::tc::{TcHandle, TcMessage};
use nix::errno::Errno;

use super::traffic::{Attributes, OPTIONS, message};
use super::{ATTEMPTS, Error, Netlink};

/// How a link cuts what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer {
    /// Not at all.
    Plain = 0,
    /// Cells of 53 octets (ATM).
    Atm = 1,
    /// 65 octets for 64 (PTM).
    Ptm = 2,
}

/// Who gets an equal share (`CAKE_FLOW_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Each flow.
    Flows = 4,
    /// Each source, and of it each flow.
    Sources = 5,
    /// Each destination, and of it each flow.
    Destinations = 6,
    /// Both.
    Both = 7,
}

/// A queue of the kind `cake`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cake {
    /// Bits a second.
    pub rate: u64,
    /// Four tins by DSCP; else one.
    pub diffserv4: bool,
    /// Who gets an equal share.
    pub hosts: Hosts,
    /// Look behind NAT for hosts.
    pub nat: bool,
    /// Octets that the link adds to an IP packet.
    pub overhead: i32,
    /// The least that a packet takes, in octets.
    pub mpu: u32,
    /// How the link cuts what it carries.
    pub layer: LinkLayer,
    /// A usual round trip, in microseconds.
    pub rtt: u32,
    /// The bottleneck lies before it.
    pub ingress: bool,
    /// Leave out superfluous acknowledgements.
    pub ack_filter: bool,
    /// Cut superpackets.
    pub split: bool,
}

impl Cake {
    fn options(&self) -> Attributes {
        const BESTEFFORT: u32 = 3;
        const DIFFSERV4: u32 = 1;
        let flag = u32::from;
        Attributes::default()
            .bytes(2, &(self.rate / 8).to_ne_bytes())
            .u32(3, if self.diffserv4 { DIFFSERV4 } else { BESTEFFORT })
            .u32(4, self.layer as u32)
            .u32(5, self.hosts as u32)
            .u32(6, self.overhead.cast_unsigned())
            .u32(14, self.mpu)
            .u32(7, self.rtt)
            // As tc does: a twentieth.
            .u32(8, (self.rtt / 20).max(1))
            .u32(9, 0)
            .u32(11, flag(self.nat))
            .u32(13, 0)
            .u32(17, flag(self.split))
            .u32(15, flag(self.ingress))
            .u32(16, flag(self.ack_filter))
    }
}

/// A queue of the kind `fq_codel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FqCodel {
    /// In microseconds.
    pub target: u32,
    /// In microseconds.
    pub interval: u32,
    /// Mark rather than drop.
    pub ecn: bool,
    /// Octets a flow may send in its turn.
    pub quantum: u32,
    /// Octets of memory.
    pub memory: u32,
}

impl FqCodel {
    fn options(&self) -> Attributes {
        Attributes::default()
            .u32(6, self.quantum)
            .u32(3, self.interval)
            .u32(1, self.target)
            .u32(4, u32::from(self.ecn))
            .u32(9, self.memory)
    }
}

/// A class of an `htb`, which shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Bits a second; up to 34 thousand million.
    pub rate: u64,
    /// Octets that may leave at once.
    pub burst: u32,
    /// Octets that the link adds to an Ethernet frame.
    pub overhead: u16,
    /// The least that a frame takes, in octets.
    pub mpu: u16,
    /// Whether it cuts them into cells (ATM).
    pub atm: bool,
}

impl Class {
    fn options(&self) -> Attributes {
        const PARAMETERS: u16 = 1;
        /// Nanoseconds of a tick of the packet scheduler (`PSCHED_SHIFT`).
        const TICK: u64 = 64;
        let octets = self.rate / 8;
        // `struct tc_ratespec`: cell log, link layer (so that no table of rates is needed), overhead, alignment, mpu, rate.
        let mut rate = vec![3, if self.atm { 2 } else { 1 }];
        rate.extend(self.overhead.to_ne_bytes());
        rate.extend((-1_i16).to_ne_bytes());
        rate.extend(self.mpu.to_ne_bytes());
        rate.extend(u32::try_from(octets).unwrap_or(u32::MAX).to_ne_bytes());
        let time = u64::from(self.burst) * 1_000_000_000 / octets.max(1);
        let burst = u32::try_from(time / TICK).unwrap_or(u32::MAX);
        // `struct tc_htb_opt`: rate, ceiling, both bursts, quantum, level, priority.
        let mut options = [rate.clone(), rate].concat();
        for word in [burst, burst, 0, 0, 0] {
            options.extend(word.to_ne_bytes());
        }
        Attributes::default().bytes(PARAMETERS, &options)
    }
}

/// A queue as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// Its kind.
    pub kind: String,
    /// The number that somebody gave it, 0 for the kernel's own choice.
    pub handle: u16,
    /// Its options as the kernel tells them, which it takes again.
    options: Vec<u8>,
    /// `TCA_STATS2`.
    statistics: Vec<u8>,
}

/// A tin of a `cake`, or the whole of another queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TinStats {
    /// Packets sent, and their octets.
    pub packets: u64,
    /// As the queue counts them.
    pub octets: u64,
    /// Packets dropped.
    pub dropped: u64,
    /// Packets marked.
    pub marked: u64,
    /// Acknowledgements left out.
    pub acks: u64,
    /// Packets that wait.
    pub backlog: u64,
    /// Its share of the rate, in bits a second; 0 where it has none.
    pub rate: u64,
    /// What packets waited of late, in microseconds: peaks, and an average.
    pub peak: u64,
    /// The average.
    pub average: u64,
    /// Flows that send little, and those that send much.
    pub sparse: u64,
    /// Those that send much.
    pub bulk: u64,
}

impl Qdisc {
    fn parse(message: &[u8]) -> Option<(u32, u32, Self)> {
        // Behind netlink's header: `struct tcmsg`.
        let word = |at: usize| Some(u32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?));
        let (index, handle, parent) = (word(20)?, word(24)?, word(28)?);
        let attributes = message.get(36..)?;
        let kind = attribute(attributes, 1)?;
        let kind = String::from_utf8_lossy(kind.strip_suffix(&[0]).unwrap_or(kind)).into_owned();
        let part = |kind| attribute(attributes, kind).unwrap_or_default().to_vec();
        let qdisc = Self { kind, handle: (handle >> 16) as u16, options: part(OPTIONS), statistics: part(7) };
        Some((index, parent, qdisc))
    }

    /// Whether the kernel takes its options again as it tells them, so that it can be put back.
    pub fn can_be_put_back(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "fq_codel" | "fq" | "codel" | "pie" | "fq_pie" | "pfifo" | "bfifo" | "cake"
        )
    }

    /// The rate of a `cake`, in bits a second.
    pub fn cake_rate(&self) -> Option<u64> {
        let rate = attribute(&self.options, 2).filter(|_| self.kind == "cake")?;
        Some(u64::from_ne_bytes(rate.try_into().ok()?) * 8)
    }

    /// Packets that wait in it, and their octets (`struct gnet_stats_queue`).
    pub fn waiting(&self) -> (u32, u32) {
        let queue = attribute(&self.statistics, 3).unwrap_or_default();
        let word =
            |at: usize| queue.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
        (word(0).unwrap_or_default(), word(4).unwrap_or_default())
    }

    /// What it counted: one for each tin of a `cake`, else one for all.
    pub fn tins(&self) -> Vec<TinStats> {
        let app = attribute(&self.statistics, 4).unwrap_or_default();
        if self.kind == "cake" {
            let tins = attribute(app, 10).unwrap_or_default();
            return (1..=8).map_while(|number| attribute(tins, number)).map(cake_tin).collect();
        }
        let word = |part: u16, at: usize| {
            let part = attribute(&self.statistics, part)?;
            Some(u64::from(u32::from_ne_bytes(part.get(at..at + 4)?.try_into().ok()?)))
        };
        let octets = attribute(&self.statistics, 1).and_then(|basic| basic.first_chunk::<8>());
        let mut tin = TinStats {
            octets: octets.map_or(0, |octets| u64::from_ne_bytes(*octets)),
            packets: word(1, 8).unwrap_or_default(),
            backlog: word(3, 0).unwrap_or_default(),
            dropped: word(3, 8).unwrap_or_default(),
            ..TinStats::default()
        };
        if self.kind == "fq_codel" {
            // `struct tc_fq_codel_xstats`: type, then maxpacket, drop_overlimit, ecn_mark, new_flow_count, new and old flows.
            let word =
                |at: usize| app.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
            tin.marked = word(12).unwrap_or_default().into();
            tin.sparse = word(20).unwrap_or_default().into();
            tin.bulk = word(24).unwrap_or_default().into();
        }
        vec![tin]
    }
}

fn cake_tin(tin: &[u8]) -> TinStats {
    let number = |kind: u16| {
        let value = attribute(tin, kind).unwrap_or_default();
        match value.len() {
            4 => value.try_into().map(u32::from_ne_bytes).unwrap_or_default().into(),
            _ => value.try_into().map(u64::from_ne_bytes).unwrap_or_default(),
        }
    };
    let (dropped, acks) = (number(4), number(6));
    TinStats {
        packets: number(2),
        octets: number(3),
        // Filtered acknowledgements are in both.
        dropped: dropped.saturating_sub(acks),
        acks,
        marked: number(8),
        backlog: number(10),
        rate: number(12).saturating_mul(8),
        peak: number(18),
        average: number(19),
        sparse: number(21),
        bulk: number(22),
    }
}

/// The value of the first attribute of this kind.
fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    const KIND: u16 = 0x3fff;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..length)?;
        if kind & KIND == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

const ROOT: TcHandle = TcHandle::ROOT;

fn major(major: u16) -> TcHandle {
    TcHandle { major, minor: 0 }
}

impl Netlink {
    /// The queue at an interface's root. `None`: it has none.
    pub fn root_queue(&mut self, interface: u32) -> Result<Option<Qdisc>, Error> {
        Ok(self
            .queues(interface)?
            .into_iter()
            .find(|(parent, _)| *parent == u32::MAX)
            .map(|(_, queue)| queue))
    }

    /// The queues of an interface, with what each hangs on: `u32::MAX` is the root, other numbers are classes.
    pub fn queues(&mut self, interface: u32) -> Result<Vec<(u32, Qdisc)>, Error> {
        let request = TcMessage::with_index(interface.cast_signed());
        let what = || format!("list the queues of interface {interface}");
        for _ in 0..ATTEMPTS {
            let request = RouteNetlinkMessage::GetQueueDiscipline(request.clone());
            let (answers, interrupted) = self.exchange_raw(request, NLM_F_REQUEST | NLM_F_DUMP, &what)?;
            if interrupted {
                continue;
            }
            // Kernels may tell of all interfaces.
            let parsed = answers.iter().filter_map(|answer| Qdisc::parse(answer));
            return Ok(parsed
                .filter(|(index, ..)| *index == interface)
                .map(|(_, parent, queue)| (parent, queue))
                .collect());
        }
        Err(Error::Restless { what: what() })
    }

    fn set_queue(
        &mut self,
        interface: u32,
        parent: TcHandle,
        handle: u16,
        kind: &str,
        options: Option<Attributes>,
    ) -> Result<(), Error> {
        let queue = message(interface, parent, major(handle), kind, options);
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.change(RouteNetlinkMessage::NewQueueDiscipline(queue), flags, &|| {
            format!("give interface {interface} the queue {kind} (is the module sch_{kind} there?)")
        })
    }

    /// Gives an interface a `cake` at its root, in the place of what is there; or changes the one of the same number.
    pub fn set_cake(&mut self, interface: u32, handle: u16, cake: &Cake) -> Result<(), Error> {
        self.set_queue(interface, ROOT, handle, "cake", Some(cake.options()))
    }

    /// Gives an interface an `htb` at its root with one class for all, and under it an `fq_codel` or, where there is none, what the
    /// kernel gives by itself.
    pub fn set_htb(
        &mut self,
        interface: u32,
        handle: u16,
        class: &Class,
        leaf: Option<&FqCodel>,
    ) -> Result<(), Error> {
        // `TCA_HTB_INIT`, `struct tc_htb_glob`: version, rate to quantum, class for what is not classified, two more.
        let words: Vec<u8> = [3_u32, 10, 1, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        let options = Attributes::default().bytes(2, &words);
        // An htb cannot be changed: it is made anew.
        self.delete_root_queue(interface)?;
        self.set_queue(interface, ROOT, handle, "htb", Some(options))?;
        self.set_class(interface, handle, class)?;
        match leaf {
            Some(leaf) => {
                let under = TcHandle { major: handle, minor: 1 };
                self.set_queue(interface, under, handle + 1, "fq_codel", Some(leaf.options()))
            }
            None => Ok(()),
        }
    }

    /// Changes the class of such an `htb`; what waits stays.
    pub fn set_class(&mut self, interface: u32, handle: u16, class: &Class) -> Result<(), Error> {
        let one = TcHandle { major: handle, minor: 1 };
        let class = message(interface, major(handle), one, "htb", Some(class.options()));
        self.change(RouteNetlinkMessage::NewTrafficClass(class), NLM_F_CREATE, &|| {
            format!("set the rate of interface {interface}")
        })
    }

    /// Takes the queue at an interface's root away: the kernel puts its own there. `false`: it was the kernel's own.
    pub fn delete_root_queue(&mut self, interface: u32) -> Result<bool, Error> {
        let mut message = TcMessage::with_index(interface.cast_signed());
        message.header.parent = ROOT;
        let absent = [Errno::ENOENT, Errno::EINVAL, Errno::ENODEV];
        self.remove(RouteNetlinkMessage::DelQueueDiscipline(message), &absent, &|| {
            format!("take the queue of interface {interface} away")
        })
    }

    /// Puts a queue back at an interface's root as it was, with its number.
    pub fn put_queue_back(&mut self, interface: u32, queue: &Qdisc) -> Result<(), Error> {
        let options = (!queue.options.is_empty()).then(|| Attributes(queue.options.clone()));
        self.set_queue(interface, ROOT, queue.handle, &queue.kind, options)
    }

    /// Makes an `ifb`, an interface whose packets go back to where they were led away.
    pub fn add_ifb(&mut self, name: &str) -> Result<(), Error> {
        self.add_link(name, vec![LinkInfo::Kind(InfoKind::Ifb)])
    }
}

#[cfg(test)]
mod tests;
