//! What a world comes to: two that are the same here go on in the same ways.

use std::fmt::Write;

use engine::ids::SlotId;
use engine::record::TellId;

use super::{Kept, Mail, Waiter, World};

impl World {
    /// Everything that decides what can still happen, and the replies. Numbers that only count how often something
    /// was recorded are left out, so that states reached in different orders are the same.
    pub(crate) fn fingerprint(&self) -> String {
        let mut out = format!("{:?} {:?}", self.now, self.replies);
        self.slots.values().for_each(|kept| out.push_str(kept.essence()));
        let mail: Vec<String> = self.mail.iter().map(|mail| self.essence(mail)).collect();
        let queues: Vec<_> = self.queues.values().flatten().map(|op| self.op_essence(*op)).collect();
        let _ = write!(out, "\n{} {queues:?}", unordered(&mail));
        let mut ops: Vec<String> = self.ops.keys().map(|op| self.op_essence(*op)).collect();
        ops.sort_unstable();
        out + &ops.concat()
    }

    fn essence(&self, mail: &Mail) -> String {
        match mail {
            Mail::Ask { op, ask } => format!("{} asks {ask:?}", self.op_essence(*op)),
            Mail::Answer { op, result } => format!("{} is answered {result:?}", self.op_essence(*op)),
            Mail::Tell { from, tell } => format!("tell {:?} {}", tell.fact, self.is_told(*from, tell.id)),
            Mail::Ack { to, tell, accepted } => {
                let told = self.slot(*to).and_then(|slot| slot.outbox().get(tell)).map(|tell| &tell.fact);
                format!("ack {told:?} {accepted}")
            }
        }
    }

    /// Whether it still waits for its acknowledgement.
    fn is_told(&self, from: SlotId, tell: TellId) -> bool {
        self.slot(from).is_some_and(|slot| slot.outbox().contains_key(&tell))
    }

    fn op_essence(&self, id: u64) -> String {
        let Some(op) = self.ops.get(&id) else { return "nobody".into() };
        let mut out = format!("{:?} {:?}", op.command, op.progress);
        for waiter in &op.waiters {
            let _ = match waiter {
                Waiter::Client(ticket) => write!(out, " {ticket:?}"),
                Waiter::Tell { from, tell } => write!(out, " tell {}", self.is_told(*from, *tell)),
            };
        }
        out
    }
}

impl Kept {
    /// What it comes to, without what only counts.
    fn essence(&self) -> &str {
        self.essence.get_or_init(|| {
            let slot = &self.slot;
            let facts: Vec<_> = slot.outbox().values().map(|tell| &tell.fact).collect();
            let holds: Vec<_> =
                slot.partitions().iter().map(|(key, p)| (key, p.holds().collect::<Vec<_>>())).collect();
            let orders: Vec<_> = slot.orders().iter().collect();
            let refunds: Vec<_> = slot.refunds().after(0).collect();
            format!("\n{:?} {} {holds:?} {orders:?} {refunds:?}", slot.id(), unordered(&facts))
        })
    }
}

fn unordered(things: &[impl std::fmt::Debug]) -> String {
    let mut texts: Vec<String> = things.iter().map(|thing| format!("{thing:?}")).collect();
    texts.sort_unstable();
    texts.concat()
}
