//! Places too small for an IPv6 address: `short-field`, `uint32-address`.

use super::family::{defines, handled, one_sided};
use crate::finding::Collector;
use crate::lexer::Kind;
use crate::rule;
use crate::source::Source;
use crate::{Confidence, Language, words};

/// Sizes that hold an IPv4 address in text, and no IPv6 address.
fn is_short(number: &str) -> bool {
    number.parse::<u32>().is_ok_and(|size| (15..=39).contains(&size))
}

pub(crate) fn word(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let word = source.get(at);
    let line = source.line(at);
    match word {
        "INET_ADDRSTRLEN" => {
            let defined = defines(source, at);
            if !defined && !handled(source, line) {
                out.token(&rule::SHORT_FIELD, at, one_sided(source), word);
            }
        }
        "char" if source.language.is_c() => {
            let name = source.get(at + 1);
            let array = source.is(at + 2, "[") && is_short(source.get(at + 3)) && source.is(at + 4, "]");
            // An interface's name has 16 octets as well.
            if array && is_text_of_address(name) && !source.six_near(line, 3) {
                out.token(
                    &rule::SHORT_FIELD,
                    at,
                    Confidence::High,
                    &format!("{name}[{}]", source.get(at + 3)),
                );
            }
        }
        "max_length" | "length" | "maxLength" | "maxlength" | "MaxLength" => {
            let assigned = source.is(at + 1, "=") || source.is(at + 1, ":");
            let short = assigned && matches!(source.get(at + 2), "15" | "16");
            let named = source.within(at, 2, 2).any(|at| words::is_ip(source.get(at)));
            if short && named && source.language != Language::Rust {
                out.token(
                    &rule::SHORT_FIELD,
                    at,
                    Confidence::High,
                    &format!("{word} = {}", source.get(at + 2)),
                );
            }
        }
        "String" | "CHAR" | "VARCHAR" | "Unicode" if source.language == Language::Python => {
            let short = source.is(at + 1, "(") && matches!(source.get(at + 2), "15" | "16");
            let named = source.on_line(at).any(|at| words::is_ip(source.get(at)));
            if short && named {
                out.token(
                    &rule::SHORT_FIELD,
                    at,
                    Confidence::High,
                    &format!("{word}({})", source.get(at + 2)),
                );
            }
        }
        "uint32_t" | "u_int32_t" | "in_addr_t" | "uint32" | "u32" | "DWORD" | "__be32" | "u_long" | "int"
        | "long" => {
            integer(source, at, word, out);
        }
        "s_addr" if source.language.is_c() => {
            // `x = ntohl(a.s_addr)`, a comparison or a shift: an address handled as a number.
            let host = (at.saturating_sub(8)..at).any(|at| source.is(at, "ntohl"));
            if host && !handled(source, line) {
                out.token(&rule::UINT32, at, one_sided(source), "ntohl(... s_addr)");
            }
        }
        "unpack" | "unpack_from" if source.language == Language::Python => {
            let Some(arguments) = source.arguments(at) else { return };
            let number = arguments.clone().any(|at| {
                source.string(at).is_some_and(|text| {
                    matches!(text, "!I" | "!L" | ">I" | ">L" | "=I" | "I" | "L" | "=L" | "<L" | "<I")
                })
            });
            let address = arguments.into_iter().any(|at| matches!(source.get(at), "inet_aton" | "inet_pton"));
            if number && address && !source.six_near(line, 6) {
                out.token(&rule::UINT32, at, Confidence::High, "an address unpacked into 32 bits");
            }
        }
        _ => {}
    }
}

/// `uint32_t ip`, `ip: u32`, `ip uint32`, `int ip`.
fn integer(source: &Source<'_>, at: usize, kind: &str, out: &mut Collector<'_, '_>) {
    let line = source.line(at);
    let name = match source.language {
        Language::C | Language::Cpp if kind != "int" && kind != "long" && kind != "u32" => source.get(at + 1),
        Language::Java if matches!(kind, "int" | "long") => source.get(at + 1),
        Language::Go if kind == "uint32" && at > 0 => source.get(at - 1),
        Language::Rust if kind == "u32" && at >= 2 && source.is_before(at, ":") => source.get(at - 2),
        _ => return,
    };
    if source.kind(at + 1) == Some(Kind::Mark) && source.language.is_c() {
        return;
    }
    let c = source.language.is_c();
    let network =
        ["sockaddr_in", "in_addr", "AF_INET", "inet_ntoa", "inet_ntop", "inet_pton", "netinet", "sockaddr"];
    let fits = kind == "in_addr_t" && c
        || is_number_of_address(name, !c || !network.iter().any(|word| source.has(word)));
    let function = source.is(at + 2, "(") && c;
    // A type's name is no variable: `typedef uint32_t in_addr_t;`.
    // Prototypes of the library itself; registers.
    let other = name.starts_with("__") || name == "v4" || name.contains("fpu");
    if !fits
        || other
        || function
        || source.is_before(at, "typedef")
        || source.six_near(line, 6)
        || name.is_empty()
    {
        return;
    }
    if words::speaks_of_four(name) && handled(source, line) {
        return;
    }
    out.token(&rule::UINT32, at, Confidence::Medium, &format!("{name} in 32 bits"));
}

fn is_number_of_address(name: &str, strictly: bool) -> bool {
    // How many, how long, which one, an index: numbers about addresses.
    let about = words::each(name, |word| {
        matches!(
            word,
            "count"
                | "len"
                | "length"
                | "num"
                | "id"
                | "index"
                | "idx"
                | "size"
                | "type"
                | "family"
                | "scope"
                | "flags"
                | "port"
                | "ports"
                | "max"
                | "min"
                | "total"
                | "timeout"
                | "ttl"
                | "version"
                | "proto"
                | "ips"
                | "reg"
                | "offset"
                | "state"
                | "table"
        )
    });
    if about {
        return false;
    }
    words::is_ip(name)
        || words::speaks_of_four(name)
        || (!strictly
            && words::each(name, |word| {
                matches!(word, "netmask" | "gateway" | "gw" | "nameserver" | "broadcast" | "bcast")
            }))
}

/// The name of a text that is an address.
fn is_text_of_address(name: &str) -> bool {
    let named = words::is_ip(name)
        || words::each(name, |word| {
            matches!(
                word,
                "addr"
                    | "address"
                    | "addrbuf"
                    | "addrstr"
                    | "straddr"
                    | "addrtext"
                    | "peer"
                    | "netmask"
                    | "gateway"
                    | "nameserver"
            )
        });
    named
        && !words::each(name, |word| {
            matches!(
                word,
                "mac"
                    | "hw"
                    | "hwaddr"
                    | "ether"
                    | "bd"
                    | "bt"
                    | "path"
                    | "name"
                    | "pci"
                    | "uuid"
                    | "bus"
                    | "eth"
                    | "lladdr"
            )
        })
}

/// Columns of a table, in a string of SQL.
pub(crate) fn text(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let text = source.get(at);
    if !(text.contains("CHAR(1") || text.contains("char(1")) {
        return;
    }
    let lower = text.get(..text.len().min(20_000)).unwrap_or("").to_ascii_lowercase();
    for (found, _) in lower.match_indices("char(1").take(100) {
        let size = &lower[found + 5..];
        let column = lower[..found]
            .trim_end_matches("var")
            .trim_end_matches('n')
            .split_whitespace()
            .next_back()
            .unwrap_or("");
        let name = column.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '_');
        if (size.starts_with("15)") || size.starts_with("16)")) && is_text_of_address(name) {
            let lines = text[..found].matches('\n').count() as u32;
            out.place(&rule::SHORT_FIELD, source.line(at) + lines, 0, Confidence::High, name);
        }
    }
}

/// `ip_address VARCHAR(15)`.
pub(crate) fn sql(source: &Source<'_>, at: usize, out: &mut Collector<'_, '_>) {
    let kind = source.get(at);
    let typed = kind.eq_ignore_ascii_case("varchar")
        || kind.eq_ignore_ascii_case("char")
        || kind.eq_ignore_ascii_case("nvarchar");
    if !typed || !source.is(at + 1, "(") || !matches!(source.get(at + 2), "15" | "16") {
        return;
    }
    // Quoted as `ip`, "ip" or [ip], or not.
    let name =
        (at.saturating_sub(2)..at).rev().map(|at| source.get(at)).find(|name| name.len() > 1).unwrap_or("");
    let is_name =
        (at.saturating_sub(2)..at).any(|at| matches!(source.kind(at), Some(Kind::Word | Kind::Text)));
    if is_name && is_text_of_address(name) {
        out.token(
            &rule::SHORT_FIELD,
            at,
            Confidence::High,
            &format!("{name} {kind}({})", source.get(at + 2)),
        );
    }
}
