//! The inventory as slowly and plainly as it can be said: one bool for each seat and segment, and every choice made by
//! listing all possible ones. Shares nothing with the crate but its public types.

use allocator::{AD_HOC_SEATS_PER_COACH, Found, Layout, SeatNo, Span, Together};

#[derive(Clone, Debug)]
pub(crate) struct Model {
    taken: Vec<Vec<bool>>,
    sold: Vec<Vec<bool>>,
    segments: usize,
    rows: Vec<Vec<usize>>,
    coaches: Vec<Vec<usize>>,
}

impl Model {
    pub(crate) fn new(layout: &Layout, segments: u16) -> Model {
        let (mut rows, mut coaches) = (Vec::new(), Vec::new());
        let mut next = 0;
        let mut number = |count: usize| -> Vec<usize> {
            next += count;
            (next - count..next).collect()
        };
        match layout {
            Layout::AdHoc { seats } => {
                let mut left = *seats as usize;
                while left > 0 {
                    let coach = number(left.min(AD_HOC_SEATS_PER_COACH as usize));
                    left -= coach.len();
                    rows.push(coach.clone());
                    coaches.push(coach);
                }
            }
            Layout::Labelled(list) => {
                for coach in list {
                    let plans = coach.rows.iter().flat_map(|block| (0..block.rows).map(|_| &block.plan));
                    let of_coach: Vec<_> = plans.map(|plan| number(plan.replace(' ', "").len())).collect();
                    coaches.push(of_coach.concat());
                    rows.extend(of_coach);
                }
            }
        }
        let none = vec![vec![false; segments.into()]; coaches.concat().len()];
        Model { taken: none.clone(), sold: none, segments: segments.into(), rows, coaches }
    }

    pub(crate) fn seats(&self) -> usize {
        self.taken.len()
    }

    pub(crate) fn is_free(&self, seat: usize, span: Span) -> bool {
        span.segments().all(|segment| !self.taken[seat][segment])
    }

    pub(crate) fn available(&self, span: Span) -> usize {
        (0..self.seats()).filter(|&seat| self.is_free(seat, span)).count()
    }

    pub(crate) fn sold(&self, span: Span) -> usize {
        self.sold.iter().filter(|seat| span.segments().any(|segment| seat[segment])).count()
    }

    pub(crate) fn take(&mut self, span: Span, seats: &[usize]) {
        seats.iter().for_each(|&seat| self.taken[seat][span.segments()].fill(true));
    }

    pub(crate) fn release(&mut self, span: Span, seats: &[usize]) {
        seats.iter().for_each(|&seat| self.taken[seat][span.segments()].fill(false));
    }

    pub(crate) fn sell(&mut self, span: Span, seats: &[usize]) {
        seats.iter().for_each(|&seat| self.sold[seat][span.segments()].fill(true));
    }

    pub(crate) fn find(&self, span: Span, quantity: usize) -> Option<Found> {
        if quantity == 0 || self.available(span) < quantity {
            return None;
        }
        if quantity == 1 {
            let free = (0..self.seats()).filter(|&seat| self.is_free(seat, span));
            let seat = free.min_by_key(|&seat| (self.gap(seat, span), seat))?;
            return found(vec![seat], Together::Single);
        }
        if let Some(group) = self.side_by_side(span, quantity) {
            return found(group, Together::Row);
        }
        let mut coaches: Vec<Vec<usize>> = self.coaches.iter().map(|coach| self.free(coach, span)).collect();
        if let Some(seats) = self.in_one_coach(&coaches, span, quantity) {
            return found(seats, Together::Coach);
        }
        let mut seats = Vec::new();
        loop {
            if let Some(last) = self.in_one_coach(&coaches, span, quantity - seats.len()) {
                seats.extend(last);
                return found(seats, Together::Anywhere);
            }
            // `max_by_key` prefers the last among equals, hence from the end.
            let fullest = (0..coaches.len()).rev().max_by_key(|&coach| coaches[coach].len())?;
            seats.append(&mut coaches[fullest]);
        }
    }

    fn side_by_side(&self, span: Span, quantity: usize) -> Option<Vec<usize>> {
        let groups = self.rows.iter().flat_map(|row| row.windows(quantity));
        let free = groups.filter(|group| group.iter().all(|&seat| self.is_free(seat, span)));
        let sum = |group: &[usize]| group.iter().map(|&seat| self.gap(seat, span)).sum::<usize>();
        free.min_by_key(|group| (sum(group), group[0])).map(<[usize]>::to_vec)
    }

    /// `coaches`: the seats that are still to be had.
    fn in_one_coach(&self, coaches: &[Vec<usize>], span: Span, quantity: usize) -> Option<Vec<usize>> {
        let enough = coaches.iter().filter(|free| free.len() >= quantity);
        let mut seats = enough.min_by_key(|free| (free.len(), free[0]))?.clone();
        seats.sort_by_key(|&seat| (self.gap(seat, span), seat));
        seats.truncate(quantity);
        Some(seats)
    }

    fn free(&self, seats: &[usize], span: Span) -> Vec<usize> {
        seats.iter().copied().filter(|&seat| self.is_free(seat, span)).collect()
    }

    fn gap(&self, seat: usize, span: Span) -> usize {
        let taken = &self.taken[seat];
        let left = (0..usize::from(span.from())).rev().take_while(|&segment| !taken[segment]).count();
        let right = (span.to().into()..self.segments).take_while(|&segment| !taken[segment]).count();
        left + right
    }
}

fn found(mut seats: Vec<usize>, together: Together) -> Option<Found> {
    seats.sort();
    Some(Found { seats: numbers(&seats), together })
}

pub(crate) fn numbers(seats: &[usize]) -> Vec<SeatNo> {
    seats.iter().map(|&seat| SeatNo(seat as u32)).collect()
}
