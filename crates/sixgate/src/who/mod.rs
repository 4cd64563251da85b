//! `sixgate who`: who had an address at a time, out of the history on disk.

mod behind;
mod row;

use crate::{Outcome, fail, places, print, say, up, when};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use row::Row;
use sixgate_dhcp::identity::{Mac, Name};
use sixgate_endpoint::Endpoint;
use sixgate_store::{Question, Reader, Store, StoreError, Subject};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Say who had an address at a time: hardware address, DUID, line, relay agent, name, from when to when.
#[derive(Debug, Args)]
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
#[command(group = clap::ArgGroup::new("subject").args(["address", "mac", "duid", "line"]))]
pub(crate) struct Arguments {
    /// The address, of either family, or a prefix.
    #[arg(value_name = "ADDRESS", value_parser = net)]
    pub(crate) address: Option<ipnet::IpNet>,
    /// When: 2026-11-24T14:03, "2h ago", a day; left out: ever.
    #[arg(value_name = "TIME", conflicts_with_all = ["since", "until"])]
    pub(crate) time: Option<String>,
    /// Which host had this port of a NAT64's address (UDP or TCP, or the identifier of ICMP).
    #[arg(long, value_name = "PORT", requires = "address")]
    pub(crate) port: Option<u16>,
    /// What this hardware address had.
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub(crate) mac: Option<sixgate_dhcp::identity::Mac>,
    /// What the client with this DUID had.
    #[arg(long, value_name = "DUID")]
    pub(crate) duid: Option<sixgate_wire::dhcpv6::Duid>,
    /// What was had on the line with this Interface-Id, Remote-ID or Subscriber-ID.
    #[arg(long, value_name = "LINE", value_parser = line)]
    pub(crate) line: Option<LineName>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Export {
    /// Comma-separated values, with a line of names.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Most answers of one kind that are shown; an export has no limit.
const MOST: u32 = 1_000;

/// An address or a prefix, as the command line has it.
pub(crate) fn net(text: &str) -> Result<IpNet, String> {
    // Addresses are read by the kit, so that [2001:db8::7]:443 from a log does too.
    let net = if text.contains('/') {
        text.parse().map(|net: IpNet| net.trunc()).ok()
    } else {
        text.parse().map(|endpoint: Endpoint| IpNet::from(endpoint.address())).ok()
    };
    net.ok_or_else(|| {
        "write an address, such as 2001:db8::7 or 192.0.2.7, or a prefix, such as 2001:db8:0:100::/56"
            .to_owned()
    })
}

/// A hardware address.
pub(crate) fn mac(text: &str) -> Result<Mac, String> {
    let octets: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|two| if two.len() == 2 { u8::from_str_radix(two, 16).ok() } else { None })
        .collect();
    octets
        .and_then(|octets| Mac::new(&octets))
        .ok_or_else(|| "write a hardware address, such as 02:00:5e:10:00:01".to_owned())
}

/// One name of a line. (clap takes a `Vec` for an argument that comes more than once.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineName(Vec<u8>);

/// One name of a line, as `who` prints it: text, or 0x and hexadecimal digits.
pub(crate) fn line(text: &str) -> Result<LineName, String> {
    // As a whole column is copied: interface=port7, remote=4491:port7, subscriber=0x00ff.
    let text = ["interface=", "subscriber="].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
    let enterprise = |digit: char| digit.is_ascii_digit();
    let remote = text.strip_prefix("remote=").map(|remote| remote.trim_start_matches(enterprise));
    let text = remote.and_then(|remote| remote.strip_prefix(':')).unwrap_or(text);
    let Some(digits) = text.strip_prefix("0x") else { return Ok(LineName(text.as_bytes().to_vec())) };
    let wrong = || format!("`{text}` is no line: after 0x, write pairs of hexadecimal digits");
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    (0..digits.len() / 2)
        .map(|at| digits.get(2 * at..2 * at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()))
        .collect::<Option<_>>()
        .map(LineName)
        .ok_or_else(wrong)
}

pub(crate) fn command(arguments: &Arguments) -> Outcome {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let question = match question(arguments, now) {
        Ok(question) => question,
        Err(words) => {
            say(&format!("sixgate: {words}\n"));
            return Outcome::Usage;
        }
    };
    let places = match places(arguments.config.as_deref()) {
        Ok(places) => places,
        Err(outcome) => return outcome,
    };
    let path = places.state.join(up::DATABASE);
    let reader = match Store::read_only(&path) {
        Ok(reader) => reader,
        Err(error @ StoreError::Unreadable { .. }) => {
            say(&format!("sixgate: {error}\n"));
            return Outcome::Refused;
        }
        Err(error) => return fail(&error.to_string()),
    };
    match arguments.export {
        Some(format) => export(&reader, &question, format),
        None => answer(&reader, &question, arguments),
    }
}

/// What is asked.
fn question(arguments: &Arguments, now: Duration) -> Result<Question, String> {
    let subject = match (arguments.address, arguments.mac, &arguments.duid, &arguments.line) {
        (Some(net), ..) => Subject::Net(net),
        (_, Some(mac), ..) => Subject::Mac(mac),
        (_, _, Some(duid), _) => Subject::Duid(duid.clone()),
        (.., Some(line)) => Subject::Line(line.0.clone()),
        _ if arguments.export.is_some() => Subject::All,
        _ => return Err("say whom: an ADDRESS, --mac, --duid or --line; see `sixgate who --help`".to_owned()),
    };
    let at = arguments.time.as_ref().map(|text| when::parse(text, now)).transpose()?;
    let bound = |text: &Option<String>| text.as_ref().map(|text| when::parse(text, now)).transpose();
    let since = bound(&arguments.since)?.map(|(from, _)| from);
    let before = bound(&arguments.until)?.map(|(_, until)| until);
    let (from, until) = match at {
        Some(at) => at,
        None => (since.unwrap_or_default(), before.unwrap_or(Duration::MAX)),
    };
    if from > until {
        return Err("--since lies after --until: nothing can be in between".to_owned());
    }
    if arguments.port.is_some() && !matches!(subject, Subject::Net(IpNet::V4(_))) {
        let words =
            "--port is of an IPv4 address that many share: name the address, or the NAT64's whole pool";
        return Err(words.to_owned());
    }
    let limit = if arguments.export.is_some() { u32::MAX } else { MOST };
    Ok(Question { subject, from, until, port: arguments.port, limit })
}

fn answer(reader: &Reader, question: &Question, arguments: &Arguments) -> Outcome {
    let mut rows = Vec::new();
    let mut behind = Ok(());
    let asked = reader.who(question, &mut |trace| {
        match behind::row(reader, question, &trace) {
            Ok(row) => rows.push(row),
            Err(error) => behind = Err(error),
        }
        behind.is_ok()
    });
    if let Err(error) = asked.and(behind) {
        return fail(&error.to_string());
    }
    rows.sort_by(|a, b| b.from.cmp(&a.from));
    if rows.is_empty() {
        if arguments.json {
            let _ = print("[]\n");
        }
        return nobody(reader, question, arguments);
    }
    if arguments.json {
        return match serde_json::to_string(&rows) {
            Ok(json) => print(&(json + "\n")),
            Err(error) => fail(&error.to_string()),
        };
    }
    let mut out = row::table(&rows);
    if let Some(time) = &arguments.time
        && !rows.iter().any(|row| row.covers(question))
    {
        // Only what was seen a little before or after: what that is worth is for who asks to say.
        let _ =
            writeln!(out, "nobody is known to have had it at {time}: these were seen within an hour of that");
    }
    if rows.len() >= MOST as usize {
        let remedy = "narrow it with --since and --until, or take all with --export csv";
        let _ = writeln!(out, "more than {MOST}: {remedy}");
    }
    print(&out)
}

/// Says that nobody had it, and how far the history goes.
fn nobody(reader: &Reader, question: &Question, arguments: &Arguments) -> Outcome {
    let whom = match &question.subject {
        Subject::All => "anything".to_owned(),
        Subject::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
        Subject::Net(net) => net.to_string(),
        Subject::Mac(mac) => format!("anything as {mac}"),
        Subject::Duid(duid) => format!("anything as {duid}"),
        Subject::Line(name) => format!("anything on line {}", Name(name)),
    };
    let whom = match question.port {
        Some(port) => format!("port {port} of {whom}"),
        None => whom,
    };
    let time = match &arguments.time {
        Some(_) => format!(" at {}", when::rfc3339(question.from)),
        None => String::new(),
    };
    let how_far = match reader.begins() {
        Ok(Some(begins)) if question.until < begins => {
            format!("the history begins only at {}", when::rfc3339(begins))
        }
        Ok(Some(begins)) => format!("the history begins at {}", when::rfc3339(begins)),
        Ok(None) => "the history is empty".to_owned(),
        Err(error) => return fail(&error.to_string()),
    };
    fail(&format!("nobody had {whom}{time}; {how_far}"))
}

/// Writes everything that answers, one row at a time.
fn export(reader: &Reader, question: &Question, format: Export) -> Outcome {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut written = match format {
        Export::Csv => out.write_all(row::CSV_HEADER.as_bytes()),
        Export::Json => Ok(()),
    };
    let asked = reader.who(question, &mut |trace| {
        // Every row says of itself whether its lease stands: there is no "now" in a file.
        let row = behind::row(reader, question, &trace).unwrap_or_else(|_| Row::new(&trace));
        if written.is_ok() {
            written = match format {
                Export::Csv => out.write_all(row.csv().as_bytes()),
                Export::Json => match serde_json::to_string(&row) {
                    Ok(json) => writeln!(out, "{json}"),
                    Err(error) => Err(error.into()),
                },
            };
        }
        written.is_ok()
    });
    match (asked, written.and_then(|()| out.flush())) {
        (Err(error), _) => fail(&error.to_string()),
        (_, Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to standard output: {error}"))
        }
        _ => Outcome::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_logs_have_them() {
        for (text, read) in [
            ("2001:db8::7", "2001:db8::7/128"),
            ("[2001:db8::7]:443", "2001:db8::7/128"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8:0:1ff::/56", "2001:db8:0:100::/56"),
        ] {
            assert_eq!(net(text).map(|net| net.to_string()), Ok(read.to_owned()));
        }
        assert!(
            net("laptop").is_err_and(|words| words.contains("write an address")) && net("::/129").is_err()
        );
    }

    #[test]
    fn machines_and_lines_are_read_as_they_are_printed() {
        assert_eq!(mac("02-00-5E-10-00-01").unwrap().to_string(), "02:00:5e:10:00:01");
        assert!(mac("02:00:5e:10:00:1").is_err() && mac("").is_err() && mac("00:00:00:00:00:00").is_err());
        for text in ["port7", "interface=port7", "remote=4491:port7", "subscriber=port7", "0x706f727437"] {
            assert_eq!(line(text), Ok(LineName(b"port7".to_vec())), "{text}");
        }
        assert!(line("0x7").is_err() && line("0xzz").is_err());
    }
}
