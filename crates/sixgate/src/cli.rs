//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use sixgate_endpoint::connect::FamilyArgs;
use sixgate_endpoint::{Endpoint, Host};
use std::path::PathBuf;
use std::str::FromStr as _;

/// An IPv6-only network that starts with one command.
#[derive(Debug, Parser)]
#[command(name = "sixgate", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Try it: `sixgate lab demo` builds an ISP, a gateway, a server and two LANs on this machine, inside namespaces.
Run it: write /etc/sixgate.toml (`sixgate check --reference` shows every key), then `sixgate up`.

Exit codes: 0 done; 1 failed while working; 2 the command line or the configuration is wrong;
3 the system refuses what was asked (permission, port in use, no IPv6); 4 sixgate is not running.")]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the network that the configuration names, until SIGTERM or Ctrl-C.
    #[command(long_about = "\
Serve the network that the configuration names.

On the uplink: learns routers by ND, asks for an address and a prefix by DHCPv6. On each LAN: takes a /64 of the
prefix, advertises it, gives addresses and prefixes by DHCPv6, answers DNS. Between them: routes, and a firewall that
denies what nobody inside asked for. Needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE.

SIGHUP reads the configuration again; leases are not touched. SIGTERM and Ctrl-C stop: hosts are told, and routes,
addresses, settings and firewall rules that `up` made are taken away again.

Without a configuration yet, one command makes an IPv6-only segment for people to try:
  sixgate up --profile event --uplink eth0 --lan eth1.64")]
    Up(Up),
    /// Check the configuration and say what is wrong, where, and what to do.
    #[command(long_about = "\
Check the configuration: keys, values, overlapping prefixes, and whether this machine has the interfaces.
Each finding names the line, the key and the remedy. Exit code 2 where `up` would refuse.")]
    Check(Check),
    /// Show what a running sixgate does: uplink, prefixes, LANs, counters.
    Status(View),
    /// Show who holds which address and prefix.
    #[command(long_about = "\
Show who holds which address and prefix. Asks the running sixgate; where none runs, reads the leases on disk.")]
    Leases(Leases),
    /// Say who had an address at a time: hardware address, DUID, line, relay agent, name, from when to when.
    #[command(long_about = "\
Say who had an address at a time. Reads the history on disk, whether sixgate runs or not.

  sixgate who 2001:db8::7 2026-11-24T14:03      at that minute, UTC
  sixgate who 2001:db8::7 '2h ago'              also 2026-11-24T14:03:20+01:00, 2026-11-24 (that whole day), now
  sixgate who 2001:db8:0:1ff::5                 all who ever had it: also by the prefix delegated to somebody in which it is
  sixgate who 192.0.2.1 2026-11-24T14:03 --port 40001   which host a port of the NAT64's addresses was then
  sixgate who --mac 02:00:5e:10:00:01           what a machine had; --duid, --line for clients and lines
  sixgate who --export csv --since 30d > all    everything, as CSV or as JSON lines

HOW it is known: leased and delegated are DHCPv6 or DHCPv4; registered is an address that a host made up and told of (RFC 9686);
seen is one that a host made up and was seen with, which takes a [history] section in the configuration. BY says what the hardware
address is worth: link (seen on the LAN), relay (the relay agent told it), eui-64 and duid (the client's own word). A lease says who
was given an address, not who used it. Of what was seen, an hour before and after counts, and is said to. translated is a block of
ports that the NAT64 gave to an IPv6 address, in one of the addresses of its pool; who had that address is told beside it. A pool that
leaves with the uplink's address keeps its ports as a rule: name the whole pool then (192.168.64.0/28). NAT44 writes nothing down.

How long it is kept, what the law may want of you, and how to ask more in SQL: docs/history.md.

Exit code 1 where nobody had it.")]
    Who(Who),
    /// Write a folder for a device's vendor: what it and the network said, which RFC's paragraph was not kept, versions.
    #[command(long_about = "\
Write a folder for the vendor of a device that does not live well on this network: a page to read, the same as JSON, and a short
capture that every analyser reads (exchange.pcap).

It is listened to for a minute: have the device join the network anew meanwhile, or there is little to tell. Of what is heard, what it
and the network said of addresses, routers and DHCP is told in words, and set against what RFCs ask of it (RFC 4861, 4862, 8925, 9915);
each paragraph that was not kept stands with the frames that show it. Beside it: the census' verdict, what the device had before, and
versions.

  sixgate report 02:00:5e:10:00:01               by the hardware address, an address, a DUID or a name of `sixgate leases`
  sixgate report 192.168.7.23 --seconds 20
  sixgate report 02:00:5e:10:00:01 --no-capture  what is known already; so too where sixgate is not running: the history alone

Nothing is kept of other hosts, of connections and of payloads; nor, without --names, what was asked of DNS. At most 2,000 frames and
1 MiB are. The folder tells of a person's device all the same: read it before you send it. Listening takes root, or CAP_NET_RAW.")]
    Report(Report),
    /// Ask DHCPv6 clients to come back now, instead of when they would anyway.
    #[command(long_about = "\
Ask DHCPv6 clients of the running sixgate to come back now (Reconfigure, RFC 9915 section 18.3.11): after a change of prefixes,
resolvers or whatever else they are told. It takes a [reconfigure] section in the configuration, and clients that agreed to be
asked when they were bound; stock clients do so only where they are told to. Each message is authenticated by a key that its
client was given; it is repeated until the client comes, eight times at most. A hundred clients are asked within a second.

  sixgate reconfigure --all                       everybody who agreed
  sixgate reconfigure --link lan0                 those on one LAN or subnet
  sixgate reconfigure 2001:db8::7                 whoever holds that address or prefix; a DUID does too
  sixgate reconfigure --all --ask information-request     for configuration alone

Behind relay agents, clients are reached through the agent by which they were last heard, if it is the only one in the row.

Exit code 1 where the client that was named cannot be asked.")]
    Reconfigure(Reconfigure),
    /// Give a lease to another client, or end it.
    #[command(long_about = "\
Give a lease to another client, or end it. It is on the disk when this command ends; the clients hear of it when they next
ask. A running sixgate is needed.")]
    Lease(Lease),
    /// Say where the dashboard is, and with --token the token that it asks for.
    #[command(long_about = "\
Say where the dashboard is: one address for each LAN. Everybody there sees whether all is well; who is connected, and every
change, takes the token, which --token prints. It is off until the configuration says [web] enabled = true.

The page is served by plain HTTP: on a LAN where others can listen, reach it through ssh -L 6464:[::1]:6464 GATEWAY, and
open http://localhost:6464/.")]
    Web(Web),
    /// Show who on the LANs could live without IPv4 today, how sure that is, and what still needs it.
    #[command(long_about = "\
Show who on the LANs could live without IPv4 today: for each client its stage, its score, and what it needed IPv4 for;
for the network, whether 1, 2, 5 and 10 % of its clients could. Asks a running sixgate whose configuration has a [census]
section; the census survives restarts.

SCORE is the chance that an hour goes well without IPv4, and beside it the interval in which that chance lies with 95 %
confidence (Wilson's, over the hours in which the client was seen). An hour speaks against a client when it used IPv4 for
something that it could not have had otherwise: an address that no name was asked for here, a name without IPv6 where nothing
translates, a name that it asked for by IPv4 alone, a neighbour on its own LAN. READY is who reaches 80 % with the lower end.

What it cannot show:
- Watching is not trying. However long nothing but IPv6 was needed, no more than 90 % is said of it; only a client that was told
  to do without IPv4 (option 108) and did is believed more, and one that failed is believed less.
- Hours of one client are not independent of each other: what it did not do so far, it may do on Monday. The interval is narrower
  than the truth. It takes 16 hours without a need to be ready.
- Names that are asked of another resolver, encrypted or not, are not seen: what is then reached over IPv4 counts as an
  address by number. Traffic that does not pass this gateway is seen by its ARP alone: where another machine routes IPv4, whoever
  asks for that machine counts as needing a neighbour.
- Of UDP over IPv4 one packet in 16 is looked at, of TCP the first of each connection.
- FAMILY is a guess from how a client asks (DHCP options, vendor class, connectivity checks). It is not proof.
- A hardware address that is made up (*) may be another tomorrow, and its client counted twice: the line for those whose address is
  not made up gives the other count. Anybody on a LAN can pretend to be anybody.

A client is shown by a keyed hash; with privacy = \"named\" by its name or hardware address, and with what it needed. Of names
that were needed, hashed clients show only those that three of them have in common.")]
    Census(Census),
    /// Show or change which clients are told to do without IPv4 (DHCPv4 option 108).
    #[command(long_about = "\
Show, or change in the running sixgate, which clients do without IPv4.

On LANs that have `ipv4` and a NAT64, clients that ask for DHCPv4 option 108 say that they can live without IPv4 (RFC 8925);
phones and laptops ask, printers do not. Of those that ask, the pilot's share is told to: they use no IPv4, and get no address, for
the time `pilot.wait` (30 minutes by default), and then ask again. Who does not ask, or is not chosen, gets a lease as ever. Nobody is
told while the NAT64 does not work.

  sixgate pilot                       who asked, who was chosen, who lives without IPv4 now
  sixgate pilot 5%                    5 % of those who ask; the same ones after a restart; raising it only adds clients
  sixgate pilot --except 02:00:5e:10:00:01     never this one
  sixgate pilot 100% --only ADDRESS   this one, and nobody else
  sixgate pilot --off                 nobody: everybody has IPv4 again within `pilot.wait`, which is no longer than a lease
  sixgate pilot --file                what [pilot] in the file says

A change holds at once and over restarts, until [pilot] in the file says something else than it did. Whoever may write to the control
socket may make it. A client is named by its Ethernet address, its DUID (duid:...) or its client identifier (id:...), as the table shows
them.")]
    Pilot(Pilot),
    /// Show which DHCPv6 options a server can be told to give, by name, code and type.
    #[command(long_about = "\
Show which DHCPv6 options can be written into the configuration by name, and how a value of each is written:

  [dhcp]
  options = { ntp-server = [\"2001:db8::123\"], 9999 = { type = \"text\", value = \"x\" } }

An option that is not in the table is written by its code and a type: flag, u8, u16, u32, list of u8, list of u16, list of u32,
address, addresses, prefix, name, names, text, texts, hex, options, or a list of types for a record. Clients get what they ask
for; always = true beside value sends it to those too that do not ask. Options stand in [dhcp], [[lan]], [[lan.pool]], [[dhcp.class]]
and with reservations: of several, the client gets that of its reservation, else of its class, pool, LAN, server, in this order.")]
    Options(Options),
    /// Reserve addresses, prefixes, a name or options for one client, machine or line; or show what is reserved.
    #[command(long_about = "\
Reserve addresses and prefixes for one client, machine or line, in the running sixgate and over restarts; or show what is reserved.

Tens of thousands are better kept in a file: [dhcp] reservations = \"FILE\". It has comma-separated values with a line of names on
top (duid, iaid, mac, interface-id, remote-id, subscriber-id, lan, address, prefix, hostname, options), or one JSON object a line with
the same names; several addresses stand in one field with spaces between. SIGHUP reads it again.

  sixgate reservation add --mac 02:00:5e:10:00:01 --address 2001:db8:1::7 --hostname printer
  sixgate reservation add --remote-id 4491:line-7 --prefix 2001:db8:100::/56 --option tzdb-timezone=Europe/Zurich
  sixgate reservation remove --mac 02:00:5e:10:00:01
  sixgate reservation list --json

What is reserved is never given to anybody else. Two owners of one address: the first keeps it, and what was added while running is
there before what a file says. What somebody else has at that moment stays his until his next message; then he is told to stop, and
the owner gets it when the time that was promised is over, in place of what it has from the pool. Of several owners that a client is,
the first in this order counts: duid with iaid, duid, mac, subscriber-id, remote-id, interface-id.")]
    Reservation(Reservation),
    /// Say how this machine would connect to a host, in which order and why; without a host, by which policy.
    #[command(long_about = "\
Say how this machine would connect to a host: which addresses its name has, in which order they would be tried, and the
reason for each place (RFC 6724, RFC 8305). With --connect it connects, and tells what became of each attempt: an IPv6
that is broken and hidden by IPv4 shows here. Without a host it prints the policy itself.

Exit code 1 where the host has no address to try, or with --connect where none connects.")]
    Explain(Explain),
    /// Find on which link a machine is, by the hardware address on its label or its link-local address.
    #[command(long_about = "\
Find on which link a machine is that has no configuration yet: a printer, a router out of its box. Give the hardware
address that stands on its label, or its link-local address; every link is tried at once, and the address is printed with
the interface to use it on (fe80::200:5eff:fe00:5301%eth0). Takes 3.5 seconds as a rule, 8.5 at most.

A machine whose link-local address does not follow from its hardware address (RFC 7217) is found by the former only.
Exit code 1 where it is on no link.")]
    Find(Find),
    #[cfg(feature = "audit")]
    Audit(crate::audit::Arguments),
    #[cfg(feature = "audit")]
    Checklist(crate::audit::ChecklistArguments),
    Plan(crate::plan::Arguments),
    Buckets(crate::buckets::Arguments),
    /// Run a program in networks without IPv4, without IPv6, and with a broken one, and say whether it is IPv6 ready.
    #[command(long_about = "\
Run a program in several worlds, each a network inside namespaces of its own (this machine's is not touched), and say
whether it is IPv6 ready or only seems so. The program's system calls for the network are traced, those of its children
and of static programs too; what it listens on is visited as a client would; the resolver of the worlds knows every name.

Far away, every name has the same two servers: 2001:db8:f::10 and 198.51.100.10, with web pages and the like at the usual
ports. Names that begin with `v4only.` have IPv4 alone, `v6only.` IPv6 alone, `nowhere.` nothing, and of `eight.` seven
addresses of eight are dead. `--list` tells the worlds.

A world of your own is a file: name = \"mine\", and ipv4 and ipv6 each \"works\", \"absent\", \"refused\", \"lost\",
\"link-local\" or \"slow\" (those three for IPv6) or \"translated\" (IPv4, by a CLAT), nat64 = true, bindv6only = true. Name it in --worlds as ./mine.toml.

Does the program's own access list hold? Tell it to refuse 192.0.2.0/24, 2001:db8::/32 and fe80::/10, which is where visitors come
from, and name the port with --denied: a list that 192.0.2.1 passes as ::ffff:192.0.2.1 is found.

Exit code 0 where every surface works and no finding is as bad as --fail-on; 1 where not, or where nothing could be tested.
Needs root, or a kernel that allows user namespaces.

Examples:
  sixgate wrap -- curl -sS http://www.example.com/
  sixgate wrap --worlds v6only,no4 --html card.html -- ./server --port 8080
  sixgate wrap --probe 8443=tls,9000=http:/health --denied 8080 -- ./server -c deny.conf
  sixgate wrap --json -- ./server > known.json; sixgate wrap --baseline known.json -- ./server")]
    Wrap(Wrap),
    /// Give the programs of this host IPv4 on a network that has none (464XLAT), until SIGTERM or Ctrl-C.
    #[command(long_about = "\
Give the programs of this host IPv4 on a network that has none, until SIGTERM or Ctrl-C: the customer side of 464XLAT
(RFC 6877). Where the network has a NAT64, names of IPv4-only servers work already, through DNS64; what does not is a
program that opens IPv4 sockets or is given 198.51.100.10. For those this makes a device `clat` with an IPv4 address and
a default route, and translates.

The prefix of the NAT64 is what the router tells (PREF64, RFC 8781), else what DNS tells of ipv4only.arpa (RFC 7050),
else --prefix. The translator has an IPv6 address of its own beside the host's. While the machine has an IPv4 default
route of its own, the CLAT is off; it comes back when that goes. It follows a router that changes its prefix.

The host stays a host: nothing is forwarded, no setting is changed. What it made goes with it, even after kill -9 (its
address on the interface within half a minute). Needs root, or CAP_NET_ADMIN and CAP_NET_RAW.

  sixgate clat                         on the interface with the IPv6 default route
  sixgate clat --interface wlan0       on this one
  sixgate clat --json                  one JSON object a line whenever the state changes

It has begun to work with the line `on: ...`. Exit code 3 where the system refuses what it needs.")]
    Clat(Clat),
    /// Measure latency under load (RRUL, RPM), page time, IPv4 against IPv6, the path; or be the far end of it.
    #[command(long_about = "\
Measure what a line does to latency under load, how IPv4 and IPv6 compare, and the path; each is a command of its own, with --help.

Load is generated only to a far end that agrees: our own (`sixgate measure serve`), by its token. Page, families and path ask no more of a host than
a browser or ping does. Every measurement is bounded, says its error bar where the machine's own delay matters, and prints JSON with --json.")]
    Measure(crate::measure::cli::Arguments),
    /// Say what is missing or wrong on the network that this machine is on, and where its delay stands.
    #[command(long_about = "\
Say what is missing or wrong on a network that is somebody else's, in the order in which it is to be mended, each with what was seen, why it matters
and how to mend it; and at which hop its delay stands. Takes about ten seconds, a minute where little answers.

Nothing is changed: router advertisements are asked for and heard, DHCPv6 is asked for information and no lease, an Offer of DHCPv4 is not taken,
resolvers are asked for ipv4only.arpa, hops are pinged. No address, route or setting of this machine is touched. Where a DHCP client of this machine
has its port, that protocol is left out, and said so.

Without --target nobody beyond the network's own resolver is asked. Exit code 1 where a finding is as bad as --fail-on. Needs root, or CAP_NET_RAW
and CAP_NET_BIND_SERVICE.

  sixgate doctor
  sixgate doctor --interface wlan0 --target www.example.com
  sixgate doctor --load gw.example --token TOKEN       with our own load, to see the queues (sixgate measure serve)")]
    Doctor(crate::doctor::cli::Arguments),
    /// Keep the delay of one link low while it is busy, until SIGTERM or Ctrl-C.
    #[command(long_about = "\
Keep the delay of a link low while it is busy, until SIGTERM or Ctrl-C: a queue in front of the link, slower than it by a
little, in which flows take turns (FQ-CoDel, RFC 8290). Give the rates that the link really has, less 5 %. In place of a
rate, two with a hyphen between are a link that changes: the rate then follows it by the delay measured on it.

Where the kernel has CAKE, or FQ-CoDel and HTB, that is configured; else the packets pass through this process. Addresses,
routes, firewalls and connections stay as they are. All of it goes when this ends; our own queue also by kill -9. Needs
root, or CAP_NET_ADMIN and CAP_NET_RAW. `sixgate up` does the same with `shape` under [uplink].

  sixgate shape --interface eth0 --down 95M --up 19M
  sixgate shape --interface wwan0 --down 5M-60M --up 1M-20M
  sixgate shape --interface eth0 --up 800k --link adsl --ack-filter

It has begun to work with the line `on: ...`. When it ends it prints what the queue has done.")]
    Shape(Shape),
    /// Networks inside namespaces on this machine: a demonstration, and a way in.
    Lab(Lab),
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Reservation {
    #[command(subcommand)]
    pub(crate) command: ReservationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReservationCommand {
    /// Reserve something.
    Add(ReservationAdd),
    /// Take back what was added while running.
    Remove(ReservationRemove),
    /// Show what is reserved, for whom, since when, and what of it somebody else still has.
    List(View),
}

/// Whose it is: exactly one of these, an IAID only with a DUID.
#[derive(Debug, Args)]
pub(crate) struct ReservationOwner {
    /// A client, by its DUID as `sixgate leases` shows it.
    #[arg(long, value_name = "DUID")]
    pub(crate) duid: Option<String>,
    /// Of that client one association alone.
    #[arg(long, value_name = "NUMBER", requires = "duid")]
    pub(crate) iaid: Option<u32>,
    /// A machine, by its hardware address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mac: Option<String>,
    /// A line, by what its relay agent calls it: text, or 0x and digits. Say --lan too.
    #[arg(long, value_name = "NAME")]
    pub(crate) interface_id: Option<String>,
    /// A line, by enterprise number and name.
    #[arg(long, value_name = "NUMBER:NAME")]
    pub(crate) remote_id: Option<String>,
    /// A subscriber.
    #[arg(long, value_name = "NAME")]
    pub(crate) subscriber_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReservationAdd {
    #[command(flatten)]
    pub(crate) owner: ReservationOwner,
    /// On this LAN alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) lan: Option<String>,
    /// Addresses, separated by commas or the option repeated.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) address: Vec<String>,
    /// Prefixes, likewise.
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pub(crate) prefix: Vec<String>,
    /// The name by which it is known, whatever it calls itself.
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// An option that it alone is told; the value as text or JSON. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) option: Vec<String>,
    #[command(flatten)]
    pub(crate) view: View,
}

#[derive(Debug, Args)]
pub(crate) struct ReservationRemove {
    #[command(flatten)]
    pub(crate) owner: ReservationOwner,
    /// The reservation for this LAN alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) lan: Option<String>,
    #[command(flatten)]
    pub(crate) view: View,
}

#[derive(Debug, Args)]
pub(crate) struct Clat {
    /// The interface to the network. Without it, the one with the best IPv6 default route, as that moves.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: Option<String>,
    /// The prefix of the network's NAT64, such as 64:ff9b::/96, instead of what router and DNS tell.
    #[arg(short, long, value_name = "PREFIX", value_parser = crate::nat64::prefix)]
    pub(crate) prefix: Option<sixgate_endpoint::nat64::Prefix>,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// The interface to the link.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) interface: String,
    /// The rate towards us, such as 95M, or two (5M-60M).
    #[arg(long, value_name = "RATE", value_parser = crate::shape::speed, required_unless_present = "up")]
    pub(crate) down: Option<crate::shape::Speed>,
    /// The rate from us.
    #[arg(long, value_name = "RATE", value_parser = crate::shape::speed)]
    pub(crate) up: Option<crate::shape::Speed>,
    /// What the link adds to each packet.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) link: crate::shape::LinkKind,
    /// Who gets an equal share.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) fairness: crate::shape::Shares,
    /// Four classes by DSCP, as CAKE's diffserv4.
    #[arg(long)]
    pub(crate) diffserv: bool,
    /// On the way up leave out acknowledgements that later ones make superfluous.
    #[arg(long)]
    pub(crate) ack_filter: bool,
    /// Drop packets, also where their senders understand marks (ECN).
    #[arg(long)]
    pub(crate) no_ecn: bool,
    /// A usual round trip, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) rtt: u64,
    /// Whose queue.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) queue: crate::shape::Which,
    /// Whom to ask how long the way takes, where a rate changes: an IPv6 address beyond the bottleneck; several by repeating it.
    /// Without it, the router.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) probe: Vec<std::net::Ipv6Addr>,
    /// Print JSON: one object at the start, one at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Shape {
    /// What is asked for.
    pub(crate) fn plan(&self) -> crate::shape::Plan {
        crate::shape::Plan {
            down: self.down,
            up: self.up,
            link: self.link,
            shares: self.fairness,
            diffserv: self.diffserv,
            ack_filter: self.ack_filter,
            ecn: !self.no_ecn,
            round_trip: std::time::Duration::from_millis(self.rtt),
            which: self.queue,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// A hardware address (00:00:5e:00:53:01, with : or - between) or a link-local address (fe80::1).
    #[arg(value_name = "MACHINE", value_parser = crate::find::machine)]
    pub(crate) machine: Endpoint,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A name or an address: www.example.com, www.example.com:80, 2001:db8::1, [fe80::1%eth0]:443. Port 443 where none is given.
    #[arg(value_name = "HOST[:PORT]", value_parser = Host::from_str)]
    pub(crate) host: Option<Host>,
    /// Connect by TCP, and close the connection again.
    #[arg(long, requires = "host")]
    pub(crate) connect: bool,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = crate::config::DEFAULT_PATH)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    #[command(flatten)]
    pub(crate) profile: crate::config::ProfileArgs,
    /// How each event is logged, one a line, on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
    /// Say more; twice says each packet.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// key=value, for people and grep.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// Print a commented configuration with every key and its default.
    #[arg(long)]
    pub(crate) reference: bool,
    /// Only what the file says: don't ask whether this machine has the interfaces.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which running sixgate to ask.
#[derive(Debug, Args)]
pub(crate) struct View {
    /// The configuration file, which names the control socket and the state folder.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The control socket itself.
    #[arg(long, value_name = "SOCKET", conflicts_with = "config")]
    pub(crate) control: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Web {
    #[command(flatten)]
    pub(crate) view: View,
    /// Print the token, and nothing else; reads it from the state folder.
    #[arg(long, conflicts_with_all = ["json", "control"])]
    pub(crate) token: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Leases {
    #[command(flatten)]
    pub(crate) view: View,
    /// Read the leases on disk without asking a running sixgate.
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("whom").args(["client", "all", "link"]).required(true))]
pub(crate) struct Reconfigure {
    /// An address or a prefix that the client holds, or its DUID.
    #[arg(value_name = "CLIENT")]
    pub(crate) client: Option<String>,
    /// Everybody who agreed.
    #[arg(long)]
    pub(crate) all: bool,
    /// Those on this LAN or subnet.
    #[arg(long, value_name = "NAME")]
    pub(crate) link: Option<String>,
    /// With which message they should come back.
    #[arg(long, value_enum, default_value_t = ComeBack::Renew)]
    pub(crate) ask: ComeBack,
    #[command(flatten)]
    pub(crate) view: View,
}

/// The messages that a Reconfigure can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ComeBack {
    /// Extend what is held, at this server.
    Renew,
    /// Extend what is held, at any server.
    Rebind,
    /// Ask for configuration alone.
    InformationRequest,
}

impl ComeBack {
    /// On the wire.
    pub(crate) fn message(self) -> sixgate_wire::dhcpv6::MessageType {
        use sixgate_wire::dhcpv6::MessageType;
        match self {
            Self::Renew => MessageType::RENEW,
            Self::Rebind => MessageType::REBIND,
            Self::InformationRequest => MessageType::INFORMATION_REQUEST,
        }
    }
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("subject").args(["address", "mac", "duid", "line"]))]
pub(crate) struct Who {
    /// The address, of either family, or a prefix.
    #[arg(value_name = "ADDRESS", value_parser = crate::who::net)]
    pub(crate) address: Option<ipnet::IpNet>,
    /// When: 2026-11-24T14:03, "2h ago", a day; left out: ever.
    #[arg(value_name = "TIME", conflicts_with_all = ["since", "until"])]
    pub(crate) time: Option<String>,
    /// Which host had this port of a NAT64's address (UDP or TCP, or the identifier of ICMP).
    #[arg(long, value_name = "PORT", requires = "address")]
    pub(crate) port: Option<u16>,
    /// What this hardware address had.
    #[arg(long, value_name = "MAC", value_parser = crate::who::mac)]
    pub(crate) mac: Option<sixgate_dhcp::identity::Mac>,
    /// What the client with this DUID had.
    #[arg(long, value_name = "DUID")]
    pub(crate) duid: Option<sixgate_wire::dhcpv6::Duid>,
    /// What was had on the line with this Interface-Id, Remote-ID or Subscriber-ID.
    #[arg(long, value_name = "LINE", value_parser = crate::who::line)]
    pub(crate) line: Option<crate::who::LineName>,
    /// Only what was had at this time or later.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only what was had at this time or before.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Write every row; without ADDRESS and the like, of everybody.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) export: Option<Export>,
    /// The configuration file, which names the state folder.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, conflicts_with = "export")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The device: its hardware address, an address, a DUID, a client identifier or a name.
    #[arg(value_name = "CLIENT")]
    pub(crate) client: String,
    /// For how long to listen.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Do not listen: tell what is known already.
    #[arg(long)]
    pub(crate) no_capture: bool,
    /// Tell what it asked of DNS and what it calls itself, too: it tells what its owner does.
    #[arg(long)]
    pub(crate) names: bool,
    /// The folder to make; left out: one here, named after the device and the time.
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) view: View,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Export {
    /// Comma-separated values, with a line of names.
    Csv,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Lease {
    #[command(subcommand)]
    pub(crate) command: LeaseCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LeaseCommand {
    /// Give a lease, or all that a client holds, to another client.
    #[command(long_about = "\
Give a lease, or all that a client holds, to another client: it has it with its next exchange, whatever the number of its
association; to whom it belonged is told lifetimes of zero when it asks again, and history says when it ended.

A client is named by what its LAN or subnet knows clients by (`key` in the configuration):
  duid:00:03:00:01:02:00:00:00:00:01     its DUID
  mac:02:00:5e:10:00:01                  its hardware address
  remote:4491:port-7  subscriber:ada  interface:2001:db8:7::1,eth3
                                         its line: Remote-ID with enterprise number, Subscriber-ID, or Interface-Id
                                         at the relay agent with this link-address; names as `sixgate leases` shows them

Exit code 1 where it was refused, with the reason.")]
    Move {
        /// An address, a prefix, or the client that holds them.
        #[arg(value_name = "WHAT")]
        what: String,
        /// Who is to have it.
        #[arg(value_name = "CLIENT")]
        to: String,
        #[command(flatten)]
        view: View,
    },
    /// End a lease, whatever its state; its client may use the address until it asks again. Of a prefix that another server
    /// delegated through this relay agent, the route goes, until its client's next Renew.
    Release {
        /// An address or a prefix.
        #[arg(value_name = "WHAT")]
        what: String,
        #[command(flatten)]
        view: View,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Wrap {
    /// The worlds to try, by name or file, in this order; seven unless told.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) worlds: Vec<String>,
    /// Tell the worlds, and do nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// How long the program may take to listen, or to end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub(crate) patience: u64,
    /// How a listener is visited, instead of what is guessed: PORT[/udp]=KIND, with accept, banner, http, http:/PATH, dns or tls.
    #[arg(long, value_name = "PORT=KIND", value_delimiter = ',')]
    pub(crate) probe: Vec<crate::wrap::Probe>,
    /// A listener that the program was told to refuse all visitors at; who is served got past its filter.
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(crate) denied: Vec<crate::wrap::Port>,
    /// Exit with 1 for findings as bad as this.
    #[arg(long, value_enum, default_value_t = crate::wrap::Severity::Error)]
    pub(crate) fail_on: crate::wrap::Severity,
    /// Show all findings, not only the first.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Print JSON, with every call of the program.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report as one HTML page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the surfaces as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the findings as SARIF.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// Fail only for what is worse than in this report, which an earlier --json wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Compare two reports, and run nothing; exit code 1 where the second is worse.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub(crate) diff: Vec<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, required_unless_present_any = ["list", "diff"], value_name = "PROGRAM")]
    pub(crate) program: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Census {
    #[command(flatten)]
    pub(crate) view: View,
    /// Write one page that needs nothing else, with the curve of readiness over time.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    /// Forget a client, on disk too: by its id, its name or its hardware address; or all.
    #[arg(long, value_name = "CLIENT|all", conflicts_with = "html")]
    pub(crate) forget: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Pilot {
    /// How many of those that ask for option 108, 0% to 100%.
    #[arg(value_name = "PERCENT", value_parser = crate::pilot::percent)]
    pub(crate) percent: Option<u8>,
    /// Nobody but these clients, separated by commas or the option repeated; `all` for everybody again.
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', value_parser = crate::pilot::client)]
    pub(crate) only: Vec<String>,
    /// Never these clients; `none` for no exception.
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', value_parser = crate::pilot::client)]
    pub(crate) except: Vec<String>,
    /// Nobody: the same as 0%.
    #[arg(long, conflicts_with_all = ["percent", "file"])]
    pub(crate) off: bool,
    /// What the configuration file says holds again.
    #[arg(long, conflicts_with_all = ["percent", "only", "except"])]
    pub(crate) file: bool,
    #[command(flatten)]
    pub(crate) view: View,
}

#[derive(Debug, Args)]
pub(crate) struct Lab {
    #[command(subcommand)]
    pub(crate) command: LabCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// An ISP that delegates a /56, a gateway, a far server, clients on two LANs; runs until Ctrl-C.
    #[command(long_about = "\
An ISP that delegates a /56, a gateway, a far server, and a client on each of two LANs, all on this machine inside
namespaces of their own: the machine's own network is not touched, and nothing remains when it ends. Needs root, or
a kernel that allows user namespaces.")]
    Demo(Demo),
    /// Run a program, or a shell, inside a host of a running lab.
    Enter(Enter),
    /// Fetch a page over IPv6, for machines without curl.
    #[command(hide = true)]
    Fetch(Fetch),
    /// Translate between IPv6 and IPv4 in this network namespace until SIGTERM, for tests and benchmarks. Forwarding is
    /// whoever calls it to switch on.
    #[command(hide = true)]
    Nat64(Nat64),
    /// Ask a resolver so many questions and print how many were answered, for benchmarks.
    #[command(hide = true)]
    DnsLoad(DnsLoad),
    /// Be very many DHCPv6 clients and print how many were served and how fast, for benchmarks.
    #[command(hide = true)]
    DhcpLoad(DhcpLoad),
    /// Answer every question with one address until killed, for benchmarks.
    #[command(hide = true)]
    DnsUpstream(DnsUpstream),
}

#[derive(Debug, Args)]
pub(crate) struct DnsLoad {
    /// The resolver.
    #[arg(long, value_name = "[ADDRESS]:PORT")]
    pub(crate) server: std::net::SocketAddrV6,
    /// Questions to ask.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) queries: u64,
    /// Names to ask for, in turn.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) names: u64,
    /// Number of the first name.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Questions under way at one time, at most 60,000.
    #[arg(long, default_value_t = 100)]
    pub(crate) window: usize,
    /// Sockets to ask from, in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sockets: u16,
    /// Ask with EDNS.
    #[arg(long)]
    pub(crate) edns: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DhcpLoad {
    /// The interface that clients are on.
    #[arg(long)]
    pub(crate) interface: String,
    /// Addresses, prefixes, or both for each client.
    #[arg(long, value_enum, default_value = "address")]
    pub(crate) kind: crate::load::dhcp::Wanted,
    /// Behind a relay agent on this server's address, in place of multicast on the link.
    #[arg(long, value_name = "[ADDRESS]:PORT")]
    pub(crate) relay: Option<std::net::SocketAddrV6>,
    /// The link-address of relayed messages.
    #[arg(long, default_value = "::")]
    pub(crate) link_address: std::net::Ipv6Addr,
    /// The first of the addresses to send from; the following ones must be there too, if more are wanted.
    #[arg(long, default_value = "::")]
    pub(crate) source: std::net::Ipv6Addr,
    /// Addresses to send from, in turn.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) sources: u16,
    /// Number of the first client.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Exchanges to begin, one for each client.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) clients: u64,
    /// Seconds after which no more are begun.
    #[arg(long, default_value_t = 3_600.0)]
    pub(crate) seconds: f64,
    /// Exchanges begun in a second, whether or not others are answered; as many as are answered where it is not given.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Exchanges under way at one time, where there is no rate.
    #[arg(long, default_value_t = 64)]
    pub(crate) window: usize,
    /// Measure renewals: each client first gets its leases in four messages, as fast as can be.
    #[arg(long)]
    pub(crate) renew: bool,
    /// Milliseconds after which an exchange without its last answer is lost.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub(crate) patience: u64,
    /// Write down what each Reply gave: a line with the client's number and the address or prefix.
    #[arg(long, value_name = "FILE")]
    pub(crate) told: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DnsUpstream {
    /// Where to listen.
    #[arg(long, value_name = "[ADDRESS]:PORT")]
    pub(crate) listen: std::net::SocketAddrV6,
}

#[derive(Debug, Args)]
pub(crate) struct Nat64 {
    /// Name of the TUN device.
    #[arg(long, default_value = crate::nat64::DEVICE)]
    pub(crate) device: String,
    /// The prefix behind which IPv6 hosts see IPv4.
    #[arg(long, default_value = "64:ff9b::/96", value_parser = crate::nat64::prefix)]
    pub(crate) prefix: sixgate_endpoint::nat64::Prefix,
    /// The IPv4 addresses that the inside shares; ICMP errors come from the first.
    #[arg(long)]
    pub(crate) pool: ipnet::Ipv4Net,
    /// From where ICMPv6 errors come.
    #[arg(long)]
    pub(crate) address: std::net::Ipv6Addr,
    /// Most sessions at one time.
    #[arg(long, default_value_t = 131_072)]
    pub(crate) sessions: u32,
    /// Queues, and threads that serve them.
    #[arg(long, default_value_t = 1)]
    pub(crate) queues: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The page, as http://HOST/.
    pub(crate) url: String,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End as soon as both clients have fetched their page, instead of staying until Ctrl-C.
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// The host: isp, gateway, server, alice, bob.
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// The program and its arguments; a shell where none is given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<std::ffi::OsString>,
}
