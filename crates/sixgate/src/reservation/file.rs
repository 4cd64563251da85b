//! The file that `[dhcp] reservations` names: comma-separated values with a line of names on top, or one JSON object a
//! line. Which of the two it is, its first line tells.

use super::csv::{self, Field};
use super::draft::{Draft, Wrong};
use crate::config::Diagnostic;
use sixgate_dhcp::reservation::{Origin, Reservations};
use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

/// Longest file that is read, in octets: room for all reservations that there can be.
const LONGEST: u64 = 64 << 20;
/// Most mistakes told of one file.
const MOST_FINDINGS: usize = 20;
/// Most names of LANs and subnets that a remedy tells.
const MOST_NAMES: usize = 10;
/// Most reservations told of that were left out.
const MOST_LEFT_OUT: usize = 20;

/// What a line may be made of.
const COLUMNS: [&str; 11] = [
    "duid",
    "iaid",
    "mac",
    "interface-id",
    "remote-id",
    "subscriber-id",
    "lan",
    "address",
    "prefix",
    "hostname",
    "options",
];

/// Reads the file: its reservations, and a sentence for each that clashes with an earlier one and was left out.
///
/// # Errors
/// Every mistake, with its line and column. A file with mistakes is not taken at all.
pub(crate) fn load(path: &Path, lans: &[&str]) -> Result<(Reservations, Vec<String>), Vec<Diagnostic>> {
    let text = read(path).map_err(|error| {
        let message = format!("cannot read the reservations: {error}");
        vec![Diagnostic::whole(
            path,
            message,
            "make it a readable text file, or mend dhcp.reservations".to_owned(),
        )]
    })?;
    parse(path, &text, lans)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        let message = format!("it is longer than {} MiB", LONGEST >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// What is wrong in a line, and in which column it is, counted from 1 in characters.
type Mistake = (usize, Wrong);

fn parse(path: &Path, text: &str, lans: &[&str]) -> Result<(Reservations, Vec<String>), Vec<Diagnostic>> {
    let mut reservations = Reservations::default();
    let (mut findings, mut left_out, mut more) = (Vec::new(), Vec::new(), 0_usize);
    let mut names: Option<Vec<Field>> = None;
    // There may be thousands, and each line may name one.
    let known: HashSet<&str> = lans.iter().copied().collect();
    let mut start = 0;
    for (line, number) in text.split('\n').zip(1_u32..) {
        let mut here = start;
        start += line.len() + 1;
        // Spreadsheets put a byte order mark in front.
        let line = match line.strip_prefix('\u{feff}').filter(|_| number == 1) {
            Some(rest) => {
                here += line.len() - rest.len();
                rest
            }
            None => line,
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let draft = if line.trim_start().starts_with('{') {
            json(line)
        } else if let Some(names) = &names {
            row(line, names)
        } else {
            match header(line) {
                Ok(header) => {
                    names = Some(header);
                    continue;
                }
                Err(mistake) => Err(mistake),
            }
        };
        let read = draft.and_then(|draft| {
            let there = draft.lan.as_deref().is_none_or(|lan| lan.is_empty() || known.contains(lan));
            if !there {
                let message = format!("there is no LAN `{}`", draft.lan.as_deref().unwrap_or_default());
                let some = lans.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
                let more = if lans.len() > MOST_NAMES { ", ..." } else { "" };
                let remedy = format!("the configuration has: {some}{more}");
                let wrong = Wrong { key: "lan", message, remedy };
                return Err((column_of(line, names.as_deref(), "lan"), wrong));
            }
            draft
                .read(Origin::Line(number))
                .map_err(|wrong| (column_of(line, names.as_deref(), wrong.key), wrong))
        });
        match read {
            Ok(reservation) => {
                let owner = reservation.owner.clone();
                if let Err(conflict) = reservations.insert(reservation) {
                    if left_out.len() < MOST_LEFT_OUT {
                        left_out
                            .push(format!("{}:{number}: {owner} is left out: {conflict}", path.display()));
                    } else {
                        more += 1;
                    }
                }
            }
            Err((column, wrong)) => {
                let offset =
                    line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
                let span = here + offset..here + line.len();
                findings.push(Diagnostic::at(path, text, span, wrong.key, wrong.message, wrong.remedy));
                // Without names no line can be read.
                if findings.len() >= MOST_FINDINGS || (names.is_none() && !line.trim_start().starts_with('{'))
                {
                    break;
                }
            }
        }
    }
    if more > 0 {
        left_out.push(format!("{}: and {more} more are left out", path.display()));
    }
    if findings.is_empty() { Ok((reservations, left_out)) } else { Err(findings) }
}

/// The names of the columns.
fn header(line: &str) -> Result<Vec<Field>, Mistake> {
    let fields = csv::fields(line).map_err(quote)?;
    let unknown = |field: &&Field| !COLUMNS.contains(&field.text.as_str());
    if let Some(field) = fields.iter().find(unknown) {
        let message = format!("there is no column `{}`", field.text);
        let remedy = format!("the first line names the columns: {}", COLUMNS.join(", "));
        return Err((field.column, Wrong { key: "duid", message, remedy }));
    }
    let twice =
        fields.iter().enumerate().find(|(at, field)| fields.iter().take(*at).any(|f| f.text == field.text));
    match twice {
        Some((_, field)) => {
            let message = format!("column `{}` stands twice", field.text);
            Err((field.column, Wrong { key: "duid", message, remedy: "name each column once".to_owned() }))
        }
        None => Ok(fields),
    }
}

fn quote(column: usize) -> Mistake {
    let message = "a quote stands where none should, or is not closed".to_owned();
    let remedy = "put the whole field into quotes, and double those within: \"a \"\"b\"\" c\"".to_owned();
    (column, Wrong { key: "duid", message, remedy })
}

fn row(line: &str, names: &[Field]) -> Result<Draft, Mistake> {
    let fields = csv::fields(line).map_err(quote)?;
    if fields.len() > names.len() {
        let column = fields.get(names.len()).map_or(1, |field| field.column);
        let message = format!("there are {} fields, and {} columns", fields.len(), names.len());
        let remedy = "take the comma out, or put the field into quotes".to_owned();
        return Err((column, Wrong { key: "duid", message, remedy }));
    }
    let mut draft = Draft::default();
    for (name, field) in names.iter().zip(&fields).filter(|(_, field)| !field.text.is_empty()) {
        let text = || Some(field.text.clone());
        let list =
            || field.text.split([' ', ';']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        match name.text.as_str() {
            "duid" => draft.duid = text(),
            "mac" => draft.mac = text(),
            "interface-id" => draft.interface_id = text(),
            "remote-id" => draft.remote_id = text(),
            "subscriber-id" => draft.subscriber_id = text(),
            "lan" => draft.lan = text(),
            "hostname" => draft.hostname = text(),
            "address" => draft.address = list(),
            "prefix" => draft.prefix = list(),
            "iaid" => {
                draft.iaid = Some(field.text.parse().map_err(|_| {
                    let message = format!("`{}` is no IAID", field.text);
                    let remedy = "write a number of 0 to 4294967295".to_owned();
                    (field.column, Wrong { key: "iaid", message, remedy })
                })?);
            }
            _ => {
                draft.options = serde_json::from_str(&field.text).map_err(|error| {
                    let message = format!("the options are no JSON object: {error}");
                    let remedy = "write \"{\"\"captive-portal\"\": \"\"https://...\"\"}\"".to_owned();
                    (field.column, Wrong { key: "options", message, remedy })
                })?;
            }
        }
    }
    Ok(draft)
}

fn json(line: &str) -> Result<Draft, Mistake> {
    serde_json::from_str(line).map_err(|error| {
        let message = error.to_string();
        // The position is told by the column.
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        // Octets that came before, as characters.
        let column =
            line.get(..error.column().min(line.len())).map_or(1, |before| before.chars().count().max(1));
        (column, Wrong { key: "duid", message, remedy: format!("an object has: {}", COLUMNS.join(", ")) })
    })
}

/// In which column of a line a word stands; the line's first where it is not there.
fn column_of(line: &str, names: Option<&[Field]>, key: &str) -> usize {
    if line.trim_start().starts_with('{') {
        let at = line.find(&format!("\"{key}\"")).unwrap_or_default();
        return line.get(..at).map_or(1, |before| before.chars().count() + 1);
    }
    let place = names.and_then(|names| names.iter().position(|name| name.text == key));
    let fields = csv::fields(line).unwrap_or_default();
    place.and_then(|place| fields.get(place)).map_or(1, |field| field.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(Reservations, Vec<String>), Vec<Diagnostic>> {
        parse(Path::new("r.csv"), text, &["lan0", "lan1"])
    }

    fn finding(text: &str) -> String {
        let found = parsed(text).expect_err("the file should be refused");
        assert_eq!(found.len(), 1, "{found:#?}");
        format!("{}:{} {}", found[0].line, found[0].column, found[0].message)
    }

    #[test]
    fn both_forms_say_the_same() {
        let csv = "# machines\nmac,duid,iaid,lan,address,prefix,hostname,options\n\
                   02:00:00:00:00:01,,,lan0,2001:db8::1 2001:db8:1::1,,printer,\"{\"\"tzdb-timezone\"\": \"\"Europe/Zurich\"\"}\"\n\
                   ,00:03:00:01:02:00:00:00:00:02,7,,,2001:db8:100::/56\r\n\n";
        let json = "{\"mac\": \"02:00:00:00:00:01\", \"lan\": \"lan0\", \"address\": [\"2001:db8::1\", \"2001:db8:1::1\"], \
                    \"hostname\": \"printer\", \"options\": {\"tzdb-timezone\": \"Europe/Zurich\"}}\n\
                    {\"duid\": \"00:03:00:01:02:00:00:00:00:02\", \"iaid\": 7, \"prefix\": \"2001:db8:100::/56\"}\n";
        let read = |text| {
            let (all, left_out) = parsed(text).unwrap();
            assert!(left_out.is_empty());
            all.iter()
                .map(|(_, row)| sixgate_dhcp::reservation::Reservation {
                    origin: Origin::Command,
                    ..row.clone()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(read(csv), read(json));
        assert_eq!(read(csv).len(), 2);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let (all, _) = parsed("\u{feff}mac,address\r\n02:00:00:00:00:01,2001:db8::1\r\n").unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(finding("\u{feff}mac,adress\n"), "1:6 there is no column `adress`");
    }

    #[test]
    fn of_thousands_of_names_a_few_are_told() {
        let names: Vec<String> = (0..10_000).map(|number| format!("subnet{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = parse(Path::new("r.csv"), "mac,lan\n02:00:00:00:00:01,x\n", &names).unwrap_err();
        assert!(found[0].remedy.ends_with("subnet9, ..."), "{}", found[0].remedy);
    }

    #[test]
    fn mistakes_name_line_and_column() {
        for (text, expected) in [
            ("mac,adress\n", "1:5 there is no column `adress`"),
            ("mac,mac\n", "1:5 column `mac` stands twice"),
            ("mac,address\n02:00:00:00:00:01,2001:db8::g\n", "2:19 `2001:db8::g` is no IPv6 address"),
            ("mac,address\n02:00:00:00:00:0,2001:db8::1\n", "2:1 `02:00:00:00:00:0` is no hardware address"),
            ("mac,address\n,2001:db8::1\n", "2:1 it is nobody's"),
            ("mac,address\n02:00:00:00:00:01,\n", "2:19 nothing is reserved"),
            (
                "mac,address\n02:00:00:00:00:01,fe80::1\n",
                "2:19 `fe80::1` is for nobody: it is link-local, multicast or loopback",
            ),
            ("mac,prefix\n02:00:00:00:00:01,2001:db8::1/56\n", "2:19 `2001:db8::1/56` is no IPv6 prefix"),
            ("mac,address\n02:00:00:00:00:01,2001:db8::1,x\n", "2:31 there are 3 fields, and 2 columns"),
            (
                "mac,address\n02:00:00:00:00:01,\"2001:db8::1\n",
                "2:19 a quote stands where none should, or is not closed",
            ),
            ("mac,lan,hostname\n02:00:00:00:00:01,lan7,x\n", "2:19 there is no LAN `lan7`"),
            ("duid,iaid,hostname\n00:03:00:01:02,x,y\n", "2:16 `x` is no IAID"),
            ("remote-id,hostname\nline,x\n", "2:1 `line` does not begin with an enterprise number"),
            (
                "{\"mac\": \"02:00:00:00:00:01\", \"adress\": \"x\"}",
                "1:37 unknown field `adress`, expected one of `duid`, `iaid`, `mac`, `interface-id`, `remote-id`, `subscriber-id`, `lan`, `address`, `prefix`, `hostname`, `options`",
            ),
            ("{\"mac\": \"02:00:00:00:00:01\", \"address\": \"x\"}", "1:30 `x` is no IPv6 address"),
            (
                "{\"mac\": \"02:00:00:00:00:01\", \"options\": {\"x\": 1}}",
                "1:30 there is no option `x` (in x)",
            ),
        ] {
            assert_eq!(finding(text), expected, "{text}");
        }
        let many = format!("mac,hostname\n{}", "x,y\n".repeat(100));
        assert_eq!(parsed(&many).unwrap_err().len(), MOST_FINDINGS);
    }

    #[test]
    fn the_first_keeps_what_two_want() {
        let (all, left_out) =
            parsed("mac,address\n02:00:00:00:00:01,2001:db8::1\n02:00:00:00:00:02,2001:db8::1\n").unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(left_out.len(), 1);
        assert!(
            left_out[0]
                .starts_with("r.csv:3: mac 02:00:00:00:00:02 is left out: 2001:db8::1 is reserved already"),
            "{}",
            left_out[0]
        );
        assert!(left_out[0].contains("mac 02:00:00:00:00:01 (line 2)"), "{}", left_out[0]);
    }
}
