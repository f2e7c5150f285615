use super::*;
use crate::model::{LATEST, OrgId};

fn work(n: u128) -> Work {
    let message = Message {
        id: MsgId(n),
        app: AppId(1),
        org: OrgId(1),
        event_type: "a.b".into(),
        event_id: None,
        channels: vec![],
        tags: vec![],
        deliver_at: None,
        payload_expires_at: None,
        endpoints: vec![EndpointId(1)],
        payload: vec![0; 10].into(),
        expunged: false,
        origin: None,
    };
    let lease = Lease { token: 1, until: LATEST };
    let trigger = Trigger::Scheduled;
    Work { endpoint: EndpointId(1), app: AppId(1), message: Arc::new(message), trigger, lease, failed: 0, attempts: 0, bytes: 1 }
}

fn fresh(lane: &Lane, budget: &Budget, n: u128) {
    assert!(lane.reserve(budget));
    lane.push(work(n), budget);
}

fn start(lane: &Lane, budget: &Budget) -> Option<u128> {
    match lane.next(|| None, Time(0), budget) {
        Next::Start(work) => Some(work.message.id.0),
        _ => None,
    }
}

#[test]
fn fresh_messages_go_before_claimed_ones_and_nothing_starves() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    lane.claimed((100..102).map(work).collect(), None, &budget);
    (0..6).for_each(|n| fresh(&lane, &budget, n));
    let order: Vec<_> = (0..8).map_while(|_| start(&lane, &budget)).collect();
    assert_eq!(order, [0, 1, 2, 3, 100, 4, 5, 101]);
}

#[test]
fn a_lane_runs_ten_at_first_and_finishing_frees_a_slot() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    (0..20).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!((0..20).map_while(|_| start(&lane, &budget)).count(), 10);
    assert_eq!((lane.running(), budget.in_flight()), (10, 10));
    lane.finish(MsgId(3), Report::None, &budget);
    assert!(!lane.runs(MsgId(3)));
    assert_eq!(start(&lane, &budget), Some(10));
    assert_eq!(start(&lane, &budget), None);
}

#[test]
fn a_lane_without_a_slot_queues_once() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(2));
    (0..4).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!((0..4).filter_map(|_| start(&lane, &budget)).count(), 2);
    assert_eq!(start(&lane, &budget), None);
    assert_eq!((budget.next_waiting(), budget.next_waiting()), (Some(EndpointId(1)), None));
    lane.called();
    lane.finish(MsgId(0), Report::Good(500), &budget);
    assert_eq!(start(&lane, &budget), Some(2));
}

#[test]
fn memory_is_bounded() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(2));
    assert_eq!((0..FRESH_ROOM + 5).filter(|_| lane.reserve(&budget)).count(), FRESH_ROOM);
    lane.unreserve();
    assert!(lane.reserve(&budget));
    budget.queue(usize::MAX / 2);
    lane.unreserve();
    assert!(!lane.reserve(&budget));
}

#[test]
fn one_claim_at_a_time_and_only_when_something_is_due() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(2));
    assert_eq!(lane.wants_claim(Time(5)), None);
    assert_eq!(lane.note_due(Time(9)), Some(Time(9)));
    assert_eq!(lane.note_due(Time(10)), None);
    assert_eq!(lane.wants_claim(Time(5)), None);
    assert_eq!(lane.wants_claim(Time(9)), Some(CLAIM));
    assert_eq!(lane.note_due(Time(9)), None);
    assert_eq!(lane.wants_claim(Time(9)), None);
    lane.claimed(vec![], None, &budget);
    // A delivery that became due while the claim ran is looked for again.
    assert_eq!(lane.wants_claim(Time(9)), Some(CLAIM));
}

#[test]
fn a_rate_holds_starts_back() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    (0..3).for_each(|n| fresh(&lane, &budget, n));
    assert!(matches!(lane.next(|| Some(2), Time(0), &budget), Next::Start(_)));
    assert!(matches!(lane.next(|| Some(2), Time(0), &budget), Next::At(Time(500))));
    assert_eq!(budget.in_flight(), 1);
    assert!(matches!(lane.next(|| Some(2), Time(500), &budget), Next::Start(_)));
}

#[test]
fn draining_empties_memory_but_not_what_runs() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    (0..3).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!(start(&lane, &budget), Some(0));
    assert_eq!(lane.drain(&budget).len(), 2);
    assert!(!lane.is_idle());
    lane.finish(MsgId(0), Report::Bad, &budget);
    assert!(lane.is_idle());
}
