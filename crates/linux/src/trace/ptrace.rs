//! What the kernel is asked by ptrace(2), and what it says.

use std::io;

/// A request whose last argument is a number.
pub(super) fn ask(request: libc::c_uint, thread: i32, data: i32) -> io::Result<()> {
    // SAFETY: requests that are asked for through here take no pointers.
    let result = unsafe { libc::ptrace(request, thread, 0_usize, libc::c_long::from(data)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets a thread go on, until it returns from its call (`PTRACE_SYSCALL`) or for good. One that was killed meanwhile is gone.
pub(super) fn resume(how: libc::c_uint, thread: i32, signal: i32) -> io::Result<()> {
    ask(how, thread, signal)
}

/// What goes with an event: of an execve, the number that the thread had before.
pub(super) fn event_message(thread: i32) -> Option<i32> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one number, and `message` lives until the call returns.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, thread, 0_usize, &raw mut message) };
    (result == 0).then_some(message as i32)
}

pub(super) struct Information {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
    pub(super) instruction: u64,
    pub(super) stack: u64,
}

pub(super) fn syscall_info(thread: i32) -> Option<libc::ptrace_syscall_info> {
    // SAFETY: the structure holds numbers only, for which zero is a value.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` octets into `info`, which lives until the call returns.
    let count = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info) };
    (count > 0).then_some(info)
}

pub(super) fn information(thread: i32) -> Option<Information> {
    let info = syscall_info(thread)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
        return None;
    }
    // SAFETY: `op` says that this is the member that the kernel wrote.
    let entry = unsafe { info.u.seccomp };
    Some(Information {
        number: entry.nr.cast_signed(),
        arguments: entry.args,
        instruction: info.instruction_pointer,
        stack: info.stack_pointer,
    })
}

/// What the call returned: negative for an error.
pub(super) fn result(thread: i32) -> Option<i64> {
    let info = syscall_info(thread)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_EXIT {
        return None;
    }
    // SAFETY: `op` says that this is the member that the kernel wrote.
    Some(unsafe { info.u.exit.sval })
}

#[cfg(target_arch = "x86_64")]
pub(super) mod registers {
    //! What a call is and what it returns, where the kernel does not say it the same way everywhere.

    use std::io;

    /// Lets the call at whose entry `thread` stands not be made, and fail with `errno`.
    pub(in super::super) fn skip(thread: i32, errno: i32) -> io::Result<()> {
        // SAFETY: the structure holds numbers only, and both calls take a pointer to all of it.
        let result = unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            let mut result = libc::ptrace(libc::PTRACE_GETREGS, thread, 0_usize, &raw mut registers);
            if result == 0 {
                registers.orig_rax = u64::MAX;
                registers.rax = i64::from(-errno).cast_unsigned();
                result = libc::ptrace(libc::PTRACE_SETREGS, thread, 0_usize, &raw const registers);
            }
            result
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) mod registers {
    //! What a call is and what it returns, where the kernel does not say it the same way everywhere.

    use std::io;

    /// `NT_ARM_SYSTEM_CALL` of linux/elf.h.
    const SYSTEM_CALL: usize = 0x404;

    /// Lets the call at whose entry `thread` stands not be made, and fail with `errno`.
    pub(in super::super) fn skip(thread: i32, errno: i32) -> io::Result<()> {
        // SAFETY: the structures hold numbers only, and each call takes a pointer to all of one with its length.
        let result = unsafe {
            let mut none: i32 = -1;
            let mut vector = libc::iovec { iov_base: (&raw mut none).cast(), iov_len: size_of::<i32>() };
            let mut result = libc::ptrace(libc::PTRACE_SETREGSET, thread, SYSTEM_CALL, &raw mut vector);
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            vector.iov_base = (&raw mut registers).cast();
            vector.iov_len = size_of::<libc::user_regs_struct>();
            let general = libc::NT_PRSTATUS as usize;
            if result == 0 {
                result = libc::ptrace(libc::PTRACE_GETREGSET, thread, general, &raw mut vector);
            }
            if result == 0 {
                registers.regs[0] = i64::from(-errno).cast_unsigned();
                result = libc::ptrace(libc::PTRACE_SETREGSET, thread, general, &raw mut vector);
            }
            result
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
