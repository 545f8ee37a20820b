//! The log of one core, read forwards behind whoever writes it.

use super::{FollowError, Reach};
use crate::buffer::Buffer;
use crate::core_dir::CoreDir;
use crate::error::During;
use crate::files::{File, Files};
use crate::frame::{self, Candidate, Header, Owner, Position, Records};
use crate::limits::{BLOCK_BYTES, FOLLOW_READ_BYTES};
use crate::names;
use crate::types::Lsn;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// Frames of one core, one after another. Nothing behind the reach is ever looked at.
pub(super) struct Stream<F: Files> {
    core: CoreDir<F>,
    owner: Owner,
    /// The last record that was given.
    last: Lsn,
    /// The first record of the next frame, and the crc of the one before, which it must carry; `None` until one was read.
    expected: Option<(u64, u32)>,
    segment: Option<OpenSegment<F::File>>,
}

/// The segment that is being read.
struct OpenSegment<T> {
    generation: u64,
    file: T,
    bytes: u64,
    /// Of the next frame.
    offset: u64,
    window: Window,
}

/// Whole blocks of a file from `at` on, all of them within the reach when they were read. Aligned, so that a file that goes past the page
/// cache can be read into it.
struct Window {
    buffer: Buffer,
    at: u64,
    length: usize,
}

/// A frame with records behind the last one given.
pub(super) struct Frame<'a> {
    pub(super) first: Lsn,
    pub(super) last: Lsn,
    pub(super) records: Records<'a>,
}

/// The next frame, or why there is none where it should be.
enum Found {
    Frame(Header, u32),
    /// The segment has no more frames.
    SegmentEnds,
}

impl<F: Files> Stream<F> {
    pub(super) fn new(core: CoreDir<F>, owner: Owner, after: Lsn) -> Stream<F> {
        Stream { core, owner, last: after, expected: None, segment: None }
    }

    /// The next frame that has records behind the last one, up to `reach`. `None`: there is none yet. Costs nothing where it is known
    /// that there is none.
    pub(super) fn next(&mut self, reach: &Reach) -> Result<Option<Frame<'_>>, FollowError> {
        while self.last < reach.lsn {
            let mut segment = match self.segment.take() {
                Some(segment) => segment,
                None => self.seek()?,
            };
            match self.find(&mut segment, reach)? {
                Found::SegmentEnds if segment.generation < reach.generation => {
                    self.segment = Some(self.open(segment.generation + 1)?.ok_or_else(|| self.gone())?);
                }
                Found::SegmentEnds => {
                    let reason = format!("no frame here, yet record {} is durable", reach.lsn);
                    return self.damaged(&segment, reason);
                }
                Found::Frame(header, crc) => {
                    self.check(&mut segment, &header, reach)?;
                    self.expected = Some((header.next_lsn(), crc));
                    let at = segment.offset;
                    segment.offset += header.frame_bytes() as u64;
                    self.segment = Some(segment);
                    let (before, first) = (self.last, Lsn(header.first_lsn));
                    let last = Lsn(header.next_lsn() - 1);
                    if last > before {
                        self.last = last;
                        let segment = self.segment.as_ref().expect("set above");
                        let mut records = Records::checked(segment.window.payload(at, &header));
                        // The frame that the cursor stands in has records that were given before.
                        let given = before.next().0.saturating_sub(first.0);
                        (0..given).for_each(|_| _ = records.next());
                        return Ok(Some(Frame { first: Lsn(first.0 + given), last, records }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The latest segment that begins with a frame of the next record or an earlier one.
    fn seek(&mut self) -> Result<OpenSegment<F::File>, FollowError> {
        self.expected = None;
        let dir = self.core.files.display(&self.core.dir);
        let listed = self.core.files.list(&self.core.dir).during("list", &dir)?.unwrap_or_default();
        let mut generations: Vec<_> = listed.iter().filter_map(|name| names::parse_segment(name)).collect();
        generations.sort_unstable();
        for generation in generations.into_iter().rev() {
            // One that is gone again was recycled: those before it are, too.
            let Some(mut segment) = self.open(generation)? else { continue };
            let bytes = segment.bytes;
            let block = segment.read(0, BLOCK_BYTES, bytes, &self.name(generation))?;
            let position = Position { generation, offset: 0, segment_bytes: bytes };
            if let Candidate::Sound(header, _) = frame::classify(block, &self.owner, &position)
                && header.first_lsn <= self.last.next().0
            {
                // What was read may be beyond the reach.
                segment.window.length = 0;
                return Ok(segment);
            }
        }
        Err(self.gone())
    }

    fn open(&self, generation: u64) -> Result<Option<OpenSegment<F::File>>, FollowError> {
        let name = self.name(generation);
        let opened = self.core.files.open_follow(&self.core.path(&names::segment(generation)));
        let Some(file) = opened.during("open", &name)? else { return Ok(None) };
        let bytes = file.size().during("read", &name)?;
        Ok(Some(OpenSegment { generation, file, bytes, offset: 0, window: Window::new() }))
    }

    /// The frame at the place that was come to.
    fn find(&self, segment: &mut OpenSegment<F::File>, reach: &Reach) -> Result<Found, FollowError> {
        let OpenSegment { generation, offset, bytes, .. } = *segment;
        let end = segment.end(reach);
        if offset + BLOCK > end {
            return Ok(Found::SegmentEnds);
        }
        let block = segment.read(offset, BLOCK_BYTES, end, &self.name(generation))?;
        let position = Position { generation, offset, segment_bytes: bytes };
        match frame::classify(block, &self.owner, &position) {
            Candidate::Sound(header, crc) if self.follows(&header) => {
                header.validate().or_else(|reason| self.damaged(segment, reason))?;
                Ok(Found::Frame(header, crc))
            }
            Candidate::Sound(..) => self.damaged(segment, "the frame does not follow the one before it"),
            Candidate::LaterGeneration(_) => Err(self.gone()),
            Candidate::NewerVersion(version) => {
                Err(FollowError::Newer { file: self.name(generation), version })
            }
            Candidate::OtherOffset(other) => {
                self.damaged(segment, format!("a frame that was written for byte {other} of this segment"))
            }
            Candidate::Corrupt(reason) => self.damaged(segment, reason),
            Candidate::Absent => Ok(Found::SegmentEnds),
        }
    }

    /// The first frame that is read may begin earlier, and what is before it is not known.
    fn follows(&self, header: &Header) -> bool {
        match self.expected {
            Some(expected) => (header.first_lsn, header.previous_crc) == expected,
            None => header.first_lsn <= self.last.next().0,
        }
    }

    /// Checks the frame's records; they are in the window then.
    fn check(
        &self,
        segment: &mut OpenSegment<F::File>,
        header: &Header,
        reach: &Reach,
    ) -> Result<(), FollowError> {
        let name = self.name(segment.generation);
        let end = segment.end(reach);
        let frame = segment.read(segment.offset, header.frame_bytes(), end, &name)?;
        let payload = frame.get(frame::HEADER_BYTES..frame::HEADER_BYTES + header.payload_bytes as usize);
        let checked = match payload {
            Some(payload) if crc32c::crc32c(payload) == header.payload_crc => {
                frame::records(payload, header.records).map(drop)
            }
            _ => Err("the records of the frame fail their checksum"),
        };
        checked.or_else(|reason| self.damaged(segment, reason))
    }

    fn name(&self, generation: u64) -> String {
        self.core.files.display(&self.core.path(&names::segment(generation)))
    }

    fn gone(&self) -> FollowError {
        FollowError::Gone { core: self.owner.core, missing: self.last.next() }
    }

    /// Damage, unless the segment was taken away while it was read.
    fn damaged<T>(
        &self,
        segment: &OpenSegment<F::File>,
        reason: impl Into<String>,
    ) -> Result<T, FollowError> {
        let file = self.name(segment.generation);
        let path = self.core.path(&names::segment(segment.generation));
        if self.core.files.open_read(&path).during("open", &file)?.is_none() {
            return Err(self.gone());
        }
        Err(FollowError::Damaged { file, offset: segment.offset, reason: reason.into() })
    }
}

impl<T: File> OpenSegment<T> {
    /// The end of what may be read.
    fn end(&self, reach: &Reach) -> u64 {
        match self.generation.cmp(&reach.generation) {
            std::cmp::Ordering::Less => self.bytes,
            std::cmp::Ordering::Equal => self.bytes.min(reach.offset),
            std::cmp::Ordering::Greater => 0,
        }
    }

    /// The blocks from `from` on, `length` bytes of them or as many as there are before `end`.
    fn read(&mut self, from: u64, length: usize, end: u64, name: &str) -> Result<&[u8], FollowError> {
        let window = &mut self.window;
        let to = (from + length as u64).min(end);
        if from < window.at || to > window.at + window.length as u64 {
            let wanted = end.saturating_sub(from).min(FOLLOW_READ_BYTES.max(length) as u64);
            let wanted = usize::try_from(wanted).expect("a window fits into memory");
            window.buffer.grow(wanted);
            window.length = 0;
            window.length = self.file.read_at(&mut window.buffer[..wanted], from).during("read", name)?;
            window.at = from;
        }
        let start = usize::try_from(from - window.at).expect("within the window").min(window.length);
        let length = usize::try_from(to.saturating_sub(from)).expect("at most a frame");
        Ok(&window.buffer[start..(start + length).min(window.length)])
    }
}

impl Window {
    fn new() -> Window {
        Window { buffer: Buffer::zeroed(0), at: 0, length: 0 }
    }

    /// The payload of a frame that was checked.
    fn payload(&self, at: u64, header: &Header) -> &[u8] {
        let start = usize::try_from(at - self.at).expect("within the window") + frame::HEADER_BYTES;
        &self.buffer[start..start + header.payload_bytes as usize]
    }
}
