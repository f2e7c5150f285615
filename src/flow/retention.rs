//! Retentions in memory: what accepting and upkeep ask of them.

use crate::model::{AppId, OrgId, Retention};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

/// Payloads that would be kept for longer than their messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlives {
    /// Of this application; `None`: of those that say nothing.
    pub app: Option<AppId>,
    /// Hours that messages would be kept.
    pub message_hours: u64,
    /// Hours that payloads would be kept.
    pub payload_hours: u64,
}

/// The retentions of organizations and applications.
#[derive(Debug, Default)]
pub struct Retentions {
    /// Whether there is any: most servers have none, and then accepting takes no lock.
    any: AtomicBool,
    kept: RwLock<HashMap<(OrgId, Option<AppId>), Retention>>,
}

impl Retentions {
    pub(super) fn put(&self, retention: Retention) {
        let mut kept = self.kept.write();
        kept.insert((retention.org, retention.app), retention);
        self.any.store(true, Relaxed);
    }

    pub(super) fn remove(&self, org: OrgId, app: Option<AppId>) {
        let mut kept = self.kept.write();
        kept.remove(&(org, app));
        self.any.store(!kept.is_empty(), Relaxed);
    }

    /// What the application says, else its organization.
    fn said<T>(&self, org: OrgId, app: AppId, say: impl Fn(&Retention) -> Option<T>) -> Option<T> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let kept = self.kept.read();
        [Some(app), None].into_iter().find_map(|app| kept.get(&(org, app)).and_then(&say))
    }

    /// How long an application's messages are kept; `None`: as the server says.
    #[must_use]
    pub fn messages(&self, org: OrgId, app: AppId) -> Option<Duration> {
        self.said(org, app, Retention::messages)
    }

    /// How long an application's payloads are kept; `None`: as long as their messages.
    #[must_use]
    pub fn payloads(&self, org: OrgId, app: AppId) -> Option<Duration> {
        self.said(org, app, Retention::payloads)
    }

    /// Where payloads would be kept for longer than their messages if this retention took its place, what is not said being
    /// inherited; the server keeps messages for `default`.
    #[must_use]
    pub fn outlives(&self, asked: Retention, default: Duration) -> Option<Outlives> {
        let mut kept: HashMap<Option<AppId>, Retention> =
            self.kept.read().iter().filter(|((org, _), _)| *org == asked.org).map(|((_, app), kept)| (*app, *kept)).collect();
        kept.insert(asked.app, asked);
        let org = kept.get(&None).copied();
        let concerned = kept.values().filter(|kept| asked.app.is_none() || kept.app == asked.app);
        let mut late: Vec<Outlives> = concerned
            .filter_map(|own| {
                let said = |say: fn(&Retention) -> Option<Duration>| say(own).or_else(|| org.as_ref().and_then(say));
                let (messages, payloads) = (said(Retention::messages).unwrap_or(default), said(Retention::payloads)?);
                let hours = |kept: Duration| kept.as_secs() / 3600;
                let (message_hours, payload_hours) = (hours(messages), hours(payloads));
                (payloads > messages).then_some(Outlives { app: own.app, message_hours, payload_hours })
            })
            .collect();
        late.sort_by_key(|late| late.app);
        late.first().copied()
    }

    /// The longest that anybody keeps messages, when the server keeps them for `default`.
    #[must_use]
    pub fn longest(&self, default: Duration) -> Duration {
        self.kept.read().values().filter_map(Retention::messages).fold(default, Duration::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_says_first_then_its_organization() {
        let (org, app) = (OrgId(1), AppId(2));
        let kept = Retentions::default();
        let hour = Duration::from_secs(3600);
        assert_eq!((kept.messages(org, app), kept.longest(hour)), (None, hour));
        kept.put(Retention { org, app: None, message_hours: Some(48), payload_hours: Some(2) });
        kept.put(Retention { org, app: Some(app), message_hours: Some(5), payload_hours: None });
        assert_eq!(kept.messages(org, app), Some(5 * hour));
        assert_eq!(kept.payloads(org, app), Some(2 * hour));
        assert_eq!(kept.messages(org, AppId(3)), Some(48 * hour));
        assert_eq!(kept.messages(OrgId(9), app), None);
        assert_eq!((kept.longest(hour), kept.longest(99 * hour)), (48 * hour, 99 * hour));
        let asked = |app, message_hours, payload_hours| {
            kept.outlives(Retention { org, app, message_hours, payload_hours }, hour * 99).map(|late| late.app)
        };
        assert_eq!(asked(Some(app), Some(5), Some(5)), None);
        assert_eq!(asked(Some(app), Some(5), Some(6)), Some(Some(app)));
        assert_eq!(asked(Some(app), Some(1), None), Some(Some(app)), "2 hours are inherited");
        assert_eq!(asked(Some(app), None, Some(49)), Some(Some(app)), "48 hours are inherited");
        assert_eq!(asked(None, Some(10), Some(11)), Some(None));
        assert_eq!(asked(None, Some(10), Some(6)), Some(Some(app)), "the application keeps messages for 5 hours");
        assert_eq!(asked(None, None, Some(99)), Some(Some(app)));
        assert_eq!(asked(None, None, Some(5)), None);
        kept.remove(org, Some(app));
        assert_eq!(kept.messages(org, app), Some(48 * hour));
        kept.remove(org, None);
        assert_eq!(kept.messages(org, app), None);
    }
}
