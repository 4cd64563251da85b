//! Classic BPF (bpf(4), linux/filter.h): what the kernel asks of each packet before a socket has it.

use std::io;
use std::mem;
use std::os::fd::AsRawFd;

/// Where a jump leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    Next,
    To(&'static str),
    Take,
    Leave,
}

/// A program under way: instructions, and the names of some.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<(u32, u32, Go, Go)>,
    labels: Vec<(&'static str, usize)>,
}

/// Ancillary data of the kernel's (linux/filter.h), `SKF_AD_OFF + SKF_AD_RANDOM`: 32 random bits.
pub(super) const RANDOM: u32 = (-0x1000_i32 + 56).cast_unsigned();

impl Assembler {
    pub(super) fn label(&mut self, name: &'static str) {
        self.labels.push((name, self.code.len()));
    }

    /// Loads from a fixed place: `BPF_B`, `BPF_H` or `BPF_W`.
    pub(super) fn load(&mut self, size: u32, at: u32) {
        self.code.push((libc::BPF_LD | size | libc::BPF_ABS, at, Go::Next, Go::Next));
    }

    /// Loads from behind an IPv4 header that begins at `header`, however long that is.
    pub(super) fn load_behind_ipv4(&mut self, size: u32, header: u32, at: u32) {
        self.code.push((libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, header, Go::Next, Go::Next));
        self.load_behind(size, header + at);
    }

    /// Loads from so many octets behind where the index register points.
    pub(super) fn load_behind(&mut self, size: u32, at: u32) {
        self.code.push((libc::BPF_LD | size | libc::BPF_IND, at, Go::Next, Go::Next));
    }

    /// Makes what was loaded, and `more`, and with `on` what the index register holds beside, what that register holds.
    pub(super) fn point(&mut self, more: u32, on: bool) {
        if on {
            self.code.push((libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0, Go::Next, Go::Next));
        }
        self.code.push((libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, more, Go::Next, Go::Next));
        self.code.push((libc::BPF_MISC | libc::BPF_TAX, 0, Go::Next, Go::Next));
    }

    pub(super) fn and(&mut self, mask: u32) {
        self.code.push((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask, Go::Next, Go::Next));
    }

    pub(super) fn if_equal(&mut self, value: u32, yes: Go, no: Go) {
        self.code.push((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, yes, no));
    }

    pub(super) fn if_at_least(&mut self, value: u32, yes: Go, no: Go) {
        self.code.push((libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, value, yes, no));
    }

    /// The program; of what it takes, so many octets are handed over.
    pub(super) fn finish(mut self, kept: u32) -> Vec<libc::sock_filter> {
        let (take, leave) = (self.code.len(), self.code.len() + 1);
        self.code.push((libc::BPF_RET | libc::BPF_K, kept, Go::Next, Go::Next));
        self.code.push((libc::BPF_RET | libc::BPF_K, 0, Go::Next, Go::Next));
        let place = |go: Go, at: usize| match go {
            Go::Next => at + 1,
            Go::Take => take,
            Go::Leave => leave,
            Go::To(name) => self.labels.iter().find(|(label, _)| *label == name).map_or(leave, |(_, at)| *at),
        };
        let jump = |go: Go, at: usize| (place(go, at) - at - 1) as u8;
        let instruction = |(at, &(code, k, yes, no)): (usize, &(u32, u32, Go, Go))| {
            let (jt, jf) = if code & 0x07 == libc::BPF_JMP { (jump(yes, at), jump(no, at)) } else { (0, 0) };
            libc::sock_filter { code: code as u16, jt, jf, k }
        };
        self.code.iter().enumerate().map(instruction).collect()
    }
}

/// Lets the kernel choose by `program`, in place of the one before (`SO_ATTACH_FILTER`, socket(7)).
pub(super) fn attach(fd: &impl AsRawFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let size = mem::size_of_val(&program) as libc::socklen_t;
    // SAFETY: the pointer and the size are those of one living `sock_fprog`, which points to `len` living instructions;
    // the kernel copies them and writes to neither.
    let set = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size,
        )
    };
    if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets everything in again (`SO_DETACH_FILTER`).
pub(super) fn detach(fd: &impl AsRawFd) -> io::Result<()> {
    match super::option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        done => done,
    }
}
