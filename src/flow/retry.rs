//! What an outcome means for its delivery: done, again, or over. Pure: time and chance are arguments.

use crate::model::{Cause, Finals, Outcome, RetryPolicy, Time, Trigger, Verdict};
use std::time::Duration;

/// Part of a delay by which it is moved, either way, so that retries of one outage do not come back as one wave.
const JITTER: f64 = 0.2;
/// The longest wait that a receiver may ask for with `Retry-After`.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(12 * 3600);
/// Statuses with which `Retry-After` is obeyed (RFC 9110, 15.6.4; RFC 6585, 4).
const ASKS_TO_WAIT: [u16; 2] = [429, 503];
/// The receiver says that nobody is there for good (RFC 9110, 15.5.11).
pub const GONE: u16 = 410;

/// What a profile says of retries.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// When it is tried again.
    pub policy: &'r RetryPolicy,
    /// Statuses after which it is not.
    pub finals: &'r Finals,
    /// Whether [`GONE`] is one of them.
    pub gone_is_final: bool,
}

impl Rules<'_> {
    fn ends(&self, outcome: &Outcome) -> bool {
        let answered = matches!(outcome.cause, Cause::BadStatus | Cause::Redirect);
        let status = outcome.status.filter(|_| answered);
        outcome.cause == Cause::Expunged
            || (self.gone_is_final && outcome.status == Some(GONE))
            || status.is_some_and(|status| self.finals.contains(status))
    }
}

/// Judges an attempt that ended at `now`. `failed` counts the scheduled attempts that failed before it; `chance` is a
/// number from 0 to 1.
#[must_use]
pub fn judge(outcome: &Outcome, rules: Rules<'_>, (trigger, failed): (Trigger, u32), now: Time, chance: f64) -> Verdict {
    if outcome.succeeded() {
        return Verdict::Delivered;
    }
    if trigger == Trigger::Manual || rules.ends(outcome) {
        return Verdict::Exhausted;
    }
    match rules.policy.delay_after(failed.saturating_add(1)) {
        None => Verdict::Exhausted,
        Some(delay) => Verdict::Retry(now.plus(jittered(delay, chance).max(asked_for(outcome)))),
    }
}

/// The verdict with its wait so many times shorter.
#[must_use]
pub fn sooner(verdict: Verdict, now: Time, speed: u32) -> Verdict {
    match verdict {
        Verdict::Retry(due) if speed > 1 => Verdict::Retry(Time(now.0 + due.0.saturating_sub(now.0) / u64::from(speed))),
        verdict => verdict,
    }
}

fn jittered(delay: Duration, chance: f64) -> Duration {
    delay.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0))
}

fn asked_for(outcome: &Outcome) -> Duration {
    let obeyed = outcome.cause == Cause::BadStatus && outcome.status.is_some_and(|s| ASKS_TO_WAIT.contains(&s));
    outcome.retry_after.filter(|_| obeyed).unwrap_or_default().min(MAX_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Outcome {
        let cause = if status < 300 { Cause::Success } else { Cause::BadStatus };
        Outcome { status: Some(status), ..Outcome::failed(cause, "") }
    }

    fn verdict(outcome: &Outcome, failed: u32, chance: f64) -> Verdict {
        let rules = Rules { policy: &RetryPolicy::default(), finals: &Finals::default(), gone_is_final: true };
        judge(outcome, rules, (Trigger::Scheduled, failed), Time(1_000_000), chance)
    }

    #[test]
    fn a_profile_says_which_statuses_are_final() {
        let finals = Finals::try_from(vec!["4xx".to_owned(), "501".to_owned()]).unwrap();
        let rules = Rules { policy: &RetryPolicy::default(), finals: &finals, gone_is_final: false };
        let verdict = |outcome: &Outcome| judge(outcome, rules, (Trigger::Scheduled, 0), Time(0), 0.5);
        for (status, last) in [(400, true), (404, true), (GONE, true), (429, true), (500, false), (501, true), (302, false)] {
            assert_eq!(verdict(&answered(status)) == Verdict::Exhausted, last, "{status}");
        }
        assert_ne!(verdict(&Outcome::failed(Cause::HeadersTimeout, "")), Verdict::Exhausted);
        // The answer's body broke off: what it would have said is not known.
        let cut = Outcome { status: Some(404), ..Outcome::failed(Cause::Disconnected, "") };
        assert_ne!(verdict(&cut), Verdict::Exhausted);
        let all_retried = Rules { finals: &Finals::default(), ..rules };
        assert_ne!(judge(&answered(GONE), all_retried, (Trigger::Scheduled, 0), Time(0), 0.5), Verdict::Exhausted);
    }

    #[test]
    fn failures_follow_the_schedule_within_its_jitter() {
        assert_eq!(verdict(&answered(204), 3, 0.5), Verdict::Delivered);
        assert_eq!(verdict(&answered(500), 0, 0.0), Verdict::Retry(Time(1_004_000)));
        assert_eq!(verdict(&answered(500), 0, 1.0), Verdict::Retry(Time(1_006_000)));
        assert_eq!(verdict(&answered(500), 1, 0.5), Verdict::Retry(Time(1_300_000)));
        assert_eq!(verdict(&answered(500), 7, 0.5), Verdict::Exhausted);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_its_bound() {
        let asking = |status, seconds| Outcome { retry_after: Some(Duration::from_secs(seconds)), ..answered(status) };
        assert_eq!(verdict(&asking(503, 60), 0, 0.5), Verdict::Retry(Time(1_060_000)));
        assert_eq!(verdict(&asking(429, 1), 0, 0.5), Verdict::Retry(Time(1_005_000)));
        assert_eq!(verdict(&asking(500, 60), 0, 0.5), Verdict::Retry(Time(1_005_000)));
        assert_eq!(verdict(&asking(429, u64::MAX / 2000), 0, 0.5), Verdict::Retry(Time(1_000_000).plus(MAX_RETRY_AFTER)));
    }

    #[test]
    fn a_schedule_can_be_tried_out_faster() {
        let judged = verdict(&answered(500), 1, 0.5);
        assert_eq!(sooner(judged, Time(1_000_000), 1), judged);
        assert_eq!(sooner(judged, Time(1_000_000), 1000), Verdict::Retry(Time(1_000_300)));
        assert_eq!(sooner(Verdict::Exhausted, Time(0), 1000), Verdict::Exhausted);
    }

    #[test]
    fn gone_is_final_and_a_manual_attempt_has_no_schedule() {
        assert_eq!(verdict(&answered(GONE), 0, 0.5), Verdict::Exhausted);
        assert_eq!(verdict(&Outcome::failed(Cause::Expunged, ""), 0, 0.5), Verdict::Exhausted);
        let rules = Rules { policy: &RetryPolicy::default(), finals: &Finals::default(), gone_is_final: true };
        let manual = judge(&answered(500), rules, (Trigger::Manual, 0), Time(0), 0.5);
        assert_eq!(manual, Verdict::Exhausted);
    }
}
