//! Reading big-endian fields out of a slice without a way to panic, and writing them into one.

use crate::WireError;
use std::net::Ipv6Addr;

/// The first `N` octets of `bytes` and what follows them.
pub(crate) fn take<'a, const N: usize>(
    bytes: &'a [u8],
    what: &'static str,
) -> Result<(&'a [u8; N], &'a [u8]), WireError> {
    bytes.split_first_chunk::<N>().ok_or(WireError::Truncated { what, need: N, have: bytes.len() })
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_be_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

pub(crate) fn addr_at(bytes: &[u8], at: usize) -> Ipv6Addr {
    bytes
        .get(at..at + 16)
        .and_then(|b| <[u8; 16]>::try_from(b).ok())
        .map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from)
}

/// Appends to a caller's buffer; once full it stays full and says so at the end.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    full: bool,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, length: 0, full: false }
    }

    pub(crate) fn put(&mut self, octets: &[u8]) {
        match self.buffer.get_mut(self.length..self.length + octets.len()) {
            Some(room) if !self.full => {
                room.copy_from_slice(octets);
                self.length += octets.len();
            }
            _ => self.full = true,
        }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Overwrites octets that were written before; used for lengths known only afterwards.
    pub(crate) fn patch(&mut self, at: usize, octets: &[u8]) {
        if let Some(room) = self.buffer.get_mut(at..at + octets.len()) {
            room.copy_from_slice(octets);
        }
    }

    /// Marks the packet as unwritable, for a part whose length does not fit its length field.
    pub(crate) fn fail(&mut self) {
        self.full = true;
    }

    pub(crate) fn finish(self) -> Result<&'b [u8], WireError> {
        if self.full {
            return Err(WireError::NoRoom { capacity: self.buffer.len() });
        }
        let Self { buffer, length, .. } = self;
        buffer.get(..length).ok_or(WireError::NoRoom { capacity: length })
    }
}
