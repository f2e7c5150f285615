//! What happens in a schedule, drawn from its seed before it begins.

use super::{dice::Dice, receiver::Manner};
use crate::model::{Backoff, Order, PayloadPath, RetryPolicy};

/// The value in a payload by which endpoints may keep order.
pub(super) const PAYLOAD_KEY: &str = "k";

/// An application and its endpoints.
#[derive(Clone, Debug)]
pub(super) struct AppPlan {
    pub(super) rate: Option<u16>,
    pub(super) endpoints: Vec<EndpointPlan>,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub(super) struct EndpointPlan {
    pub(super) manner: Manner,
    pub(super) policy: Option<RetryPolicy>,
    pub(super) rate: Option<u16>,
    pub(super) has_secret: bool,
    pub(super) ordering: Option<Order>,
    pub(super) concurrency: Option<u16>,
}

/// Messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) app: usize,
    pub(super) count: u64,
    /// To be delivered so many seconds later.
    pub(super) later: u64,
    /// Of so many ordering keys, by turns; none: without.
    pub(super) keys: u64,
    /// Each once the one before is accepted; otherwise all at once.
    pub(super) in_turn: bool,
    /// Each with an event id, and posted again until somebody says that it is accepted, or was.
    pub(super) again: bool,
    /// Their payloads are deleted after so many seconds.
    pub(super) kept_s: Option<u64>,
}

/// Something that is done. Numbers count applications, and endpoints over all applications.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Sending),
    Disable(usize),
    Enable(usize),
    /// Enables at a pace of so many a second.
    CatchUp(usize, u16),
    Rate(usize, Option<u16>),
    Policy(usize, Option<RetryPolicy>),
    Ordering(usize, Option<Order>),
    Concurrency(usize, Option<u16>),
    Delete(usize),
    /// An application with all that is its own.
    DeleteApp(usize),
    /// An application's messages are kept for so many hours, their payloads for fewer.
    Retain(usize, u32, Option<u32>),
    /// A message that was sent is cancelled at an endpoint.
    Cancel {
        at: usize,
        of_many: bool,
    },
    /// What waits in a lane's memory is to be cancelled, and the store refuses what it is asked just then.
    CancelInVain(usize),
    Add(usize, EndpointPlan),
    /// One attempt of a message that was sent.
    Resend(usize),
    /// One attempt of a message whose scheduled attempt is under way, as soon as there is one.
    ResendBeside(usize),
    /// What is exhausted starts anew.
    Recover(usize),
    Replay {
        app: usize,
        endpoint: Option<usize>,
        rate: u32,
        anew: bool,
        /// What is pending is cancelled instead.
        cancels: bool,
    },
    Abort,
    Behave(usize, Manner),
    /// A node dies at the so many-th verb from then on; with the power, what was not durable goes too. Another comes after
    /// so many milliseconds.
    Crash {
        node: usize,
        verbs: u64,
        power: bool,
        down_ms: u64,
    },
    /// A node stops, and starts again.
    Restart(usize),
    /// The store is away for so many milliseconds.
    Away(u64),
    /// A node does not reach the store for so many milliseconds, longer than its leases hold, and nobody knows why.
    CutOff(usize, u64),
}

/// A schedule.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) slots: usize,
    pub(super) timeout_s: u64,
    pub(super) disable_after_s: u64,
    pub(super) policy: RetryPolicy,
    pub(super) has_operator: bool,
    /// Of a thousand verbs, so many are refused.
    pub(super) refused: u64,
    /// Of a thousand changes, so many are not answered.
    pub(super) unanswered: u64,
    pub(super) apps: Vec<AppPlan>,
    /// What is done, and at which millisecond.
    pub(super) steps: Vec<(u64, Step)>,
}

fn policy(dice: &mut Dice) -> RetryPolicy {
    match dice.below(12) {
        0 => RetryPolicy::Delays(vec![]),
        1..=3 => RetryPolicy::Delays(vec![1, 5, 20]),
        4 | 5 => RetryPolicy::Delays(vec![2, 2]),
        6 | 7 => RetryPolicy::Delays(vec![5, 300, 1800]),
        8 => RetryPolicy::default(),
        9 => RetryPolicy::Delays(vec![0, 1]),
        growth => {
            let backoff = if growth == 10 { Backoff::Exponential } else { Backoff::Linear };
            RetryPolicy::Computed { max_retries: 4, backoff, initial: 3, factor: 3.0, max: 60 }
        }
    }
}

fn manner(dice: &mut Dice) -> Manner {
    match dice.below(20) {
        0..=6 => Manner::Good(dice.one(&[1, 20, 100])),
        7 => Manner::SlowBody(dice.from(100, 1500)),
        8 | 9 => Manner::Refuses(dice.one(&[500, 503, 404])),
        10 => Manner::Busy(dice.one(&[429, 503]), dice.one(&[1, 30, 600])),
        11 => Manner::Refuses(410),
        12 | 13 => Manner::Hangs,
        14 => Manner::Resets,
        15 => dice.one(&[Manner::Absent, Manner::CutsBody, Manner::EndlessBody]),
        16 => Manner::Flaps(dice.one(&[3, 20, 120])),
        17 => Manner::Wavers,
        _ => Manner::Mixed,
    }
}

fn ordering(dice: &mut Dice) -> Order {
    match dice.below(5) {
        0..=2 => Order::Key,
        3 => Order::Payload { path: PayloadPath::parse(PAYLOAD_KEY).unwrap() },
        _ => Order::All,
    }
}

fn concurrency(dice: &mut Dice) -> u16 {
    dice.one(&[1, 1, 2, 5, 20])
}

fn endpoint(dice: &mut Dice) -> EndpointPlan {
    EndpointPlan {
        manner: manner(dice),
        policy: dice.permille(700).then(|| policy(dice)),
        rate: dice.permille(200).then(|| dice.one(&[1, 2, 5, 20])),
        has_secret: dice.permille(20),
        ordering: dice.permille(300).then(|| ordering(dice)),
        concurrency: dice.permille(150).then(|| concurrency(dice)),
    }
}

fn step(dice: &mut Dice, endpoints: usize, apps: usize) -> Step {
    let at = usize::try_from(dice.below(endpoints as u64)).unwrap();
    let app = usize::try_from(dice.below(apps as u64)).unwrap();
    match dice.below(25) {
        20 => Step::DeleteApp(app),
        21 => Step::Retain(app, dice.one(&[1, 1, 2]), None),
        22..=24 => Step::Cancel { at, of_many: dice.permille(500) },
        0 | 1 => Step::Disable(at),
        2 | 3 => Step::Enable(at),
        4 => Step::CatchUp(at, dice.one(&[1, 5, 50])),
        5 => Step::Rate(at, dice.one(&[None, Some(1), Some(3), Some(10)])),
        6 => Step::Policy(at, Some(policy(dice))),
        7 => Step::Delete(at),
        8 => Step::Add(app, endpoint(dice)),
        9 | 10 => Step::Resend(at),
        11 => Step::ResendBeside(at),
        12 => Step::Recover(at),
        13 | 14 => Step::Replay {
            app,
            endpoint: dice.permille(500).then_some(at),
            rate: dice.one(&[1, 10, 100]),
            anew: dice.permille(500),
            cancels: dice.permille(200),
        },
        15 => Step::Abort,
        16 => Step::Ordering(at, dice.permille(700).then(|| ordering(dice))),
        17 => Step::Concurrency(at, dice.permille(700).then(|| concurrency(dice))),
        _ => Step::Behave(at, manner(dice)),
    }
}

fn trouble(dice: &mut Dice, nodes: usize) -> Step {
    let node = usize::try_from(dice.below(nodes as u64)).unwrap();
    match dice.below(8) {
        2 | 3 if nodes > 1 => Step::CutOff(node, dice.from(31_000, 70_000)),
        0 => Step::Restart(node),
        1 => Step::Away(dice.from(10, 4000)),
        _ => Step::Crash {
            node,
            verbs: dice.from(1, 25),
            power: nodes == 1 && dice.permille(300),
            down_ms: dice.one(&[0, 300, 20_000]),
        },
    }
}

impl Plan {
    pub(super) fn draw(dice: &mut Dice) -> Plan {
        let calm = dice.permille(200);
        let nodes = if calm || dice.permille(750) { 1 } else { 2 };
        let apps: Vec<AppPlan> = (0..dice.from(1, 3))
            .map(|_| AppPlan {
                rate: dice.permille(80).then(|| dice.one(&[2, 10])),
                endpoints: (0..dice.from(1, 3)).map(|_| endpoint(dice)).collect(),
            })
            .collect();
        let endpoints: usize = apps.iter().map(|app| app.endpoints.len()).sum();
        // Most within a minute; some over hours.
        let horizon_ms = dice.one(&[3_000, 10_000, 60_000, 60_000, 7_200_000]);
        let mut steps = Vec::new();
        let mut add = |dice: &mut Dice, step: Step| steps.push((dice.below(horizon_ms), step));
        for _ in 0..dice.from(1, 5) {
            let later = if dice.permille(100) { dice.from(1, 90) } else { 0 };
            let count = dice.one(&[1, 1, 2, 4, 9]);
            let app = usize::try_from(dice.below(apps.len() as u64)).unwrap();
            let (keys, in_turn, again) = (dice.one(&[0, 1, 1, 2, 3]), dice.permille(500), dice.permille(300));
            add(dice, Step::Send(Sending { app, count, later, keys, in_turn, again, kept_s: None }));
        }
        if !calm {
            for _ in 0..dice.below(6) {
                let step = step(dice, endpoints, apps.len());
                add(dice, step);
            }
            for _ in 0..dice.below(4) {
                let step = trouble(dice, nodes);
                add(dice, step);
            }
        }
        // Drawn beside, so that all else is as it would be without.
        let mut beside = dice.clone().split();
        for (_, step) in &mut steps {
            match step {
                Step::Send(sending) if beside.permille(200) => sending.kept_s = Some(beside.one(&[5, 40, 300, 900])),
                Step::Retain(_, hours, payloads) if *hours > 1 => *payloads = beside.permille(500).then_some(1),
                _ => {}
            }
        }
        if !calm && beside.permille(150) {
            let at = usize::try_from(beside.below(endpoints as u64)).unwrap();
            steps.push((beside.below(horizon_ms), Step::CancelInVain(at)));
        }
        steps.sort_by_key(|(at, _)| *at);
        Plan {
            nodes,
            slots: dice.one(&[3, 8, 40, 4096]),
            timeout_s: dice.one(&[2, 5, 15]),
            disable_after_s: dice.one(&[60, 432_000, 432_000]),
            policy: policy(dice),
            has_operator: dice.permille(100),
            refused: if calm { 0 } else { dice.one(&[0, 0, 0, 10, 60]) },
            unanswered: if calm { 0 } else { dice.one(if nodes > 1 { &[0, 20] } else { &[0, 0, 0, 20] }) },
            apps,
            steps,
        }
    }
}
