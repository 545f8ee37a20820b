//! The image of a large slot, taken in pieces: how long a core's turn is at most by it.

use engine::Span;
use engine::command::{AdHoc, Command, SeatRequest};
use engine::ids::{HoldId, PartitionKey, Time};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use shard::limits::IMAGE_BYTES_PER_TURN;

use super::World;
use crate::report::Page;
use crate::statistics::quantile;

const HOLDS: u32 = 200_000;
const SEATS: u32 = 100_000;

/// The image of a slot whose one partition has [`HOLDS`] live holds. A hold is made between each two pieces.
#[derive(Debug, Serialize)]
pub(super) struct ImageFigures {
    holds: u32,
    bytes: usize,
    pieces: usize,
    begin_us: f64,
    piece_p50_us: f64,
    piece_p99_us: f64,
    piece_max_us: f64,
}

impl ImageFigures {
    pub(super) fn measure() -> ImageFigures {
        let partition = PartitionKey::parse("large").expect("a key");
        let mut world = World::ad_hoc(Time(1_800_000_000_000));
        let mut made = 0;
        let mut hold = |world: &mut World| {
            let segment = (made / SEATS) as u16;
            let command = Command::TryHold(SeatRequest {
                partition: partition.clone(),
                hold: HoldId::parse(&format!("h-{made:015x}")).expect("an id"),
                quantity: 1,
                span: Span::new(segment, segment + 1),
                ad_hoc: AdHoc { capacity: SEATS, segments: 3 },
            });
            made += 1;
            world.run(&command).expect("a seat is free");
        };
        for _ in 0..HOLDS {
            hold(&mut world);
        }
        let slot = world.slot_of(&partition);
        let before = thread_cpu_us();
        world.slot_mut(slot).begin_image();
        let begin_us = thread_cpu_us() - before;
        let (mut bytes, mut times, mut is_last) = (0, Vec::new(), false);
        let mut piece = Vec::new();
        while !is_last {
            piece.clear();
            let before = thread_cpu_us();
            is_last = world.slot_mut(slot).next_piece(IMAGE_BYTES_PER_TURN, &mut piece);
            times.push(thread_cpu_us() - before);
            bytes += piece.len();
            hold(&mut world);
        }
        times.sort_unstable_by(f64::total_cmp);
        ImageFigures {
            holds: HOLDS,
            bytes,
            pieces: times.len(),
            begin_us,
            piece_p50_us: quantile(&times, 0.5),
            piece_p99_us: quantile(&times, 0.99),
            piece_max_us: quantile(&times, 1.0),
        }
    }

    pub(super) fn show(&self, page: &mut Page) {
        page.heading("The image of a large slot");
        page.text(&format!(
            "A slot with {} live holds in one partition goes into a snapshot in {} pieces of together {:.1} MB, with a hold made between each \
             two: each piece takes {:.0} us of CPU (median), {:.0} us (p99), {:.0} us (the longest); the beginning takes {:.0} us.",
            self.holds,
            self.pieces,
            self.bytes as f64 / 1e6,
            self.piece_p50_us,
            self.piece_p99_us,
            self.piece_max_us,
            self.begin_us
        ));
    }
}

/// Of the calling thread.
fn thread_cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
