//! Replays through the death of the process that works on them.

use super::{
    receiver::Manner,
    unanswered::{accepted, one_endpoint},
};
use crate::model::Trigger;
use std::time::Duration;
use tokio::time::sleep;

/// Messages that are replayed, one a second.
const MESSAGES: usize = 12;
/// Between two attempts at most, also when the process dies in between: the pace, a start, and a look for what is to do.
const GAP: Duration = Duration::from_secs(4);

#[tokio::test(start_paused = true)]
async fn a_replay_goes_on_at_once_when_its_process_has_died() {
    let mut driver = one_endpoint(Manner::Good(5), None).await;
    for _ in 0..MESSAGES {
        assert!(accepted(&driver).await);
    }
    sleep(Duration::from_secs(2)).await;
    let engine = driver.engines().next().unwrap().engine.clone();
    driver.replay(&engine, (0, Some(0)), (1, false, false));
    sleep(Duration::from_millis(4500)).await;
    driver.engines().next().unwrap().node.die();
    driver.calm_down().await;
    assert_eq!(driver.faults(), [""; 0]);
    let seen = driver.referee.seen.lock();
    let times: Vec<_> = seen.sent.iter().filter(|sent| sent.trigger == Trigger::Manual).map(|sent| sent.at).collect();
    assert!((MESSAGES..=MESSAGES + 1).contains(&times.len()), "a step may come twice: {times:?}");
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) <= GAP), "{times:?}");
}
