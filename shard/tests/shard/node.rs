//! The loop around a shard: what its driver sees of it. What it does over time and under faults is the simulator's business.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use engine::answer::Rejection;
use engine::command::{AdHoc, Command, Request};
use engine::ids::Time;
use engine::slots::SlotHash;
use engine::text::Text;
use shard::limits::QUIESCE_TIMEOUT_US;
use shard::{
    CallId, Caller, Clocks, Departure, Node, Parcel, Peers, Posted, Routed, Setup, Shutdown, Wake, read_core,
};
use wal::DataDir;
use wal::disk::{Lane, MemoryDisk};
use wal::files::MemoryFiles;

use crate::support::Names;
use crate::support::world::{self, START};

/// The other cores, as a test plays them.
#[derive(Default)]
struct Ends {
    incoming: VecDeque<Parcel>,
    sent: Vec<Parcel>,
    is_jammed: bool,
    has_waiting: bool,
    balance: i64,
}

struct Other(Rc<RefCell<Ends>>);

impl Peers for Other {
    fn send(&mut self, _core: u16, parcel: Parcel) {
        self.0.borrow_mut().sent.push(parcel);
    }
    fn flush(&mut self) {}
    fn receive(&mut self) -> Option<Parcel> {
        self.0.borrow_mut().incoming.pop_front()
    }
    fn is_jammed(&self, _core: u16) -> bool {
        self.0.borrow().is_jammed
    }
    fn has_incoming(&self) -> bool {
        !self.0.borrow().incoming.is_empty()
    }
    fn has_waiting(&self) -> bool {
        self.0.borrow().has_waiting
    }
    fn balance(&self) -> i64 {
        self.0.borrow().balance
    }
}

/// Core 0 of two.
struct OneNode {
    node: Node<MemoryDisk, Other>,
    other: Rc<RefCell<Ends>>,
    shutdown: Arc<Shutdown>,
    /// Keys of core 0, for orders, holds and transactions alike.
    names: Names,
    hash: SlotHash,
    steady_us: u64,
    calls: u32,
}

impl OneNode {
    fn new() -> OneNode {
        let setup = world::Setup::new(2);
        let dir = DataDir::open_on(MemoryFiles::new(), &setup.options).expect("a directory");
        let hash = SlotHash::new(dir.secret());
        let recovered = (0..2).map(|core| read_core(&dir, core).expect("it is empty")).collect();
        let shared = Setup {
            cores: 2,
            policy: setup.policy,
            catalogue: setup.catalogue,
            state_bytes_max: u64::MAX,
            image_bytes_per_turn: setup.image_bytes_per_turn,
        };
        let ends: Vec<Rc<RefCell<Ends>>> = (0..2).map(|_| Rc::default()).collect();
        let peers = ends.iter().map(|ends| Other(ends.clone())).collect();
        let shutdown = Arc::new(Shutdown::new(2, || {}));
        let disk = |core| Ok(MemoryDisk::new(dir.core_dir(core)));
        let nodes = shard::start(&dir, recovered, &shared, || clocks(0), disk, peers, &shutdown);
        let node = nodes.expect("nodes").swap_remove(0);
        let capacity = AdHoc { capacity: 4, segments: 2 };
        let names = Names::on_cores(&hash, 2, [0; 3], capacity);
        let mut one = OneNode { node, other: ends[0].clone(), shutdown, names, hash, steady_us: 0, calls: 0 };
        one.settle();
        one
    }

    fn post(&mut self, owner: u16, command: Command) -> CallId {
        self.calls += 1;
        let call = CallId { place: self.calls, generation: 1 };
        let request = Request { command, trace: Text::from("") };
        self.node.post(Posted { call, owner, routed: Routed::new(request, &self.hash) });
        call
    }

    fn turn(&mut self) {
        let now = self.steady_us;
        self.node.turn(|| clocks(now)).expect("the disk is well");
    }

    fn finish(&mut self) -> bool {
        let disk = self.node.log_mut().disk_mut();
        let write = disk.finish(Lane::Write);
        disk.finish(Lane::Jobs) || write
    }

    /// Turns and completions until the node asks for no more of them.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            self.turn();
            if !self.finish() && self.node.wake() != Wake::Now {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

fn clocks(steady_us: u64) -> Clocks {
    Clocks { wall_ms: START.0 + steady_us / 1_000, steady_us }
}

#[test]
fn a_command_for_a_jammed_core_is_refused_and_not_sent() {
    let mut one = OneNode::new();
    let create = one.names.create(0);
    one.other.borrow_mut().is_jammed = true;
    let refused = one.post(1, create.clone());
    assert_eq!(one.node.poll_reply(), Some((refused, Err(Rejection::Busy))));
    one.other.borrow_mut().is_jammed = false;
    let sent = one.post(1, create);
    assert_eq!(one.node.poll_reply(), None);
    let sent_on = one.other.borrow_mut().sent.pop();
    let caller = Caller { core: 0, call: sent };
    assert!(matches!(sent_on, Some(Parcel::Command { caller: c, .. }) if c == caller), "{sent_on:?}");
    // Its reply comes back to the call.
    one.other.borrow_mut().incoming.push_back(Parcel::Reply { caller, reply: Err(Rejection::Busy) });
    assert_eq!(one.node.wake(), Wake::Now);
    one.turn();
    assert_eq!(one.node.poll_reply(), Some((sent, Err(Rejection::Busy))));
}

#[test]
fn a_reply_goes_back_to_the_core_where_its_caller_waits() {
    let mut one = OneNode::new();
    let caller = Caller { core: 1, call: CallId { place: 9, generation: 4 } };
    let request = Request { command: one.names.create(0), trace: Text::from("") };
    let routed = Routed::new(request, &one.hash);
    one.other.borrow_mut().incoming.push_back(Parcel::Command { caller, routed });
    one.settle();
    assert_eq!(one.node.poll_reply(), None);
    let sent = one.other.borrow_mut().sent.pop();
    assert!(matches!(sent, Some(Parcel::Reply { caller: c, reply: Ok(_) }) if c == caller), "{sent:?}");
}

/// The first write lets three callers go; the next one waits for them, looks again at once, and not for ever.
#[test]
fn a_delayed_commit_asks_for_a_turn_and_is_made() {
    let mut one = OneNode::new();
    for nth in 0..3 {
        let create = one.names.create(nth);
        one.post(0, create);
    }
    one.settle();
    assert_eq!(std::iter::from_fn(|| one.node.poll_reply()).count(), 3);
    let create = one.names.create(3);
    let waiting = one.post(0, create);
    one.turn();
    assert!(one.node.delays_commit());
    assert_eq!(one.node.wake(), Wake::Now);
    assert!(!one.finish(), "nothing is written yet");
    one.settle();
    assert!(matches!(one.node.poll_reply(), Some((call, Ok(_))) if call == waiting));
}

#[test]
fn what_a_full_ring_holds_back_is_looked_at_again_soon() {
    let one = OneNode::new();
    assert_eq!(one.node.wake(), Wake::OnSignal, "nothing is under way");
    one.other.borrow_mut().has_waiting = true;
    assert_eq!(one.node.wake(), Wake::At(one.node.shard().now()));
}

/// A core that has not quiesced keeps the others, but not beyond the limit.
#[test]
fn a_shutdown_waits_for_the_other_core_and_not_for_ever() {
    let mut one = OneNode::new();
    assert_eq!(one.node.departure(), Departure::Serving);
    one.shutdown.request();
    one.settle();
    assert_eq!(one.node.departure(), Departure::Closing);
    one.shutdown.edge_closed();
    one.shutdown.edge_closed();
    one.turn();
    assert_eq!(one.node.departure(), Departure::Closing, "the other core has not quiesced");
    assert!(matches!(one.node.wake(), Wake::At(at) if at <= one.node.shard().now()));
    let create = one.names.create(0);
    let refused = one.post(0, create);
    assert_eq!(one.node.poll_reply(), Some((refused, Err(Rejection::Stopping))));
    one.steady_us += QUIESCE_TIMEOUT_US;
    one.turn();
    assert_eq!(one.node.departure(), Departure::Closing);
    one.steady_us += 1;
    one.turn();
    assert_eq!(one.node.departure(), Departure::Left { quiesced: false });
}

/// The time that another core has stamped is not later than the clock that is read after it was received.
#[test]
fn clocks_are_read_after_parcels_are_received() {
    let mut one = OneNode::new();
    let caller = Caller { core: 1, call: CallId { place: 1, generation: 1 } };
    let command = Command::GetOrder { order: one.names.order(0) };
    let routed = Routed::new(Request { command, trace: Text::from("") }, &one.hash);
    one.other.borrow_mut().incoming.push_back(Parcel::Command { caller, routed });
    let other = one.other.clone();
    let turned = one.node.turn(|| {
        assert!(other.borrow().incoming.is_empty());
        clocks(7_000)
    });
    turned.expect("the disk is well");
    assert_eq!(one.node.shard().now(), Time(START.0 + 7));
}
