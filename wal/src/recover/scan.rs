//! The scan: walks the frames of a log to its end, and tells a torn tail from damage.
//!
//! A frame is written only when the one before it is durable. So if a place cannot be read and there is a sound header of its own
//! generation anywhere behind it, the place was durable once: that is damage. With no such header, it is a torn write that was
//! never acknowledged.

use super::window::Window;
use super::{Cut, listing::Listing};
use crate::core_dir::CoreDir;
use crate::error::OpenError;
use crate::files::Files;
use crate::frame::{self, Candidate, Header, Owner, Position};
use crate::limits::{BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::names;
use crate::snapshot::SnapshotInfo;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A place in the log: the index of a scanned segment, and an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    segment: usize,
    offset: u64,
}

const START: Cursor = Cursor { segment: 0, offset: 0 };

/// The frame at a place, checked with its payload.
#[derive(Debug, Clone, Copy)]
enum FrameCheck {
    Sound(Header, u32),
    /// The header is sound, the payload is not.
    Torn(Header, &'static str),
    Corrupt(&'static str),
    Absent,
}

/// The fields that the next frame must have.
#[derive(Debug, Clone, Copy)]
struct Expected {
    lsn: u64,
    previous_crc: u32,
    /// True if the last frame had no records: the log was closed.
    closed: bool,
}

/// One segment as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentFile {
    pub(crate) generation: u64,
    pub(crate) bytes: u64,
}

/// The end of the log.
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

/// One item of a scan.
pub(crate) enum ScanItem {
    /// A frame; its records are at [`Scan::records`].
    Frame(Header),
    End(Tail),
}

/// Walks through the log of one core.
pub(crate) struct Scan<F: Files> {
    core: CoreDir<F>,
    owner: Owner,
    pub(crate) segments: Vec<SegmentFile>,
    /// The last record in each segment up to that of the frame given last; a later one for some that were passed over.
    last_lsns: Vec<u64>,
    /// The window of one segment at a time, and which.
    window: Option<(usize, Window<F::File>)>,
    at: Cursor,
    expected: Option<Expected>,
    payload: Vec<u8>,
    records: u32,
    /// Index of the segment that the frame given last is in, and its offset.
    frame_at: Cursor,
}

impl<F: Files> Scan<F> {
    /// A scan that begins in the latest segment which holds record `from` or begins with it; with `None` in the oldest.
    pub(crate) fn new(
        core: CoreDir<F>,
        owner: Owner,
        listing: &Listing,
        from: Option<u64>,
    ) -> Result<Scan<F>, OpenError> {
        let segments = sizes(&core, &listing.segments)?;
        let mut scan = Scan {
            core,
            owner,
            segments,
            last_lsns: Vec::new(),
            window: None,
            at: START,
            expected: None,
            payload: Vec::new(),
            records: 0,
            frame_at: START,
        };
        scan.at.segment = scan.begin(from)?;
        scan.last_lsns = scan.passed_over(scan.at.segment);
        Ok(scan)
    }

    fn begin(&mut self, from: Option<u64>) -> Result<usize, OpenError> {
        let mut earliest = None;
        let Some(from) = from else {
            return match self.check_frame(START)? {
                FrameCheck::Sound(..) => Ok(0),
                _ => self.damaged(START, "the log does not begin with a sound frame"),
            };
        };
        for segment in (0..self.segments.len()).rev() {
            if let FrameCheck::Sound(header, _) = self.check_frame(Cursor { segment, offset: 0 })? {
                if header.first_lsn <= from {
                    return Ok(segment);
                }
                earliest = Some(header.first_lsn);
            }
        }
        match earliest {
            Some(lsn) => self
                .damaged(START, format!("the log begins with record {lsn}, its snapshot ends before {from}")),
            None => self.damaged(START, "no segment of the log begins with a sound frame"),
        }
    }

    /// The last record in each of the segments before `begin`, which are not read; a later one where the next segment does not begin with a
    /// sound header. Nothing of them stops a start.
    fn passed_over(&mut self, begin: usize) -> Vec<u64> {
        let mut last_lsns = vec![0; begin];
        let mut known = 0;
        for segment in (1..=begin).rev() {
            if let Ok(Candidate::Sound(header, _)) = self.classify(Cursor { segment, offset: 0 }) {
                known = header.first_lsn - 1;
            }
            last_lsns[segment - 1] = known;
        }
        last_lsns
    }

    /// The records of the frame that was given last.
    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        frame::records(&self.payload, self.records).expect("checked when it was read")
    }

    /// File and offset of the frame that was given last.
    pub(crate) fn frame_position(&self) -> (String, u64) {
        (self.name(self.frame_at.segment), self.frame_at.offset)
    }

    /// Index of the segment that the frame given last is in.
    pub(crate) fn frame_segment(&self) -> usize {
        self.frame_at.segment
    }

    /// The next frame, or the end of the log.
    pub(crate) fn next(&mut self) -> Result<ScanItem, OpenError> {
        let mut found = self.check_frame(self.at)?;
        if !matches!(found, FrameCheck::Sound(..)) && self.goes_on_in_next()? {
            self.at = Cursor { segment: self.at.segment + 1, offset: 0 };
            found = self.check_frame(self.at)?;
        }
        let FrameCheck::Sound(header, crc) = found else {
            return self.end(found).map(ScanItem::End);
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
        Ok(ScanItem::Frame(header))
    }

    /// Checks a log that was read to its end, from record `begin` or an earlier one, against its snapshot.
    pub(crate) fn check_snapshot(
        &self,
        snapshot: &SnapshotInfo,
        begin: u64,
        tail: &Tail,
    ) -> Result<(), OpenError> {
        let SnapshotInfo { begin: held, end: holds, .. } = *snapshot;
        if begin > held.0 + 1 {
            let reason =
                format!("the log begins with record {begin}, its snapshot holds all up to {held} only");
            return self.damaged(START, reason);
        }
        if tail.next_lsn <= holds.0 {
            let last = tail.next_lsn - 1;
            let reason = format!(
                "the log ends with record {last}, and its snapshot holds record {holds}, which counted only because the log \
                 was durable up to there"
            );
            return self.damaged(Cursor { segment: tail.segment, offset: tail.offset }, reason);
        }
        Ok(())
    }

    /// Ends a scan that has come to `tail`: the segments with frames, each with the number of its last record or a later
    /// one, and the spare ones behind them.
    pub(crate) fn into_segments(mut self, tail: &Tail) -> (Vec<(SegmentFile, u64)>, Vec<SegmentFile>) {
        let spares = self.segments.split_off(tail.segment + 1);
        (self.segments.into_iter().zip(self.last_lsns).collect(), spares)
    }

    /// True if this can be the next frame of the log.
    fn follows(&self, header: &Header) -> bool {
        match self.expected {
            Some(expected) => {
                (header.first_lsn, header.previous_crc) == (expected.lsn, expected.previous_crc)
            }
            // The first frame that is read: all before it may be pruned, unless it is the first of all.
            None if header.position.generation == 1 => (header.first_lsn, header.previous_crc) == (1, 0),
            None => true,
        }
    }

    fn goes_on_in_next(&mut self) -> Result<bool, OpenError> {
        let next = Cursor { segment: self.at.segment + 1, offset: 0 };
        if next.segment >= self.segments.len() {
            return Ok(false);
        }
        match self.check_frame(next)? {
            FrameCheck::Sound(header, _) => Ok(self.follows(&header)),
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
    fn end(&mut self, found: FrameCheck) -> Result<Tail, OpenError> {
        let expected = self.expected.expect("a scan begins with a sound frame");
        let end = self.at;
        let next = Cursor { segment: end.segment + 1, offset: 0 };
        let mut torn = (end, found);
        if matches!(found, FrameCheck::Absent) && next.segment < self.segments.len() {
            torn = (next, self.check_frame(next)?);
        }
        if let FrameCheck::Torn(header, _) = torn.1
            && !self.follows(&header)
        {
            return self.damaged(torn.0, "the frame does not follow the one before it, and is torn");
        }
        // The place to report as damaged, if there is damage: a frame of which nothing is left is missed at the end of the log.
        let place =
            if matches!(torn.1, FrameCheck::Torn(..) | FrameCheck::Corrupt(_)) { torn.0 } else { end };
        let torn_header = matches!(torn.1, FrameCheck::Torn(..)).then_some(torn.0);
        self.refuse_frames_behind(end, place, torn_header)?;
        Ok(Tail {
            segment: end.segment,
            offset: end.offset,
            next_lsn: expected.lsn,
            previous_crc: expected.previous_crc,
            closed: expected.closed,
            cut: self.cut(torn.0, torn.1),
        })
    }

    fn cut(&self, at: Cursor, found: FrameCheck) -> Option<Cut> {
        let (bytes, reason) = match found {
            FrameCheck::Torn(header, reason) => (header.frame_bytes() as u64, reason),
            FrameCheck::Corrupt(reason) => (BLOCK, reason),
            FrameCheck::Sound(..) | FrameCheck::Absent => return None,
        };
        Some(Cut { file: self.name(at.segment), offset: at.offset, bytes, reason: reason.to_owned() })
    }

    /// Searches every block behind the end for a sound header, except the torn frame's own. If there is one, `place` is damaged.
    fn refuse_frames_behind(
        &mut self,
        end: Cursor,
        place: Cursor,
        torn_header: Option<Cursor>,
    ) -> Result<(), OpenError> {
        for segment in end.segment..self.segments.len() {
            let mut offset = if segment == end.segment { end.offset } else { 0 };
            while offset < self.segments[segment].bytes {
                let at = Cursor { segment, offset };
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

    fn has_header(&mut self, at: Cursor) -> Result<bool, OpenError> {
        Ok(matches!(self.classify(at)?, Candidate::Sound(..)))
    }

    /// The candidate at a place. One that no crash can leave there is an error.
    fn classify(&mut self, at: Cursor) -> Result<Candidate, OpenError> {
        let SegmentFile { generation, bytes } = self.segments[at.segment];
        let owner = self.owner;
        let block = self.window(at.segment)?.get(at.offset, BLOCK_BYTES)?;
        let position = Position { generation, offset: at.offset, segment_bytes: bytes };
        match frame::classify(block, &owner, &position) {
            Candidate::LaterGeneration(generation) => {
                let reason = format!("a frame of generation {generation}, later than that of its segment");
                self.damaged(at, reason)
            }
            Candidate::OtherOffset(offset) => {
                self.damaged(at, format!("a frame that was written for byte {offset} of this segment"))
            }
            Candidate::NewerVersion(version) => {
                Err(OpenError::Newer { file: self.name(at.segment), version, supported: frame::VERSION })
            }
            candidate => Ok(candidate),
        }
    }

    fn check_frame(&mut self, at: Cursor) -> Result<FrameCheck, OpenError> {
        let (header, crc) = match self.classify(at)? {
            Candidate::Sound(header, crc) => (header, crc),
            Candidate::Corrupt(reason) => return Ok(FrameCheck::Corrupt(reason)),
            Candidate::Absent => return Ok(FrameCheck::Absent),
            other => unreachable!("{other:?} is an error"),
        };
        let size = self.segments[at.segment].bytes;
        if header.position.segment_bytes != size {
            let expected = header.position.segment_bytes;
            return self.damaged(at, format!("the segment has {size} bytes, and was made with {expected}"));
        }
        if let Err(reason) = header.validate() {
            return self.damaged(at, reason);
        }
        let length = header.payload_bytes as usize;
        let payload = self.window(at.segment)?.get(at.offset + frame::HEADER_BYTES as u64, length)?;
        if payload.len() < length {
            return self.damaged(at, "the segment was cut off while it was read");
        }
        if crc32c::crc32c(payload) != header.payload_crc {
            return Ok(FrameCheck::Torn(header, "the records of the frame fail their checksum"));
        }
        Ok(FrameCheck::Sound(header, crc))
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

    fn damaged<T>(&self, at: Cursor, reason: impl Into<String>) -> Result<T, OpenError> {
        Err(OpenError::damaged(&self.name(at.segment), at.offset, reason))
    }
}

/// The sizes of all segments. A segment gets its name when it is complete, so a wrong length is damage, not a torn write.
fn sizes<F: Files>(core: &CoreDir<F>, generations: &[u64]) -> Result<Vec<SegmentFile>, OpenError> {
    let size = |generation: &u64| {
        let window = Window::open(&core.files, &core.path(&names::segment(*generation)))?;
        let bytes = window.size;
        if !bytes.is_multiple_of(BLOCK) || !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) {
            let reason = "no segment has this length: it was cut off";
            return Err(OpenError::damaged(&window.name, bytes, reason));
        }
        Ok(SegmentFile { generation: *generation, bytes })
    };
    generations.iter().map(size).collect()
}
