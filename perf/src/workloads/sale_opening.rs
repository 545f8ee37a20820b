//! Sale opening: everybody wants the same ten trains.
//!
//! When nearly everybody is refused, the ten are sold out and ten others go on sale: the next day's, later the less wanted ones.
//! A few clients are impatient and repeat their request as soon as they have its answer.

use std::sync::atomic::Ordering;

use super::{Common, Step, Workload};
use crate::load::Kind;

pub(super) const TRAINS: usize = 10;
/// Refusals in a row after which the trains count as sold out.
const SOLD_OUT: u32 = 20;
const REPEATED_PERCENT: u32 = 2;

pub(super) struct SaleOpening {
    common: Common,
    refused: u32,
    open: usize,
}

impl SaleOpening {
    pub(super) fn new(common: Common) -> SaleOpening {
        SaleOpening { common, refused: 0, open: 0 }
    }
}

impl Workload for SaleOpening {
    fn begin(&mut self, request: &mut Vec<u8>) -> Step {
        let sale = &self.common.sale;
        self.open = sale.open.load(Ordering::Relaxed);
        let runs = &sale.openings[self.open % sale.openings.len()];
        let run = runs[self.common.chance.usize(..runs.len())];
        let wish = sale.demand.draw_of(run, &mut self.common.chance);
        let id = self.common.next_id();
        self.common.try_hold(request, id, &wish);
        Step::new(Kind::NewHold, id, wish)
    }

    fn answered(&mut self, step: &Step, status: u16, _: &[u8], request: &mut Vec<u8>) -> Option<Step> {
        if status != 200 {
            self.refused += 1;
            if self.refused > SOLD_OUT {
                self.refused = 0;
                // Another thread may have moved on already.
                let open = &self.common.sale.open;
                let _ = open.compare_exchange(self.open, self.open + 1, Ordering::Relaxed, Ordering::Relaxed);
            }
            return None;
        }
        self.refused = 0;
        (step.kind == Kind::NewHold && self.common.percent(REPEATED_PERCENT)).then(|| {
            self.common.try_hold(request, step.id, &step.wish);
            Step { kind: Kind::Repeat, ..*step }
        })
    }
}
