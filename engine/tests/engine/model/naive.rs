//! The same promises kept the obvious way: a grid of booleans, maps of holds and orders, no messages, no records.

use std::collections::BTreeMap;

use super::ops::{
    ABANDON_MS, DEPARTED_MS, FIRST_STOP_DEPARTS_AT_MS, HOLD_TTL_MAX_MS, HOLD_TTL_MS, HoldName, Op, Place,
    RETENTION_MS, RUN_ENDS_AT_MS, SALE_CLOSES_MS, Who, purchase,
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hold {
    Held,
    Confirmed,
    Released,
    Expired,
}

#[derive(Clone, Debug)]
struct Held {
    status: Hold,
    quantity: usize,
    /// None once it has ended.
    seats: Vec<usize>,
    span: (usize, usize),
    owner: Option<usize>,
    deadline: u64,
    keep_until: u64,
}

#[derive(Debug)]
struct Train {
    taken: Vec<Vec<bool>>,
    holds: BTreeMap<HoldName, Held>,
}

#[derive(Clone, Debug)]
struct Reserved {
    place: Place,
    hold: HoldName,
    quantity: usize,
    seats: Vec<usize>,
    span: (usize, usize),
    deadline: u64,
}

#[derive(Clone, Debug)]
struct Order {
    status: &'static str,
    amount: i64,
    abandon_at: u64,
    reserved: Option<Reserved>,
    txn: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Naive {
    /// Since the start.
    now: u64,
    trains: BTreeMap<Place, Train>,
    orders: BTreeMap<usize, Order>,
    claims: BTreeMap<usize, usize>,
    refunds: BTreeMap<(Who, usize), (&'static str, Option<usize>)>,
}

type Said = Result<String, String>;

fn no<T>(why: &str) -> Result<T, String> {
    Err(format!("!{why}"))
}

impl Order {
    fn cancel(&mut self, status: &'static str) {
        self.status = status;
        if let Some(reserved) = &mut self.reserved {
            reserved.seats.clear();
        }
    }
}

impl Naive {
    /// What is to be answered. `chosen`: the seats that the answer names; which ones is not this model's business,
    /// whether they may be taken is.
    pub(super) fn step(&mut self, op: &Op, chosen: &[usize]) -> String {
        let said = match op {
            Op::TryHold { place, hold, quantity, span } => {
                self.hold(*place, *hold, (*quantity, *span, HOLD_TTL_MS), None, chosen).map(|()| {
                    let span = self.span(*place, *span).unwrap();
                    self.show_hold(*place, *hold, span)
                })
            }
            Op::Release { place, hold } => self.end(*place, *hold, Hold::Released),
            Op::Confirm { place, hold } => self.end(*place, *hold, Hold::Confirmed),
            Op::Available { place, span } => self.available(*place, *span),
            Op::Create { order, amount } => self.create(*order, *amount),
            Op::Purchase { key, place, amount, quantity, span, ttl_ms } => {
                let order = purchase(*key, *place);
                self.purchase(order, *place, *amount, (*quantity, *span), *ttl_ms, chosen)
            }
            Op::Reserve { order, place, hold, quantity, span } => {
                self.reserve(*order, *place, *hold, *quantity, *span, chosen)
            }
            Op::Cancel { order, named } => self.cancel(*order, *named),
            Op::Pay { who, txn, verified, named } => self.pay(*who, *txn, *verified, *named),
            Op::Ticket { order } => self.ticket(*order),
            Op::Get { order } => self.get(*order),
            Op::Settle { who, txn, reference } => self.settle(*who, *txn, *reference),
            Op::Wait { ms, due } => {
                self.now += ms;
                if *due {
                    self.due();
                }
                Ok(String::new())
            }
            Op::Reload => Ok(String::new()),
        };
        said.unwrap_or_else(|refusal| refusal)
    }

    // Trains.

    fn shape(place: Place) -> (usize, usize) {
        match place {
            Place::Run => (6, 2),
            Place::AdHoc => (4, 3),
        }
    }

    fn is_gone(&self, place: Place) -> bool {
        place == Place::Run && RUN_ENDS_AT_MS + DEPARTED_MS <= self.now
    }

    fn span(&self, place: Place, asked: Option<(u16, u16)>) -> Result<(usize, usize), String> {
        let (_, segments) = Naive::shape(place);
        let (from, to) = asked.map_or((0, segments), |(from, to)| (from.into(), to.into()));
        if to > segments { no("InvalidSpan") } else { Ok((from, to)) }
    }

    pub(super) fn is_taken(&self, place: Place, seat: usize, segment: usize) -> bool {
        self.trains.get(&place).is_some_and(|train| train.taken[seat][segment])
    }

    /// Nothing new is sold that boards at the first stop of the run.
    fn is_closed(&self, place: Place, span: (usize, usize)) -> bool {
        place == Place::Run && span.0 == 0 && FIRST_STOP_DEPARTS_AT_MS - SALE_CLOSES_MS <= self.now
    }

    /// What a new hold could have.
    fn offered(&self, place: Place, span: (usize, usize)) -> usize {
        if self.is_closed(place, span) { 0 } else { self.free(place, span) }
    }

    fn free(&self, place: Place, span: (usize, usize)) -> usize {
        let taken = &self.trains[&place].taken;
        taken.iter().filter(|row| row[span.0..span.1].iter().all(|taken| !taken)).count()
    }

    fn mark(&mut self, place: Place, hold: HoldName, taken: bool) {
        let train = self.trains.get_mut(&place).unwrap();
        let held = &train.holds[&hold];
        for seat in &held.seats {
            for segment in held.span.0..held.span.1 {
                assert_ne!(train.taken[*seat][segment], taken, "seat {seat} on {segment} for {hold:?}");
                train.taken[*seat][segment] = taken;
            }
        }
    }

    /// What is due in a train ends, and its orders with it.
    fn touch(&mut self, place: Place) {
        let Some(train) = self.trains.get(&place) else { return };
        let is_due = |held: &Held| held.status == Hold::Held && held.deadline <= self.now;
        let due: Vec<HoldName> =
            train.holds.iter().filter(|(_, held)| is_due(held)).map(|(name, _)| *name).collect();
        for name in due {
            self.mark(place, name, false);
            let held = self.trains.get_mut(&place).unwrap().holds.get_mut(&name).unwrap();
            held.status = Hold::Expired;
            held.seats.clear();
            held.keep_until = self.now + RETENTION_MS;
            if let Some(owner) = held.owner {
                self.orders.get_mut(&owner).unwrap().cancel("Cancelled(HoldExpired)");
            }
        }
    }

    fn due(&mut self) {
        for place in [Place::Run, Place::AdHoc] {
            self.touch(place);
            let now = self.now;
            let Some(train) = self.trains.get_mut(&place) else { continue };
            train.holds.retain(|_, held| match held.status {
                Hold::Held | Hold::Confirmed => true,
                Hold::Released | Hold::Expired => held.keep_until > now,
            });
            let is_settled = train.holds.values().all(|held| held.status != Hold::Held);
            let is_forgotten = place == Place::AdHoc && train.holds.is_empty();
            if is_forgotten || self.is_gone(place) && is_settled {
                self.trains.remove(&place);
            }
        }
        for order in self.orders.values_mut() {
            if order.status == "Init" && order.abandon_at <= self.now {
                order.cancel("Cancelled(Abandoned)");
            }
            if order.status == "Paid" {
                order.status = "Ticketed";
            }
        }
    }

    fn hold(
        &mut self,
        place: Place,
        name: HoldName,
        (quantity, span, ttl_ms): (u32, Option<(u16, u16)>, u64),
        owner: Option<usize>,
        chosen: &[usize],
    ) -> Result<(), String> {
        let (seats, segments) = Naive::shape(place);
        if !self.trains.contains_key(&place) {
            if self.is_gone(place) {
                return no("PartitionNotFound");
            }
            let span = self.span(place, span)?;
            if self.is_closed(place, span) {
                return no("SaleClosed");
            }
            if quantity as usize > seats {
                return no("InsufficientStock");
            }
            let train = Train { taken: vec![vec![false; segments]; seats], holds: BTreeMap::new() };
            self.trains.insert(place, train);
        }
        self.touch(place);
        let span = self.span(place, span)?;
        let train = self.trains.get_mut(&place).unwrap();
        let Some(held) = train.holds.get_mut(&name) else {
            if self.is_closed(place, span) {
                return no("SaleClosed");
            }
            if self.free(place, span) < quantity as usize {
                return no("InsufficientStock");
            }
            assert_eq!(chosen.len(), quantity as usize, "as many seats as were asked for");
            let held = Held {
                status: Hold::Held,
                quantity: chosen.len(),
                seats: chosen.to_vec(),
                span,
                owner,
                deadline: self.now + ttl_ms,
                keep_until: 0,
            };
            self.trains.get_mut(&place).unwrap().holds.insert(name, held);
            self.mark(place, name, true);
            return Ok(());
        };
        if owner.is_some() && held.owner.is_some() && held.owner != owner {
            return no("HoldOwnedByAnother");
        }
        match held.status {
            Hold::Expired => no("HoldExpired"),
            Hold::Released => no("HoldReleased"),
            _ if held.quantity != quantity as usize || held.span != span => no("HoldDiffers"),
            Hold::Confirmed if owner.is_some() && held.owner.is_none() => no("HoldConfirmed"),
            _ => {
                held.owner = held.owner.or(owner);
                Ok(())
            }
        }
    }

    fn end(&mut self, place: Place, name: HoldName, how: Hold) -> Said {
        self.touch(place);
        let held = self.trains.get(&place).and_then(|train| train.holds.get(&name));
        let Some(held) = held else { return no("HoldNotFound") };
        match held.status {
            _ if held.owner.is_some() => return no("HoldOwned"),
            Hold::Held => self.set(place, name, how),
            status if status == how => {}
            status => return no(&format!("Hold{status:?}")),
        }
        let (_, segments) = Naive::shape(place);
        Ok(self.show_hold(place, name, (0, segments)))
    }

    /// A live hold comes to its end.
    fn set(&mut self, place: Place, name: HoldName, how: Hold) {
        if how == Hold::Released {
            self.mark(place, name, false);
        }
        let held = self.trains.get_mut(&place).unwrap().holds.get_mut(&name).unwrap();
        assert_eq!(held.status, Hold::Held);
        held.status = how;
        if how == Hold::Released {
            held.seats.clear();
            held.keep_until = self.now + RETENTION_MS;
        }
    }

    fn show_hold(&self, place: Place, name: HoldName, span: (usize, usize)) -> String {
        let train = &self.trains[&place];
        let held = &train.holds[&name];
        let sold = |seat: usize| {
            train.holds.values().any(|held| {
                let overlaps = held.span.0 < span.1 && span.0 < held.span.1;
                held.status == Hold::Confirmed && overlaps && held.seats.contains(&seat)
            })
        };
        let sold = (0..train.taken.len()).filter(|seat| sold(*seat)).count();
        let (status, seats, free) = (held.status, &held.seats, self.offered(place, span));
        format!("{status:?} {seats:?} until {}, {free} free, {sold} sold", held.deadline)
    }

    fn available(&mut self, place: Place, span: Option<(u16, u16)>) -> Said {
        if self.trains.contains_key(&place) {
            self.touch(place);
            let span = self.span(place, span)?;
            return Ok(format!("{} free", self.offered(place, span)));
        }
        if place == Place::AdHoc || self.is_gone(place) {
            return no("PartitionNotFound");
        }
        let span = self.span(place, span)?;
        let seats = if self.is_closed(place, span) { 0 } else { Naive::shape(place).0 };
        Ok(format!("{seats} free"))
    }

    // Orders.

    fn show(&self, order: usize) -> Said {
        let Order { status, amount, reserved, txn, .. } = &self.orders[&order];
        let reserved = reserved
            .as_ref()
            .map(|r| format!("{:?} {:?} {:?} {:?} until {}", r.place, r.hold, r.seats, r.span, r.deadline));
        let mut refunds = self.refunds.iter().filter(|((who, _), _)| *who == Who::Order(order));
        let refund = match (refunds.clone().count(), refunds.any(|(_, (_, settled))| settled.is_none())) {
            (0, _) => None,
            (_, true) => Some("Required"),
            (_, false) => Some("Settled"),
        };
        Ok(format!("{status} {amount} {reserved:?} {txn:?} {refund:?}"))
    }

    /// Past the deadline, the train is asked first.
    fn settle_overdue(&mut self, order: usize) {
        let Order { status, reserved, .. } = &self.orders[&order];
        if let ("Reserved", Some(reserved)) = (*status, reserved)
            && reserved.deadline <= self.now
        {
            self.touch(reserved.place);
        }
    }

    fn create(&mut self, order: usize, amount: i64) -> Said {
        match self.orders.get(&order) {
            Some(there) if there.amount != amount => return no("AmountDiffers"),
            Some(_) => self.settle_overdue(order),
            None => {
                let abandon_at = self.now + ABANDON_MS;
                let new = Order { status: "Init", amount, abandon_at, reserved: None, txn: None };
                self.orders.insert(order, new);
            }
        }
        self.show(order)
    }

    fn purchase(
        &mut self,
        order: usize,
        place: Place,
        amount: i64,
        (quantity, asked): (u32, Option<(u16, u16)>),
        ttl_ms: Option<u64>,
        chosen: &[usize],
    ) -> Said {
        if let Some(there) = self.orders.get(&order) {
            let reserved = there.reserved.as_ref().expect("a purchase has seats from the first");
            let same = (there.amount, reserved.quantity) == (amount, quantity as usize);
            if !same || self.span(place, asked) != Ok(reserved.span) {
                return no("KeyReused");
            }
            self.settle_overdue(order);
            return self.show(order);
        }
        let ttl_ms = ttl_ms.unwrap_or(HOLD_TTL_MS);
        if ttl_ms == 0 || ttl_ms > HOLD_TTL_MAX_MS {
            return no("InvalidTtl");
        }
        let hold = HoldName::Own(order);
        self.hold(place, hold, (quantity, asked, ttl_ms), Some(order), chosen)?;
        let Held { quantity, seats, span, deadline, .. } = self.trains[&place].holds[&hold].clone();
        let reserved = Some(Reserved { place, hold, quantity, seats, span, deadline });
        self.orders
            .insert(order, Order { status: "Reserved", amount, abandon_at: self.now, reserved, txn: None });
        self.show(order)
    }

    fn get(&mut self, order: usize) -> Said {
        if !self.orders.contains_key(&order) {
            return no("OrderNotFound");
        }
        self.settle_overdue(order);
        self.show(order)
    }

    fn reserve(
        &mut self,
        order: usize,
        place: Place,
        hold: HoldName,
        quantity: u32,
        asked: Option<(u16, u16)>,
        chosen: &[usize],
    ) -> Said {
        let Some(there) = self.orders.get(&order) else { return no("OrderNotFound") };
        match there.status {
            "Init" => {
                self.hold(place, hold, (quantity, asked, HOLD_TTL_MS), Some(order), chosen)?;
                let Held { quantity, seats, span, deadline, .. } = self.trains[&place].holds[&hold].clone();
                let there = self.orders.get_mut(&order).unwrap();
                there.status = "Reserved";
                there.reserved = Some(Reserved { place, hold, quantity, seats, span, deadline });
            }
            "Reserved" => {
                self.settle_overdue(order);
                let there = &self.orders[&order];
                let reserved = there.reserved.as_ref().unwrap();
                if there.status != "Reserved" {
                    return no("InvalidTransition");
                }
                let same =
                    (reserved.place, reserved.hold, reserved.quantity) == (place, hold, quantity as usize);
                if !same || self.span(place, asked) != Ok(reserved.span) {
                    return no("ReservationDiffers");
                }
            }
            _ => return no("InvalidTransition"),
        }
        self.show(order)
    }

    fn agrees(&self, order: usize, named: Option<HoldName>) -> bool {
        match (&self.orders[&order].reserved, named) {
            (Some(reserved), Some(named)) => reserved.hold == named,
            _ => true,
        }
    }

    fn cancel(&mut self, order: usize, named: Option<HoldName>) -> Said {
        let Some(there) = self.orders.get(&order).cloned() else { return no("OrderNotFound") };
        if !self.agrees(order, named) {
            return no("HoldMismatch");
        }
        match there.status {
            "Init" => {}
            "Reserved" => {
                let reserved = there.reserved.unwrap();
                self.touch(reserved.place);
                if self.orders[&order].status != "Reserved" {
                    return self.show(order);
                }
                self.set(reserved.place, reserved.hold, Hold::Released);
            }
            status if status.starts_with("Cancelled") => return self.show(order),
            _ => return no("InvalidTransition"),
        }
        self.orders.get_mut(&order).unwrap().cancel("Cancelled(Requested)");
        self.show(order)
    }

    fn pay(&mut self, who: Who, txn: usize, verified: bool, named: Option<HoldName>) -> Said {
        let order = match who {
            Who::Order(order) if self.orders.contains_key(&order) => order,
            _ => {
                if verified {
                    self.refunds.entry((who, txn)).or_insert(("Unmatched", None));
                }
                return no("OrderNotFound");
            }
        };
        if !self.agrees(order, named) {
            return no("HoldMismatch");
        }
        if self.orders[&order].txn == Some(txn) {
            return self.show(order);
        }
        if !self.refunds.contains_key(&(who, txn)) {
            if *self.claims.entry(txn).or_insert(order) != order {
                return no("TxnUsed");
            }
            let there = self.orders[&order].clone();
            if let ("Reserved", Some(reserved)) = (there.status, &there.reserved) {
                self.touch(reserved.place);
                if self.orders[&order].status == "Reserved" {
                    self.set(reserved.place, reserved.hold, Hold::Confirmed);
                    let there = self.orders.get_mut(&order).unwrap();
                    (there.status, there.txn) = ("Paid", Some(txn));
                    return self.show(order);
                }
            }
            let reason = match self.orders[&order].status {
                "Paid" | "Ticketed" => "AlreadyPaid",
                "Cancelled(HoldExpired)" => "HoldExpired",
                _ => "InvalidState",
            };
            self.refunds.insert((who, txn), (reason, None));
        }
        match self.refunds[&(who, txn)].0 {
            "InvalidState" => no("InvalidTransition"),
            "Unmatched" => no("OrderNotFound"),
            reason => no(reason),
        }
    }

    fn ticket(&mut self, order: usize) -> Said {
        let Some(there) = self.orders.get_mut(&order) else { return no("OrderNotFound") };
        match there.status {
            "Paid" => there.status = "Ticketed",
            "Ticketed" => {}
            _ => return no("InvalidTransition"),
        }
        self.show(order)
    }

    fn settle(&mut self, who: Who, txn: usize, reference: usize) -> Said {
        let Some((reason, settled)) = self.refunds.get_mut(&(who, txn)) else { return no("RefundNotFound") };
        match settled {
            Some(there) if *there != reference => no("RefundSettled"),
            _ => {
                *settled = Some(reference);
                Ok(format!("{reason} {reference}"))
            }
        }
    }

    /// Everything that is owed or was.
    pub(super) fn refunds(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.refunds.iter().map(|((who, txn), rest)| format!("{who:?} {txn} {rest:?}")).collect();
        all.sort();
        all
    }
}
