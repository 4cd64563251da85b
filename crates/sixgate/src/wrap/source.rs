//! The source line of a call, where the program has line numbers and this machine has addr2line (of binutils).

use sixgate_linux::trace::Place;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::process::Command;

/// Where the sources of libraries lie whose lines say nothing of the program: Go's own, and Debian's builds of C libraries.
const LIBRARIES: [&str; 5] = ["/usr/lib/go", "/usr/share/go", "/usr/local/go", "/usr/src/", "../sysdeps/"];

/// A line of the program's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its file, as the compiler was told it.
    pub(crate) file: String,
    /// Counted from 1.
    pub(crate) number: u32,
    /// The function around it.
    pub(crate) function: String,
}

impl fmt::Display for Line {
    /// `listen.c:13 in main`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} in {}", self.file, self.number, self.function)
    }
}

/// The line of a call, if it is known: the nearest caller that is the program's own, else the nearest.
pub(super) fn line(place: &Place) -> Option<Line> {
    let mut head = Vec::new();
    File::open(&place.object).ok()?.take(64 << 10).read_to_end(&mut head).ok()?;
    // A return address stands behind the call; one octet before it is still the call's.
    let addresses: Vec<String> = std::iter::once(&place.offset)
        .chain(&place.callers)
        .filter_map(|offset| loaded(&head, *offset)?.checked_sub(1))
        .map(|address| format!("{address:#x}"))
        .collect();
    let output =
        Command::new("addr2line").args(["-f", "-C", "-e", &place.object]).args(addresses).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let (pairs, _) = lines.as_chunks::<2>();
    let known = || {
        pairs.iter().filter_map(|[function, line]| {
            // What a compiler merged is told behind the number.
            let (file, line) = line.split(" (").next().unwrap_or(line).rsplit_once(':')?;
            // A question mark is no number.
            let number = line.parse().ok().filter(|number| *number > 0)?;
            let known = Line { file: file.into(), number, function: (*function).into() };
            (!file.starts_with("??")).then_some(known)
        })
    };
    let own = known().find(|line| !LIBRARIES.iter().any(|library| line.file.starts_with(library)));
    own.or_else(|| known().next())
}

/// ELF, 64 bits: the segment that has `offset`, by the program headers at the file's beginning.
fn loaded(head: &[u8], offset: u64) -> Option<u64> {
    /// `PT_LOAD` of elf.h.
    const LOAD: u32 = 1;
    let at = |place: usize| Some(u64::from_ne_bytes(*head.get(place..)?.first_chunk()?));
    let short = |place: usize| Some(usize::from(u16::from_ne_bytes(*head.get(place..)?.first_chunk()?)));
    // 2: ELFCLASS64.
    if !head.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let (first, size, count) = (usize::try_from(at(32)?).ok()?, short(54)?, short(56)?);
    (0..count).find_map(|number| {
        let header = first.checked_add(size.checked_mul(number)?)?;
        let kind = u32::from_ne_bytes(*head.get(header..)?.first_chunk()?);
        let [from, to, length] = [8, 16, 32].map(|field| at(header.checked_add(field)?));
        let (from, to, length) = (from?, to?, length?);
        let inside = kind == LOAD && offset.checked_sub(from).is_some_and(|into| into < length);
        inside.then(|| to.checked_add(offset - from)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_has_no_lines() {
        for head in [b"".as_slice(), b"\x7fELF\x02", b"#!/bin/sh", &[0xff; 100]] {
            assert_eq!(loaded(head, 0), None);
        }
        // Our own: some segment begins the file.
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(loaded(&own, 64).is_some());
        for length in 0..own.len().min(1000) {
            let _ = loaded(&own[..length], 64);
        }
    }
}
