//! The bytes of nf_tables: netlink messages, attributes and expressions.
//!
//! Netlink's own headers and attribute headers are in host order; every integer inside an nf_tables attribute
//! is in network order. The numbers are the kernel's (`linux/netfilter/nf_tables.h`, `nfnetlink.h`), part of
//! its stable interface.

use std::net::Ipv6Addr;

use ipnet::{Ipv4Net, Ipv6Net};

/// Address families of tables (`NFPROTO_*`).
pub(super) const NFPROTO_UNSPEC: u8 = 0;
pub(super) const NFPROTO_INET: u8 = 1;
pub(super) const NFPROTO_IPV4: u8 = 2;
pub(super) const NFPROTO_NETDEV: u8 = 5;
pub(super) const NFPROTO_IPV6: u8 = 10;

/// Messages of the nf_tables subsystem.
pub(super) mod message {
    pub(in super::super) const NEWTABLE: u8 = 0;
    pub(in super::super) const DELTABLE: u8 = 2;
    pub(in super::super) const NEWCHAIN: u8 = 3;
    pub(in super::super) const GETCHAIN: u8 = 4;
    pub(in super::super) const NEWRULE: u8 = 6;
    pub(in super::super) const GETRULE: u8 = 7;
    pub(in super::super) const DELRULE: u8 = 8;
    pub(in super::super) const NEWOBJ: u8 = 18;
    pub(in super::super) const GETOBJ: u8 = 19;
    pub(in super::super) const DELOBJ: u8 = 20;
}

/// Attributes of tables, chains, rules and objects that we write or read.
pub(super) mod attribute {
    pub(in super::super) const TABLE_NAME: u16 = 1;
    pub(in super::super) const TABLE_FLAGS: u16 = 2;
    pub(in super::super) const CHAIN_TABLE: u16 = 1;
    pub(in super::super) const CHAIN_NAME: u16 = 3;
    pub(in super::super) const CHAIN_HOOK: u16 = 4;
    pub(in super::super) const CHAIN_POLICY: u16 = 5;
    pub(in super::super) const CHAIN_TYPE: u16 = 7;
    pub(in super::super) const HOOK_NUMBER: u16 = 1;
    pub(in super::super) const HOOK_PRIORITY: u16 = 2;
    pub(in super::super) const HOOK_DEVICE: u16 = 3;
    pub(in super::super) const RULE_TABLE: u16 = 1;
    pub(in super::super) const RULE_CHAIN: u16 = 2;
    pub(in super::super) const RULE_EXPRESSIONS: u16 = 4;
    pub(in super::super) const RULE_USERDATA: u16 = 7;
    pub(in super::super) const OBJECT_TABLE: u16 = 1;
    pub(in super::super) const OBJECT_NAME: u16 = 2;
    pub(in super::super) const OBJECT_TYPE: u16 = 3;
    pub(in super::super) const OBJECT_DATA: u16 = 4;
    pub(in super::super) const COUNTER_BYTES: u16 = 1;
    pub(in super::super) const COUNTER_PACKETS: u16 = 2;
    pub(in super::super) const LIST_ELEMENT: u16 = 1;
    pub(in super::super) const EXPRESSION_NAME: u16 = 1;
    pub(in super::super) const EXPRESSION_DATA: u16 = 2;
}

/// Flags of netlink requests.
pub(super) mod flag {
    pub(in super::super) const REQUEST: u16 = 0x01;
    pub(in super::super) const ACK: u16 = 0x04;
    /// `NLM_F_ROOT | NLM_F_MATCH`.
    pub(in super::super) const DUMP: u16 = 0x300;
    pub(in super::super) const EXCLUSIVE: u16 = 0x200;
    pub(in super::super) const CREATE: u16 = 0x400;
    pub(in super::super) const APPEND: u16 = 0x800;
}

/// `NFT_OBJECT_COUNTER`.
pub(super) const OBJECT_COUNTER: u32 = 1;
/// `NF_ACCEPT`, also as a chain's policy.
pub(super) const NF_ACCEPT: u32 = 1;
/// `NFNL_SUBSYS_NFTABLES`.
pub(super) const SUBSYSTEM: u8 = 10;

const NF_DROP: u32 = 0;
// NFT_GOTO is -4.
const NFT_GOTO: u32 = (-4_i32).cast_unsigned();
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// The first register that holds data; verdicts go to register 0.
const REGISTER: u32 = 1;
/// `IFNAMSIZ`: interface names are compared with their padding.
const INTERFACE_NAME: usize = 16;

/// A run of netlink attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// Appends `value` as attribute `kind`, padded to four bytes.
    ///
    /// Nothing that we encode comes near the format's limit of 65,531 bytes: rules are bounded by their
    /// expressions, names by the kernel's `NFT_NAME_MAXLEN` and by [`super::rules`].
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        debug_assert!(value.len() < usize::from(u16::MAX) - 4);
        self.0.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A string, with the terminating zero that the kernel's `NLA_STRING` tolerates and `nft` writes.
    pub(super) fn string(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    pub(super) fn u8(self, kind: u16, value: u8) -> Self {
        self.bytes(kind, &[value])
    }

    pub(super) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn u64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(super) fn nested(self, kind: u16, value: &Self) -> Self {
        self.bytes(kind | NESTED, &value.0)
    }
}

/// Appends one message of the nf_tables subsystem to `out`.
pub(super) fn message(
    out: &mut Vec<u8>,
    kind: u8,
    family: u8,
    flags: u16,
    sequence: u32,
    attributes: &Attributes,
) {
    raw_message(
        out,
        u16::from(SUBSYSTEM) << 8 | u16::from(kind),
        family,
        0,
        flags | flag::REQUEST,
        sequence,
        &attributes.0,
    );
}

fn raw_message(
    out: &mut Vec<u8>,
    kind: u16,
    family: u8,
    resource: u16,
    flags: u16,
    sequence: u32,
    body: &[u8],
) {
    // nlmsghdr is 16 bytes, nfgenmsg 4.
    out.extend_from_slice(&((20 + body.len()) as u32).to_ne_bytes());
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&flags.to_ne_bytes());
    out.extend_from_slice(&sequence.to_ne_bytes());
    out.extend_from_slice(&0_u32.to_ne_bytes());
    out.extend_from_slice(&[family, 0]);
    out.extend_from_slice(&resource.to_be_bytes());
    out.extend_from_slice(body);
}

/// Changes that the kernel makes all at once or not at all.
///
/// Messages are numbered from 1 on, so that an error's sequence number names the step it is about.
#[derive(Debug)]
pub(super) struct Batch {
    family: u8,
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

/// What one message of a [`Batch`] does, for people to read when it fails.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// For example `add rule "…" to chain wan-input`.
    pub(super) name: String,
    /// Kernel modules that it needs besides `nf_tables`.
    pub(super) modules: Vec<&'static str>,
}

impl Batch {
    /// Of the family `inet`.
    pub(super) fn new() -> Self {
        Self::of(NFPROTO_INET)
    }

    /// Of the family of this number.
    pub(super) fn of(family: u8) -> Self {
        let mut bytes = Vec::new();
        let steps = vec![Step { name: "begin a transaction".into(), modules: Vec::new() }];
        raw_message(&mut bytes, BATCH_BEGIN, NFPROTO_UNSPEC, SUBSYSTEM.into(), flag::REQUEST, 1, &[]);
        Self { family, bytes, steps }
    }

    /// Adds a change. Each asks for an acknowledgement.
    pub(super) fn push(&mut self, kind: u8, flags: u16, attributes: &Attributes, step: Step) {
        self.steps.push(step);
        let sequence = self.steps.len() as u32;
        message(&mut self.bytes, kind, self.family, flags | flag::ACK, sequence, attributes);
    }

    /// Adds a table that goes with the socket that the batch is sent by, and thus with the process, however that
    /// ends (`NFT_TABLE_F_OWNER`, Linux 5.12). One of the same name is an error.
    pub(super) fn owned_table(&mut self, table: &str) {
        const OWNER: u32 = 2;
        let owned =
            Attributes::default().string(attribute::TABLE_NAME, table).u32(attribute::TABLE_FLAGS, OWNER);
        let step = Step { name: format!("add the table {table}"), modules: Vec::new() };
        self.push(message::NEWTABLE, flag::CREATE | flag::EXCLUSIVE, &owned, step);
    }

    /// Adds a base chain of the type `filter` that accepts, at `hook` of this number and priority; of one device, where the family
    /// has hooks of devices.
    pub(super) fn base_chain(
        &mut self,
        table: &str,
        chain: &str,
        hook: u32,
        priority: i32,
        device: Option<&str>,
    ) {
        let mut at = Attributes::default()
            .u32(attribute::HOOK_NUMBER, hook)
            .u32(attribute::HOOK_PRIORITY, priority.cast_unsigned());
        if let Some(device) = device {
            at = at.string(attribute::HOOK_DEVICE, device);
        }
        let attributes = Attributes::default()
            .string(attribute::CHAIN_TABLE, table)
            .string(attribute::CHAIN_NAME, chain)
            .nested(attribute::CHAIN_HOOK, &at)
            .u32(attribute::CHAIN_POLICY, NF_ACCEPT)
            .string(attribute::CHAIN_TYPE, "filter");
        let step = Step { name: format!("add chain {chain}"), modules: Vec::new() };
        self.push(message::NEWCHAIN, flag::CREATE, &attributes, step);
    }

    /// The finished bytes, and the steps: message number `n` is `steps[n - 1]`.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<Step>) {
        let end = self.steps.len() as u32 + 1;
        raw_message(&mut self.bytes, BATCH_END, NFPROTO_UNSPEC, SUBSYSTEM.into(), flag::REQUEST, end, &[]);
        (self.bytes, self.steps)
    }
}

/// How a value is compared (`enum nft_cmp_ops`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Compare {
    Equal = 0,
    Unequal = 1,
    AtMost = 3,
    AtLeast = 5,
}

/// Where [`Rule::payload`] counts from (`enum nft_payload_bases`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Base {
    Network = 1,
    Transport = 2,
}

/// What [`Rule::meta`] looks at (`enum nft_meta_keys`).
#[derive(Clone, Copy, Debug)]
pub(super) enum Meta {
    /// What the link's header says is within, two bytes.
    LinkProtocol = 1,
    /// The packet's mark, four bytes in the machine's order.
    Mark = 3,
    InputName = 6,
    OutputName = 7,
    /// The packet's own family, one byte.
    Family = 15,
    /// The protocol after all IPv6 extension headers, one byte.
    Protocol = 16,
    /// Whom the link's header addresses, one byte (`PACKET_HOST` and others of `linux/if_packet.h`).
    Addressee = 19,
}

/// One rule: expressions that are evaluated from left to right until one does not match.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) chain: &'static str,
    pub(super) comment: String,
    expressions: Attributes,
    modules: Vec<&'static str>,
}

impl Rule {
    /// An empty rule; `comment` says what it is for and is shown by `nft list ruleset`.
    pub(super) fn new(chain: &'static str, comment: impl Into<String>) -> Self {
        Self { chain, comment: comment.into(), expressions: Attributes::default(), modules: Vec::new() }
    }

    fn expression(mut self, name: &str, data: &Attributes) -> Self {
        let expression = Attributes::default()
            .string(attribute::EXPRESSION_NAME, name)
            .nested(attribute::EXPRESSION_DATA, data);
        self.expressions = self.expressions.nested(attribute::LIST_ELEMENT, &expression);
        self
    }

    fn needs(mut self, module: &'static str) -> Self {
        if !self.modules.contains(&module) {
            self.modules.push(module);
        }
        self
    }

    fn compare(self, how: Compare, value: &[u8]) -> Self {
        let data = Attributes::default()
            .u32(1, REGISTER)
            .u32(2, how as u32)
            .nested(3, &Attributes::default().bytes(1, value));
        self.expression("cmp", &data)
    }

    fn mask(self, mask: &[u8]) -> Self {
        let data = Attributes::default()
            .u32(1, REGISTER)
            .u32(2, REGISTER)
            .u32(3, mask.len() as u32)
            .nested(4, &Attributes::default().bytes(1, mask))
            .nested(5, &Attributes::default().bytes(1, &vec![0; mask.len()]));
        self.expression("bitwise", &data)
    }

    fn load_meta(self, key: Meta) -> Self {
        self.expression("meta", &Attributes::default().u32(1, REGISTER).u32(2, key as u32))
    }

    fn load_payload(self, base: Base, offset: u32, length: u32) -> Self {
        let data = Attributes::default().u32(1, REGISTER).u32(2, base as u32).u32(3, offset).u32(4, length);
        self.expression("payload", &data)
    }

    /// The packet's meta information equals `value`.
    pub(super) fn meta(self, key: Meta, value: &[u8]) -> Self {
        self.load_meta(key).compare(Compare::Equal, value)
    }

    /// The packet came in from (or goes out to) the interface of this name. Names, unlike indexes, survive an
    /// interface that goes and comes back.
    pub(super) fn interface(self, key: Meta, name: &str) -> Self {
        let mut padded = [0_u8; INTERFACE_NAME];
        for (to, from) in padded.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        self.meta(key, &padded)
    }

    /// The packet is IPv6.
    pub(super) fn ipv6(self) -> Self {
        self.meta(Meta::Family, &[NFPROTO_IPV6])
    }

    /// The packet is IPv4.
    pub(super) fn ipv4(self) -> Self {
        self.meta(Meta::Family, &[NFPROTO_IPV4])
    }

    /// The packet is IPv4, from a source in `prefix`.
    pub(super) fn source_v4(self, prefix: Ipv4Net) -> Self {
        self.ipv4()
            .load_payload(Base::Network, 12, 4)
            .mask(&prefix.netmask().octets())
            .compare(Compare::Equal, &prefix.network().octets())
    }

    /// The packet, and its connection, leaves with the address of the interface that it leaves by.
    pub(super) fn masquerade(self) -> Self {
        self.needs("nft_masq").needs("nft_chain_nat").expression("masq", &Attributes::default())
    }

    /// Connection tracking leaves the packet alone.
    pub(super) fn untracked(self) -> Self {
        self.needs("nft_ct").expression("notrack", &Attributes::default())
    }

    /// The upper-layer protocol is `number`.
    pub(super) fn protocol(self, number: u8) -> Self {
        self.meta(Meta::Protocol, &[number])
    }

    /// Bytes of the packet compare with `value` as said.
    pub(super) fn payload(self, base: Base, offset: u32, how: Compare, value: &[u8]) -> Self {
        self.load_payload(base, offset, value.len() as u32).compare(how, value)
    }

    /// The address at `offset` of the IPv6 header is in `prefix`. Only after [`Rule::ipv6`].
    fn address(self, offset: u32, prefix: Ipv6Net) -> Self {
        let network = prefix.network().octets();
        let length = usize::from(prefix.prefix_len());
        match (length / 8, length % 8) {
            (0, 0) => self,
            (whole, 0) => {
                self.payload(Base::Network, offset, Compare::Equal, network.get(..whole).unwrap_or(&network))
            }
            _ => self
                .load_payload(Base::Network, offset, 16)
                .mask(&prefix.netmask().octets())
                .compare(Compare::Equal, &network),
        }
    }

    /// The source address is in `prefix`. Only after [`Rule::ipv6`].
    pub(super) fn source(self, prefix: Ipv6Net) -> Self {
        self.address(8, prefix)
    }

    /// The source address is `::`. Only after [`Rule::ipv6`].
    pub(super) fn source_unspecified(self) -> Self {
        self.payload(Base::Network, 8, Compare::Equal, &Ipv6Addr::UNSPECIFIED.octets())
    }

    /// The destination address is in `prefix`. Only after [`Rule::ipv6`].
    pub(super) fn destination(self, prefix: Ipv6Net) -> Self {
        self.address(24, prefix)
    }

    /// The hop limit is `value`. Only after [`Rule::ipv6`].
    pub(super) fn hop_limit(self, value: u8) -> Self {
        self.payload(Base::Network, 7, Compare::Equal, &[value])
    }

    /// Byte `offset` of the routing header equals (or does not equal) `value`; false without such a header.
    pub(super) fn routing_header(self, offset: u32, how: Compare, value: u8) -> Self {
        const ROUTING: u8 = 43;
        let data = Attributes::default()
            .u32(1, REGISTER)
            .u8(2, ROUTING)
            .u32(3, offset)
            .u32(4, 1)
            .u32(5, 0)
            .u32(6, 0);
        self.expression("exthdr", &data).compare(how, &[value])
    }

    /// An extension header of type `kind` is somewhere in the chain.
    pub(super) fn extension_header(self, kind: u8) -> Self {
        const PRESENT: u32 = 1;
        let data =
            Attributes::default().u32(1, REGISTER).u8(2, kind).u32(3, 0).u32(4, 1).u32(5, PRESENT).u32(6, 0);
        self.expression("exthdr", &data).compare(Compare::Equal, &[1])
    }

    /// Connection tracking says one of `states`: a set of [`state`]'s bits.
    pub(super) fn connection(self, states: u32) -> Self {
        const STATE: u32 = 0;
        // The kernel keeps the state in a register in host order.
        self.needs("nft_ct")
            .needs("nf_conntrack")
            .expression("ct", &Attributes::default().u32(1, REGISTER).u32(2, STATE))
            .mask(&states.to_ne_bytes())
            .compare(Compare::Unequal, &0_u32.to_ne_bytes())
    }

    /// Matches what exceeds `rate` packets a second, after a first `burst`.
    pub(super) fn above(self, rate: u64, burst: u32) -> Self {
        const SECOND: u64 = 1;
        const PACKETS: u32 = 0;
        const ABOVE: u32 = 1;
        let data =
            Attributes::default().u64(1, rate).u64(2, SECOND).u32(3, burst).u32(4, PACKETS).u32(5, ABOVE);
        self.needs("nft_limit").expression("limit", &data)
    }

    /// Lowers the maximum segment size of a TCP SYN to what the route's MTU can carry; the kernel never raises it.
    pub(super) fn clamp_mss(self) -> Self {
        const TCP: u8 = 6;
        const FLAGS: u32 = 13;
        const SYN: u8 = 0x02;
        const RST: u8 = 0x04;
        const ROUTE_MSS: u32 = 3;
        const TO_NETWORK: u32 = 1;
        const OPTION_MSS: u8 = 2;
        const TCP_OPTION: u32 = 1;
        let rule = self
            .protocol(TCP)
            .load_payload(Base::Transport, FLAGS, 1)
            .mask(&[SYN | RST])
            .compare(Compare::Equal, &[SYN]);
        let rule = rule.expression("rt", &Attributes::default().u32(1, REGISTER).u32(2, ROUTE_MSS));
        let order =
            Attributes::default().u32(1, REGISTER).u32(2, REGISTER).u32(3, TO_NETWORK).u32(4, 2).u32(5, 2);
        let rule = rule.expression("byteorder", &order);
        let option =
            Attributes::default().u8(2, OPTION_MSS).u32(3, 2).u32(4, 2).u32(6, TCP_OPTION).u32(7, REGISTER);
        rule.expression("exthdr", &option)
    }

    /// Counts in the counter object `name`.
    pub(super) fn count(self, name: &str) -> Self {
        self.expression("objref", &Attributes::default().u32(1, OBJECT_COUNTER).string(2, name))
    }

    fn verdict(self, verdict: &Attributes) -> Self {
        const VERDICT_REGISTER: u32 = 0;
        let data = Attributes::default()
            .u32(1, VERDICT_REGISTER)
            .nested(2, &Attributes::default().nested(2, verdict));
        self.expression("immediate", &data)
    }

    fn load_immediate(self, value: &[u8]) -> Self {
        let data = Attributes::default().u32(1, REGISTER).nested(2, &Attributes::default().bytes(1, value));
        self.expression("immediate", &data)
    }

    /// Gives the packet this mark.
    pub(super) fn set_mark(self, mark: u32) -> Self {
        let data = Attributes::default().u32(2, Meta::Mark as u32).u32(3, REGISTER);
        self.load_immediate(&mark.to_ne_bytes()).expression("meta", &data)
    }

    /// The packet goes out of the interface of this number, and no further here. In families with hooks of devices.
    pub(super) fn forward_to(self, interface: u32) -> Self {
        self.load_immediate(&interface.to_ne_bytes())
            .needs("nft_fwd_netdev")
            .expression("fwd", &Attributes::default().u32(1, REGISTER))
    }

    pub(super) fn accept(self) -> Self {
        self.verdict(&Attributes::default().u32(1, NF_ACCEPT))
    }

    pub(super) fn drop(self) -> Self {
        self.verdict(&Attributes::default().u32(1, NF_DROP))
    }

    /// Continues in `chain` and does not come back.
    pub(super) fn goto(self, chain: &str) -> Self {
        self.verdict(&Attributes::default().u32(1, NFT_GOTO).string(2, chain))
    }

    /// Answers with a Destination Unreachable of this code, in ICMP or ICMPv6 as the packet is, and drops it.
    pub(super) fn reject(self, code: u8) -> Self {
        const ICMP_UNREACHABLE: u32 = 0;
        self.needs("nft_reject_inet")
            .needs("nf_reject_ipv6")
            .needs("nf_reject_ipv4")
            .expression("reject", &Attributes::default().u32(1, ICMP_UNREACHABLE).u8(2, code))
    }

    /// Adds the rule at the end of its chain.
    pub(super) fn push(&self, batch: &mut Batch, table: &str) {
        const COMMENT: u8 = 0;
        // nft's own way to keep comments: type, length, text with a zero. NFT_USERDATA_MAXLEN is 256.
        let text: Vec<u8> = self.comment.bytes().take(250).chain([0]).collect();
        let mut comment = vec![COMMENT, text.len() as u8];
        comment.extend(text);
        let attributes = Attributes::default()
            .string(attribute::RULE_TABLE, table)
            .string(attribute::RULE_CHAIN, self.chain)
            .nested(attribute::RULE_EXPRESSIONS, &self.expressions)
            .bytes(attribute::RULE_USERDATA, &comment);
        let step = Step {
            name: format!("add rule \"{}\" to chain {}", self.comment, self.chain),
            modules: self.modules.clone(),
        };
        batch.push(message::NEWRULE, flag::CREATE | flag::APPEND, &attributes, step);
    }
}

/// Bits of connection tracking's state (`NF_CT_STATE_*`).
pub(super) mod state {
    pub(in super::super) const INVALID: u32 = 1;
    pub(in super::super) const ESTABLISHED: u32 = 1 << 1;
    pub(in super::super) const RELATED: u32 = 1 << 2;
}
