//! Traffic control: classifiers that lead packets from one interface to another.
//!
//! What is sent is what `tc` of iproute2 sends; the numbers are those of `linux/pkt_sched.h`, `pkt_cls.h` and
//! `tc_act/tc_mirred.h`, part of the kernel's stable interface.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use nix::errno::Errno;

use super::{Error, Netlink};

/// `TCA_KIND` is the packet crate's; this is `TCA_OPTIONS`.
pub(super) const OPTIONS: u16 = 2;

/// A run of netlink attributes, their values in the machine's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes(pub(super) Vec<u8>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(super) fn nested(self, kind: u16, value: &Self) -> Self {
        self.bytes(kind, &value.0)
    }
}

/// Where a redirected packet goes on: `TCA_EGRESS_REDIR` and `TCA_INGRESS_REDIR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirect {
    /// Out of the interface.
    Leaving = 1,
    /// As if it had arrived there.
    Arriving = 3,
}

/// Which of an interface's packets a classifier sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packets {
    /// Those that leave.
    Leaving,
    /// Those that arrive.
    Arriving,
}

impl Packets {
    /// The hooks of the qdisc `clsact` (`TC_H_MIN_EGRESS`, `TC_H_MIN_INGRESS`).
    fn parent(self) -> TcHandle {
        let minor = match self {
            Self::Leaving => TcHandle::MIN_EGRESS,
            Self::Arriving => TcHandle::MIN_INGRESS,
        };
        TcHandle { major: u16::MAX, minor }
    }
}

/// A request about the interface of this number.
pub(super) fn message(
    interface: u32,
    parent: TcHandle,
    handle: TcHandle,
    kind: &str,
    options: Option<Attributes>,
) -> TcMessage {
    let mut message = TcMessage::with_index(interface.cast_signed());
    (message.header.parent, message.header.handle) = (parent, handle);
    message.attributes.push(TcAttribute::Kind(kind.to_owned()));
    message.attributes.extend(options.map(|options| TcAttribute::Other(DefaultNla::new(OPTIONS, options.0))));
    message
}

/// The action: `mirred`, which takes the packet away.
fn action(to: u32, how: Redirect) -> Attributes {
    const KIND: u16 = 1;
    const ACTION_OPTIONS: u16 = 2;
    const PARAMETERS: u16 = 2;
    const NESTED: u16 = 0x8000;
    const STOLEN: u32 = 4;
    // `struct tc_mirred`: index, capabilities, action, two counts, what to do, the interface.
    let parameters: Vec<u8> =
        [0, 0, STOLEN, 0, 0, how as u32, to].into_iter().flat_map(u32::to_ne_bytes).collect();
    let options = Attributes::default().bytes(PARAMETERS, &parameters);
    let action = Attributes::default().bytes(KIND, b"mirred\0").nested(ACTION_OPTIONS | NESTED, &options);
    // The first of a list.
    Attributes::default().nested(1, &action)
}

/// The classifier `u32` with one key that matches everything.
fn u32_all(action: &Attributes) -> Attributes {
    const ACTIONS: u16 = 7;
    const SELECTOR: u16 = 5;
    // `struct tc_u32_sel`: flags (TC_U32_TERMINAL), offset shift, number of keys; and one `tc_u32_key` of zeros.
    let mut selector = [0; 32];
    (selector[0], selector[2]) = (1, 1);
    Attributes::default().nested(ACTIONS, action).bytes(SELECTOR, &selector)
}

/// The classifier `matchall`.
fn match_all(action: &Attributes) -> Attributes {
    const ACTIONS: u16 = 2;
    Attributes::default().nested(ACTIONS, action)
}

impl Netlink {
    /// Leads all packets that leave or arrive at one interface to another. Whichever classifier the kernel has does it:
    /// `matchall`, or `u32`. It ends with either interface, or by [`Netlink::release`].
    ///
    /// # Errors
    /// What the kernel says; also where the interface has a qdisc `clsact` or `ingress` already.
    pub fn redirect(&mut self, interface: u32, which: Packets, to: u32, how: Redirect) -> Result<(), Error> {
        let clsact =
            message(interface, TcHandle::CLSACT, TcHandle { major: u16::MAX, minor: 0 }, "clsact", None);
        let request = RouteNetlinkMessage::NewQueueDiscipline(clsact);
        self.change(request, NLM_F_CREATE | NLM_F_EXCL, &|| {
            format!("add clsact to interface {interface} (is the module sch_ingress there?)")
        })?;
        let action = action(to, how);
        let first = self.classify(interface, which, "matchall", match_all(&action));
        match first {
            // ENOENT: no such classifier; there may be u32.
            Err(Error::Refused { source: Errno::ENOENT | Errno::EOPNOTSUPP, .. }) => {
                self.classify(interface, which, "u32", u32_all(&action))
            }
            other => other,
        }
    }

    fn classify(
        &mut self,
        interface: u32,
        which: Packets,
        kind: &str,
        options: Attributes,
    ) -> Result<(), Error> {
        const PRIORITY: u32 = 1;
        let mut filter = message(interface, which.parent(), TcHandle::UNSPEC, kind, Some(options));
        filter.header.info = PRIORITY << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
        self.change(RouteNetlinkMessage::NewTrafficFilter(filter), NLM_F_CREATE | NLM_F_EXCL, &|| {
            format!("redirect the packets of interface {interface} by {kind} and act_mirred")
        })
    }

    /// Takes the qdisc `clsact` of an interface away, and what [`Netlink::redirect`] made with it. `false`: there was none.
    pub fn release(&mut self, interface: u32) -> Result<bool, Error> {
        let clsact =
            message(interface, TcHandle::CLSACT, TcHandle { major: u16::MAX, minor: 0 }, "clsact", None);
        let absent = [Errno::ENOENT, Errno::EINVAL, Errno::ENODEV];
        self.remove(RouteNetlinkMessage::DelQueueDiscipline(clsact), &absent, &|| {
            format!("take clsact of interface {interface} away")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tc filter add dev va egress prio 1 protocol all u32 match u32 0 0 action mirred ingress redirect dev vb` sends for its
    /// options (iproute2 6.1), vb being interface 2; and `matchall` with `mirred egress redirect`.
    #[test]
    fn sends_what_tc_sends() {
        let mirred = |how: u8| {
            let mut octets = vec![0x34, 0, 1, 0, 0x0b, 0, 1, 0];
            octets.extend(b"mirred\0\0");
            octets.extend([0x24, 0, 2, 0x80, 0x20, 0, 2, 0]);
            octets.extend([
                0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, how, 0, 0, 0, 2, 0, 0, 0,
            ]);
            octets
        };
        if cfg!(target_endian = "big") {
            return;
        }
        let mut expected = vec![0x38, 0, 7, 0];
        expected.extend(mirred(3));
        expected.extend([0x24, 0, 5, 0, 1, 0, 1, 0]);
        expected.extend([0; 28]);
        assert_eq!(u32_all(&action(2, Redirect::Arriving)).0, expected);
        let mut expected = vec![0x38, 0, 2, 0];
        expected.extend(mirred(1));
        assert_eq!(match_all(&action(2, Redirect::Leaving)).0, expected);
    }
}
