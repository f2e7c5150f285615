use super::*;
use crate::lanes::slots::{Asks, Slot};
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
        ordering_key: None,
        ordered: Vec::new(),
    };
    let lease = Lease { token: 1, until: LATEST };
    let trigger = Trigger::Scheduled;
    Work { endpoint: EndpointId(1), app: AppId(1), message: Arc::new(message), trigger, lease, failed: 0, attempts: 0, bytes: 1 }
}

fn fresh(lane: &Lane, budget: &Budget, n: u128) {
    assert!(lane.reserve(budget));
    assert!(lane.push(work(n), budget).is_none());
}

fn start(lane: &Lane, budget: &Budget) -> Option<u128> {
    match lane.next(Limits::default, Time(0), budget) {
        Next::Start(work) => Some(work.message.id.0),
        _ => None,
    }
}

#[test]
fn fresh_messages_go_before_claimed_ones_and_nothing_starves() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    assert!(lane.claimed((100..102).map(work).collect(), None, &budget).is_empty());
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
    lane.finish(MsgId(3), Report::None, Time(0), &budget);
    assert!(!lane.runs(MsgId(3)));
    assert_eq!(start(&lane, &budget), Some(10));
    assert_eq!(start(&lane, &budget), None);
}

#[test]
fn a_lane_without_a_slot_queues_once() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(2));
    (0..4).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!((0..4).filter_map(|_| start(&lane, &budget)).count(), 1);
    assert_eq!(start(&lane, &budget), None);
    assert_eq!(budget.next_waiting(), None, "the other slot is for others");
    lane.finish(MsgId(0), Report::Good(500), Time(0), &budget);
    assert_eq!((budget.next_waiting(), budget.next_waiting()), (Some(EndpointId(1)), None));
    lane.called();
    assert_eq!(start(&lane, &budget), Some(1));
}

#[test]
fn a_lane_that_is_halted_starts_nothing_until_all_let_go() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    (0..3).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!(start(&lane, &budget), Some(0));
    lane.halt();
    lane.halt();
    assert_eq!(start(&lane, &budget), None);
    lane.let_go();
    assert_eq!((start(&lane, &budget), budget.in_flight()), (None, 1));
    lane.let_go();
    assert_eq!(start(&lane, &budget), Some(1));
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
    assert_eq!(lane.note_due(Time(9)), Some(Ring { at: Time(9), instead_of: None }));
    assert_eq!(lane.note_due(Time(10)), None);
    assert_eq!(lane.wants_claim(Time(5)), None);
    assert_eq!(lane.wants_claim(Time(9)), Some(CLAIM));
    assert_eq!(lane.note_due(Time(9)), None);
    assert_eq!(lane.wants_claim(Time(9)), None);
    assert!(lane.claimed(vec![], None, &budget).is_empty());
    // A delivery that became due while the claim ran is looked for again.
    assert_eq!(lane.wants_claim(Time(9)), Some(CLAIM));
}

#[test]
fn a_rate_holds_starts_back() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    (0..3).for_each(|n| fresh(&lane, &budget, n));
    assert!(matches!(lane.next(|| Limits { rate: Some(2), pace: None, concurrency: None }, Time(0), &budget), Next::Start(_)));
    assert!(matches!(lane.next(|| Limits { rate: Some(2), pace: None, concurrency: None }, Time(0), &budget), Next::At(Time(500))));
    assert_eq!(budget.in_flight(), 1);
    assert!(matches!(lane.next(|| Limits { rate: Some(2), pace: None, concurrency: None }, Time(500), &budget), Next::Start(_)));
}

#[test]
fn draining_empties_memory_but_not_what_runs() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    (0..3).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!(start(&lane, &budget), Some(0));
    assert_eq!(lane.drain(&budget).len(), 2);
    assert!(!lane.is_idle(Time(0)));
    lane.finish(MsgId(0), Report::Bad, Time(0), &budget);
    assert!(lane.is_idle(Time(0)));
}

#[test]
fn an_endpoint_that_keeps_failing_is_left_alone_then_probed() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    (0..60).for_each(|n| fresh(&lane, &budget, n));
    let next = |now| match lane.next(Limits::default, Time(now), &budget) {
        Next::Start(work) => Ok(work.message.id),
        Next::At(time) => Err(Some(time)),
        Next::Rest => Err(None),
    };
    for _ in 0..20 {
        let msg = next(0).unwrap();
        lane.finish(msg, Report::Bad, Time(0), &budget);
    }
    assert_eq!(next(10), Err(Some(Time(1000))));
    assert_eq!(lane.view(Time(10), &budget).circuit, CircuitState::Open(Time(1000)));
    let probe = next(1000).unwrap();
    assert_eq!(next(1000), Err(None), "one probe");
    assert_eq!(lane.view(Time(1000), &budget).circuit, CircuitState::HalfOpen);
    lane.finish(probe, Report::Good(500), Time(1010), &budget);
    let view = lane.view(Time(1010), &budget);
    assert_eq!((view.circuit, view.limit, view.fresh, view.running), (CircuitState::Closed, 1, 39, 0));
    assert_eq!((0..9).map_while(|_| next(1010).ok()).count(), 1, "slowly");
    assert_eq!(lane.view(Time(1010), &budget).oldest, Some(MsgId(21)));
}

#[test]
fn a_pace_slows_what_was_claimed_and_nothing_else() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    assert!(lane.claimed((100..110).map(work).collect(), None, &budget).is_empty());
    let next = |now| match lane.next(|| Limits { rate: None, pace: Some(2), concurrency: None }, Time(now), &budget) {
        Next::Start(work) => {
            lane.finish(work.message.id, Report::None, Time(now), &budget);
            Ok(work.message.id.0)
        }
        Next::At(time) => Err(Some(time)),
        Next::Rest => Err(None),
    };
    assert_eq!((next(0), next(0)), (Ok(100), Err(Some(Time(500)))));
    (0..5).for_each(|n| fresh(&lane, &budget, n));
    assert_eq!((0..5).map(|_| next(1).unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!((next(1), next(500), next(501)), (Err(Some(Time(500))), Ok(101), Err(Some(Time(1000)))));
    assert_eq!(lane.view(Time(501), &budget).claimed, 8);
}

#[test]
fn a_fixed_number_of_attempts_runs_at_once() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(200));
    (0..120).for_each(|n| fresh(&lane, &budget, n));
    let next = |fixed: u16| {
        let limits = || Limits { rate: None, pace: None, concurrency: Some(fixed) };
        matches!(lane.next(limits, Time(0), &budget), Next::Start(_))
    };
    assert_eq!((0..9).filter(|_| next(3)).count(), 3);
    assert_eq!(lane.view(Time(0), &budget).limit, 3);
    lane.finish(MsgId(0), Report::None, Time(0), &budget);
    assert_eq!((0..99).filter(|_| next(40)).count(), 38, "a new number holds from the next attempt on");
    lane.finish(MsgId(1), Report::None, Time(0), &budget);
    assert!(!next(2), "and so does a lower one");
}

#[test]
fn what_an_endpoint_gets_is_shared_among_processes() {
    let lanes = crate::lanes::Lanes::new(500);
    let (lane, budget) = (lanes.open(EndpointId(1)), &lanes.budget);
    (0..300).for_each(|n| fresh(&lane, budget, n));
    (0..100u128).for_each(|n| {
        assert_eq!(start(&lane, budget), Some(n));
        lane.finish(MsgId(n), Report::Good(500), Time(0), budget);
    });
    let running = || std::iter::from_fn(|| start(&lane, budget)).count();
    lanes.share_with(15);
    assert_eq!(running(), 7);
    lanes.share_with(100);
    assert_eq!((running(), lane.view(Time(0), budget).limit), (0, 1));
    lanes.share_with(1);
    assert_eq!(running(), 3, "nothing is known but that ten are answered well");
}

#[test]
fn a_lane_is_not_forgotten_before_a_new_one_would_let_no_more_go() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    fresh(&lane, &budget, 0);
    assert!(matches!(lane.next(|| Limits { rate: Some(2), ..Limits::default() }, Time(0), &budget), Next::Start(_)));
    lane.finish(MsgId(0), Report::Good(1), Time(0), &budget);
    assert!(!lane.is_idle(Time(499)), "the next may go at 500");
    assert!(lane.is_idle(Time(500)));
}

#[test]
fn a_scheduled_attempt_that_waits_is_withdrawn_and_others_stay() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    assert!(lane.claimed(vec![Work { trigger: Trigger::Manual, ..work(7) }, work(7), work(8)], None, &budget).is_empty());
    assert_eq!(lane.withdraw(MsgId(7), Trigger::Scheduled, &budget).map(|work| work.trigger), Some(Trigger::Scheduled));
    assert!(lane.withdraw(MsgId(7), Trigger::Scheduled, &budget).is_none());
    assert_eq!((start(&lane, &budget), start(&lane, &budget), start(&lane, &budget)), (Some(7), Some(8), None));
}

#[test]
fn only_the_alarm_that_was_set_last_rings() {
    let lane = Lane::new(EndpointId(1));
    let ring = |at, instead_of: Option<u64>| Some(Ring { at: Time(at), instead_of: instead_of.map(Time) });
    assert_eq!(
        (lane.set_alarm(Time(9)), lane.set_alarm(Time(5)), lane.set_alarm(Time(7))),
        (ring(9, None), ring(5, Some(9)), None)
    );
    assert!(lane.rings(Time(5)));
    assert!(!lane.rings(Time(9)), "nobody waits for it any more");
    assert_eq!(lane.set_alarm(Time(9)), ring(9, None));
    assert!(lane.rings(Time(9)));
}

#[test]
fn what_is_struck_out_during_a_claim_comes_back_from_it() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    lane.look(Time(1));
    assert_eq!(lane.wants_claim(Time(1)), Some(CLAIM));
    assert!(lane.strike(MsgId(7), Trigger::Scheduled, &budget).is_none());
    let brought = vec![Work { trigger: Trigger::Manual, ..work(7) }, work(7), work(8)];
    let back = lane.claimed(brought, None, &budget);
    assert_eq!(back.iter().map(|work| (work.message.id, work.trigger)).collect::<Vec<_>>(), [(MsgId(7), Trigger::Scheduled)]);
    assert!(lane.strike(MsgId(8), Trigger::Scheduled, &budget).is_some(), "it waits");
    assert_eq!((start(&lane, &budget), start(&lane, &budget)), (Some(7), None));
    lane.look(Time(1));
    assert_eq!(lane.wants_claim(Time(1)), Some(CLAIM));
    assert!(lane.claimed(vec![work(7)], None, &budget).is_empty(), "of the next claim nothing was struck out");
}

#[test]
fn what_is_struck_out_while_it_is_accepted_does_not_start() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    assert!(lane.reserve(&budget) && lane.reserve(&budget));
    assert!(lane.strike(MsgId(7), Trigger::Scheduled, &budget).is_none());
    assert!(lane.push(work(7), &budget).is_some());
    assert!(lane.push(work(8), &budget).is_none());
    fresh(&lane, &budget, 7);
    assert_eq!((start(&lane, &budget), start(&lane, &budget)), (Some(8), Some(7)), "nothing is remembered once all are in");
}

#[test]
fn a_lane_whose_endpoint_is_deleted_is_forgotten_although_something_is_due() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(20));
    fresh(&lane, &budget, 0);
    assert_eq!(start(&lane, &budget), Some(0));
    assert!(lane.note_due(Time(9)).is_some());
    lane.close();
    assert!(!lane.is_idle(Time(9)), "an attempt runs");
    lane.finish(MsgId(0), Report::Bad, Time(9), &budget);
    assert!(lane.is_idle(Time(9)));
}

#[test]
fn a_lane_that_turns_out_slow_keeps_no_more_than_the_share_of_slow_ones() {
    let (slow, other, budget) = (Lane::new(EndpointId(1)), Lane::new(EndpointId(2)), Budget::new(12));
    (0..12).for_each(|n| fresh(&slow, &budget, n));
    (20..24).for_each(|n| fresh(&other, &budget, n));
    assert_eq!((0..12).map_while(|_| start(&slow, &budget)).count(), 4, "a third");
    // It fails twice and takes both slots again; then once more, and is known.
    for n in 0..3 {
        lane_fails(&slow, n, &budget);
        let taken = start(&slow, &budget);
        assert_eq!(taken, (n < 2).then_some(n + 4), "of the six for slow ones it has as many as are left");
    }
    assert_eq!((0..4).map_while(|_| start(&other, &budget)).count(), 2);
    lane_fails(&slow, 3, &budget);
    assert_eq!(start(&slow, &budget), Some(6));
    assert_eq!(start(&slow, &budget), None);
    // Back among the others, it leaves the share to those that are slow.
    slow.finish(MsgId(6), Report::Good(500), Time(0), &budget);
    let asks = |running| Asks { app: AppId(2), endpoint: EndpointId(3), slow: true, running, in_line: false };
    assert!((0..3).all(|running| budget.ask(asks(running)) == Slot::Taken));
}

#[test]
fn what_somebody_tries_in_vain_says_nothing_of_the_endpoint() {
    let (lane, budget) = (Lane::new(EndpointId(1)), Budget::new(100));
    (0..60).for_each(|n| fresh(&lane, &budget, n));
    for n in 0..50 {
        assert_eq!(start(&lane, &budget), Some(n));
        lane.finish(MsgId(n), Report::InVain, Time(0), &budget);
    }
    let view = lane.view(Time(0), &budget);
    assert_eq!((view.circuit, view.slow, view.limit), (CircuitState::Closed, false, 10));
}

fn lane_fails(lane: &Lane, n: u128, budget: &Budget) {
    lane.finish(MsgId(n), Report::Bad, Time(0), budget);
}
