//! A steady day: people look at what is left, hold seats of any train, and confirm, give back or forget them.

use super::{Common, Step, Workload};
use crate::load::Kind;

const LOOKS_PERCENT: u32 = 50;
const CONFIRMED_PERCENT: u32 = 60;
/// Of the rest; the others are left to expire.
const RELEASED_PERCENT: u32 = 60;

pub(super) struct SteadyDay(Common);

impl SteadyDay {
    pub(super) fn new(common: Common) -> SteadyDay {
        SteadyDay(common)
    }
}

impl Workload for SteadyDay {
    fn begin(&mut self, request: &mut Vec<u8>) -> Step {
        let common = &mut self.0;
        let wish = common.wish();
        let id = common.next_id();
        if common.percent(LOOKS_PERCENT) {
            common.availability(request, &wish);
            return Step::new(Kind::Query, id, wish);
        }
        common.try_hold(request, id, &wish);
        Step::new(Kind::NewHold, id, wish)
    }

    fn answered(&mut self, step: &Step, status: u16, _: &[u8], request: &mut Vec<u8>) -> Option<Step> {
        if status != 200 || step.kind != Kind::NewHold {
            return None;
        }
        let path = if self.0.percent(CONFIRMED_PERCENT) {
            "/inventory/confirm-hold"
        } else if self.0.percent(RELEASED_PERCENT) {
            "/inventory/release-hold"
        } else {
            return None;
        };
        self.0.end_hold(request, path, step.id, &step.wish);
        Some(Step { kind: Kind::OtherWrite, ..*step })
    }
}
