//! One segment of the log as octets.
//!
//! A head (what it is, its number, 16 random octets), then frames, each at a multiple of 8: length, check of the length, check
//! of length and content, content. Zeros may follow. The checks are keyed with the random octets and take in the
//! place, so that nothing that strangers had written into it, and nothing left from elsewhere, is ever taken for a frame.

use super::Position;
use rustix::io::Errno;
use siphasher::sip::SipHasher13;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;

const MAGIC: &[u8; 8] = b"6gatlog1";
/// Octets of a segment's head: magic, number, key.
pub(crate) const HEAD: usize = 32;
/// Octets of a frame's head: length, its check, check of the whole.
const FRAME: usize = 16;
/// Octets that a disk loses at once.
const BLOCK: u64 = 4096;

/// A segment that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentError {
    /// The head is not one.
    Head,
    /// A frame is damaged: others come after it, or ought to.
    Frame {
        /// Where.
        offset: usize,
    },
}

/// What a segment's checks are keyed with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key([u8; 16]);

impl Key {
    /// Random octets: the standard library's hashers get theirs from the system.
    pub(crate) fn new() -> Self {
        let random = || std::collections::hash_map::RandomState::new().build_hasher().finish().to_le_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random());
        key[8..].copy_from_slice(&random());
        Self(key)
    }

    /// The head of the segment of this number.
    pub(crate) fn head(&self, number: u64) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8..16].copy_from_slice(&number.to_le_bytes());
        head[16..].copy_from_slice(&self.0);
        head
    }

    fn check(&self, offset: u64, octets: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u64(offset);
        hasher.write(octets);
        hasher.finish()
    }

    /// The length in the head of a frame, if it is one.
    fn length(&self, offset: u64, head: &[u8; FRAME]) -> Option<usize> {
        let (length, rest) = head.split_first_chunk::<4>()?;
        let check = self.check(offset, length).to_le_bytes();
        (rest.first_chunk::<4>() == check.first_chunk::<4>()).then_some(u32::from_le_bytes(*length) as usize)
    }

    /// Whether this is what stood in the frame with this head.
    fn holds(&self, offset: u64, head: &[u8; FRAME], content: &[u8]) -> bool {
        head.last_chunk::<8>() == Some(&self.check(offset, content).to_le_bytes())
    }

    /// Makes room for a frame's head.
    pub(crate) fn begin(frame: &mut Vec<u8>) {
        frame.clear();
        frame.resize(FRAME, 0);
    }

    /// Completes a frame that goes to this offset.
    pub(crate) fn end(&self, frame: &mut Vec<u8>, offset: u64) -> io::Result<()> {
        let length = u32::try_from(frame.len() - FRAME)
            .map_err(|_| io::Error::other("more was submitted at once than a frame of the log holds"))?;
        let length = length.to_le_bytes();
        let whole = self.check(offset, frame.get(FRAME..).unwrap_or_default());
        if let Some(head) = frame.first_chunk_mut::<FRAME>() {
            head[..4].copy_from_slice(&length);
            head[4..8].copy_from_slice(&self.check(offset, &length).to_le_bytes()[..4]);
            head[8..].copy_from_slice(&whole.to_le_bytes());
        }
        frame.resize(frame.len().next_multiple_of(8), 0);
        Ok(())
    }
}

/// What there is from a place on.
pub(crate) enum Read {
    /// The contents of frames, and where they end.
    Frames(Vec<Vec<u8>>, u64),
    /// A frame is not as it was written; where the next one is that is, if there is one.
    Damaged(Option<u64>),
    /// Nothing more.
    Nothing,
}

/// Octets that are read where they stand: those of a file.
pub(crate) trait ReadAt {
    /// Fills all of `octets`.
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()>;
    /// How many there are.
    fn length(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, octets, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Whether the disk says that it cannot give back what was written there. Another error may pass; this one is damage.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    // What file systems say of a block, or of their own structures, that fails its checksum, beside EIO.
    [Errno::IO, Errno::BADMSG, Errno::UCLEAN]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Reads the frames of a segment from a place on, about `most` octets. They are written up to `end`, where that is known.
pub(crate) fn read_from(file: &impl ReadAt, at: Position, end: Option<u64>, most: usize) -> io::Result<Read> {
    let mut head = [0; HEAD];
    let Some(Ok(frames)) = whole(file.read_exact_at(&mut head, 0))?.map(|()| Frames::new(&head, at.segment))
    else {
        return Ok(Read::Damaged(None));
    };
    let mut offset = at.offset.max(HEAD as u64);
    let (mut contents, mut read) = (Vec::new(), 0);
    while read < most && end.is_none_or(|end| offset < end) {
        let Some(content) = frames.read_at(file, offset)? else { break };
        offset += (FRAME + content.len()).next_multiple_of(8) as u64;
        read += content.len();
        contents.push(content);
    }
    if !contents.is_empty() {
        return Ok(Read::Frames(contents, offset));
    }
    if end.is_some_and(|end| offset >= end) {
        return Ok(Read::Nothing);
    }
    let length = match file.length() {
        Ok(length) => length.min(end.unwrap_or(u64::MAX)).max(offset),
        Err(error) if is_damage(&error) => return Ok(Read::Damaged(None)),
        Err(error) => return Err(error),
    };
    let mut octets = vec![0; (length - offset) as usize];
    let readable = read_what_can_be(file, &mut octets, offset)?;
    if end.is_none() && readable && octets.iter().all(|octet| *octet == 0) {
        return Ok(Read::Nothing);
    }
    octets.splice(..0, std::iter::repeat_n(0, offset as usize));
    let frames = Frames { octets: &octets, ..frames };
    let next = (offset as usize..octets.len()).step_by(8).find(|at| frames.frame(*at).is_some());
    Ok(Read::Damaged(next.map(|at| at as u64)))
}

/// A segment, to be taken apart from `start` on.
pub(crate) struct Segment {
    /// With zeros for what lies between the head and `start`, which is not read, and for what the disk does not give back.
    pub(crate) octets: Vec<u8>,
    /// Whether it gave back all.
    readable: bool,
}

impl Segment {
    pub(crate) fn read(file: &impl ReadAt, start: u64) -> io::Result<Self> {
        let length = file.length()?;
        let mut octets = vec![0; length as usize];
        let start = start.clamp(HEAD as u64, length.max(HEAD as u64));
        let head = HEAD.min(octets.len());
        let (front, rest) = octets.split_at_mut((start as usize).min(length as usize));
        if let Some(head) = front.get_mut(..head) {
            file.read_exact_at(head, 0)?;
        }
        let readable = read_what_can_be(file, rest, start)?;
        Ok(Self { octets, readable })
    }

    /// Whether a frame may stand at `offset`, behind those that were found, that the disk does not give back. Where the place of
    /// its head can be read and is empty, nothing was written there or behind it.
    pub(crate) fn may_lack(&self, file: &impl ReadAt, offset: u64) -> io::Result<bool> {
        if self.readable {
            return Ok(false);
        }
        let mut head = [0; FRAME];
        match file.read_exact_at(&mut head, offset) {
            Ok(()) => Ok(head != [0; FRAME]),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) if is_damage(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// None where the file is too short, or the disk does not give it back.
fn whole(read: io::Result<()>) -> io::Result<Option<()>> {
    match read {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads what the disk gives back, and leaves zeros where it does not; whether it gave back all.
fn read_what_can_be(file: &impl ReadAt, octets: &mut [u8], offset: u64) -> io::Result<bool> {
    if whole(file.read_exact_at(octets, offset))?.is_some() {
        return Ok(true);
    }
    octets.fill(0);
    let (mut at, mut rest, mut readable) = (offset, octets, true);
    while !rest.is_empty() {
        let length = (BLOCK - at % BLOCK).min(rest.len() as u64);
        let (block, behind) = rest.split_at_mut(length as usize);
        if whole(file.read_exact_at(block, at))?.is_none() {
            block.fill(0);
            readable = false;
        }
        (at, rest) = (at + length, behind);
    }
    Ok(readable)
}

/// The frames of a segment that was read as a whole.
pub(crate) struct Frames<'a> {
    octets: &'a [u8],
    key: Key,
    at: usize,
}

impl<'a> Frames<'a> {
    /// Looks at the head.
    pub(crate) fn new(octets: &'a [u8], number: u64) -> Result<Self, SegmentError> {
        let head = octets.first_chunk::<HEAD>().ok_or(SegmentError::Head)?;
        let mut key = Key([0; 16]);
        key.0.copy_from_slice(&head[16..]);
        if key.head(number) != *head {
            return Err(SegmentError::Head);
        }
        Ok(Self { octets, key, at: HEAD })
    }

    /// From this place on, which has to be between two frames.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.at = self.at.max(usize::try_from(offset).unwrap_or(usize::MAX));
    }

    /// The place behind the frames that were read.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// The content of the next frame, if it is whole.
    pub(crate) fn read(&mut self) -> Option<&'a [u8]> {
        let (content, end) = self.frame(self.at)?;
        self.at = end;
        Some(content)
    }

    /// The content of a frame in a file, if it is whole.
    fn read_at(&self, file: &impl ReadAt, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let mut head = [0; FRAME];
        let length =
            whole(file.read_exact_at(&mut head, offset))?.and_then(|()| self.key.length(offset, &head));
        let Some(length) = length else { return Ok(None) };
        let mut content = vec![0; length];
        let there = whole(file.read_exact_at(&mut content, offset + FRAME as u64))?;
        Ok(there.filter(|()| self.key.holds(offset, &head, &content)).map(|()| content))
    }

    fn frame(&self, at: usize) -> Option<(&'a [u8], usize)> {
        let head = self.octets.get(at..)?.first_chunk::<FRAME>()?;
        let start = at + FRAME;
        let end = start.checked_add(self.key.length(at as u64, head)?)?;
        let content = self.octets.get(start..end)?;
        self.key.holds(at as u64, head, content).then_some((content, end.next_multiple_of(8)))
    }

    /// Whether the segment ends here as it should: with nothing, or zeros; or, where `torn` allows it, with a frame that was
    /// being written when its writer ended. A frame behind it tells that this one was damaged later.
    pub(crate) fn finish(&self, torn: bool) -> Result<(), SegmentError> {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let zeros = rest.iter().all(|octet| *octet == 0);
        let more = || (self.at..self.octets.len()).step_by(8).skip(1).any(|at| self.frame(at).is_some());
        if zeros || (torn && !more()) { Ok(()) } else { Err(SegmentError::Frame { offset: self.at }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A file of which the disk does not give back some octets.
    struct Disk {
        octets: Vec<u8>,
        lost: std::ops::Range<u64>,
        error: Errno,
    }

    impl ReadAt for Disk {
        fn read_exact_at(&self, octets: &mut [u8], offset: u64) -> io::Result<()> {
            let end = offset + octets.len() as u64;
            if offset < self.lost.end && self.lost.start < end {
                return Err(self.error.into());
            }
            let there = self.octets.get(offset as usize..end as usize);
            octets.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn length(&self) -> io::Result<u64> {
            Ok(self.octets.len() as u64)
        }
    }

    /// A segment of so many frames of 1 KiB, and where each begins.
    fn segment(frames: u8) -> (Vec<u8>, Vec<u64>) {
        let key = Key::new();
        let (mut octets, mut begins, mut frame) = (key.head(1).to_vec(), Vec::new(), Vec::new());
        for number in 0..frames {
            begins.push(octets.len() as u64);
            Key::begin(&mut frame);
            frame.resize(FRAME + 1024, number);
            key.end(&mut frame, octets.len() as u64).unwrap();
            octets.extend_from_slice(&frame);
        }
        octets.resize(octets.len() + 1000, 0);
        (octets, begins)
    }

    fn from(disk: &Disk, offset: u64) -> Read {
        read_from(disk, Position { segment: 1, offset }, None, 1 << 20).unwrap()
    }

    #[test]
    fn what_the_disk_does_not_give_back_is_damaged_and_what_is_behind_it_is_read() {
        let (octets, begins) = segment(20);
        for error in [Errno::IO, Errno::UCLEAN, Errno::BADMSG] {
            let disk = Disk { octets: octets.clone(), lost: 4096..8192, error };
            let Read::Frames(contents, end) = from(&disk, 0) else { unreachable!("the first are there") };
            assert_eq!((contents.len(), end), (3, begins[3]));
            let Read::Damaged(Some(next)) = from(&disk, end) else { unreachable!("the fourth is not") };
            assert_eq!(next, *begins.iter().find(|begin| **begin >= 8192).unwrap());
            let Read::Frames(contents, end) = from(&disk, next) else { unreachable!("the last are there") };
            assert_eq!(contents.len(), begins.iter().filter(|begin| **begin >= 8192).count());
            assert!(matches!(from(&disk, end), Read::Nothing));
        }
        // Behind the last frame, where there ought to be zeros.
        let behind = octets.len() as u64 - 500..octets.len() as u64;
        let disk = Disk { lost: behind, octets: octets.clone(), error: Errno::IO };
        let Read::Frames(_, end) = from(&disk, 0) else { unreachable!("all are there") };
        assert!(matches!(from(&disk, end), Read::Damaged(None)));
        // The head.
        let disk = Disk { lost: 0..1, octets, error: Errno::IO };
        assert!(matches!(from(&disk, 0), Read::Damaged(None)));
    }

    #[test]
    fn a_start_needs_nothing_but_the_head_and_what_is_not_taken_up() {
        // The last frame ends where a block does.
        let (mut octets, begins) = segment(126);
        let end = begins[125] + 1040;
        assert_eq!(end % BLOCK, 0);
        octets.resize((end + 3 * BLOCK) as usize, 0);
        let read = |lost: std::ops::Range<u64>, start: u64| {
            let disk = Disk { octets: octets.clone(), lost, error: Errno::IO };
            let segment = Segment::read(&disk, start).unwrap();
            let mut frames = Frames::new(&segment.octets, 1).unwrap();
            frames.skip_to(start);
            let mut count = 0;
            while frames.read().is_some() {
                count += 1;
            }
            (count, frames.finish(true).is_ok(), segment.may_lack(&disk, frames.offset()).unwrap())
        };
        assert_eq!(read(0..0, 0), (126, true, false));
        assert_eq!(read(0..0, begins[5]), (121, true, false));
        // What is taken up, and what was never written.
        assert_eq!(read(4096..8192, begins[8]), (118, true, false));
        assert_eq!(read(end + BLOCK..end + 2 * BLOCK, begins[5]), (121, true, false));
        // What is not taken up, with others behind it, or the last; and what may be one more, for all one can tell.
        assert_eq!(read(4096..8192, begins[2]), (1, false, true));
        assert_eq!(read(end - BLOCK..end, 0), (122, true, true));
        assert_eq!(read(end..end + BLOCK, 0), (126, true, true));
        // The head.
        let disk = Disk { octets: octets.clone(), lost: 0..4096, error: Errno::IO };
        assert!(Segment::read(&disk, begins[5]).is_err_and(|error| is_damage(&error)));
        // A file that is shorter than that.
        for length in [0, 10, 40] {
            let disk = Disk { octets: octets[..length].to_vec(), lost: 0..0, error: Errno::IO };
            assert_eq!(Segment::read(&disk, begins[5]).unwrap().octets.len(), length);
        }
        let disk = Disk { octets, lost: 4096..8192, error: Errno::NOMEM };
        assert!(Segment::read(&disk, 0).is_err_and(|error| !is_damage(&error)));
    }

    #[test]
    fn an_error_that_may_pass_is_no_damage() {
        let (octets, _) = segment(1);
        let disk = Disk { octets, lost: 0..1, error: Errno::NOMEM };
        assert!(read_from(&disk, Position { segment: 1, offset: 0 }, None, 1 << 20).is_err());
    }
}
