//! Walking through the frames of a log to its end, and telling a torn tail from damage.
//!
//! A frame is only written when the one before it is durable. So whatever cannot be read and has a sound frame header of
//! its own generation anywhere behind it was durable once: that is damage. With nothing behind it, it is a write that was
//! under way when the log ended, and was never acknowledged.

use super::window::Window;
use super::{Cut, listing::Listing};
use crate::core_dir::CoreDir;
use crate::error::OpenError;
use crate::files::Files;
use crate::frame::{self, Header, Owner, Place, Sight};
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::names;
use crate::snapshot::SnapshotInfo;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A place in the log: which of the scanned segments, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    segment: usize,
    offset: u64,
}

/// What is at a place.
#[derive(Debug, Clone, Copy)]
enum Found {
    Frame(Header, u32),
    /// The header is sound, what it speaks of is not.
    Torn(Header, &'static str),
    Spoiled(&'static str),
    Nothing,
}

/// What the next frame must say.
#[derive(Debug, Clone, Copy)]
struct Expected {
    lsn: u64,
    previous_crc: u32,
    /// Whether the last frame had no records: the log was closed.
    closed: bool,
}

/// One segment as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentFile {
    pub(crate) generation: u64,
    pub(crate) bytes: u64,
}

/// Where the log ends.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Index of the segment among those scanned.
    pub(crate) segment: usize,
    pub(crate) offset: u64,
    pub(crate) next_lsn: u64,
    pub(crate) previous_crc: u32,
    pub(crate) closed: bool,
    pub(crate) cut: Option<Cut>,
}

/// One step of a scan.
pub(crate) enum Step {
    /// A frame; its records are at [`Scan::records`].
    Frame(Header),
    End(Tail),
}

/// Walks through the log of one core.
pub(crate) struct Scan<F: Files> {
    core: CoreDir<F>,
    owner: Owner,
    pub(crate) segments: Vec<SegmentFile>,
    /// The last record in each segment up to that of the frame given last; a later one for segments that were passed over.
    last_lsns: Vec<u64>,
    /// The window of one segment at a time, and which.
    window: Option<(usize, Window<F::File>)>,
    at: At,
    expected: Option<Expected>,
    payload: Vec<u8>,
    records: u32,
    /// Index of the segment that the frame given last is in, and its offset.
    frame_at: At,
}

impl<F: Files> Scan<F> {
    /// A scan that begins in the latest segment which holds record `from` or begins with it; with `None` in the oldest.
    pub(crate) fn new(
        core: CoreDir<F>,
        owner: Owner,
        listing: &Listing,
        from: Option<u64>,
    ) -> Result<Scan<F>, OpenError> {
        let at = At { segment: 0, offset: 0 };
        let segments = sizes(&core, &listing.segments)?;
        let mut scan = Scan {
            core,
            owner,
            segments,
            last_lsns: Vec::new(),
            window: None,
            at,
            expected: None,
            payload: Vec::new(),
            records: 0,
            frame_at: at,
        };
        scan.at.segment = scan.begin(from)?;
        Ok(scan)
    }

    fn begin(&mut self, from: Option<u64>) -> Result<usize, OpenError> {
        let mut earliest = None;
        let Some(from) = from else {
            return match self.found(At { segment: 0, offset: 0 })? {
                Found::Frame(..) => Ok(0),
                _ => self.damaged(At { segment: 0, offset: 0 }, "the log does not begin with a sound frame"),
            };
        };
        for segment in (0..self.segments.len()).rev() {
            if let Found::Frame(header, _) = self.found(At { segment, offset: 0 })? {
                if header.first_lsn <= from {
                    return Ok(segment);
                }
                earliest = Some(header.first_lsn);
            }
        }
        let at = At { segment: 0, offset: 0 };
        match earliest {
            Some(lsn) => {
                self.damaged(at, format!("the log begins with record {lsn}, its snapshot ends before {from}"))
            }
            None => self.damaged(at, "no segment of the log begins with a sound frame"),
        }
    }

    /// The records of the frame that was given last.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        frame::records(&self.payload, self.records).expect("checked when it was read")
    }

    /// Where the frame that was given last is.
    pub(crate) fn frame_place(&self) -> (String, u64) {
        (self.name(self.frame_at.segment), self.frame_at.offset)
    }

    /// Index of the segment that the frame given last is in.
    pub(crate) fn frame_segment(&self) -> usize {
        self.frame_at.segment
    }

    /// The next frame, or the end of the log.
    pub(crate) fn next(&mut self) -> Result<Step, OpenError> {
        let mut found = self.found(self.at)?;
        if !matches!(found, Found::Frame(..)) && self.goes_on_in_next()? {
            self.at = At { segment: self.at.segment + 1, offset: 0 };
            found = self.found(self.at)?;
        }
        let Found::Frame(header, crc) = found else {
            return self.end(found).map(Step::End);
        };
        if !self.follows(&header) {
            return self.damaged(self.at, "the frame does not follow the one before it");
        }
        self.keep_payload(&header)?;
        self.frame_at = self.at;
        self.last_lsns.resize(self.at.segment + 1, header.first_lsn - 1);
        self.last_lsns[self.at.segment] = header.next_lsn() - 1;
        self.at.offset += header.frame_bytes() as u64;
        self.expected =
            Some(Expected { lsn: header.next_lsn(), previous_crc: crc, closed: header.records == 0 });
        Ok(Step::Frame(header))
    }

    /// Holds a log that was read to its end, and begins with record `begin` or before, against its snapshot.
    pub(crate) fn proves(&self, snapshot: &SnapshotInfo, begin: u64, tail: &Tail) -> Result<(), OpenError> {
        let SnapshotInfo { begin: held, end: holds, .. } = *snapshot;
        if begin > held.0 + 1 {
            let reason =
                format!("the log begins with record {begin}, its snapshot holds all up to {held} only");
            return self.damaged(At { segment: 0, offset: 0 }, reason);
        }
        if tail.next_lsn <= holds.0 {
            let last = tail.next_lsn - 1;
            let reason = format!(
                "the log ends with record {last}, and its snapshot holds record {holds}, which counted only because the log \
                 was durable up to there"
            );
            return self.damaged(At { segment: tail.segment, offset: tail.offset }, reason);
        }
        Ok(())
    }

    /// Ends a scan that has come to `tail`: the segments with frames, each with the number of its last record or a later
    /// one, and the spare ones behind them.
    pub(crate) fn into_segments(mut self, tail: &Tail) -> (Vec<(SegmentFile, u64)>, Vec<SegmentFile>) {
        let spares = self.segments.split_off(tail.segment + 1);
        (self.segments.into_iter().zip(self.last_lsns).collect(), spares)
    }

    /// Whether this may be the next frame of the log.
    fn follows(&self, header: &Header) -> bool {
        match self.expected {
            Some(expected) => {
                (header.first_lsn, header.previous_crc) == (expected.lsn, expected.previous_crc)
            }
            // The first frame that is read: all before it may be pruned, unless it is the first of all.
            None if header.place.generation == 1 => (header.first_lsn, header.previous_crc) == (1, 0),
            None => true,
        }
    }

    fn goes_on_in_next(&mut self) -> Result<bool, OpenError> {
        let next = At { segment: self.at.segment + 1, offset: 0 };
        if next.segment >= self.segments.len() {
            return Ok(false);
        }
        match self.found(next)? {
            Found::Frame(header, _) => Ok(self.follows(&header)),
            _ => Ok(false),
        }
    }

    fn keep_payload(&mut self, header: &Header) -> Result<(), OpenError> {
        let at = self.at;
        let window = self.window(at.segment)?;
        let payload =
            window.get(at.offset + frame::HEADER_BYTES as u64, header.payload_bytes as usize)?.to_vec();
        if let Err(reason) = frame::records(&payload, header.records) {
            return self.damaged(at, reason);
        }
        self.payload = payload;
        self.records = header.records;
        Ok(())
    }

    /// The log has no further frame: a clean or a torn end, or damage.
    fn end(&mut self, found: Found) -> Result<Tail, OpenError> {
        let expected = self.expected.expect("a scan begins with a sound frame");
        let end = self.at;
        let next = At { segment: end.segment + 1, offset: 0 };
        let mut torn = (end, found);
        if matches!(found, Found::Nothing) && next.segment < self.segments.len() {
            torn = (next, self.found(next)?);
        }
        if let Found::Torn(header, _) = torn.1
            && !self.follows(&header)
        {
            return self.damaged(torn.0, "the frame does not follow the one before it, and is torn");
        }
        // Where the damage is, if there is any: what cannot be seen at all is missed where the log ends.
        let place = if matches!(torn.1, Found::Torn(..) | Found::Spoiled(_)) { torn.0 } else { end };
        let torn_header = matches!(torn.1, Found::Torn(..)).then_some(torn.0);
        self.nothing_behind(end, place, torn_header)?;
        Ok(Tail {
            segment: end.segment,
            offset: end.offset,
            next_lsn: expected.lsn,
            previous_crc: expected.previous_crc,
            closed: expected.closed,
            cut: self.cut(torn.0, torn.1),
        })
    }

    fn cut(&self, at: At, found: Found) -> Option<Cut> {
        let (bytes, reason) = match found {
            Found::Torn(header, reason) => (header.frame_bytes() as u64, reason),
            Found::Spoiled(reason) => (BLOCK, reason),
            Found::Frame(..) | Found::Nothing => return None,
        };
        Some(Cut { file: self.name(at.segment), offset: at.offset, bytes, reason: reason.to_owned() })
    }

    /// Searches every block behind the end for a sound header, the torn frame's own excepted. With one, what is at `place`
    /// is damaged.
    fn nothing_behind(&mut self, end: At, place: At, torn_header: Option<At>) -> Result<(), OpenError> {
        for segment in end.segment..self.segments.len() {
            let mut offset = if segment == end.segment { end.offset } else { 0 };
            while offset < self.segments[segment].bytes {
                let at = At { segment, offset };
                if Some(at) != torn_header && self.has_header(at)? {
                    let behind = self.name(segment);
                    let reason = format!(
                        "no sound frame here, yet {behind} has a later one at byte {offset}, which was only written when \
                         this one was durable"
                    );
                    return self.damaged(place, reason);
                }
                offset += BLOCK;
            }
        }
        Ok(())
    }

    fn has_header(&mut self, at: At) -> Result<bool, OpenError> {
        match self.sight(at)? {
            Sight::Here(..) => Ok(true),
            Sight::Later(generation) => self.later(at, generation),
            Sight::Misplaced(offset) => self.misplaced(at, offset),
            Sight::Newer(version) => self.newer(at, version),
            Sight::Spoiled(_) | Sight::Nothing => Ok(false),
        }
    }

    fn sight(&mut self, at: At) -> Result<Sight, OpenError> {
        let SegmentFile { generation, bytes } = self.segments[at.segment];
        let owner = self.owner;
        let window = self.window(at.segment)?;
        let block = window.get(at.offset, BLOCK_BYTES)?;
        Ok(frame::look(block, &owner, &Place { generation, offset: at.offset, segment_bytes: bytes }))
    }

    fn found(&mut self, at: At) -> Result<Found, OpenError> {
        let (header, crc) = match self.sight(at)? {
            Sight::Here(header, crc) => (header, crc),
            Sight::Later(generation) => return self.later(at, generation),
            Sight::Misplaced(offset) => return self.misplaced(at, offset),
            Sight::Newer(version) => return self.newer(at, version),
            Sight::Spoiled(reason) => return Ok(Found::Spoiled(reason)),
            Sight::Nothing => return Ok(Found::Nothing),
        };
        let size = self.segments[at.segment].bytes;
        if header.place.segment_bytes != size {
            let expected = header.place.segment_bytes;
            return self.damaged(at, format!("the segment has {size} bytes, and was made with {expected}"));
        }
        if let Err(reason) = header.sense() {
            return self.damaged(at, reason);
        }
        let length = header.payload_bytes as usize;
        let payload = self.window(at.segment)?.get(at.offset + frame::HEADER_BYTES as u64, length)?;
        if payload.len() < length {
            return self.damaged(at, "the segment was cut off while it was read");
        }
        if crc32c::crc32c(payload) != header.payload_crc {
            return Ok(Found::Torn(header, "the records of the frame fail their checksum"));
        }
        Ok(Found::Frame(header, crc))
    }

    fn window(&mut self, segment: usize) -> Result<&mut Window<F::File>, OpenError> {
        if self.window.as_ref().is_none_or(|(held, _)| *held != segment) {
            let path = self.core.path(&names::segment(self.segments[segment].generation));
            self.window = Some((segment, Window::open(&self.core.files, &path)?));
        }
        let (_, window) = self.window.as_mut().expect("opened above");
        Ok(window)
    }

    fn name(&self, segment: usize) -> String {
        self.core.files.display(&self.core.path(&names::segment(self.segments[segment].generation)))
    }

    fn damaged<T>(&self, at: At, reason: impl Into<String>) -> Result<T, OpenError> {
        Err(OpenError::damaged(&self.name(at.segment), at.offset, reason))
    }

    fn later<T>(&self, at: At, generation: u64) -> Result<T, OpenError> {
        self.damaged(at, format!("a frame of generation {generation}, later than that of its segment"))
    }

    fn misplaced<T>(&self, at: At, offset: u64) -> Result<T, OpenError> {
        self.damaged(at, format!("a frame that was written for byte {offset} of this segment"))
    }

    fn newer<T>(&self, at: At, version: u16) -> Result<T, OpenError> {
        Err(OpenError::Newer { file: self.name(at.segment), version, supported: frame::VERSION })
    }
}

/// The sizes of all segments. A segment gets its name when it is whole, so none that is cut off is a torn write.
fn sizes<F: Files>(core: &CoreDir<F>, generations: &[u64]) -> Result<Vec<SegmentFile>, OpenError> {
    let size = |generation: &u64| {
        let window = Window::open(&core.files, &core.path(&names::segment(*generation)))?;
        let bytes = window.size;
        if !bytes.is_multiple_of(BLOCK) || !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) {
            return Err(OpenError::damaged(
                &window.name,
                bytes,
                "no segment has this length: it was cut off",
            ));
        }
        Ok(SegmentFile { generation: *generation, bytes })
    };
    generations.iter().map(size).collect()
}
