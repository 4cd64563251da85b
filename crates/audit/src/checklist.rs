//! The checklist: what has to hold before a program may call itself ready for IPv6, and what tests each item.

use crate::RULES;

/// One item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its number: 63 is R63.
    pub row: u16,
    /// What has to hold.
    pub text: &'static str,
    /// What `wrap` is to find out for it, by running the program; "" where nothing.
    pub wrap: &'static str,
}

impl Item {
    /// Its identifier.
    pub fn id(&self) -> String {
        format!("R{}", self.row)
    }

    /// The rules of the audit that test it.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> + use<> {
        let row = self.row;
        RULES.iter().filter(move |rule| rule.rows.contains(&row)).map(|rule| rule.id)
    }

    /// Whether `wrap` finds that out today.
    pub fn is_wrapped(&self) -> bool {
        WRAPPED.contains(&self.row)
    }

    /// Whether anything tests it today.
    pub fn is_tested(&self) -> bool {
        self.is_wrapped() || self.rules().next().is_some()
    }
}

macro_rules! items {
    ($($row:literal $text:literal $wrap:literal)*) => {
        /// Every item, by its number.
        pub static ITEMS: &[Item] = &[$(Item { row: $row, text: $text, wrap: $wrap }),*];
    };
}

/// Items for which `wrap` has a finding or a world. Whoever builds one adds its row: until then it says "not yet built".
const WRAPPED: &[u16] = &[
    4, 5, 6, 9, 13, 14, 15, 16, 17, 18, 20, 23, 24, 39, 45, 47, 49, 50, 54, 55, 56, 61, 63, 70, 76, 82, 83,
    90,
];

items! {
    4 "usable without IPv4 at all" "outcome in the world without IPv4"
    5 "each claim has its evidence, and what was not tested never reads PASS" "report card"
    6 "does more over IPv6 than listen" "grade: listens only"
    9 "stays ready: a baseline fails the build that loses it" "regression gate"
    13 "usable where IPv6 resolves and then goes nowhere" "outcome in the world with flaky IPv6"
    14 "works where IPv6 is forbidden; IPv4 only is a choice, not a default" "outcome in the world without \
     IPv6"
    15 "compiles and runs where AF_INET6 does not exist" "socket(AF_INET6) refused"
    16 "makes no socket that it does not use" "sockets made and never used"
    17 "lives with a family whose sockets can't be made" "socket(AF_INET6) refused"
    18 "takes IPv4 on the IPv6 any address only where it says so" "listeners that take mapped peers"
    19 "listens on 0.0.0.0 and [::] at once" "collision of the two any addresses"
    20 "sets IPV6_V6ONLY before it binds" "missing IPV6_V6ONLY"
    21 "does not carry two families side by side" ""
    22 "has one type for addresses, large enough for both" ""
    23 "gives the length of the socket address that belongs to its family" "wrong length of a socket address"
    24 "leaves nothing in sin6_flowinfo and sin6_scope_id that it did not put there" "flow information not \
     zero"
    26 "takes fe80::1%eth0 wherever it takes an address" "connects to link-local addresses"
    27 "keeps zones out of URLs" ""
    29 "does not guess where an address ends and a port begins" ""
    30 "prints endpoints in one form that it reads again" ""
    31 "writes addresses that a script can find in its log" ""
    33 "puts brackets around an IPv6 address before a port" ""
    36 "converts by getaddrinfo or one function over it" ""
    37 "reads errors of the resolver as what they are" "failing lookups without a visible error"
    38 "takes the port off by a parser" ""
    39 "tries each address of a name, in an order it can tell" "only the first address used"
    45 "no IPv6 rule lets IPv4 peers in" "mapped peers that slip past a filter"
    46 "no IPv4 rule matches an IPv6 peer" ""
    47 "takes a mapped peer for the IPv4 peer that it is" "mapped peers that slip past a filter"
    48 "listens where its configuration says" "listeners compared with what was asked"
    49 "whatever proxies, forwards, filters or notifies does so over IPv6" "families tried and not tried"
    50 "its libraries connect over IPv6 too" "connects, by library"
    51 "a home with 2^64 addresses does not fill its memory" ""
    52 "whatever is kept for each peer is pruned" ""
    53 "a search of its source for assumptions fits one screen" ""
    54 "assumes IPv4 nowhere in its source" "IPv4 literals"
    55 "starts where IPv4 was taken away" "outcome in the world without IPv4"
    56 "starts where IPv6 was taken away" "outcome in the worlds without IPv6"
    61 "says how it listens, and leaves nothing to the system's default" "listening as the system's default \
     has it"
    63 "does not resolve by what returns one family" "lookups for A alone; one of eight addresses alive"
    70 "one family does not hide that the other is broken" "fallbacks that hid a fault"
    76 "reaches servers that have IPv4 only from an IPv6-only host" "outcome in the world with NAT64"
    82 "does not take \"no IPv4\" for \"not online\"" "checks for IPv4 connectivity"
    83 "works behind NAT64, with names" "outcome in the world with NAT64"
    84 "asks for each family whether it is online" ""
    90 "works behind a CLAT, with literals too" "outcome in the world with a CLAT"
}
