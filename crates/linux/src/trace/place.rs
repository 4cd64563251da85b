//! Whose call it was: the object file that a call came from, past the C library's wrappers.

use super::memory::{Proc, read};
use std::collections::HashMap;
use std::sync::Arc;

/// How much of the stack is looked through for the caller, in octets.
const STACK: usize = 16 << 10;
/// Callers that are kept.
const CALLERS: usize = 32;
/// Processes whose mappings are remembered.
const PROCESSES: usize = 256;
/// Addresses of which is remembered, for each process, whether a call stands before them.
const ADDRESSES: usize = 16_384;

/// Where in a program a call came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The object file: the program, or a library.
    pub object: String,
    /// Where in the file, in octets from its beginning: what `addr2line -e OBJECT` takes for most files.
    pub offset: u64,
    /// Where else in it there were callers, the nearest first: of a statically linked program the C library is a part, and the
    /// program's own code comes after.
    pub callers: Vec<u64>,
}

#[derive(Debug, Clone)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    object: Arc<str>,
    wrapper: bool,
}

/// What is mapped into the processes.
#[derive(Debug, Default)]
pub(super) struct Maps {
    of: HashMap<i32, Image>,
}

/// What is mapped into one process.
#[derive(Debug, Default)]
struct Image {
    /// By address.
    mappings: Vec<Mapping>,
    /// Whether a call stands before an address: code does not change, and reading it is a system call each time.
    calls: HashMap<u64, bool>,
}

impl Maps {
    /// Another program is executed, or the process is gone.
    pub(super) fn forget(&mut self, process: i32) {
        self.of.remove(&process);
    }

    /// Who called: where the instruction is, or, when that is in the C library, the first return address on the stack that
    /// is not. The stack is searched and not unwound, since most programs have no frame pointers: what is found was a
    /// caller at some time, nearly always this one.
    pub(super) fn place(
        &mut self,
        proc: &Proc,
        process: i32,
        thread: i32,
        (instruction, stack): (u64, u64),
    ) -> Option<Place> {
        let known = self.of.get(&process).is_some_and(|image| image.find(instruction).is_some());
        if !known {
            self.forget(process);
            if self.of.len() >= PROCESSES {
                self.of.clear();
            }
            let mut mappings: Vec<Mapping> =
                proc.read(&format!("{thread}/maps")).lines().filter_map(parse).collect();
            mappings.sort_by_key(|mapping| mapping.start);
            self.of.insert(process, Image { mappings, calls: HashMap::new() });
        }
        let image = self.of.get_mut(&process)?;
        let here = image.find(instruction)?.clone();
        let words = read(thread, stack, STACK).unwrap_or_default();
        let (words, _) = words.as_chunks::<8>();
        let mut callers = words.iter().map(|word| u64::from_ne_bytes(*word)).filter_map(|address| {
            let mapping = image.find(address).filter(|mapping| !mapping.wrapper)?.clone();
            image.follows_call(thread, address).then_some((mapping, address))
        });
        let first = if here.wrapper { callers.next() } else { None };
        let (mapping, address) = first.unwrap_or((here, instruction));
        let mut place = mapping.place(address);
        let others = callers.filter(|(other, _)| other.object == mapping.object);
        place.callers = others.take(CALLERS).map(|(other, address)| other.place(address).offset).collect();
        Some(place)
    }
}

impl Image {
    fn find(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings.get(after.checked_sub(1)?).filter(|mapping| address < mapping.end)
    }

    fn follows_call(&mut self, thread: i32, address: u64) -> bool {
        if let Some(known) = self.calls.get(&address) {
            return *known;
        }
        let follows = follows_call(thread, address);
        if self.calls.len() < ADDRESSES {
            self.calls.insert(address, follows);
        }
        follows
    }
}

impl Mapping {
    fn place(&self, address: u64) -> Place {
        Place {
            object: self.object.to_string(),
            offset: address - self.start + self.offset,
            callers: Vec::new(),
        }
    }
}

/// Whether the instruction before `address` is a call, so that `address` may be where it returns to.
fn follows_call(thread: i32, address: u64) -> bool {
    let Some(before) = address.checked_sub(7).and_then(|from| read(thread, from, 7)) else { return false };
    match std::env::consts::ARCH {
        // CALL rel32; CALL r/m64 of two to seven octets.
        "x86_64" => {
            before.get(2) == Some(&0xe8)
                || before.windows(2).any(|pair| matches!(pair, [0xff, operand] if operand >> 3 & 7 == 2))
        }
        // BL and BLR.
        "aarch64" => before
            .last_chunk()
            .map(|word| u32::from_le_bytes(*word))
            .is_some_and(|word| word >> 26 == 0x25 || word & 0xffff_fc1f == 0xd63f_0000),
        _ => false,
    }
}

/// A line of `/proc/PID/maps`: `start-end permissions offset device inode path`.
fn parse(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    if !words.next()?.contains('x') {
        return None;
    }
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let offset = hex(words.next()?)?;
    let object = words.skip(2).collect::<Vec<_>>().join(" ");
    if !object.starts_with('/') {
        return None;
    }
    let name = object.rsplit('/').next().unwrap_or_default();
    // Those of glibc and musl, and the loader.
    let wrapper = ["libc.", "libc-", "libpthread", "ld-", "ld.", "libresolv", "libnss_", "libc6"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    Some(Mapping { start: hex(start)?, end: hex(end)?, offset, wrapper, object: object.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let line = "7f1c2a400000-7f1c2a555000 r-xp 00026000 fe:00 1234   /usr/lib/x86_64-linux-gnu/libc.so.6";
        let mapping = parse(line).unwrap();
        assert!(mapping.wrapper);
        let place = Place {
            object: "/usr/lib/x86_64-linux-gnu/libc.so.6".to_owned(),
            offset: 0x26010,
            callers: Vec::new(),
        };
        assert_eq!(mapping.place(0x7f1c_2a40_0010), place);
        let with_space = "400000-401000 r-xp 0 fe:00 1 /home/me/my program (deleted)";
        assert_eq!(&*parse(with_space).unwrap().object, "/home/me/my program (deleted)");
        for other in ["", "1-2 r--p 0 0:0 0 /bin/x", "7ff-800 r-xp 0 0:0 0 [vdso]", "xyz r-xp"] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
