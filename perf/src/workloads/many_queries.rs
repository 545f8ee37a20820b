//! Many queries: a hundred of them for each hold, four of five about one span, the others about a whole run.

use super::{Common, Step, Workload};
use crate::load::Kind;

const QUERIES_PER_HOLD: u32 = 100;
const RUNS_PERCENT: u32 = 20;

pub(super) struct ManyQueries(Common);

impl ManyQueries {
    pub(super) fn new(common: Common) -> ManyQueries {
        ManyQueries(common)
    }
}

impl Workload for ManyQueries {
    fn begin(&mut self, request: &mut Vec<u8>) -> Step {
        let common = &mut self.0;
        let wish = common.wish();
        let id = common.next_id();
        if common.chance.u32(..=QUERIES_PER_HOLD) == 0 {
            common.try_hold(request, id, &wish);
            return Step::new(Kind::NewHold, id, wish);
        }
        if common.percent(RUNS_PERCENT) {
            common.run(request, &wish);
        } else {
            common.availability(request, &wish);
        }
        Step::new(Kind::Query, id, wish)
    }
}
